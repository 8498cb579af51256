"""What is written and opened again is the same: voxels, geometry, kind and history."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_emseg.io import open_volume, save_volume
from napari_emseg.volume import Volume

_DTYPES = {
    "raw": ["uint8", "uint16", "int16", "int32", "float32", "float64"],
    "boundary": ["uint8", "float32", "bool"],
    "affinities": ["uint8", "float32"],
    "labels": ["uint8", "uint16", "uint32", "uint64", "int64"],
    "fragments": ["uint32"],
}
_NO_64_BIT_IDS = (".ome.tif", ".ome.tiff")

# Down to a thousandth of a nm and up to a mm, no neat numbers.
_steps = st.floats(1e-3, 1e6)
_places = st.floats(-1e7, 1e7)


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    kind: Any = draw(st.sampled_from(sorted(_DTYPES)))
    dtype = draw(st.sampled_from(_DTYPES[kind]))
    axes = 4 if kind == "affinities" else 3
    shape = draw(hnp.array_shapes(min_dims=axes, max_dims=axes, min_side=1, max_side=7))
    elements = st.floats(0, 1, width=32) if dtype.startswith("float") else None
    return Volume(
        draw(hnp.arrays(dtype, shape, elements=elements)),
        kind=kind,
        voxel_size_nm=draw(st.none() | st.tuples(_steps, _steps, _steps)),
        offset_nm=draw(st.tuples(_places, _places, _places)),
        name=draw(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=9)),
        provenance={"model": 'µ-net\n"2"', "h": 0.1, "merged": [1, [2, None]]},
    )


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".h5", ".zarr"])
@settings(max_examples=15, deadline=None)
@given(volume=volumes())
def test_reading_gives_what_was_written(suffix: str, volume: Volume) -> None:
    if suffix in _NO_64_BIT_IDS and volume.dtype.itemsize == 8 and volume.dtype.kind in "iu":
        return
    with tempfile.TemporaryDirectory() as folder:
        path = save_volume(volume, Path(folder) / f"a{suffix}")
        again = open_volume(path)
        np.testing.assert_array_equal(again.read(), volume.read())
    assert again.dtype == volume.dtype
    assert again.kind == volume.kind
    assert again.voxel_size_nm == volume.voxel_size_nm
    assert again.offset_nm == volume.offset_nm
    assert again.name == (volume.name or "a")
    for key, value in volume.provenance.items():
        assert again.provenance[key] == value
    assert again.provenance["source"] == str(path)
    assert again.provenance["notes"] == []

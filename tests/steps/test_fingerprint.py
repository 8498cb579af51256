"""A fingerprint tells volumes apart by their voxels and by nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg import Volume, open_volume, save_volume
from napari_emseg.steps.fingerprint import fingerprint, has_changed


def _ids(shape: tuple[int, ...] = (40, 150, 131)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**32, shape, np.uint32)


def test_depends_on_voxels_and_grid_only() -> None:
    data = np.arange(3 * 5 * 7, dtype=np.uint16).reshape(3, 5, 7)
    volume = Volume(data, name="a", voxel_size_nm=(50, 4, 4))
    assert fingerprint(volume) == fingerprint(Volume(data.copy(), name="b"))
    for other in (data + np.uint16(1), data.reshape(3, 7, 5), data.astype(np.uint8)):
        assert has_changed(fingerprint(volume), fingerprint(Volume(other)))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 39), st.integers(0, 149), st.integers(0, 130), st.integers(0, 31))
def test_one_bit_of_one_voxel_counts_in_memory(z: int, y: int, x: int, bit: int) -> None:
    data = _ids()
    before = fingerprint(Volume(data, kind="labels"))
    data[z, y, x] ^= np.uint32(1 << bit)
    assert has_changed(before, fingerprint(Volume(data, kind="labels")))


def test_swapped_sections_count() -> None:
    data = _ids((4, 9, 8))
    before = fingerprint(Volume(data, kind="labels"))
    assert has_changed(before, fingerprint(Volume(data[::-1], kind="labels")))


@pytest.mark.parametrize("name", ["a.tif", "a.h5", "a.zarr"])
def test_the_same_in_memory_and_in_any_file(tmp_path: Path, name: str) -> None:
    data = _ids().astype(np.uint16)
    in_memory = fingerprint(Volume(data))
    in_file = fingerprint(open_volume(save_volume(Volume(data), tmp_path / name)))
    assert in_file.endswith("-")  # only sampled
    assert not has_changed(in_memory, in_file)
    assert not has_changed(in_file, in_memory)
    assert has_changed(
        in_memory, fingerprint(open_volume(tmp_path / name).derive(data.T, kind="raw"))
    )


@pytest.mark.parametrize(
    "data", [_ids((3, 9, 8)).astype(">u4"), _ids((8, 9, 3)).T, _ids((6, 9, 16))[::2, :, ::2]]
)
def test_byte_order_and_layout_do_not_count(data: np.ndarray) -> None:
    plain = np.ascontiguousarray(data).astype(np.uint32)
    volumes = [Volume(values, kind="labels") for values in (data, plain)]
    assert fingerprint(volumes[0]) == fingerprint(volumes[1])


@pytest.mark.parametrize("old", ["", "0123456789abcdef", "3-00aa-01ff", "x"])
def test_those_of_another_version_tell_nothing(old: str) -> None:
    new = fingerprint(Volume(_ids((2, 3, 4)), kind="labels"))
    assert not has_changed(old, new)
    assert not has_changed(new, old)

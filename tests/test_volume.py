from __future__ import annotations

import json

import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.volume import Volume

_ZYX = np.zeros((2, 3, 4), np.uint8)


def test_derive_keeps_the_grid_and_adds_history() -> None:
    raw = Volume(
        _ZYX,
        voxel_size_nm=(50, 4, 4),
        offset_nm=(100, 0, 8),
        name="raw",
        provenance={"source": "a"},
    )
    ids = raw.derive(_ZYX.astype(np.uint32), kind="labels", h=0.1)
    assert (ids.voxel_size_nm, ids.offset_nm, ids.name) == ((50, 4, 4), (100, 0, 8), "raw")
    assert ids.provenance == {"source": "a", "h": 0.1}
    assert ids.is_label
    assert json.dumps(dict(ids.provenance))


def test_provenance_cannot_be_changed_from_outside() -> None:
    given = {"h": 0.1}
    volume = Volume(_ZYX, provenance=given)
    given["h"] = 0.2
    assert volume.provenance["h"] == 0.1
    with pytest.raises(TypeError):
        volume.provenance["h"] = 0.3  # type: ignore[index]


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (_ZYX[0], {}, "first axis of length 1"),
        (np.zeros((5, 6, 7, 3), np.uint8), {}, "colour image"),
        (_ZYX, {"kind": "affinities"}, "channel, z, y, x"),
        (_ZYX[:0], {}, "no voxels"),
        (_ZYX, {"kind": "grey"}, "no kind of volume"),
        (_ZYX.astype(complex), {}, "grey values or ids"),
        (_ZYX.astype(float), {"kind": "labels"}, "decimal numbers"),
        (_ZYX.astype(np.uint16), {"kind": "boundary"}, "float in"),
        (_ZYX, {"voxel_size_nm": (50, 4)}, "three numbers in nm"),
        (_ZYX, {"voxel_size_nm": "big"}, "three numbers in nm"),
        (_ZYX, {"voxel_size_nm": (50, 0, 4)}, "must be positive"),
        (_ZYX, {"voxel_size_nm": (50, float("nan"), 4)}, "must be finite"),
        (_ZYX, {"offset_nm": (0, 0, float("inf"))}, "must be finite"),
    ],
)
def test_what_does_not_fit_is_told(data: np.ndarray, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Volume(data, **options)

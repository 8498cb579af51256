from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.io import guess_kind, open_volume, save_volume
from napari_emseg.io.kinds import is_inverted
from napari_emseg.volume import Volume

_RNG = np.random.default_rng(0)
_NOISE = _RNG.integers(60, 200, (3, 64, 64))
_BLOCKS = np.kron(np.arange(16).reshape(1, 4, 4), np.ones((3, 16, 16), int))
# Slanted membranes 32 px apart and 3 px wide, with soft flanks.
_Z, _Y, _X = np.indices((3, 64, 64))
_MAP = np.clip(1.2 - np.abs((_X + 0.3 * _Y + _Z) % 32 - 16) / 5, 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        (_NOISE.astype(np.uint8), "raw"),
        (_NOISE.astype(np.uint16) * 200, "raw"),
        (_NOISE.astype(np.float32) / 255, "raw"),
        (_NOISE.astype(np.float32), "raw"),
        (_BLOCKS.astype(np.uint8), "labels"),
        (_BLOCKS.astype(np.uint16), "labels"),
        (_BLOCKS.astype(np.uint64) + 2**50, "labels"),
        (_BLOCKS.astype(np.int64), "labels"),
        (_MAP, "boundary"),
        (1 - _MAP, "boundary"),
        ((_MAP * 255).astype(np.uint8), "boundary"),
        ((_MAP > 0.5).astype(np.uint8) * 255, "boundary"),
        (_MAP > 0.5, "boundary"),
        (np.zeros((3, 9, 9), np.uint8), "raw"),
        (np.zeros((3, 9, 9), np.uint32), "labels"),
        (np.full((3, 9, 9), np.nan, np.float32), "raw"),
        (np.zeros((1, 5, 1), np.uint16), "raw"),
    ],
)
def test_guess(sample: np.ndarray, kind: str) -> None:
    assert guess_kind(sample) == kind


def test_polarity_is_told_only_where_it_is_clear() -> None:
    assert is_inverted(_MAP, 1) is False
    assert is_inverted(1 - _MAP, 1) is True
    assert is_inverted(np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.5]), 1) is None


@pytest.mark.parametrize(
    "stored",
    [
        1 - _MAP,
        (255 - _MAP * 255).round().astype(np.uint8),
        ((1 - _MAP) * 65535).round().astype(np.uint16),
        (1 - _MAP) * 255,
    ],
    ids=lambda stored: str(stored.dtype),
)
def test_an_inverted_map_of_any_scale_comes_out_right(tmp_path: Path, stored: np.ndarray) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack")
    volume = open_volume(tmp_path / "a.tif", kind="boundary")
    top = 255 if volume.dtype == np.uint8 else 1
    np.testing.assert_allclose(volume.read() / top, _MAP, atol=1 / 255)
    assert any("inverted" in note for note in volume.provenance["notes"])
    left = open_volume(tmp_path / "a.tif", kind="boundary", invert=False)
    np.testing.assert_allclose(left.read() / top, 1 - _MAP, atol=1 / 255)


@pytest.mark.parametrize(
    ("top", "notes"), [(np.uint8(1), 0), (np.uint16(1), 0), (np.uint16(255), 1)]
)
def test_only_a_division_that_changes_values_is_noted(
    tmp_path: Path, top: np.integer[Any], notes: int
) -> None:
    import tifffile

    drawn = (_MAP > 0.5) * top
    tifffile.imwrite(tmp_path / "a.tif", drawn, photometric="minisblack")
    volume = open_volume(tmp_path / "a.tif", kind="boundary")
    assert sum("divided" in note for note in volume.provenance["notes"]) == notes
    assert volume.read().max() == 1


def test_our_own_maps_are_never_flipped_unasked(tmp_path: Path) -> None:
    bright = Volume(np.full((2, 9, 9), 0.99, np.float32), kind="boundary")
    path = save_volume(bright, tmp_path / "a.tif")
    assert open_volume(path).read().min() > 0.9
    assert open_volume(path, invert=True).read().max() < 0.1


def test_only_maps_can_be_inverted(tmp_path: Path) -> None:
    path = save_volume(Volume(np.zeros((2, 9, 9), np.uint8)), tmp_path / "a.tif")
    with pytest.raises(InputError, match="Only boundary maps can be inverted"):
        open_volume(path, invert=True)

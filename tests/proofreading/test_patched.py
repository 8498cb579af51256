"""Corrected voxels lie over the fragments, which stay as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.proofreading import patched
from napari_emseg.proofreading.patched import PatchedFragments
from napari_emseg.proofreading.runs import VoxelRuns, find_runs
from napari_emseg.proofreading.tiles import TILE_PX

SHAPE = (3, 2 * TILE_PX + 7, TILE_PX + 5)


def _edited(seed: int) -> tuple[np.ndarray, np.ndarray, PatchedFragments]:
    random = np.random.default_rng(seed)
    base = random.integers(0, 9, SHAPE).astype(np.uint16)
    base.setflags(write=False)
    fragments = PatchedFragments(base)
    expected = base.astype(np.uint32)
    for k in range(4):
        corner = [int(random.integers(0, n)) for n in SHAPE]
        box = tuple(slice(c, c + int(random.integers(1, 80))) for c in corner)
        new = expected[box].copy()
        new[random.random(new.shape) < 0.3] = 100 + k
        runs = find_runs(tuple(corner), expected[box], new)
        if runs is not None:
            fragments.write(runs)
            expected[box] = new
    return base, expected, fragments


@given(st.integers(0, 50), st.data())
@settings(deadline=None, max_examples=40)
def test_it_reads_like_an_edited_copy(seed: int, data: st.DataObject) -> None:
    _, expected, fragments = _edited(seed)
    numbers = [st.integers(-n, n - 1) for n in SHAPE]
    slices = [st.slices(n) for n in SHAPE]
    key = tuple(data.draw(st.one_of(n, s)) for n, s in zip(numbers, slices, strict=True))
    np.testing.assert_array_equal(fragments[key], expected[key])
    assert fragments[key].dtype == np.uint32


def test_the_base_is_never_written_and_points_can_be_listed() -> None:
    base, expected, fragments = _edited(3)
    assert base.max() < 9
    assert expected.max() >= 100
    points = (np.array([0, 2, 1]), np.array([5, 70, 134]), np.array([0, 66, 1]))
    np.testing.assert_array_equal(fragments[points], expected[points])
    np.testing.assert_array_equal(np.asarray(fragments), expected)


def test_a_snapshot_does_not_follow() -> None:
    _, expected, fragments = _edited(4)
    before = fragments.snapshot()
    new = expected + 1
    fragments.write(find_runs((0, 0, 0), expected, new))
    np.testing.assert_array_equal(before[...], expected)
    np.testing.assert_array_equal(fragments[...], new)


def test_a_small_edit_costs_tiles_not_sections() -> None:
    fragments = PatchedFragments(np.zeros((20, 4096, 4096), np.uint8))
    zero = np.zeros((20, 3, 3), np.uint32)
    fragments.write(find_runs((0, 9, 9), zero, zero + 1))
    assert fragments.patch_bytes == 20 * 4 * TILE_PX**2


def test_an_edit_that_starts_from_other_voxels_changes_nothing() -> None:
    fragments = PatchedFragments(np.ones((2, 4, 4), np.uint8))
    old = np.ones((2, 4, 4), np.uint32)
    old[1, 3, 3] = 5
    with pytest.raises(ValueError, match="section 1"):
        fragments.write(find_runs((0, 0, 0), old, old + 1))
    assert np.unique(fragments[...]).tolist() == [1]


def test_places_that_are_none_are_refused() -> None:
    fragments = PatchedFragments(np.ones((2, 4, 4), np.uint8))
    with pytest.raises(IndexError):
        fragments[2]
    with pytest.raises(IndexError):
        fragments[0, 0, 0, 0]


def test_tiles_that_are_not_in_use_are_packed_and_read_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patched, "_HOT_TILES", 2)
    base = np.random.default_rng(0).integers(1, 9, (3, 150, 170)).astype(np.uint32)
    base[2, :64, :64] = np.arange(64 * 64).reshape(64, 64) + 10  # too many ids to pack
    fragments, expected = PatchedFragments(base), base.copy()
    before = fragments.snapshot()
    for z, y, x in [(0, 10, 10), (0, 70, 100), (1, 140, 160), (2, 3, 3), (2, 100, 20), (0, 12, 9)]:
        new = expected[z : z + 1, y : y + 5, x : x + 5] + 5000
        old = expected[z : z + 1, y : y + 5, x : x + 5]
        fragments.write(find_runs((z, y, x), old, new.astype(np.uint32)))
        expected[z, y : y + 5, x : x + 5] += 5000
        np.testing.assert_array_equal(fragments[...], expected)
        np.testing.assert_array_equal(fragments[:, 60:150:7, 5], expected[:, 60:150:7, 5])
    np.testing.assert_array_equal(before[...], base)
    tile = 64 * 64 * 4
    assert fragments.patch_bytes < 5 * tile  # of 5 tiles, two in use and one that cannot be packed


def test_a_run_that_leaves_its_row_is_refused() -> None:
    one, two = np.array([1], np.uint32), np.array([2], np.uint32)
    wrong = VoxelRuns((0, 0, 0), (1, 2, 3), np.array([2]), np.array([2]), one, two)
    with pytest.raises(ValueError, match="outside the volume"):
        PatchedFragments(np.ones((1, 4, 4), np.uint32)).write(wrong)

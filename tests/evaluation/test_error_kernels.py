"""Gaps are bridged from the nearest voxel, and thick means that a square fits in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_cdt

from napari_emseg.evaluation.error_kernels import bridge_gaps, mark_thick


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 11), st.floats(0, 1))
def test_gaps_are_filled_from_the_nearest(seed: int, height: int, width: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, 9, (height, width)).astype(np.int32)
    is_gap = rng.random((height, width)) < share
    filled, source = np.empty_like(cell), np.empty(cell.size, np.int64)
    bridge_gaps(cell, is_gap, filled, source)
    np.testing.assert_array_equal(filled.ravel(), cell.ravel()[source])
    if is_gap.all():
        np.testing.assert_array_equal(filled, cell)
        return
    assert not is_gap.ravel()[source].any()
    y, x = np.indices(cell.shape)
    steps = np.abs(y.ravel() - source // width) + np.abs(x.ravel() - source % width)
    distance = distance_transform_cdt(np.pad(is_gap, 99, mode="edge"), "taxicab")
    np.testing.assert_array_equal(steps, distance[99:-99, 99:-99].ravel())


@pytest.mark.parametrize(("width", "thick"), [(1, [1, 1, 1]), (3, [1, 1, 0]), (4, [0, 1, 0])])
def test_thick_means_that_a_square_fits(width: int, thick: list[int]) -> None:
    cell = np.full((8, 12), -1, np.int32)
    cell[1:4, 1:4] = 0
    cell[4:8, 5:9] = 1
    cell[:, 10:12] = 2
    is_thick = np.zeros(3, bool)
    mark_thick(cell, width, is_thick)
    assert is_thick.tolist() == thick

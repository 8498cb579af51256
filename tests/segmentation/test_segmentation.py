"""The table over fragments and the array that looks voxels up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from napari_emseg.errors import InputError
from napari_emseg.segmentation import Segmentation, build_hierarchy
from napari_emseg.volume import Volume

FRAGMENTS = np.random.default_rng(0).integers(0, 50, (3, 7, 5)).astype(np.uint32)
TABLE = np.random.default_rng(1).integers(1, 2**32 - 1, 50, np.uint32)
TABLE[0] = 0
SEGMENTATION = Segmentation(Volume(FRAGMENTS, kind="fragments"), TABLE)


@settings(deadline=None)
@given(hnp.basic_indices((3, 7, 5), allow_ellipsis=True, allow_newaxis=True))
def test_view_equals_volume_for_any_slices(key):
    labels = SEGMENTATION.to_volume().data
    view = SEGMENTATION.view()[key]
    assert np.array_equal(view, labels[key])
    assert view.dtype == np.uint32


@settings(deadline=None)
@given(hnp.integer_array_indices((3, 7, 5)))
def test_view_equals_volume_for_any_voxels(key):
    assert np.array_equal(SEGMENTATION.view()[key], SEGMENTATION.to_volume().data[key])


def test_view_looks_like_an_array():
    view = SEGMENTATION.view()
    assert (view.shape, view.ndim, view.size, view.dtype) == ((3, 7, 5), 3, 105, np.uint32)
    assert len(view) == 3
    assert np.array_equal(np.asarray(view), TABLE[FRAGMENTS])
    assert np.asarray(view, np.float64).dtype == np.float64
    assert view[FRAGMENTS > 7].shape == ((FRAGMENTS > 7).sum(),)
    with pytest.raises(TypeError):
        view[0, 0, 0] = 1
    with pytest.raises(IndexError):
        view[3]


def test_counts_segments_but_not_nothing():
    assert SEGMENTATION.n_segments == np.unique(TABLE).size - 1


def test_exact_borders_need_a_cut():
    with pytest.raises(InputError, match="Exact borders"):
        SEGMENTATION.to_volume(exact_borders=True)


def test_exact_borders_share_a_shallow_basin_between_both_sides():
    row = np.array([[[0, 8, 7, 7, 7, 7, 8, 0]]], np.float32) / 16
    segmentation = build_hierarchy(row, sigma_px=0, floor=0).cut(2 / 16)
    whole = segmentation.to_volume().data.ravel()
    shared = segmentation.to_volume(exact_borders=True).data.ravel()
    assert np.unique(whole[2:6]).size == 1
    assert np.unique(shared[2:6]).size == 2
    assert np.unique(whole).tolist() == np.unique(shared).tolist()

"""Exact borders: the watershed from the minima that survive, nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tests.segmentation.literal import literal_stack
from tests.segmentation.strategies import maps, modes, thresholds

from napari_emseg.segmentation import build_hierarchy


@st.composite
def maps_without_ties(draw):
    """(z, y, x) maps in which no value occurs twice, so that there is one watershed."""
    shape = draw(st.sampled_from([(1, 1, 40), (1, 9, 8), (3, 6, 5), (5, 4, 4)]))
    ranks = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).permutation(np.prod(shape))
    return (ranks.reshape(shape) / 256).astype(np.float32)


def is_same_partition(one, other):
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return pairs.shape[1] == np.unique(one).size == np.unique(other).size


@settings(deadline=None, max_examples=100)
@given(maps_without_ties(), modes, thresholds)
def test_same_voxels_as_scikit_image_where_there_are_no_ties(height, mode, h):
    hierarchy = build_hierarchy(height, sigma_px=0, mode=mode, floor=0)
    labels = hierarchy.cut(h).to_volume(exact_borders=True).data
    assert is_same_partition(labels, literal_stack(height, h, mode))


@settings(deadline=None, max_examples=100)
@given(maps_without_ties(), modes, st.floats(0, 0.99))
def test_fragments_above_a_floor_are_those_of_scikit_image_at_it(height, mode, floor):
    hierarchy = build_hierarchy(height, sigma_px=0, mode=mode, floor=floor)
    assert is_same_partition(hierarchy.fragments.data, literal_stack(height, floor, mode))


@settings(deadline=None, max_examples=60)
@given(maps(), modes, thresholds)
def test_every_surviving_fragment_keeps_its_voxels(height, mode, h):
    hierarchy = build_hierarchy(height, sigma_px=0, mode=mode)
    fragments = hierarchy.fragments.data.copy()
    segmentation = hierarchy.cut(h)
    survives = segmentation.segment_of == np.arange(segmentation.segment_of.size)
    labels = segmentation.to_volume(exact_borders=True).data
    kept = survives[fragments]
    assert np.array_equal(labels[kept], fragments[kept])
    assert np.array_equal(np.unique(labels), np.unique(segmentation.segment_of[1:]))
    assert np.array_equal(hierarchy.fragments.data, fragments)  # nothing is overwritten
    assert np.array_equal(segmentation.to_volume(exact_borders=True).data, labels)


def test_small_segments_join_what_they_touch_once_the_borders_have_moved():
    height = np.full((6, 5, 4), 2 / 16, np.float32)
    for place in ((0, 0, 0), (2, 2, 0), (3, 3, 0), (3, 3, 2)):
        height[place] = 0
    height[0, 4, 0] = 1 / 16  # drowned, and shared out between those around it
    cut = build_hierarchy(height, sigma_px=0, mode="3d").cut(1 / 16, min_size_voxels=13)
    labels = cut.to_volume(exact_borders=True).data
    assert np.bincount(labels.ravel())[np.unique(labels)].min() >= 13
    for i in np.unique(labels):
        assert ndimage.label(labels == i)[1] == 1

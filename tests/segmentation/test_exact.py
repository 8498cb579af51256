"""The flood against scikit-image's."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.segmentation import watershed
from tests.segmentation.strategies import maps

from napari_emseg.segmentation.exact import flood


@settings(deadline=None, max_examples=60)
@given(maps(), st.integers(0, 2**32 - 1))
def test_same_voxels_as_scikit_image(height, seed):
    random = np.random.default_rng(seed)
    n_seeds = random.integers(1, 5)
    where = random.choice(height.size, min(n_seeds, height.size), replace=False)
    seeds = np.zeros(height.shape, np.int32)
    seeds.flat[where] = np.arange(where.size) + 1
    height.flat[where] -= np.arange(where.size) + 1  # which of equal seeds goes first is open
    labels = seeds.astype(np.uint32)
    flood(height, labels)
    assert np.array_equal(labels, watershed(height, seeds, connectivity=1))

"""DeepEM3D's post-processing against its description, step by literal step."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.morphology import reconstruction
from skimage.segmentation import watershed
from tests.segmentation.literal import fraction_moved, literal_labels, literal_minima

from napari_emseg import InputError, Volume
from napari_emseg.postprocessing import build_deepem3d, deepem3d_labels, fill_by_mode

FACES = ndimage.generate_binary_structure(3, 1)


def _literal_window(data: np.ndarray, sigma: float) -> np.ndarray:
    """A 6 x 6 Gaussian on each section, reaching 2 back and 3 on, mirrored at the rim."""
    at = np.arange(6) - 2.5
    weights = np.exp(-(at[:, None] ** 2 + at**2) / (2 * sigma**2))
    weights /= weights.sum()
    padded = np.pad(data.astype(np.float64), ((0, 0), (2, 3), (2, 3)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (6, 6), axis=(1, 2))
    return np.einsum("zyxvu,vu->zyx", windows, weights)


def _literal_fill(labels: np.ndarray) -> np.ndarray:
    """The mode of the labelled pixels among the 8 around, round after round."""
    labels = labels.copy()
    for section in labels:
        while True:
            new = {}
            for y, x in np.argwhere(section == 0):
                around = section[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
                counts = Counter(around[around > 0].tolist())
                if counts:
                    new[y, x] = min(counts, key=lambda k: (-counts[k], k))
            if not new:
                break
            for (y, x), label in new.items():
                section[y, x] = label
    return labels


@pytest.fixture(scope="module")
def two_maps() -> list[Volume]:
    """Two blurred drawings of the same cells, each with gaps of its own."""
    random = np.random.default_rng(6)
    seeds = np.zeros((8, 40, 37), np.int32)
    seeds.flat[random.choice(seeds.size, 25, replace=False)] = np.arange(1, 26)
    nearest = ndimage.distance_transform_edt(
        seeds == 0, sampling=(4, 1, 1), return_distances=False, return_indices=True
    )
    cells = seeds[tuple(nearest)]
    wall = ndimage.maximum_filter(cells, 3) != ndimage.minimum_filter(cells, 3)
    maps = []
    for i in range(2):
        gaps = ndimage.gaussian_filter(random.normal(size=wall.shape), 2)
        seen = wall * (gaps > -0.07) + 0.02 * random.random(wall.shape)
        blurred = ndimage.gaussian_filter(seen, (0, 0.8, 0.8))
        maps.append(Volume(blurred.clip(0, 1).astype(np.float32), kind="boundary", name=f"net {i}"))
    return maps


@pytest.mark.parametrize("h", [0.05, 0.19])
def test_paper(two_maps: list[Volume], h: float) -> None:
    """Maximum, 6 x 6 Gaussian per section, H-minima, 6-connected watershed."""
    smoothed = _literal_window(np.maximum(*(m.read() for m in two_maps)), 1.0)
    hierarchy = build_deepem3d(two_maps, preset="paper", floor=0)
    np.testing.assert_allclose(hierarchy.smoothed, smoothed, atol=1e-5)  # held in 16 bits
    expected = literal_labels(np.asarray(hierarchy.smoothed), h)
    labels = deepem3d_labels(hierarchy, h, preset="paper").read()
    assert len(np.unique(labels)) == len(np.unique(expected)) > 5
    assert fraction_moved(labels, expected) < 0.001


def test_released(two_maps: list[Volume]) -> None:
    """Sigma 0.105, lines and sure boundaries set to 0, zeros filled by the mode around."""
    h, extra = 0.19, two_maps[1]
    hierarchy = build_deepem3d(two_maps, preset="released", floor=0)
    smoothed = _literal_window(np.maximum(*(m.read() for m in two_maps)), 0.105)
    np.testing.assert_allclose(hierarchy.smoothed, smoothed, atol=1e-5)  # held in 16 bits
    smoothed = np.asarray(hierarchy.smoothed)
    minima, _ = literal_minima(smoothed, h)
    exact = smoothed.astype(np.float64)
    filled = reconstruction(exact + h, exact, method="erosion", footprint=FACES)
    expected = watershed(filled, minima, connectivity=1, watershed_line=True)
    expected[extra.read() >= np.float32(0.8)] = 0
    assert 0.05 < np.mean(expected == 0) < 0.9
    expected = _literal_fill(expected)
    labels = deepem3d_labels(hierarchy, h, sections_map=extra, watershed_lines=True).read()
    assert len(np.unique(labels)) == len(np.unique(expected)) > 5
    assert fraction_moved(labels, expected) == 0
    without = deepem3d_labels(hierarchy, h, sections_map=extra).read()
    assert 0 not in without
    assert fraction_moved(without, expected) < 0.05  # tiny cells: a sixth of it is border


few_labels = hnp.arrays(
    np.uint32,
    st.tuples(st.integers(1, 2), st.integers(1, 7), st.integers(1, 7)),
    elements=st.sampled_from([0, 0, 1, 2, 4_000_000_000]),
)


@given(few_labels)
@settings(max_examples=60, deadline=None)
def test_filling_is_what_it_says(labels: np.ndarray) -> None:
    expected = _literal_fill(labels)
    fill_by_mode(labels)
    np.testing.assert_array_equal(labels, expected)


def test_a_section_without_labels_stays_empty_and_the_others_are_filled() -> None:
    labels = np.zeros((2, 30, 30), np.uint32)
    labels[1, 3, 4] = 9
    fill_by_mode(labels)
    assert (labels[0] == 0).all()
    assert (labels[1] == 9).all()


def test_the_extra_map_must_fit(two_maps: list[Volume]) -> None:
    hierarchy = build_deepem3d(two_maps[:1], preset="released")
    small = Volume(np.zeros((8, 40, 36), np.float32), kind="boundary")
    with pytest.raises(InputError, match="same field"):
        deepem3d_labels(hierarchy, sections_map=small)
    with pytest.raises(InputError, match="no DeepEM3D preset 'thesis'"):
        build_deepem3d(two_maps, preset="thesis")


def test_on_a_recorded_map_both_ways_agree_with_the_literal_method(shared_data: Path) -> None:
    data = tifffile.imread(shared_data / "gala_fib" / "train_boundary.tif")[:10, :60, :80]
    boundary = Volume(data, kind="boundary")
    hierarchy = build_deepem3d([boundary], preset="paper", floor=0)
    expected = literal_labels(_literal_window(data, 1.0).astype(np.float32), 0.05)
    labels = deepem3d_labels(hierarchy, 0.05, preset="paper").read()
    assert fraction_moved(labels, expected) < 0.002

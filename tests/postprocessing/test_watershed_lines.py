"""Watershed lines close gaps, and their weight is the one of the least Rand error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_emseg import InputError, Volume
from napari_emseg.postprocessing import (
    add_watershed_lines,
    draw_watershed_lines,
    tune_watershed_weight,
)
from napari_emseg.postprocessing.watershed_lines import THRESHOLDS
from napari_emseg.segmentation import build_section


def _rooms() -> tuple[Volume, Volume]:
    """Two rooms per section; the wall has a faint spot through which they are one at 0.5."""
    wall = np.zeros((3, 21, 25), np.float32)
    wall[:, :, 12] = 0.8
    wall[:, 9:12, 12] = 0.3
    truth = np.ones(wall.shape, np.uint16)
    truth[:, :, 12] = 0
    truth[:, :, 13:] = 2
    return Volume(wall, kind="boundary"), Volume(truth, kind="labels")


def test_the_mixture_closes_the_gap() -> None:
    boundary, _ = _rooms()
    assert ndimage.label(boundary.read(0) <= 0.5)[1] == 1
    mixed = add_watershed_lines(boundary, 0.5, sigma_px=0)
    assert ndimage.label(mixed.read(0) <= 0.5)[1] == 2


def test_the_ends_are_the_map_and_the_lines() -> None:
    boundary, _ = _rooms()
    np.testing.assert_allclose(add_watershed_lines(boundary, 0).read(), boundary.read())
    lines = add_watershed_lines(boundary, 1, sigma_px=0).read()
    assert set(np.unique(lines)) == {0, 1}
    np.testing.assert_array_equal(lines[0], draw_watershed_lines(boundary.read(0), sigma_px=0))


@given(st.integers(0, 999), st.sampled_from([0.0, 0.1, 0.3]))
@settings(max_examples=25, deadline=None)
def test_without_the_lines_no_two_segments_touch(seed: int, h: float) -> None:
    section = ndimage.gaussian_filter(np.random.default_rng(seed).random((17, 23)), 1)
    section = np.float32((section - section.min()) / np.ptp(section))
    lines = draw_watershed_lines(section, sigma_px=0, h=h)
    segments = build_section(section, sigma_px=0).cut(h).view()[0]
    pieces, n = ndimage.label(~lines)
    for piece in range(1, n + 1):
        assert np.unique(segments[pieces == piece]).size == 1


def test_a_blank_section_has_no_lines() -> None:
    assert not draw_watershed_lines(np.full((5, 6), 0.4, np.float32)).any()


def _literal_rand_error(labels: np.ndarray, truth: np.ndarray) -> float:
    """1 - F-score over all pairs of distinct true pixels of each section, one by one."""
    both = split = merged = 0
    for section, cells in zip(labels, truth, strict=True):
        at = np.flatnonzero(cells)
        s, t = section.flat[at], cells.flat[at]
        same_cell = t[:, None] == t[None]
        same_segment = (s[:, None] == s[None]) & (s != 0)[:, None]
        pairs = np.triu(np.ones_like(same_cell), 1)
        both += (same_cell & same_segment & pairs).sum()
        split += (same_cell & ~same_segment & pairs).sum()
        merged += (~same_cell & same_segment & pairs).sum()
    return 1 - 2 * both / (2 * both + split + merged)


def test_tuning_is_what_it_says_term_by_term() -> None:
    random = np.random.default_rng(4)
    boundary, truth = _rooms()
    noisy = np.clip(boundary.read() + random.uniform(0, 0.4, boundary.shape), 0, 1)
    boundary = Volume(noisy.astype(np.float32), kind="boundary")
    weights = (0.0, 0.25, 0.6, 1.0)
    curve = tune_watershed_weight(boundary, truth, sigma_px=0.5, h=0.3, weights=weights)
    for weight, error in zip(weights, curve.rand_error, strict=True):
        mixed = add_watershed_lines(boundary, weight, sigma_px=0.5, h=0.3).read()
        errors = []
        for threshold in THRESHOLDS:
            labels = np.stack([ndimage.label(m <= np.float32(threshold))[0] for m in mixed])
            errors.append(_literal_rand_error(labels, truth.read()))
        assert error == pytest.approx(min(errors), abs=1e-12)
    assert curve.best == weights[int(np.argmin(curve.rand_error))]


def test_where_the_map_has_gaps_the_lines_are_worth_something() -> None:
    boundary, truth = _rooms()
    gap = boundary.read().copy()
    gap[:, 9:12, 12] = 0.05  # below every threshold, so that the map alone always merges
    curve = tune_watershed_weight(Volume(gap, kind="boundary"), truth, sigma_px=0, h=0.01)
    assert curve.best > 0
    assert curve.rand_error[0] > 0.3
    assert curve.rand_error.min() == 0


def test_out_of_range_is_told() -> None:
    boundary, truth = _rooms()
    with pytest.raises(InputError, match="lie in"):
        add_watershed_lines(boundary, 1.5)
    with pytest.raises(InputError, match="lie in"):
        tune_watershed_weight(boundary, truth, weights=(2.0,))

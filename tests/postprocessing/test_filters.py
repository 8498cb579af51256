"""Median and Gaussian window against their definitions, written out."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emseg import InputError, Volume
from napari_emseg.postprocessing import filter_gaussian, filter_median


def _mirrored(n: int, i: int) -> int:
    """Index into 0..n-1 that continues it as a mirror would: 2 1 0 | 0 1 2."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


def _map(shape: tuple[int, int, int], seed: int = 0) -> Volume:
    return Volume(np.random.default_rng(seed).random(shape).astype(np.float32), kind="boundary")


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_median_is_that_of_the_pixels_within_the_radius(radius: int) -> None:
    boundary = _map((2, 9, 7))
    data = boundary.read()
    filtered = filter_median(boundary, radius).read()
    steps = [
        (v, u)
        for v in range(-radius, radius + 1)
        for u in range(-radius, radius + 1)
        if v * v + u * u <= radius * radius
    ]
    for z, y, x in [(0, 4, 3), (1, 0, 0), (0, 8, 6), (1, 0, 5)]:
        around = [data[z, _mirrored(9, y + v), _mirrored(7, x + u)] for v, u in steps]
        assert filtered[z, y, x] == np.float32(np.median(around))


def test_median_removes_a_speck_and_closes_a_pin_hole_but_keeps_a_wide_wall() -> None:
    section = np.zeros((1, 20, 21), np.float32)
    section[0, :, 8:13] = 1
    clean = section.copy()
    section[0, 3, 3] = 1
    section[0, 10, 10] = 0
    np.testing.assert_array_equal(filter_median(Volume(section, kind="boundary"), 2).read(), clean)


def test_a_radius_of_nothing_changes_nothing() -> None:
    boundary = _map((1, 6, 6))
    np.testing.assert_array_equal(filter_median(boundary, 0).read(), boundary.read())


@pytest.mark.parametrize(("size", "sigma"), [(6, 1.0), (5, 0.7), (12, 8.0), (1, 1.0)])
def test_gaussian_window_is_that_of_matlab(size: int, sigma: float) -> None:
    """``imfilter(map, fspecial('gaussian', size, sigma), 'symmetric')``, term by term."""
    boundary = _map((2, 13, 11), seed=3)
    data = boundary.read().astype(np.float64)
    at = np.arange(size) - (size - 1) / 2
    window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * sigma**2))
    window /= window.sum()
    first = -((size - 1) // 2)  # the window's centre is its pixel (size + 1) // 2, from 1
    expected = np.zeros_like(data)
    for z, y, x in np.ndindex(*data.shape):
        for v in range(size):
            for u in range(size):
                value = data[z, _mirrored(13, y + first + v), _mirrored(11, x + first + u)]
                expected[z, y, x] += window[v, u] * value
    filtered = filter_gaussian(boundary, size, sigma).read()
    np.testing.assert_allclose(filtered, expected, atol=1e-6)


def test_the_released_sigma_changes_next_to_nothing_but_moves_by_half_a_pixel() -> None:
    """With sigma 0.105 a 6 x 6 window is the mean of the four pixels in its middle."""
    boundary = _map((1, 8, 8))
    filtered = filter_gaussian(boundary, 6, 0.105).read()[0]
    data = boundary.read()[0]
    four = (data[:-1, :-1] + data[1:, :-1] + data[:-1, 1:] + data[1:, 1:]) / 4
    np.testing.assert_allclose(filtered[:-1, :-1], four, atol=1e-6)


def test_sections_do_not_see_each_other() -> None:
    boundary = _map((3, 10, 10))
    changed = boundary.read().copy()
    changed[1] = 0
    for run in (filter_median, filter_gaussian):
        a = run(boundary).read()
        b = run(Volume(changed, kind="boundary")).read()
        np.testing.assert_array_equal(a[[0, 2]], b[[0, 2]])


def test_out_of_range_is_told() -> None:
    boundary = _map((1, 4, 4))
    with pytest.raises(InputError, match="radius"):
        filter_median(boundary, -1)
    with pytest.raises(InputError, match="window"):
        filter_gaussian(boundary, 0)
    with pytest.raises(InputError, match="sigma"):
        filter_gaussian(boundary, 6, 0)
    with pytest.raises(InputError, match="NaN"):
        filter_median(Volume(np.full((1, 4, 4), np.nan, np.float32), kind="boundary"))

"""A monotone cubic that makes values mean shares of membrane."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_emseg import InputError, Volume
from napari_emseg.postprocessing import Calibration, calibrate, fit_calibration
from napari_emseg.postprocessing.calibration import fit_monotone_cubic

AT = np.linspace(0, 1, 1001)


def _drawn(shape: tuple[int, int, int], share_of: object, seed: int = 0) -> tuple[Volume, Volume]:
    """A map of every value alike, and truth in which a voxel of p is membrane with share_of(p)."""
    random = np.random.default_rng(seed)
    p = random.random(shape).astype(np.float32)
    cells = (random.random(shape) >= share_of(p)).astype(np.uint8)
    return Volume(p, kind="boundary"), Volume(cells * 7, kind="labels")


def test_finds_the_share_of_membrane_at_each_value() -> None:
    """The training prior of one half is undone: 0.5 becomes 0.2."""

    def share(p: np.ndarray) -> np.ndarray:
        return 0.3 * p + 0.7 * p**3

    boundary, truth = _drawn((10, 100, 101), share)
    fitted = fit_calibration(boundary, truth)
    np.testing.assert_allclose(fitted(AT), share(AT), atol=0.02)
    calibrated = calibrate(boundary, fitted)
    assert abs(calibrated.read().mean() - (truth.read() == 0).mean()) < 0.005
    assert calibrated.provenance["calibration"] == [fitted.a, fitted.b, fitted.c, fitted.d]


def test_only_the_sections_chosen_count() -> None:
    boundary, truth = _drawn((4, 60, 60), lambda p: p)
    data = truth.read().copy()
    data[2:] = 0
    spoilt = Volume(data, kind="labels")
    np.testing.assert_allclose(
        fit_calibration(boundary, spoilt, sections=[0, 1])(AT), AT, atol=0.05
    )
    assert fit_calibration(boundary, spoilt)(np.array([0.2]))[0] > 0.4


def test_membranes_and_ids_that_touch_are_ground_truth_too() -> None:
    p = np.zeros((2, 40, 40), np.float32)
    p[:, :, 19:21] = 0.6
    boundary = Volume(p, kind="boundary")
    ids = np.ones(p.shape, np.uint16)
    ids[:, :, 20:] = 2  # no gap: the pixels left of the border are its membrane
    ids[0, 5, 5] = 0  # a voxel that was left out does not make the others gaps
    touching = fit_calibration(boundary, Volume(ids, kind="labels"))
    assert touching(np.array([0.6]))[0] == pytest.approx(0.5, abs=0.01)
    drawing = np.full(p.shape, 255, np.uint8)
    drawing[:, :, 19:21] = 0
    drawn = fit_calibration(boundary, Volume(drawing), ground_truth_kind="membranes")
    assert drawn(np.array([0.0, 0.6])) == pytest.approx([0, 1], abs=0.01)


eighths = st.integers(0, 8).map(lambda i: i / 8)
points = hnp.arrays(np.float64, st.tuples(st.integers(2, 12), st.just(3)), elements=eighths)


@given(points, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_it_never_falls_and_nothing_that_never_falls_fits_better(
    points: np.ndarray, seed: int
) -> None:
    (p, target, weight), random = points.T, np.random.default_rng(seed)
    weight = weight + 0.1
    fitted = fit_monotone_cubic(p, target, weight)
    assert (np.diff(fitted.a + AT * (fitted.b + AT * (fitted.c + AT * fitted.d))) >= -1e-12).all()

    def error(k: np.ndarray) -> float:
        return float((weight * (np.vander(p, 4, increasing=True) @ k - target) ** 2).sum())

    best = np.array([fitted.a, fitted.b, fitted.c, fitted.d])
    slopes = np.stack([0 * AT, AT**0, 2 * AT, 3 * AT**2], axis=1)
    for _ in range(200):
        step = random.normal(size=4) * 10 ** random.uniform(-3, 0)
        if (slopes @ (best + step) >= 0).all():
            assert error(best + step) >= error(best) - 1e-5 * weight.sum()


def test_a_cubic_that_falls_is_refused() -> None:
    with pytest.raises(InputError, match="falls somewhere"):
        Calibration(0, 1, -1, 0)
    with pytest.raises(InputError, match="four finite numbers"):
        Calibration(float("nan"))


def test_nothing_to_fit_to_is_told() -> None:
    boundary, _ = _drawn((2, 20, 20), lambda p: p)
    empty = Volume(np.zeros((2, 20, 20), np.uint8), kind="labels")
    with pytest.raises(InputError, match="no membrane"):
        fit_calibration(boundary, empty)
    with pytest.raises(InputError, match="same field"):
        fit_calibration(boundary, Volume(np.ones((2, 20, 21), np.uint8), kind="labels"))
    with pytest.raises(InputError, match="0 to 1"):
        fit_calibration(boundary, empty, sections=[5])

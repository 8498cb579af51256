from __future__ import annotations

import numpy as np
import pytest

from napari_emseg.training import TrainParams
from napari_emseg.training.schedules import auxiliary_weight, learning_rate


def rates(params: TrainParams, count: int = 101) -> list[float]:
    shares = np.linspace(0, 1, count)
    return [learning_rate(params, share=s, step=round(s * params.steps)) for s in shares]


def test_one_cycle_rises_to_its_peak_and_falls_to_almost_nothing() -> None:
    found = rates(TrainParams(learning_rate=1e-3, warmup_fraction=0.25))
    assert int(np.argmax(found)) == 25
    assert max(found) == pytest.approx(1e-3)
    assert found[-1] == pytest.approx(1e-6)
    assert np.all(np.diff(found[:26]) > 0)
    assert np.all(np.diff(found[25:]) < 0)


def test_one_cycle_without_warmup_starts_at_its_peak() -> None:
    assert rates(TrainParams(learning_rate=1e-3, warmup_fraction=0))[0] == pytest.approx(1e-3)


def test_poly_of_deepem3d() -> None:
    """Base 0.01, power 0.8, 50,000 iterations: Caffe's base (1 - i / n) ^ power."""
    params = TrainParams(
        schedule="poly", decay_power=0.8, learning_rate=0.01, steps=50_000, optimiser="sgd"
    )
    found = rates(params, 3)
    assert found == pytest.approx([0.01, 0.01 * 0.5**0.8, 0])


def test_steps_of_cumedvision_and_annealing_of_znn() -> None:
    step = TrainParams(schedule="step", learning_rate=0.01, decay_factor=0.1, decay_steps=2000)
    assert [learning_rate(step, share=0, step=n) for n in (0, 1999, 2000, 4000)] == pytest.approx(
        [0.01, 0.01, 0.001, 0.0001]
    )
    annealed = TrainParams(
        schedule="exponential", learning_rate=0.01, decay_factor=0.997, decay_steps=100
    )
    assert learning_rate(annealed, share=0, step=200) == pytest.approx(0.01 * 0.997**2)
    assert learning_rate(annealed, share=0, step=50) == pytest.approx(0.01 * 0.997**0.5)


def test_a_constant_rate_is_constant() -> None:
    assert set(rates(TrainParams(schedule="constant", learning_rate=1e-4))) == {1e-4}


def test_auxiliary_classifiers_fade_but_not_below_their_least_weight() -> None:
    params = TrainParams(auxiliary_weight=2, auxiliary_decay=0.5, auxiliary_decay_steps=10)
    steps = (0, 9, 10, 20, 1000)
    assert [auxiliary_weight(params, step) for step in steps] == [2, 2, 1, 0.5, 0.01]
    assert auxiliary_weight(TrainParams(auxiliary_weight=0), 5) == 0

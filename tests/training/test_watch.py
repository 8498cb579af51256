"""What a window sees of a training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.training import TrainParams
from napari_emseg.training.hooks import Moment, Standing
from napari_emseg.training.watch import MOST_POINTS, Watch, WatchState, thin
from napari_emseg.training.watching import Watching
from napari_emseg.volume import Volume

NOTHING = torch.zeros(0)


def moment(step: int, loss: float, seconds: float = 0.0) -> Moment:
    network = torch.nn.Identity()
    return Moment(step, seconds, loss, 1e-3, network, network, NOTHING, NOTHING)


def begin(params: TrainParams, *curve: dict, step: int = 0) -> tuple[Watch, Watching]:
    watch = Watch()
    watching = Watching(watch, params, None)
    watching.on_begin(Standing(step, float(step), {}, -1, None, curve))
    return watch, watching


@settings(deadline=None, max_examples=20)
@given(count=st.integers(1, 5000))
def test_a_curve_never_has_too_many_points_and_keeps_its_ends(count):
    points = ()
    for step in range(1, count + 1):
        points = thin((*points, (step, 1.0)))
    steps = [step for step, _ in points]
    assert len(points) <= MOST_POINTS
    assert (steps[0], steps[-1]) == (1, count)
    assert steps == sorted(set(steps))


def test_the_loss_is_smoothed_from_the_first_step_on():
    watch, watching = begin(TrainParams(batch_size=3, accumulate_batches=2, device="cpu"))
    assert math.isnan(watch.state().loss)
    for step in range(1, 200):
        watching.on_step(moment(step, 1.0 + (-1) ** step * 0.5))
    state = watch.state()
    assert state.loss == pytest.approx(1, abs=0.05)
    assert state.losses[0] == (1, 0.5)
    assert (state.step, state.samples) == (199, 199 * 6)


def test_what_is_resumed_goes_on_with_its_curve():
    curve = [
        {"step": 10, "loss": 0.9},
        {"step": 20, "loss": 0.7, "scores": {"a": {"v_rand": 0.5}, "b": {"v_rand": 0.7}}},
        {"step": 20, "loss": None, "scores_before": {"a": {"v_rand": 0.1}}},
    ]
    watch, watching = begin(TrainParams(device="cpu"), *curve, step=20)
    state = watch.state()
    assert state.losses == ((10, 0.9), (20, 0.7))
    assert state.validations == ((20, {"v_rand": pytest.approx(0.6)}),)
    watching.on_step(moment(21, 0.7))
    assert watch.state().losses[-1] == (21, pytest.approx(0.7))
    watching.on_scores(Standing(21, 5.0, {"a": {"accuracy": 0.9, "h": 1.0}}, 21, 0.9))
    state = watch.state()
    assert state.validations[-1] == (21, {"accuracy": 0.9})
    assert (state.best_step, state.best_score) == (21, 0.9)


def test_the_rest_is_told_by_the_steps_since_the_start():
    """The first steps, which take long, and those of earlier runs tell nothing."""
    watch, watching = begin(TrainParams(steps=120, device="cpu"), step=20)
    seconds = 1000.0
    for step in range(21, 71):
        seconds += 30 if step < 24 else 2
        watching.on_step(moment(step, 1.0, seconds))
    assert watch.state().eta_s == pytest.approx(2 * (120 - 70))
    watch, watching = begin(TrainParams(minutes=2, device="cpu"))
    watching.on_step(moment(1, 1.0, 50.0))
    assert watch.state().eta_s == pytest.approx(70)


def test_a_view_is_another_only_if_something_else_is_looked_at():
    watch, raw = Watch(), Volume(np.zeros((3, 4, 4)))
    watch.look_at(raw, 1)
    first = watch.view()
    watch.look_at(Volume(raw.data), 1)
    assert watch.view() is first
    watch.look_at(raw, 2)
    watch.look_at(raw, 1)
    assert watch.view().number == first.number + 2
    assert watch.state() is not WatchState()

"""Hints: of curves drawn by hand, and of short real trainings that are fine or cannot be."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.samples import make_synthetic
from napari_emseg.training import TrainingPair, TrainParams, train
from napari_emseg.training.hints import chance_loss, hints
from napari_emseg.training.hooks import Hook, Moment
from napari_emseg.training.known import count_known
from napari_emseg.training.losses import map_loss
from napari_emseg.training.presets import preset_params
from napari_emseg.training.targets import label_target
from napari_emseg.volume import Volume

FRESH = TrainParams()
TUNED = TrainParams(start_from="default")
PLENTY = {"membrane_px": 20_000, "inside_px": 80_000}


def falling(first: float, last: float, steps: int = 300) -> list[tuple[int, float]]:
    """Down along a hyperbola, with the noise of single batches."""
    wobble = np.random.default_rng(0).normal(1, 0.06, steps)
    course = last + (first - last) / (1 + np.arange(steps) / 15)
    return list(zip(range(1, steps + 1), (course * wobble).tolist(), strict=True))


def scored(*values: float, key: str = "v_rand") -> list[tuple[int, dict[str, float]]]:
    return [(100 * n, {key: value}) for n, value in enumerate(values, 1)]


@pytest.mark.parametrize("params", [FRESH, TUNED])
@pytest.mark.parametrize("last", [0.15, 0.35, 0.55])
def test_a_training_that_goes_well_gets_no_hint(params, last):
    good = scored(0.7, 0.8, 0.79, 0.86, 0.85)
    for done in (1, 5, 30, 100, 300):
        assert hints(falling(1.0, last)[:done], good, params, share=done / 300, **PLENTY) == ()
    assert hints([], [], params) == ()


def test_a_fine_tuning_that_begins_low_and_stays_there_is_fine():
    assert hints(falling(0.3, 0.27), scored(0.95, 0.96), TUNED, share=1, **PLENTY) == ()


def test_a_loss_that_stays_at_chance_is_told_but_not_too_early():
    flat = falling(1.0, 0.93 * chance_loss(FRESH, **PLENTY))
    flat = [(step, max(loss, 0.74)) for step, loss in flat]
    assert hints(flat[:40], [], FRESH, share=0.1, **PLENTY) == ()
    assert hints(flat, [], FRESH, share=0.1, **PLENTY) == ()  # still warming up
    (hint,) = hints(flat, [], FRESH, share=0.5, **PLENTY)
    assert "does not fall" in hint
    assert "right sections" in hint


def test_without_a_known_chance_flat_means_no_lower_than_at_the_start():
    params = TrainParams(network="cumedvision")
    assert "does not fall" in hints(falling(2.0, 2.0), [], params, share=0.5)[0]
    assert hints(falling(2.6, 1.2), [], params, share=0.5) == ()


def test_a_model_that_begins_with_the_opposite_is_told_at_once():
    (hint,) = hints(falling(3.5, 0.6)[:3], [], TUNED, **PLENTY)
    assert "swapped" in hint
    assert hints(falling(3.5, 0.6)[:3], [], FRESH, **PLENTY) == ()  # random weights may


def test_a_loss_that_is_no_number():
    (hint,) = hints([(1, 0.9), (2, math.nan)], [], FRESH)
    assert "no number any more" in hint


def test_a_loss_that_rises_again():
    losses = falling(1.0, 0.3) + [(300 + n, 0.65) for n in range(30)]
    (hint,) = hints(losses, [], FRESH, share=0.7, **PLENTY)
    assert "rises again" in hint


@pytest.mark.parametrize("key", ["v_rand", "accuracy"])
def test_scores_that_worsen_mean_learning_by_heart(key):
    losses = falling(1.0, 0.2)
    worse = scored(0.7, 0.9, 0.87, 0.85, 0.86, key=key)
    (hint,) = hints(losses, worse, FRESH, share=0.9, **PLENTY)
    assert "best at step 200" in hint
    assert "Stop and keep the best" in hint
    for fine in (
        scored(0.7, 0.9, 0.87, 0.85, key=key),  # too few to tell
        scored(0.7, 0.9, 0.89, 0.895, 0.885, key=key),  # it wavers
        scored(0.9, 0.7, 0.75, 0.91, 0.8, key=key),
    ):
        assert hints(losses, fine, FRESH, share=0.9, **PLENTY) == ()


def test_too_little_paint_is_told_in_words():
    def of(membrane_px: int, inside_px: int) -> tuple[str, ...]:
        return hints([], [], FRESH, membrane_px=membrane_px, inside_px=inside_px)

    assert "strokes of the inside of cells" in of(900, 0)[0]
    assert "strokes of membrane" in of(0, 50_000)[0]
    assert "Only 900 pixels" in of(300, 600)[0]
    assert "Very little of the labels is membrane" in of(300, 60_000)[0]
    assert of(3000, 9000) == ()


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.05, 0.95),
    st.sampled_from(["cross_entropy", "mse"]),
    st.booleans(),
    st.sampled_from([0.3, 1.0, 3.0]),
)
def test_chance_is_what_the_loss_is_of_the_best_guess(share, loss, class_balance, weight):
    options = {"loss": loss, "class_balance": class_balance, "boundary_weight": weight}
    params = TrainParams(dice_weight=0, **options)
    count = 4000
    target = (torch.arange(count) < round(share * count)).to(torch.uint8)[None, None, None]
    boundary = int(target.sum())
    guesses = torch.linspace(-4, 4, 120)
    found = min(float(map_loss(torch.full(target.shape, g), target, **options)) for g in guesses)
    assert chance_loss(params, boundary, count - boundary) == pytest.approx(found, rel=0.01)


class Losses(Hook):
    def __init__(self) -> None:
        self.values: list[tuple[int, float]] = []

    def on_step(self, moment: Moment) -> None:
        self.values.append((moment.step, moment.loss))


def strokes(kind: str) -> TrainingPair:
    """Tiles of made-up tissue, painted as it is, swapped, or as another tissue is."""
    raw, ids = make_synthetic((2, 96, 96), seed=0)
    if kind == "foreign":
        ids = make_synthetic((2, 96, 96), seed=5)[1]
    paint = np.zeros(ids.shape, np.uint8)
    for z in range(2):
        target = label_target(ids.read(z))
        tiles = np.random.default_rng(z).random((6, 6)) < 0.7
        inside = np.kron(tiles, np.ones((16, 16))) * (2 - target)
        paint[z] = np.where(target == 255, 0, inside)
    if kind == "swapped":
        paint[paint > 0] = 3 - paint[paint > 0]
    return TrainingPair(raw, Volume(paint, kind="labels"), "painted", (0, 1), name=kind)


def told(kind: str, out: Path, steps: int, start_from: str = "") -> tuple[str, ...]:
    """Train for a few steps and return the hints at the end."""
    changes = {
        "minutes": None, "steps": steps, "width": None if start_from else 6,
        "depth": None if start_from else 3, "patch_px": 48, "batch_size": 2, "workers": 0,
        "device": "cpu", "precision": "float32", "learning_rate": 6e-3,
    }  # fmt: skip
    params = preset_params("quick", start_from=start_from, is_painted=True)
    params = params.model_copy(update=changes)
    pair, losses = strokes(kind), Losses()
    train([pair], out, params=params, hooks=[losses])
    membrane_px, inside_px = count_known([pair])
    options = {"membrane_px": membrane_px, "inside_px": inside_px}
    return hints(losses.values, [], params, share=1.0, **options)


def test_of_real_trainings_those_that_cannot_go_well_are_told(tmp_path):
    assert told("fine", tmp_path / "fine.safetensors", 80) == ()
    assert "does not fall" in told("foreign", tmp_path / "a.safetensors", 60)[0]
    assert "swapped" in told("swapped", tmp_path / "b.safetensors", 2, "default")[0]
    assert told("fine", tmp_path / "c.safetensors", 2, "default") == ()

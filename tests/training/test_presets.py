"""Presets: short for little time, fitted to the labels, and what the papers say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from napari_emseg.errors import InputError
from napari_emseg.networks import NETWORKS, build_network
from napari_emseg.networks.vd2d3d import VD2D3D
from napari_emseg.networks.window import WindowNetwork
from napari_emseg.training import TrainingPair, TrainParams, train
from napari_emseg.training.averaging import update_average
from napari_emseg.training.paper_presets import PAPER
from napari_emseg.training.presets import (
    PIXEL_NETWORKS,
    PRESETS,
    QUICK_KEPT,
    QUICK_KEPT_PAINTED,
    QUICK_MINUTES,
    QUICK_NEW,
    QUICK_TUNED,
    THOROUGH_STEPS,
    VOLUME_NETWORKS,
    preset_params,
)
from napari_emseg.training.schedules import learning_rate
from napari_emseg.volume import Volume

RECIPES = Path(__file__).resolve().parents[2] / "examples" / "recipes" / "training"


@pytest.mark.parametrize("network", NETWORKS)
def test_every_preset_of_every_network_can_be_made_or_says_why_not(network):
    for preset in PRESETS:
        if preset == "paper" and network not in PAPER:
            with pytest.raises(InputError, match=f"No paper says how to train '{network}'"):
                preset_params(preset, network=network)
        else:
            assert preset_params(preset, network=network).network == network


@pytest.mark.parametrize("network", NETWORKS)
def test_heavy_networks_have_small_patches(network):
    made = build_network(network, "tiny")
    assert (made.dimensions == 3) == (network in VOLUME_NETWORKS)
    looks_around_pixels = isinstance(made, WindowNetwork | VD2D3D)
    assert looks_around_pixels == (network in PIXEL_NETWORKS)
    params = preset_params("quick", network=network)
    voxels = params.batch_size * params.patch_px**2
    if made.dimensions == 3:
        voxels *= params.patch_sections
    assert voxels <= 250_000


@pytest.mark.parametrize("network", [name for name in PAPER if name != "rsunet"])
def test_papers_are_as_in_their_recipes(network):
    recipe = yaml.safe_load((RECIPES / f"{network}.yaml").read_text(encoding="utf-8"))
    assert preset_params("paper", network=network) == TrainParams(**recipe["params"])


def test_quick_has_minutes_and_a_gentler_rate_from_a_model():
    fresh, tuned = preset_params("quick"), preset_params("quick", start_from="default")
    assert fresh.minutes == tuned.minutes == QUICK_MINUTES
    assert fresh.learning_rate == QUICK_NEW["learning_rate"]
    assert tuned.learning_rate == QUICK_TUNED["learning_rate"] < fresh.learning_rate
    assert preset_params("quick", minutes=0.5).minutes == 0.5


def test_quick_keeps_more_of_a_model_where_strokes_are_all_there_is():
    kept = [
        preset_params("quick", start_from="default", is_painted=is_painted).start_share
        for is_painted in (False, True)
    ]
    assert kept == [QUICK_KEPT, QUICK_KEPT_PAINTED]
    assert 0 < QUICK_KEPT < QUICK_KEPT_PAINTED
    assert preset_params("quick", is_painted=True).start_share == 0  # from nothing


def test_thorough_fits_its_steps_to_the_labels():
    steps = [
        preset_params("thorough", labelled_px=n * 512 * 512).steps for n in (1, 20, 40, 10_000)
    ]
    assert steps[0] == THOROUGH_STEPS[0]
    assert steps[2] == pytest.approx(2 * steps[1], abs=1)
    assert steps[3] == THOROUGH_STEPS[1]
    assert preset_params("thorough").minutes is None
    assert preset_params("thorough", minutes=60).minutes == 60


def test_paint_weighs_both_kinds_alike():
    assert preset_params("quick", is_painted=True).class_balance
    assert not preset_params("quick").class_balance


def test_an_unknown_preset_is_one_sentence():
    with pytest.raises(InputError, match="There is no preset 'slow'; choose one of quick, thor"):
        preset_params("slow")


@pytest.mark.parametrize("steps", [20, 60, 200])
def test_of_the_weights_it_began_with_the_average_of_a_short_training_keeps_next_to_nothing(steps):
    decay = preset_params("quick", start_from="default").ema_decay
    average, network = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    average.weight.data[:], network.weight.data[:] = 1, 0
    for step in range(steps):
        update_average(average, network, decay, step + 1)
    assert average.weight.item() < 1e-4
    for step in range(steps, steps + steps // 5):  # a fifth more, and most of it is of these
        network.weight.data[:] = 1
        update_average(average, network, decay, step + 1)
    assert average.weight.item() > 0.5


def test_a_budget_of_minutes_takes_the_rate_all_the_way_down(cells, tiny, tmp_path):
    quick = preset_params("quick", minutes=2.5 / 60)
    changes = {
        **tiny.model_dump(include={"width", "depth", "batch_size", "patch_px", "device"}),
        "precision": "float32", "workers": 0,
    }  # fmt: skip
    params = quick.model_copy(update=changes)
    alone = replace(cells, validation_sections=())
    train([alone], tmp_path / "m.safetensors", params=params)
    lines = (tmp_path / "m.curve.jsonl").read_text().splitlines()
    last = yaml.safe_load(lines[-1])
    assert last["learning_rate"] < 0.2 * params.learning_rate
    assert learning_rate(params, share=1, step=1) < 0.01 * params.learning_rate


def test_quick_learns_from_a_few_strokes_without_any_held_out_section(cells, tiny, tmp_path):
    paint = np.zeros(cells.labels.shape, np.uint8)
    paint[1, 12:14, 5:50], paint[1, 18:21, 5:50] = 1, 2
    pair = TrainingPair(cells.raw, Volume(paint, kind="labels"), "painted", (1,))
    params = preset_params("quick", is_painted=True).model_copy(
        update={**tiny.model_dump(include={"width", "depth", "patch_px"}), "minutes": None}
    )
    params = params.model_copy(update={"steps": 3, "workers": 0, "device": "cpu"})
    result = train([pair], tmp_path / "m.safetensors", params=params)
    assert result.best_step == 3
    assert result.scores == {}

"""The few choices of a window, and what a training makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo, read_info
from napari_emseg.networks.picture import read_picture
from napari_emseg.steps import train as step
from napari_emseg.steps.train import TrainChoice, describe, labelled_px, params_of
from napari_emseg.training import TrainingPair, TrainParams
from napari_emseg.training import process as in_process
from napari_emseg.training.start import make_network
from napari_emseg.training.trainer import train
from napari_emseg.training.watch import View, Watch
from napari_emseg.volume import Volume


@pytest.fixture
def start(tmp_path: Path) -> Path:
    path = tmp_path / "start.safetensors"
    info = ModelInfo(
        network="unet2d",
        voxel_size_nm=(50, 8, 8),
        licence="CC BY-NC 4.0",
        trained_on="cells of a fly",
    )
    save_model(path, build_network("unet2d", width=4, depth=2), info)
    return path


@pytest.fixture
def pair() -> TrainingPair:
    rng = np.random.default_rng(0)
    ids = np.kron(rng.integers(1, 99, (4, 6, 6)), np.ones((1, 20, 20), int)).astype(np.uint16)
    size = (50, 4, 4)
    raw = Volume(rng.integers(0, 255, ids.shape, np.uint8), voxel_size_nm=size)
    labels = Volume(ids, kind="labels", voxel_size_nm=size)
    return TrainingPair(raw, labels, "labels", (0, 1), (3,), name="cells")


def test_what_starts_from_a_model_is_of_its_network(start):
    choice = TrainChoice(network="fusionnet", start_from=str(start), minutes=2)
    params = params_of(choice)
    assert (params.network, params.start_from, params.minutes) == ("unet2d", str(start), 2)
    assert params_of(TrainChoice(network="fusionnet", start_from="")).network == "fusionnet"


@pytest.mark.parametrize("preset", ["quick", "thorough"])
def test_a_network_that_takes_maps_is_trained_without_them(preset):
    params = params_of(TrainChoice(preset=preset, network="vd2d3d", start_from=""))
    assert make_network(params).in_maps == 0


@pytest.mark.parametrize(
    ("of_model", "reason"),
    [
        ({"network": "bioimageio"}, "its weights are fixed"),
        ({"network": "rsunet", "target": "affinities"}, "it predicts affinities"),
        ({"network": "vd2d3d", "in_maps": 5}, "it also takes the maps of another model"),
    ],
)
def test_a_model_that_cannot_be_trained_on_is_refused(monkeypatch, of_model, reason):
    monkeypatch.setattr(step, "model_of", lambda _choice: ModelInfo(title="Fly", **of_model))
    words = rf"'Fly' cannot be trained on \({reason}.*: choose another model under Start from\."
    with pytest.raises(InputError, match=words):
        params_of(TrainChoice())


def test_a_paper_begins_with_nothing_unless_a_model_is_named(start):
    assert params_of(TrainChoice(preset="paper", network="fusionnet")).start_from == ""
    assert params_of(TrainChoice(preset="paper", network="fusionnet")).loss == "mse"
    with pytest.raises(InputError, match="No paper says how to train 'unet2d'"):
        params_of(TrainChoice(preset="paper", start_from=str(start)))


def test_the_choice_overrides_the_preset_only_where_it_says_something():
    plain = params_of(TrainChoice(start_from=""))
    assert plain.boundary_px == TrainParams().boundary_px
    chosen = TrainChoice(start_from="", boundary_px=3, device="cpu")
    assert params_of(chosen) == plain.model_copy(update={"boundary_px": 3, "device": "cpu"})


def test_a_missing_model_is_one_sentence():
    with pytest.raises(InputError, match="There is no model 'nowhere'"):
        params_of(TrainChoice(start_from="nowhere"))


def test_labelled_pixels_are_those_of_sections_or_of_paint(pair):
    paint = np.zeros(pair.labels.shape, np.uint8)
    paint[0, 3, :7], paint[1, 5, 5], paint[3] = 1, 2, 2
    painted = replace(pair, labels=Volume(paint, kind="labels"), labels_kind="painted")
    assert labelled_px([pair, painted]) == 2 * 120 * 120 + 8


def test_the_terms_of_what_it_started_from_hold(pair, start):
    info = describe([pair], TrainParams(), start=read_info(start), title="Mine")
    assert (info.title, info.licence) == ("Mine", "CC BY-NC 4.0")
    assert info.summary == "Fine-tuned from start (cells of a fly)."
    assert info.trained_on == "cells sections 0-1"


def quick(choice: TrainChoice, pairs: object = ()) -> TrainParams:
    """Parameters that take a moment, instead of minutes."""
    few = {"steps": 2, "minutes": None, "batch_size": 1, "patch_px": 32, "workers": 0}
    return params_of(choice).model_copy(update={**few, "precision": "float32"})


def test_a_run_resamples_describes_and_pictures(pair, start, tmp_path, monkeypatch):
    """Also where nothing was saved to resume from, as after a stop in the first moment."""
    seen = {}

    def train_here(pairs, path, *, watch, **options):
        seen["pairs"] = pairs
        view = View(pair.raw, 1, 0)
        watch.tell(map=np.zeros((120, 120), np.float32), view=view, section=1, map_step=2)
        return train(pairs, path, **options)

    monkeypatch.setattr(in_process, "train_in_process", train_here)
    monkeypatch.setattr(step, "params_of", quick)
    out = tmp_path / "mine"
    choice = TrainChoice(start_from=str(start), device="cpu")
    run = {"choice": choice, "out_path": out, "title": "Mine", "watch": Watch(), "resume": True}
    result = step.run([pair], **run)
    assert seen["pairs"][0].raw.shape == (4, 60, 60)
    assert pair.raw.shape == (4, 120, 120)
    info = read_info(result.model_path)
    assert (info.title, info.voxel_size_nm) == ("Mine", (50, 8, 8))
    assert info.training["params"]["start_from"] == str(start)
    assert read_picture(result.model_path)[:4] == b"\x89PNG"
    assert step.run([pair], **run).steps == 2  # resumed: nothing is left to do

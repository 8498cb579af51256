from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError, safe_open

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import load_model
from napari_emseg.progress import Cancelled
from napari_emseg.training import AugmentParams, TrainParams, kept_start, train
from napari_emseg.training.description import format_sections
from napari_emseg.training.held_out import describe_held_out
from napari_emseg.training.hooks import Hook
from napari_emseg.training.start import keeps_start
from napari_emseg.volume import Volume


class StopAt:
    def __init__(self, step: int, error: type[BaseException] = Cancelled) -> None:
        self.step, self.error = step, error

    def update(self, done: int, total: int, message: str = "") -> None:
        if message.startswith("step") and done >= self.step:
            raise self.error


def weights(path):
    return load_model(path)[0].state_dict()


def same_weights(first, second) -> bool:
    a, b = weights(first), weights(second)
    return all(torch.equal(a[key], b[key]) for key in a)


def test_training_learns_the_cells(cells, tiny, tmp_path):
    changes = {"steps": 100, "validation_interval_steps": 50, "learning_rate": 1e-2, "seed": 1}
    mild = AugmentParams(affine_fraction=0, elastic_sigma_px=1, blur_sigma_px=0)
    params = tiny.model_copy(update={**changes, "validation_sigma_px": 0.5, "augment": mild})
    result = train([cells], tmp_path / "m.safetensors", params=params)
    curve = [json.loads(line) for line in result.curve_path.read_text().splitlines()]
    assert [record["step"] for record in curve] == list(range(10, 101, 10))
    assert [record["step"] for record in curve if "scores" in record] == [50, 100]
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert result.scores["cells"]["v_rand"] > 0.88
    info = load_model(result.model_path)[1]
    assert info.voxel_size_nm == (50, 4, 4)
    assert info.trained_on == "cells sections 0-2"
    expected = params.model_copy(update={"in_sections": 1})  # the network's own
    assert TrainParams.model_validate(info.training["params"]) == expected
    assert info.training["data"][0]["validation_sections"] == "3-4"
    assert info.scores["cells v_rand"] == pytest.approx(result.scores["cells"]["v_rand"], abs=1e-4)


def test_same_seed_same_model(cells, tiny, tmp_path):
    first, again, other = (tmp_path / f"{name}.safetensors" for name in "abc")
    train([cells], first, params=tiny)
    train([cells], again, params=tiny)
    train([cells], other, params=tiny.model_copy(update={"seed": 1}))
    assert same_weights(first, again)
    assert not same_weights(first, other)


@pytest.mark.parametrize("stop_at", [3, 4, 7])
def test_resuming_is_bit_for_bit_the_uninterrupted_run(cells, tiny, tmp_path, stop_at):
    whole, parted = tmp_path / "whole.safetensors", tmp_path / "parted.safetensors"
    expected = train([cells], whole, params=tiny)
    with pytest.raises(Cancelled):
        train([cells], parted, params=tiny, progress=StopAt(stop_at))
    with parted.with_suffix(".curve.jsonl").open("a") as curve:
        curve.write('{"step": 8, "scores": {}}\n{"step"')  # as when the power went
    result = train([cells], parted, params=tiny, resume=True)
    assert same_weights(whole, parted)
    assert result.scores == expected.scores
    assert (result.steps, result.best_step) == (expected.steps, expected.best_step)

    def scored(path):
        return [(r["step"], r["scores"]) for r in map(json.loads, path.read_text().splitlines())]

    assert scored(result.curve_path) == scored(expected.curve_path)


@pytest.mark.parametrize("error", [Cancelled, KeyboardInterrupt])
def test_a_stop_leaves_a_usable_model_and_something_to_resume(cells, tiny, tmp_path, error):
    path = tmp_path / "m.safetensors"
    with pytest.raises(error):
        train([cells], path, params=tiny, progress=StopAt(2, error))
    assert load_model(path)[0].params.width == 4
    assert path.with_suffix(".training").exists()


def test_a_stop_while_validating_does_not_lose_the_steps(cells, tiny, tmp_path):
    class StopInValidation:
        def update(self, done, total, message=""):
            if message.startswith("validating"):
                raise Cancelled

    path, whole = tmp_path / "m.safetensors", tmp_path / "whole.safetensors"
    with pytest.raises(Cancelled):
        train([cells], path, params=tiny, progress=StopInValidation())
    train([cells], path, params=tiny, resume=True)
    train([cells], whole, params=tiny)
    assert same_weights(path, whole)


def test_global_random_numbers_are_left_alone(cells, tiny, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    train([cells], tmp_path / "m.safetensors", params=tiny.model_copy(update={"steps": 1}))
    assert torch.equal(torch.rand(1), expected)


def test_without_validation_sections_the_latest_is_kept(cells, tiny, tmp_path):
    pair = replace(cells, validation_sections=())
    result = train([pair], tmp_path / "m.safetensors", params=tiny)
    assert result.best_step == tiny.steps
    assert result.scores == {}


def test_minutes_replace_steps(cells, tiny, tmp_path):
    params = tiny.model_copy(update={"minutes": 0.02, "steps": 1})
    result = train([replace(cells, validation_sections=())], tmp_path / "m", params=params)
    assert result.steps > 1
    assert result.seconds >= 1.2
    assert result.model_path.name == "m.safetensors"


def test_neighbouring_sections_and_membranes_train(cells, tiny, tmp_path):
    membranes = np.where(np.diff(cells.labels.data, axis=2, append=0) != 0, 0, 255)
    pair = replace(cells, labels=Volume(membranes.astype(np.uint8)), labels_kind="membranes")
    params = tiny.model_copy(update={"in_sections": 3})
    result = train([pair, cells], tmp_path / "m.safetensors", params=params)
    assert load_model(result.model_path)[1].in_sections == 3


def test_blank_sections_are_passed_over(cells, tiny, tmp_path):
    raw = cells.raw.data.copy()
    raw[1] = 80
    train([replace(cells, raw=Volume(raw))], tmp_path / "m.safetensors", params=tiny)
    with pytest.raises(InputError, match="blank"):
        train([replace(cells, raw=Volume(raw), train_sections=(1,))], tmp_path / "n", params=tiny)


def test_nothing_to_resume_or_another_network_is_one_sentence(cells, tiny, tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match="resume from"):
        train([cells], path, params=tiny, resume=True)
    train([cells], path, params=tiny)
    with pytest.raises(InputError, match="width 4, but 5"):
        train([cells], path, params=tiny.model_copy(update={"width": 5}), resume=True)
    path.with_suffix(".training").write_bytes(b"not a state")
    with pytest.raises(InputError, match="not a saved training"):
        train([cells], path, params=tiny, resume=True)
    with pytest.raises(InputError, match="nothing to train on"):
        train([], path, params=tiny)


def test_a_finished_training_goes_on_with_more_steps(cells, tiny, tmp_path):
    path = tmp_path / "m.safetensors"
    train([cells], path, params=tiny)
    longer = tiny.model_copy(update={"steps": 12})
    assert train([cells], path, params=longer, resume=True).steps == 12


def test_too_little_memory_is_one_sentence(cells, tiny, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("napari_emseg.training.objective.map_loss", fail)
    with pytest.raises(InputError, match="take a smaller batch size or patch size"):
        train([cells], tmp_path / "m.safetensors", params=tiny)


def test_a_loss_that_is_no_number_ends_the_training(cells, tiny, tmp_path, monkeypatch):
    def lose(logits, *_, **__):
        return logits.sum() * math.nan

    path = tmp_path / "m.safetensors"
    train([cells], path, params=tiny)
    before = path.read_bytes()
    monkeypatch.setattr("napari_emseg.training.objective.map_loss", lose)
    with pytest.raises(InputError, match="its loss is no number any more"):
        train([cells], path, params=tiny.model_copy(update={"steps": 50}), resume=True)
    assert path.read_bytes() == before


def test_sections_are_written_short():
    assert format_sections([7, 0, 1, 2, 5, 8]) == "0-2, 5, 7-8"
    assert format_sections([]) == ""


def test_a_network_takes_as_many_sections_as_its_preset_says(cells, tiny, tmp_path):
    params = tiny.model_copy(
        update={"network": "deepem3d", "preset": "tiny", "width": None, "depth": None, "steps": 1}
    )
    own = build_network("deepem3d", "tiny").in_sections
    assert own > 1
    result = train([cells], tmp_path / "m.safetensors", params=params)
    assert load_model(result.model_path)[1].in_sections == own


def test_a_full_disk_is_one_sentence_and_leaves_the_state_of_before(
    cells, tiny, tmp_path, monkeypatch
):
    path = tmp_path / "m.safetensors"
    train([cells], path, params=tiny)
    before = path.with_suffix(".training").read_bytes()

    def fill(tensors, target, metadata):
        target.write_bytes(b"half of it")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("napari_emseg.training.state.save_file", fill)
    with pytest.raises(InputError, match="the disk is full"):
        train([cells], path, params=tiny.model_copy(update={"steps": 9}), resume=True)
    assert path.with_suffix(".training").read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp.*"))


def test_a_missing_or_forbidden_place_is_told_before_training(cells, tiny, tmp_path):
    (tmp_path / "m.training").mkdir()
    with pytest.raises(InputError, match="a folder has that name"):
        train([cells], tmp_path / "m.safetensors", params=tiny, progress=StopAt(0))


def test_an_interrupt_waits_for_the_end_of_the_step(cells, tiny, tmp_path):
    """Signals come at any moment; what is saved must be whole."""

    class Interrupts(Hook):
        def on_step(self, moment):
            if moment.step == 3:
                os.kill(os.getpid(), signal.SIGINT)

    path, whole = tmp_path / "m.safetensors", tmp_path / "whole.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train([cells], path, params=tiny, hooks=[Interrupts()])
    train([cells], path, params=tiny, resume=True)
    train([cells], whole, params=tiny)
    assert same_weights(path, whole)


def test_batches_together_make_one_step(cells, tiny, tmp_path):
    params = tiny.model_copy(update={"accumulate_batches": 2, "steps": 4})
    path, whole = tmp_path / "m.safetensors", tmp_path / "whole.safetensors"
    with pytest.raises(Cancelled):
        train([cells], path, params=params, progress=StopAt(3))
    train([cells], path, params=params, resume=True)
    assert train([cells], whole, params=params).steps == 4
    assert same_weights(path, whole)
    other = tmp_path / "other.safetensors"
    train([cells], other, params=tiny.model_copy(update={"steps": 4}))
    assert not same_weights(whole, other)


def test_another_optimiser_cannot_go_on(cells, tiny, tmp_path):
    path = tmp_path / "m.safetensors"
    train([cells], path, params=tiny)
    changed = tiny.model_copy(update={"optimiser": "sgd"})
    with pytest.raises(InputError, match="optimiser adamw, but sgd"):
        train([cells], path, params=changed, resume=True)


def test_options_of_the_network_must_be_those_of_before(cells, tiny, tmp_path):
    path = tmp_path / "m.safetensors"
    params = tiny.model_copy(update={"network_options": {"dropout": 0.5}})
    train([cells], path, params=params)
    with pytest.raises(InputError, match=r"dropout 0.5, but 0.0"):
        train([cells], path, params=tiny, resume=True)


def test_training_goes_on_from_the_weights_of_a_model(cells, tiny, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train([cells], first, params=tiny)
    still = {"steps": 1, "learning_rate": 1e-12, "weight_decay": 0, "ema_decay": 0}
    tuned = TrainParams.model_validate(
        {**tiny.model_dump(), "width": None, "depth": None, "start_from": str(first), **still}
    )
    train([cells], second, params=tuned)
    a, b = weights(first), weights(second)
    assert all(torch.allclose(a[k], b[k], atol=1e-6) for k in a if "running" not in k)
    with pytest.raises(InputError, match="other parameters"):
        train([cells], second, params=tuned.model_copy(update={"width": 5}))
    with pytest.raises(InputError, match="cannot start from"):
        train([cells], second, params=tuned.model_copy(update={"network": "rdn"}))


def test_a_share_of_the_start_stays_in_the_model(cells, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_start, "USELESS", -1.0)  # all that is asked for is kept
    monkeypatch.setattr(kept_start, "USEFUL", 0.0)
    first = tmp_path / "first.safetensors"
    train([cells], first, params=tiny)
    others = {"width": None, "depth": None, "start_from": str(first), "learning_rate": 0.1}
    kept = {}
    for share in (0.0, 0.25):
        path = tmp_path / f"{share}.safetensors"
        chosen = {**tiny.model_dump(), **others, "start_share": share}
        pair = replace(cells, validation_sections=())  # the latest weights are written
        train([pair], path, params=TrainParams.model_validate(chosen))
        kept[share] = weights(path)
    start = weights(first)
    assert any((kept[0.0][k] - start[k]).abs().max() > 0.01 for k in start)
    for key, after in kept[0.0].items():
        if after.is_floating_point():
            expected = torch.lerp(after, start[key], 0.25)
            assert torch.allclose(kept[0.25][key], expected, atol=1e-5)


def test_resuming_knows_how_the_start_did(cells, tiny, tmp_path):
    first = tmp_path / "first.safetensors"
    train([cells], first, params=tiny)
    others = {"width": None, "depth": None, "start_from": str(first), "start_share": 0.5}
    chosen = TrainParams.model_validate({**tiny.model_dump(), **others, "steps": 6})
    whole, parted = tmp_path / "whole.safetensors", tmp_path / "parted.safetensors"
    train([cells], whole, params=chosen)
    with pytest.raises(Cancelled):
        train([cells], parted, params=chosen, progress=StopAt(2))
    assert start_seen(parted)[0] == 2
    train([cells], parted, params=chosen, resume=True)
    assert start_seen(parted) == start_seen(whole)
    assert start_seen(whole)[0] == 6
    assert same_weights(whole, parted)


def start_seen(model):
    with safe_open(model.with_suffix(".training"), "pt") as file:
        return json.loads(file.metadata()["counters"])["start_seen"]


def test_a_share_of_another_network_stays_out(tmp_path, cells, tiny):
    first = tmp_path / "first.safetensors"
    train([cells], first, params=tiny)
    chosen = TrainParams(network="rdn", start_from=str(first), start_share=0.5)
    assert not keeps_start(chosen)
    assert keeps_start(chosen.model_copy(update={"network": tiny.network}))
    assert not keeps_start(TrainParams(start_share=0.5))


class Standings(Hook):
    """Remembers what it is told of scores."""

    def __init__(self) -> None:
        self.began: list[Any] = []
        self.scored: list[Any] = []

    def on_begin(self, standing):
        self.began.append(standing)

    def on_scores(self, standing):
        self.scored.append(standing)


def test_a_score_of_before_counts_only_for_what_is_held_out_now(cells, tiny, tmp_path):
    """Another section, a corrected label: what counts is how good the model is on those."""
    path, still = tmp_path / "m.safetensors", {"learning_rate": 1e-12, "weight_decay": 0}
    train([cells], path, params=tiny)
    assert counters_of(path)["held_out"] == describe_held_out([cells])
    corrected = cells.labels.data.copy()
    corrected[4, :9, :9] = 777
    changed = replace(cells, labels=replace(cells.labels, data=corrected))
    for pair in (replace(cells, validation_sections=(4,)), changed):
        again = tmp_path / "again.safetensors"
        for suffix in (".safetensors", ".training", ".curve.jsonl"):
            again.with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
        told = Standings()
        more = tiny.model_copy(update={"steps": 10, **still})
        result = train([pair], again, params=more, resume=True, hooks=[told])
        assert [standing.step for standing in told.scored] == [8, 10]
        assert told.began[0].best_score is None
        assert all("scores" not in record for record in told.began[0].curve)
        assert any("scores_before" in record for record in told.began[0].curve)
        best = max(told.scored, key=lambda s: s.scores["cells"]["v_rand"])
        assert result.best_step == best.step
        assert counters_of(again)["held_out"] == describe_held_out([pair])


def test_the_same_held_out_keeps_its_best_score(cells, tiny, tmp_path):
    path, told = tmp_path / "m.safetensors", Standings()
    before = train([cells], path, params=tiny)
    train([cells], path, params=tiny.model_copy(update={"steps": 9}), resume=True, hooks=[told])
    assert told.began[0].best_step == before.best_step
    assert told.began[0].best_score == pytest.approx(before.scores["cells"]["v_rand"])
    assert [r["step"] for r in told.began[0].curve if "scores" in r] == [4, 8]
    assert [standing.step for standing in told.scored] == [9]


def counters_of(path):
    with safe_open(path.with_suffix(".training"), "pt") as file:
        return json.loads(file.metadata()["counters"])


def test_a_model_is_never_worse_than_what_it_started_from(cells, tiny, tmp_path):
    """With far too large steps all is forgotten at once; what was there stays the model."""
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train([cells], first, params=tiny.model_copy(update={"steps": 60, "learning_rate": 1e-2}))
    wild = {"width": None, "depth": None, "start_from": str(first), "learning_rate": 1.0}
    result = train([cells], second, params=tiny.model_copy(update={**wild, "steps": 4}))
    assert result.best_step == 0
    a, b = weights(first), weights(second)
    assert all(torch.equal(a[key], b[key]) for key in a)
    steps = [json.loads(line)["step"] for line in result.curve_path.read_text().splitlines()]
    assert steps == [0, 4]


def test_before_the_first_validation_the_latest_is_the_model(cells, tiny, tmp_path):
    """So that it can be used while it trains."""
    path = tmp_path / "m.safetensors"

    class Look(Hook):
        found = ()

        def on_step(self, moment):
            if path.exists():
                self.found = (*self.found, load_model(path)[1].training["step"])

    params = tiny.model_copy(update={"validation_interval_steps": 100, "save_interval_s": 1e-6})
    train([cells], path, params=params, hooks=[look := Look()])
    assert look.found == (1, 2, 3, 4, 5, 6, 7)


def test_paint_is_scored_by_accuracy_and_so_is_the_best_chosen(cells, tiny, tmp_path):
    paint = np.where(cells.labels.data % 2 == 0, 2, 0).astype(np.uint8)
    paint[:, :, 10:14] = 1
    pair = replace(cells, labels=Volume(paint, kind="labels"), labels_kind="painted")
    told, messages = Standings(), []

    class Listen:
        def update(self, done, total, message=""):
            messages.append(message)

    path = tmp_path / "m.safetensors"
    result = train([pair], path, params=tiny, hooks=[told], progress=Listen())
    best = max(told.scored, key=lambda standing: standing.scores["cells"]["accuracy"])
    assert result.best_step == best.step
    assert f"best accuracy {told.scored[0].scores['cells']['accuracy']:.4f}" in messages[-6]

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.errors import InputError
from napari_emseg.networks.checkpoint import load_model
from napari_emseg.progress import Cancelled
from napari_emseg.training import TrainingPair
from napari_emseg.training.cross_validation import cross_validate, split_sections
from napari_emseg.volume import Volume


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 30), min_size=2, max_size=20), st.integers(2, 6))
def test_every_section_is_held_out_once_in_a_fold_without_gap(sections, folds):
    stack = Volume(np.ones((31, 2, 2), np.uint8), kind="labels")
    raw = Volume(np.zeros((31, 2, 2), np.uint8))
    chosen = sorted(sections)
    half = len(chosen) // 2
    pair = TrainingPair(raw, stack, "labels", tuple(chosen[half:]), tuple(chosen[:half]))
    if len(chosen) < folds:
        with pytest.raises(InputError, match="ask for fewer"):
            split_sections(pair, folds)
        return
    splits = split_sections(pair, folds)
    held_out = [z for split in splits for z in split.validation_sections]
    assert held_out == chosen
    sizes = [len(split.validation_sections) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    for split in splits:
        assert sorted((*split.train_sections, *split.validation_sections)) == chosen


def test_one_fold_is_no_cross_validation(cells):
    with pytest.raises(InputError, match="at least 2 folds"):
        split_sections(cells, 1)


def test_a_model_for_each_fold_and_the_mean_of_their_scores(cells, tiny, tmp_path):
    seen: list[tuple[int, int, str]] = []

    class Listen:
        def update(self, done, total, message=""):
            seen.append((done, total, message))

    params = tiny.model_copy(update={"steps": 2, "validation_interval_steps": 2})
    done = cross_validate(
        [cells], tmp_path / "m.safetensors", folds=3, params=params, progress=Listen()
    )
    assert [result.model_path.name for result in done.results] == [
        "m-fold1.safetensors",
        "m-fold2.safetensors",
        "m-fold3.safetensors",
    ]
    mean = np.mean([result.scores["cells"]["v_rand"] for result in done.results])
    assert done.scores["cells"]["v_rand"] == pytest.approx(mean)
    assert load_model(done.results[1].model_path)[1].trained_on == "cells sections 0-1, 4"
    assert seen[-1][2].startswith("fold 3 of 3: ")
    assert [d for d, _, _ in seen] == sorted(d for d, _, _ in seen)  # also while validating
    assert {total for _, total, _ in seen} == {6}
    assert any("validating on cells" in message for _, _, message in seen)
    steps = [(d, total) for d, total, message in seen if ": step" in message]
    assert steps == [(n, 6) for n in range(1, 7)]


def test_a_stopped_cross_validation_goes_on_with_the_fold_it_was_in(cells, tiny, tmp_path):
    class StopInSecond:
        def update(self, done, total, message=""):
            if message.startswith("fold 2 of 2: step 3"):
                raise Cancelled

    path = tmp_path / "m.safetensors"
    with pytest.raises(Cancelled):
        cross_validate([cells], path, folds=2, params=tiny, progress=StopInSecond())
    before = (tmp_path / "m-fold1.safetensors").read_bytes()
    done = cross_validate([cells], path, folds=2, params=tiny, resume=True)
    assert [result.steps for result in done.results] == [8, 8]
    assert (tmp_path / "m-fold1.safetensors").read_bytes() == before
    lines = (tmp_path / "m-fold2.curve.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [4, 8]


def test_pairs_are_parted_each_by_itself(cells):
    short = replace(cells, train_sections=(0, 1), validation_sections=(2,), name="short")
    parts = [split_sections(pair, 3) for pair in (cells, short)]
    assert [split.validation_sections for split in parts[1]] == [(0,), (1,), (2,)]
    assert [split.validation_sections for split in parts[0]] == [(0, 1), (2, 3), (4,)]


def test_other_folds_do_not_go_on_where_sections_would_score_what_learned_them(
    cells, tiny, tmp_path
):
    path, params = tmp_path / "m.safetensors", tiny.model_copy(update={"steps": 1})
    cross_validate([cells], path, folds=2, params=params)  # held out 0-2, then 3-4
    cross_validate([cells], path, folds=2, params=params, resume=True)
    with pytest.raises(InputError, match="learned from sections 2 of cells, which are to score"):
        cross_validate([cells], path, folds=3, params=params, resume=True)


def test_the_mean_is_over_the_folds_that_have_a_score(cells, tiny, tmp_path):
    paint = np.zeros(cells.labels.shape, np.uint8)
    paint[:2, 10] = 1
    paint[:2, 20], paint[2:4, 20] = 2, 2
    pair = replace(
        cells,
        labels=Volume(paint, kind="labels"),
        labels_kind="painted",
        train_sections=(0, 1, 2, 3),
        validation_sections=(),
    )
    params = tiny.model_copy(update={"steps": 2})
    done = cross_validate([pair], tmp_path / "m.safetensors", folds=2, params=params)
    first, second = (result.scores["cells"] for result in done.results)
    assert "membrane_recall" in first
    assert "membrane_recall" not in second
    mean = done.scores["cells"]
    assert mean["membrane_recall"] == first["membrane_recall"]
    assert mean["accuracy"] == pytest.approx((first["accuracy"] + second["accuracy"]) / 2)

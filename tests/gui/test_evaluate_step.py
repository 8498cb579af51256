"""Scores land in the table, the layer, the canvas and the file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.evaluation import evaluate
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.workspace import Workspace
from napari_emseg.volume import Volume


@pytest.fixture
def scored(with_map: Workspace, qtbot: Any) -> Workspace:
    """The workspace with labels scored against a truth of two sections."""
    context = with_map.context
    with_map.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    truth = context.hierarchy.cut(0.3, 40).to_volume().read()[:2]  # type: ignore[union-attr]
    volume = Volume(truth, kind="labels", voxel_size_nm=(50, 4, 4), name="truth")
    layer = add_volume(context.viewer, volume)
    context.set_layer("ground_truth", layer)
    step: Any = with_map.step("evaluate")
    step.evaluate()
    qtbot.waitUntil(lambda: bool(context.session.scores), timeout=PATIENCE_MS)
    return with_map


def test_scores_are_those_of_the_function(scored: Workspace) -> None:
    context = scored.context
    assert context.session.evaluate.sections == (0, 2)
    expected = evaluate(
        context.volume("segmentation").read()[:2], context.volume("ground_truth").read()
    )
    assert context.session.scores == pytest.approx(expected)
    assert context.layer("segmentation").metadata["emseg"]["scores"] == context.session.scores  # type: ignore[union-attr]


def test_best_h_is_used_and_shown(scored: Workspace) -> None:
    step: Any = scored.step("evaluate")
    best_h, best = step.curve.best("v_rand")
    step.use_best()
    assert scored.context.session.segment.h == pytest.approx(best_h)
    assert f"{best:.4f}" in step.now.text()


def test_a_click_on_the_curve_moves_the_slider(scored: Workspace) -> None:
    step: Any = scored.step("evaluate")
    step.plot.h_chosen.emit(0.123)
    assert scored.context.session.segment.h == 0.123


def test_canvas_text_can_be_switched_off(scored: Workspace) -> None:
    overlay = scored.context.viewer.canvas.overlays.text
    assert overlay.visible
    assert "split" in overlay.text
    scored.step("evaluate").overlay.click()  # type: ignore[attr-defined]
    assert not overlay.visible


def test_export(scored: Workspace, tmp_path: Path) -> None:
    step: Any = scored.step("evaluate")
    step.export_to(tmp_path / "scores.json")
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["scores"] == scored.context.session.scores
    curve = content["curves"]["h_minima"]
    assert len(curve["h"]) == len(curve["v_rand"])
    assert content["sections"]["section"] == [0, 1]
    n_errors = len(step.error_list.errors.sites)
    assert [len(column) for column in content["errors"].values()] == [n_errors] * 8
    step.export_to(tmp_path / "scores.csv")
    with open(tmp_path / "scores.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert ["v_rand", str(scored.context.session.scores["v_rand"])] in rows
    assert rows.index(["curve h_minima"]) < rows.index(["sections"]) < rows.index(["errors"])


def test_a_drawing_of_membranes_is_recognised(with_map: Workspace) -> None:
    drawing = np.full((3, 61, 75), 255, np.uint8)
    drawing[:, ::9] = drawing[:, :, ::15] = 0
    drawing[0] = 0  # one section is blank
    layer = add_volume(with_map.context.viewer, Volume(drawing, name="drawing"))
    with_map.context.set_layer("ground_truth", layer)
    assert with_map.context.session.evaluate.ground_truth_kind == "membranes"
    assert with_map.context.session.evaluate.sections is None


def test_another_field_is_refused(with_map: Workspace, notices: list[str], qtbot: Any) -> None:
    wrong = Volume(np.ones((3, 30, 75), np.uint32), kind="labels", name="wrong")
    with_map.context.set_layer("ground_truth", add_volume(with_map.context.viewer, wrong))
    with_map.step("evaluate").evaluate()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: bool(notices), timeout=PATIENCE_MS)
    assert len(notices) == 1
    assert "Traceback" not in notices[0]


def test_the_sections_chosen_stay_when_labels_are_written_anew(
    scored: Workspace, qtbot: Any
) -> None:
    context = scored.context
    context.session.change("evaluate", sections=(1, 2))
    before = context.layer("segmentation")
    scored.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not before, timeout=PATIENCE_MS)
    assert context.session.evaluate.sections == (1, 2)


def test_painted_labels_are_scored_and_then_up_to_date(scored: Workspace, qtbot: Any) -> None:
    context, step = scored.context, scored.step("evaluate")
    layer: Any = context.layer("segmentation")
    layer.data_setitem(np.nonzero(layer.data[:1] >= 0), 1)  # one segment swallows the section
    before = dict(context.session.scores)
    step.evaluate()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.session.scores != before, timeout=PATIENCE_MS)
    assert context.session.scores["v_rand"] < before["v_rand"]
    assert context.plan().evaluate.state == "up to date"


def test_a_stroke_of_the_brush_makes_scores_out_of_date(scored: Workspace, qtbot: Any) -> None:
    context = scored.context
    assert context.plan().evaluate.state == "up to date"
    for role in ("segmentation", "ground_truth"):
        layer: Any = context.layer(role)
        before = int(layer.data[1, 7, 7])
        layer.data_setitem((np.array([1]), np.array([7]), np.array([7])), 99_999)
        qtbot.waitUntil(lambda: context.plan().evaluate.state == "out of date", timeout=PATIENCE_MS)
        layer.data_setitem((np.array([1]), np.array([7]), np.array([7])), before)
        qtbot.waitUntil(lambda: context.plan().evaluate.state == "up to date", timeout=PATIENCE_MS)


def test_a_curve_goes_when_what_it_is_of_would_be_built_otherwise(
    with_map: Workspace, qtbot: Any
) -> None:
    context, evaluate = with_map.context, with_map.step("evaluate")
    ids = 1 + (np.indices((3, 61, 75))[2] // 20).astype(np.uint32)
    truth = add_volume(context.viewer, Volume(ids, kind="labels", name="truth"))
    context.session.change("segment", grouping="mean_boundary")
    qtbot.waitUntil(
        lambda: context.hierarchy is not None and context.hierarchy.grouping == "mean_boundary",
        timeout=PATIENCE_MS,
    )

    def score() -> None:
        evaluate.evaluate()  # type: ignore[attr-defined]
        qtbot.waitUntil(lambda: evaluate.curve is not None, timeout=PATIENCE_MS)  # type: ignore[attr-defined]
        qtbot.waitUntil(lambda: not context.jobs.is_busy("evaluate"), timeout=PATIENCE_MS)

    score()
    context.session.change("segment", merge_threshold=0.7)
    assert evaluate.curve is not None  # type: ignore[attr-defined]
    context.session.change("segment", prior_faces=50)
    assert evaluate.curve is None  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)
    evaluate.evaluate()  # type: ignore[attr-defined]
    context.viewer.layers.remove(truth)  # while it is scored
    qtbot.waitUntil(lambda: not context.jobs.is_busy("evaluate"), timeout=PATIENCE_MS)
    assert evaluate.curve is None  # type: ignore[attr-defined]
    assert evaluate.error_list.errors is None  # type: ignore[attr-defined]


def test_scores_go_with_the_labels_they_are_of(with_map: Workspace, qtbot: Any) -> None:
    context, evaluate = with_map.context, with_map.step("evaluate")
    ids = 1 + (np.indices((3, 61, 75))[2] // 20).astype(np.uint32)
    add_volume(context.viewer, Volume(ids, kind="labels", name="truth"))
    with_map.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    evaluate.evaluate()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: bool(context.session.scores), timeout=PATIENCE_MS)
    context.viewer.layers.remove(context.layer("segmentation"))
    assert context.session.scores == {}
    assert not context.viewer.canvas.overlays.text.visible


def test_what_the_errors_covered_comes_back_when_they_go(with_map: Workspace, qtbot: Any) -> None:
    context, evaluate = with_map.context, with_map.step("evaluate")
    ids = 1 + (np.indices((3, 61, 75))[2] // 20).astype(np.uint32)
    truth = add_volume(context.viewer, Volume(ids, kind="labels", name="truth"))
    with_map.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    labels: Any = context.layer("segmentation")
    evaluate.evaluate()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: bool(context.session.scores), timeout=PATIENCE_MS)
    evaluate.error_list.step(1)  # type: ignore[attr-defined]
    overlay = evaluate.error_layer.layer  # type: ignore[attr-defined]
    assert overlay is not None
    assert not labels.visible
    context.viewer.layers.remove(overlay)
    assert labels.visible
    assert truth.visible
    evaluate.error_list.step(1)  # type: ignore[attr-defined]
    assert evaluate.error_layer.is_visible  # type: ignore[attr-defined]


def test_an_image_of_the_truth_is_hidden_once(with_map: Workspace, qtbot: Any) -> None:
    context, evaluate = with_map.context, with_map.step("evaluate")
    drawing = np.full((3, 61, 75), 255, np.uint8)
    drawing[:, ::9] = drawing[:, :, ::15] = 0
    truth = add_volume(context.viewer, Volume(drawing, name="drawing"))
    context.set_layer("ground_truth", truth)
    for is_seen_after in (False, True):  # shown again by hand, it stays
        truth.visible = True
        evaluate.curves.clear()  # type: ignore[attr-defined]
        evaluate.evaluate()  # type: ignore[attr-defined]
        qtbot.waitUntil(lambda: evaluate.curve is not None, timeout=PATIENCE_MS)  # type: ignore[attr-defined]
        assert truth.visible == is_seen_after

"""Auto-tune finds parameters, tells the honest score, and its result can be taken back."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.workspace import Workspace
from napari_emseg.volume import Volume


def test_found_parameters_go_into_the_sliders_and_back(
    with_map: Workspace, qtbot: Any, notices: list[str]
) -> None:
    context = with_map.context
    step: Any = with_map.step("evaluate")
    panel = step.autotune
    assert not panel.start_button.isEnabled()
    qtbot.waitUntil(lambda: step.curves.hint is not None, timeout=PATIENCE_MS)
    assert step.best_button.text() == "Try the hint"
    step.best_button.click()
    assert context.session.segment.h == step.curves.hint.h

    truth = context.hierarchy.cut(0.3, 40).to_volume().read()  # type: ignore[union-attr]
    volume = Volume(truth, kind="labels", voxel_size_nm=(50, 4, 4), name="truth")
    context.set_layer("ground_truth", add_volume(context.viewer, volume))
    panel.start_button.click()
    assert panel.stop_button.isEnabled()
    qtbot.waitUntil(lambda: not context.jobs.is_busy("autotune"), timeout=PATIENCE_MS)
    assert panel.found is not None
    assert "sections 0 to 1 (searched on)" in panel.words.text()
    assert "section 2 (kept aside" in panel.words.text()

    before = context.session.segment
    panel.use_button.click()
    assert context.session.segment == panel.found.params
    assert not panel.use_button.isEnabled()
    panel.back_button.click()
    assert context.session.segment == before

    panel.start_button.click()
    panel.stop_button.click()
    qtbot.waitUntil(lambda: not context.jobs.is_busy("autotune"), timeout=PATIENCE_MS)
    assert context.session.segment == before
    assert notices == []


def test_all_ways_to_join_are_drawn_in_one_plot(
    with_map: Workspace, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Literal["h_minima", "mean_boundary"]  # the others take minutes to compile
    monkeypatch.setattr("napari_emseg.steps.segment.Grouping", few)
    context = with_map.context
    truth = context.hierarchy.cut(0.3, 40).to_volume()  # type: ignore[union-attr]
    context.set_layer("ground_truth", add_volume(context.viewer, truth))
    step: Any = with_map.step("evaluate")
    step.compare_button.click()
    qtbot.waitUntil(lambda: step.curve is not None, timeout=PATIENCE_MS)
    assert set(step.curves.by_grouping) == {"h_minima", "mean_boundary"}
    assert step.plot.score_at(0.3) == pytest.approx(step.curve.at(0.3)["v_rand"])
    context.session.change("segment", grouping="mean_boundary")
    step.plot.h_chosen.emit(0.7)
    assert context.session.segment.merge_threshold == 0.7
    assert step.plot.score_at(0.7) == step.curves.by_grouping["mean_boundary"].at(0.7)["v_rand"]
    ranking = step.curves.ranking
    assert ranking.rowCount() == 2
    ranking.chosen.emit("h_minima")
    assert context.session.segment.grouping == "h_minima"
    h_minima = step.curves.by_grouping["h_minima"]
    assert context.session.segment.h == pytest.approx(h_minima.best("v_rand")[0])
    context.session.change("segment", sigma_px=0.4)
    assert step.curve is None  # of another flood
    assert ranking.rowCount() == 0

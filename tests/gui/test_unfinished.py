"""A map that is being predicted stays what it is, whatever role it has meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.workspace import BoundariesDock, Workspace
from napari_emseg.volume import Volume


def predict_one_section(workspace: Workspace, qtbot: Any) -> Any:
    context = workspace.context
    grey = np.random.default_rng(0).integers(0, 255, (3, 40, 56), np.uint8)
    add_volume(context.viewer, Volume(grey, name="stack", voxel_size_nm=(50, 4, 4)))
    workspace.step("boundaries").preview_section()  # type: ignore[attr-defined]
    qtbot.waitUntil(
        lambda: context.done_sections is not None and context.done_sections.sum() == 1,
        timeout=PATIENCE_MS,
    )
    qtbot.waitUntil(lambda: not context.jobs.is_busy("predict"), timeout=PATIENCE_MS)
    return context.layer("boundary")


def test_a_map_put_aside_and_taken_up_again_is_still_unfinished(
    workspace: Workspace, qtbot: Any
) -> None:
    context = workspace.context
    layer = predict_one_section(workspace, qtbot)
    context.set_layer("boundary", None)
    assert context.done_sections is None
    context.set_layer("boundary", layer)
    assert context.done_sections is not None
    assert context.done_sections.sum() == 1
    assert not context.is_boundary_complete


def test_an_unfinished_map_is_not_flipped(
    workspace: Workspace, qtbot: Any, notices: list[str]
) -> None:
    layer = predict_one_section(workspace, qtbot)
    before = np.array(layer.data)
    workspace.step("data").flip_boundary()  # type: ignore[attr-defined]
    assert "not finished" in notices[-1]
    np.testing.assert_array_equal(layer.data, before)


def test_what_is_done_is_not_predicted_again(
    workspace: Workspace, qtbot: Any, notices: list[str]
) -> None:
    context, step = workspace.context, workspace.step("boundaries")
    layer = predict_one_section(workspace, qtbot)
    step.preview_section()  # type: ignore[attr-defined]
    assert notices[-1].startswith("This section has a boundary map already")
    step.predict_all()  # type: ignore[attr-defined]
    qtbot.waitUntil(
        lambda: context.is_boundary_complete and not context.jobs.is_busy("predict"),
        timeout=PATIENCE_MS,
    )
    n_layers = len(context.viewer.layers)
    step.predict_all()  # type: ignore[attr-defined]
    assert notices[-1].startswith("Every section has a boundary map already")
    assert context.layer("boundary") is layer
    assert len(context.viewer.layers) <= n_layers + 1  # the preview of segments may have come


def test_a_look_with_other_settings_leaves_the_whole_map_in_place(
    workspace: Workspace, qtbot: Any, notices: list[str]
) -> None:
    context, step = workspace.context, workspace.step("boundaries")
    layer = predict_one_section(workspace, qtbot)
    step.predict_all()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)
    hierarchy = context.hierarchy
    context.session.change("predict", tta=not context.session.predict.tta)
    step.preview_section()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: not context.jobs.is_busy("predict"), timeout=PATIENCE_MS)
    assert context.layer("boundary") is layer
    assert context.hierarchy is hierarchy
    trial = context.viewer.layers["stack boundaries 2"]
    done = context.maps.done(trial)
    assert done is not None
    assert done.sum() == 1
    assert trial.visible
    assert np.ptp(trial.data[done]) > 0
    step.predict_all()  # type: ignore[attr-defined]
    assert context.layer("boundary") is trial
    qtbot.waitUntil(
        lambda: context.is_boundary_complete and not context.jobs.is_busy("predict"),
        timeout=PATIENCE_MS,
    )
    context.session.change("predict", tta=not context.session.predict.tta)
    step.predict_all()  # type: ignore[attr-defined]
    assert "it is used again" in notices[-1]
    assert context.layer("boundary") is layer


def test_two_docks_show_one_prediction(workspace: Workspace, viewer: Any, qtbot: Any) -> None:
    alone = BoundariesDock(viewer)
    viewer.window.add_dock_widget(alone, name="Boundaries", area="left")
    step: Any = alone.step("boundaries")
    layer = predict_one_section(workspace, qtbot)
    assert "1 of 3 sections done" in step.progress.words.text()
    step.predict_all()
    qtbot.waitUntil(lambda: workspace.context.is_boundary_complete, timeout=PATIENCE_MS)
    assert workspace.context.layer("boundary") is layer
    qtbot.waitUntil(lambda: not workspace.context.jobs.busy_titles(), timeout=PATIENCE_MS)
    for shown in (step, workspace.step("boundaries")):
        assert shown.progress.words.text() == " "
    alone.detach()


def test_stop_with_nothing_running_says_nothing(workspace: Workspace) -> None:
    step: Any = workspace.step("boundaries")
    before = step.progress.words.text()
    step.stop()
    assert step.progress.words.text() == before

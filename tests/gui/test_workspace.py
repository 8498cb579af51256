"""The dock fits, says where each step stands, and refuses in one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton

from napari_emseg.gui.layers import add_volume, voxel_size_of
from napari_emseg.gui.workspace import (
    MINIMUM_WIDTH,
    BoundariesDock,
    DataDock,
    EvaluateDock,
    SegmentDock,
    Workspace,
)
from napari_emseg.volume import Volume


def raw_stack(**kwargs: Any) -> Volume:
    grey = np.random.default_rng(0).integers(0, 255, (3, 40, 52), np.uint8)
    return Volume(grey, name="stack", **kwargs)


def click(qtbot: Any, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_nothing_is_cut_off(workspace: Workspace, qtbot: Any) -> None:
    for frame in workspace.frames.values():
        frame.set_open(True)
        frame.content.findChildren(QPushButton)
    bar_width = workspace.scroll_area.verticalScrollBar().sizeHint().width()
    content = workspace.scroll_area.widget()
    assert content.minimumSizeHint().width() + bar_width <= MINIMUM_WIDTH
    for button in content.findChildren(QPushButton):
        if button.isVisible():
            assert button.width() >= button.minimumSizeHint().width()
    for label in content.findChildren(QLabel):
        if label.isVisible() and type(label) is QLabel and not label.wordWrap():
            words = label.fontMetrics().horizontalAdvance(label.text())
            assert label.width() >= words, label.text()


def test_three_steps_fit_a_small_screen(workspace: Workspace, qtbot: Any) -> None:
    qtbot.wait(50)
    header = workspace.frames["evaluate"]
    bottom = header.mapTo(workspace, header.rect().bottomLeft()).y()
    assert bottom <= workspace.session_bar.y()


def test_states_are_said_in_words(workspace: Workspace, qtbot: Any) -> None:
    def said(step: str) -> str:
        return str(workspace.frames[step].state.text())

    assert said("data").startswith("waiting for a stack")
    add_volume(workspace.context.viewer, raw_stack())
    qtbot.waitUntil(lambda: said("data") == "waiting for the voxel size: type it in nm")
    data: Any = workspace.step("data")
    for box, value in zip(data.size_boxes, (50, 4, 4), strict=True):
        box.setFocus()
        box.selectAll()
        qtbot.keyClicks(box, str(value))
        qtbot.keyClick(box, Qt.Key.Key_Return)
    click(qtbot, data.set_button)
    qtbot.waitUntil(lambda: said("data") == "ready")
    assert voxel_size_of(workspace.context.layer("raw")) == (50, 4, 4)
    assert workspace.header.text() == "stack   3 × 40 × 52   50 × 4 × 4 nm"


def test_nothing_moves_when_a_state_changes(workspace: Workspace, qtbot: Any) -> None:
    def places() -> list[int]:
        return [frame.y() for frame in workspace.frames.values()]

    qtbot.wait(50)
    before = places()
    add_volume(workspace.context.viewer, raw_stack(voxel_size_nm=(50, 4, 4)))
    qtbot.wait(100)
    assert places() == before
    boundaries: Any = workspace.step("boundaries")
    boundaries.progress.show_report(1, 3, "1 of 3 sections")
    qtbot.wait(50)
    assert places() == before


def test_docks_share_one_session(viewer: Any, workspace: Workspace, qtbot: Any) -> None:
    alone = SegmentDock(viewer)
    viewer.window.add_dock_widget(alone, name="3 Segment")
    step: Any = alone.step("segment")
    step.numbers["h"].box.setValue(0.2)
    shown: Any = workspace.step("segment")
    assert shown.numbers["h"].value == pytest.approx(0.2)
    alone.detach()


@pytest.mark.parametrize("dock", [DataDock, BoundariesDock, SegmentDock, EvaluateDock])
def test_each_step_opens_alone(viewer: Any, qtbot: Any, dock: Any) -> None:
    made = dock(viewer)
    viewer.window.add_dock_widget(made, name="alone")
    assert next(iter(made.frames.values())).is_open
    made.detach()


def test_a_layer_that_goes_away_is_forgotten(workspace: Workspace, qtbot: Any) -> None:
    layer = add_volume(workspace.context.viewer, raw_stack())
    assert workspace.context.layer("raw") is layer
    workspace.context.viewer.layers.remove(layer)
    assert workspace.context.layer("raw") is None
    assert workspace.context.session.raw is None


def test_refusals_are_one_sentence(workspace: Workspace, notices: list[str], qtbot: Any) -> None:
    for name, verb in (
        ("boundaries", "predict_all"),
        ("boundaries", "preview_section"),
        ("segment", "write_labels"),
        ("evaluate", "evaluate"),
        ("data", "flip_boundary"),
        ("data", "apply_voxel_size"),
    ):
        notices.clear()
        getattr(workspace.step(name), verb)()
        assert len(notices) == 1, verb
        assert "Traceback" not in notices[0]
    assert len(workspace.context.viewer.layers) == 0


def test_a_colour_image_is_refused_and_the_choice_kept(
    workspace: Workspace, notices: list[str], qtbot: Any
) -> None:
    viewer = workspace.context.viewer
    raw = add_volume(viewer, raw_stack())
    four = viewer.add_image(np.zeros((2, 3, 4, 5), np.uint8), name="four axes")
    workspace.context.set_layer("raw", four)
    assert workspace.context.layer("raw") is raw
    assert len(notices) == 1
    assert "needs 3 axes" in notices[0]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_themes_change_while_open(workspace: Workspace, theme: str, qtbot: Any) -> None:
    from napari.utils.theme import get_theme

    workspace.context.viewer.theme = theme
    assert get_theme(theme).text.as_hex("long") in workspace.styleSheet()

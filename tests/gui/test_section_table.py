"""Bad sections are found, ticked, added and flown to, and Predict uses the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.boundaries.section_table import SectionTable
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.workspace import Workspace
from napari_emseg.volume import Volume


@pytest.fixture
def grey() -> np.ndarray:
    """Nine alike sections, the fifth of them blank."""
    section = np.random.default_rng(0).integers(0, 255, (40, 56), np.uint8)
    stack = np.stack([section] * 9)
    stack[4] = 7
    return stack


@pytest.fixture
def sections(workspace: Workspace, grey: np.ndarray, qtbot: Any) -> SectionTable:
    step: Any = workspace.step("boundaries")
    add_volume(workspace.context.viewer, Volume(grey, name="stack", voxel_size_nm=(50, 4, 4)))
    workspace.context.session.change("predict", tta=False)
    step.sections.check()
    qtbot.waitUntil(lambda: bool(step.sections.rows), timeout=PATIENCE_MS)
    return step.sections  # type: ignore[no-any-return]


def chosen(workspace: Workspace) -> tuple[str, ...]:
    return workspace.context.session.predict.bad_sections


def test_a_tick_decides_and_a_double_click_flies_there(
    workspace: Workspace, sections: SectionTable, qtbot: Any
) -> None:
    assert chosen(workspace) == ("4:blank",)
    table: Any = sections.table
    parent = table.parentWidget()
    while parent is not None:  # a click needs the folds open
        parent.setVisible(True)
        parent = parent.parentWidget()
    workspace.scroll_area.ensureWidgetVisible(table)
    QTest.qWait(50)
    viewer = workspace.context.viewer
    viewer.dims.set_point(0, 0)
    where = table.visualItemRect(table.item(0, 1)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    QTest.mouseDClick(table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert workspace.context.section == 4
    box = table.visualItemRect(table.item(0, 0))
    at = QPoint(box.left() + 10, box.center().y())
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert chosen(workspace) == ()
    assert [bad.use for bad in sections.rows] == [False]


def test_predict_uses_the_table_and_keeps_what_another_table_leaves_as_it_is(
    workspace: Workspace, sections: SectionTable, qtbot: Any
) -> None:
    context, step = workspace.context, workspace.step("boundaries")

    def predict() -> Any:
        step.predict_all()  # type: ignore[attr-defined]
        qtbot.waitUntil(
            lambda: context.is_boundary_complete and not context.jobs.is_busy("predict"),
            timeout=PATIENCE_MS,
        )
        return context.layer("boundary")

    first = predict()
    assert first.metadata["emseg"]["predict"]["substituted"] == ["4:blank"]
    np.testing.assert_array_equal(first.data[4], np.maximum(first.data[3], first.data[5]))
    context.viewer.dims.set_point(0, 2 * 50)
    sections.add("misaligned")
    assert chosen(workspace) == ("2:misaligned", "4:blank")
    assert "bad sections changed" in context.plan()["boundaries"].reason
    second = predict()
    assert second is not first
    steps = second.metadata["emseg"]["steps"]
    assert steps[-1]["params"]["bad_sections"] == ["2:misaligned", "4:blank"]
    assert second.metadata["emseg"]["predict"]["sections"] == 2, "the others are taken over"
    np.testing.assert_array_equal(second.data, first.data)  # of one section in, alike


def test_the_table_of_another_stack_is_dropped(
    workspace: Workspace, sections: SectionTable, grey: np.ndarray
) -> None:
    other = add_volume(workspace.context.viewer, Volume(grey[:3], name="other"))
    workspace.context.set_layer("raw", other)
    assert sections.rows == ()
    assert chosen(workspace) == ()


def test_a_restored_table_is_shown(workspace: Workspace) -> None:
    step: Any = workspace.step("boundaries")
    workspace.context.session.change("predict", bad_sections=("1:misaligned", "7:blank"))
    assert [(bad.z, bad.fault) for bad in step.sections.rows] == [(1, "misaligned"), (7, "blank")]
    assert step.sections.table.item(1, 1).text() == "blank"

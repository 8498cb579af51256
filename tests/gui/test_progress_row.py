"""Every long job can be stopped where its progress stands."""

from __future__ import annotations

import time
from typing import Any

import pytest
from qtpy.QtCore import Qt
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.frame import ProgressRow
from napari_emseg.gui.workspace import Workspace
from napari_emseg.progress import Progress


def test_stop_shows_only_while_something_runs(qtbot: Any) -> None:
    stopped: list[bool] = []
    row = ProgressRow(lambda: stopped.append(True))
    qtbot.addWidget(row)
    row.show()
    before = row.sizeHint().height()
    assert not row.stop_button.isVisible()
    row.show_report(1, 3, "1 of 3 sections")
    assert row.stop_button.isVisible()
    assert row.sizeHint().height() == before  # nothing moves
    qtbot.mouseClick(row.stop_button, Qt.MouseButton.LeftButton)
    assert stopped == [True]
    assert row.words.text() == "stopping…"
    row.idle()
    assert not row.stop_button.isVisible()


@pytest.mark.parametrize(("step", "key"), [("evaluate", "evaluate"), ("segment", "write")])
def test_a_job_of_the_step_is_stopped(with_map: Workspace, qtbot: Any, step: str, key: str) -> None:
    jobs, widget = with_map.context.jobs, with_map.step(step)
    with_map.frames[step].set_open(True)
    results: list[int] = []

    def work(progress: Progress) -> int:
        for done in range(10_000):
            progress.update(done, 10_000)
            time.sleep(0.005)
        return 1

    row: Any = widget.progress  # type: ignore[attr-defined]
    jobs.start(
        work,
        title="A long job",
        key=key,
        on_report=lambda report: row.show_report(report.done, report.total, "working"),
        on_result=results.append,
        on_end=row.idle,
    )
    qtbot.waitUntil(row.stop_button.isVisible, timeout=PATIENCE_MS)
    with_map.scroll_area.ensureWidgetVisible(row)
    qtbot.mouseClick(row.stop_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not jobs.is_busy(key), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: not row.stop_button.isVisible(), timeout=PATIENCE_MS)
    assert results == []

"""A report that comes while another is shown is left out, however slow the window is."""

from __future__ import annotations

import time
from typing import Any

from qtpy.QtCore import QCoreApplication
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui import jobs
from napari_emseg.gui.jobs import Jobs, Report
from napari_emseg.progress import Progress


def test_reports_are_never_shown_one_within_another(qtbot: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(jobs, "REPORT_INTERVAL_S", 0.0)
    depth, deepest, told = 0, 0, []

    def show(report: Report) -> None:
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        told.append(report.done)
        time.sleep(0.01)
        QCoreApplication.processEvents()
        depth -= 1

    def work(progress: Progress) -> int:
        for done in range(200):
            progress.update(done, 200)
            time.sleep(0.001)
        return 7

    runner, results = Jobs(), []
    runner.start(work, title="work", key="work", on_report=show, on_result=results.append)
    qtbot.waitUntil(lambda: bool(results), timeout=PATIENCE_MS)
    runner.close()
    assert deepest == 1
    assert results == [7]
    assert told == sorted(told)
    assert len(told) > 1

"""Jobs run off the main thread, report, stop, fail in words, and leave nothing behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from napari_emseg.errors import InputError
from napari_emseg.gui.jobs import Job, Jobs, Report, format_seconds
from napari_emseg.progress import Progress


@pytest.fixture
def jobs(qtbot: Any) -> Iterator[Jobs]:
    made = Jobs()
    yield made
    made.close()


def count_slowly(progress: Progress, n: int = 400) -> int:
    for done in range(n):
        progress.update(done, n)
        time.sleep(0.005)
    return n


def test_result_arrives_on_the_main_thread(jobs: Jobs, qtbot: Any) -> None:
    seen: list[Any] = []
    jobs.start(
        lambda progress: threading.current_thread() is threading.main_thread(),
        title="t",
        key="k",
        on_result=lambda result: seen.extend([result, threading.current_thread()]),
    )
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == [False, threading.main_thread()]
    assert not jobs.is_busy("k")


def test_stop_ends_a_job_without_a_result(jobs: Jobs, qtbot: Any, notices: list[str]) -> None:
    results: list[Any] = []
    ended: list[bool] = []
    job = jobs.start(
        count_slowly,
        title="t",
        key="k",
        on_result=results.append,
        on_end=lambda: ended.append(True),
    )
    qtbot.waitUntil(lambda: job.done > 3)
    jobs.stop("k")
    qtbot.waitUntil(lambda: bool(ended))
    assert results == []
    assert job.done < 399
    assert notices == []


def test_a_newer_job_replaces_an_older_one(jobs: Jobs, qtbot: Any) -> None:
    results: list[str] = []

    def old(progress: Progress) -> str:
        time.sleep(0.1)  # ends although nobody wants it any more
        return "old"

    jobs.start(old, title="t", key="k", on_result=results.append)
    jobs.start(lambda progress: "new", title="t", key="k", on_result=results.append)
    qtbot.waitUntil(lambda: not jobs.is_busy("k"))
    assert results == ["new"]


def test_one_job_at_a_time_in_a_lane(jobs: Jobs, qtbot: Any) -> None:
    running, most = [0], [0]

    def work(progress: Progress) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.02)
        running[0] -= 1

    for key in "abc":
        jobs.start(work, title="t", key=key, lane="accelerator")
    qtbot.waitUntil(lambda: not any(jobs.is_busy(key) for key in "abc"))
    assert most == [1]


def test_reports_are_few_and_tell_the_time_left(jobs: Jobs, qtbot: Any) -> None:
    reports: list[Report] = []
    started = time.monotonic()
    jobs.start(count_slowly, title="t", key="k", on_report=reports.append)
    qtbot.waitUntil(lambda: not jobs.is_busy("k"), timeout=30_000)
    assert 2 <= len(reports) <= 10 * (time.monotonic() - started) + 2
    assert reports[-1].eta_s is not None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InputError("Sections differ; take others."), "Sections differ; take others."),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "not enough memory"),
        (MemoryError(), "not enough memory"),
        (KeyError("oops"), "Help > Show logs"),
    ],
)
def test_a_failure_is_one_notification(
    jobs: Jobs, qtbot: Any, notices: list[str], error: Exception, words: str
) -> None:
    def fail(progress: Progress) -> None:
        raise error

    jobs.start(fail, title="Doing it", key="k")
    qtbot.waitUntil(lambda: bool(notices))
    assert len(notices) == 1
    assert words in notices[0]
    assert "Traceback" not in notices[0]


def test_waiting_keeps_the_window_alive(jobs: Jobs, qtbot: Any) -> None:
    from qtpy.QtCore import QTimer

    ticks: list[int] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start(5)
    assert jobs.wait_for(lambda progress: time.sleep(0.2) or 7, title="t") == 7
    timer.stop()
    assert len(ticks) > 5


def test_waiting_raises_what_the_work_raised(jobs: Jobs, qtbot: Any) -> None:
    def fail(progress: Progress) -> None:
        raise InputError("No network.")

    with pytest.raises(InputError, match="No network"):
        jobs.wait_for(fail, title="t")


def test_closing_joins_the_threads(qtbot: Any) -> None:
    jobs = Jobs()
    job = jobs.start(count_slowly, title="t", key="k")
    qtbot.waitUntil(lambda: job.done > 1)
    jobs.close()
    assert job.worker is not None
    assert not job.worker.is_alive()


def test_inline_jobs_are_done_when_started(qtbot: Any) -> None:
    results: list[int] = []
    Jobs(inline=True).start(lambda p: 3, title="t", key="k", on_result=results.append)
    assert results == [3]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (40, "40 s"), (200, "3 min"), (7800, "2 h 10 min")]
)
def test_seconds_in_words(seconds: float, words: str) -> None:
    assert format_seconds(seconds) == words
    assert Report(12, 30, "", seconds).describe("sections") == f"12 of 30 sections, {words} left"


def test_the_time_left_begins_with_the_first_report(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute of loading, then ten sections of 2 s: 18 s are left after the first."""
    now = [0.0]
    monkeypatch.setattr("napari_emseg.gui.jobs.time.monotonic", lambda: now[0])
    reports: list[Report] = []

    def work(progress: Progress) -> None:
        for done in range(4):
            now[0] = 60.0 + 2 * done
            progress.update(done, 10)

    job = Job(work, "t", "k", "compute")
    job._reported.connect(lambda _job, report: reports.append(report))
    job.run()
    assert [report.eta_s for report in reports] == [None, 18.0, 16.0, 14.0]


def test_a_job_that_outlives_its_window_ends_in_silence(qtbot: Any) -> None:
    from qtpy import sip

    job = Job(lambda progress: sip.delete(job), "t", "k", "load")
    job.run()
    assert sip.isdeleted(job)

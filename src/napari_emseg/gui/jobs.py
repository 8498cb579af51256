"""The only place that starts threads: one computation, its progress, its end.

A job is a plain function of a `Progress`. Its inputs are taken on the main
thread before it starts, its result arrives on the main thread, unless a newer
job with the same key was started meanwhile: then the result is dropped.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from napari.utils.notifications import show_error, show_warning
from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QEventLoop, QObject, Signal  # type: ignore[attr-defined]

from napari_emseg.errors import InputError
from napari_emseg.progress import Cancelled, Progress
from napari_emseg.time_left import TimeLeft

Work = Callable[[Progress], Any]
logger = logging.getLogger(__name__)
REPORT_INTERVAL_S = 0.25  # each report repaints the window
FILES = "files"  # the lane of jobs that closing the window waits for
_PATIENT_LANES = ("accelerator", "compute", FILES)
QUIET_S = 0.4  # shorter jobs do not flash up in napari's activity area


@dataclass(frozen=True)
class Report:
    """How far a job is."""

    done: int
    total: int
    message: str = ""
    eta_s: float | None = None

    def describe_share(self) -> str:
        """Say it in words where nothing is counted, as in "40 %, 12 s left"."""
        left = f", {format_seconds(self.eta_s)} left" if self.eta_s is not None else ""
        return f"{100 * self.done // max(self.total, 1)} %{left}"

    def describe(self, noun: str) -> str:
        """Say it in words, as in "12 of 30 sections, 40 s left"."""
        left = f", {format_seconds(self.eta_s)} left" if self.eta_s is not None else ""
        return f"{self.done} of {self.total} {noun}{left}"


class Job(QObject):
    """A computation that waits, runs or has ended."""

    _reported = Signal(object, object)
    _ended = Signal(object, object, object)

    def __init__(self, work: Work, title: str, key: str, lane: str) -> None:
        super().__init__()
        self.work, self.title, self.key, self.lane = work, title, key, lane
        self.on_result: Callable[[Any], None] | None = None
        self.on_report: Callable[[Report], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.done = 0
        self.worker: threading.Thread | None = None
        self.activity: cancelable_progress | None = None
        self._stop = threading.Event()
        self._started = self._last_report = 0.0
        self._time_left = TimeLeft()

    @property
    def is_stopping(self) -> bool:
        """Whether somebody pressed Stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the job to end; it does so at its next report."""
        self._stop.set()

    def update(self, done: int, total: int, message: str = "") -> None:
        """Receive a report of the computation (on its thread)."""
        self.done = done
        if self._stop.is_set():
            raise Cancelled
        now = time.monotonic()
        eta = self._time_left.estimate_s(done, total, now)
        if now - self._last_report < REPORT_INTERVAL_S and done < total:
            return
        self._last_report = now
        self._reported.emit(self, Report(done, total, message, eta))

    def run(self) -> None:
        """Compute; called on the job's thread."""
        self._started = time.monotonic()
        if self.lane in _PATIENT_LANES and threading.current_thread() is self.worker:
            _step_back()
        try:
            if self._stop.is_set():
                raise Cancelled
            result, error = self.work(self), None
        except BaseException as caught:  # also MemoryError, SystemExit of a library
            result, error = None, caught
        with suppress(RuntimeError):  # the window has gone, and with it who would hear it
            self._ended.emit(self, result, error)


class Jobs(QObject):
    """Runs jobs, one at a time in each lane ("accelerator", "compute", "files")."""

    changed = Signal()

    def __init__(self, *, inline: bool = False, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.inline = inline
        self._newest: dict[str, Job] = {}
        self._running: dict[str, Job] = {}
        self._waiting: defaultdict[str, deque[Job]] = defaultdict(deque)
        self._waited: set[Job] = set()
        self._closed = False
        self._is_showing = False

    def start(
        self,
        work: Work,
        *,
        title: str,
        key: str,
        lane: str = "compute",
        on_result: Callable[[Any], None] | None = None,
        on_report: Callable[[Report], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> Job:
        """Compute `work` in the background, instead of any older job with this key.

        Parameters
        ----------
        work : callable
            ``work(progress)``; must not touch Qt, layers or anything that can
            change meanwhile.
        title : str
            What people read in the activity area and in messages.
        key : str
            A newer job with the same key replaces this one.
        lane : str
            Jobs of one lane run one after the other.
        on_result, on_report, on_end : callable, optional
            Called on the main thread: with the result, with a `Report` at most
            a few times a second, and after the job ended in whatever way.
        """
        job = Job(work, title, key, lane)
        job.on_result, job.on_report, job.on_end = on_result, on_report, on_end
        job._reported.connect(self._on_job_reported)
        job._ended.connect(self._on_job_ended)
        self.stop(key)
        self._newest[key] = job
        if self._closed:
            return job
        if self.inline:
            self._running[lane] = job
            self.changed.emit()
            job.run()
            return job
        self._waiting[lane].append(job)
        self._next(lane)
        self.changed.emit()
        return job

    def wait_for(self, work: Work, *, title: str) -> Any:
        """Compute `work` in the background and return its result; the window stays alive.

        Raises
        ------
        InputError
            If the user stopped it.
        Exception
            Whatever `work` raises.
        """
        outcome: list[tuple[Any, BaseException | None]] = []
        loop = QEventLoop()
        job = Job(work, title, "wait", "wait")
        job._reported.connect(_show_activity)
        job._ended.connect(lambda _job, result, error: outcome.append((result, error)))
        job._ended.connect(loop.quit)
        job.worker = threading.Thread(target=job.run, name="emseg wait", daemon=True)
        self._waited.add(job)
        job.worker.start()
        loop.exec()
        self._waited.discard(job)
        _close_activity(job)
        result, error = outcome[0]
        if isinstance(error, Cancelled):
            raise InputError(f"{title} was stopped.") from None
        if error is not None:
            raise error
        return result

    def stop(self, key: str) -> None:
        """Stop the job with this key, if there is one."""
        job = self._newest.get(key)
        if job is None:
            return
        job.stop()
        if job in self._waiting[job.lane]:
            self._waiting[job.lane].remove(job)
            self._finish(job)

    def is_busy(self, key: str) -> bool:
        """Whether the job with this key waits or runs."""
        return key in self._newest

    def busy_titles(self) -> list[str]:
        """Titles of the jobs that wait or run."""
        return [job.title for job in self._newest.values()]

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop everything, wait briefly, deliver nothing more; files are written to their end."""
        self._closed = True
        deadline = time.monotonic() + timeout_s
        jobs = list(self._running.values())
        for job in [*jobs, *self._newest.values(), *self._waited]:
            if job.lane != FILES:
                job.stop()
            _close_activity(job)
        for job in jobs:
            if job.worker is not None:
                in_time = max(0.0, deadline - time.monotonic())
                job.worker.join(None if job.lane == FILES else in_time)
        for job in self._waiting[FILES]:
            job.run()
        self._newest.clear()
        self._waiting.clear()

    def _next(self, lane: str) -> None:
        if lane in self._running or not self._waiting[lane]:
            return
        job = self._running[lane] = self._waiting[lane].popleft()
        job.worker = threading.Thread(target=job.run, name=f"emseg {job.key}", daemon=True)
        job.worker.start()

    def _on_job_reported(self, job: Job, report: Report) -> None:
        # napari's bars let events through, among them the next report: it is left out
        if self._is_showing or not self._is_wanted(job):
            return
        self._is_showing = True
        try:
            if job.on_report is not None:
                job.on_report(report)
            if self._is_wanted(job):
                _show_activity(job, report)
        finally:
            self._is_showing = False

    def _is_wanted(self, job: Job) -> bool:
        """Whether somebody is to be told how far a job is."""
        if self._closed or self._running.get(job.lane) is not job:
            return False
        return not job.is_stopping and self._newest.get(job.key) is job

    def _on_job_ended(self, job: Job, result: Any, error: BaseException | None) -> None:
        if self._running.get(job.lane) is job:
            del self._running[job.lane]
        _close_activity(job)
        if self._closed:
            return
        is_newest = self._newest.get(job.key) is job
        if is_newest and error is None and not job.is_stopping and job.on_result is not None:
            _guarded(job.on_result, result)
        if is_newest and error is not None:
            report_error(error, job.title)
        self._finish(job)
        self._next(job.lane)

    def _finish(self, job: Job) -> None:
        if self._newest.get(job.key) is job:
            del self._newest[job.key]
            if job.on_end is not None:
                _guarded(job.on_end)
        self.changed.emit()


def report_error(error: BaseException, title: str) -> None:
    """Tell the user of a failure in one notification; details go to the log."""
    if isinstance(error, Cancelled):
        return
    if isinstance(error, InputError):
        show_warning(str(error))
        return
    logger.error("%s failed", title, exc_info=error)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        show_error(
            f"{title}: not enough memory. Close other programs, or take a smaller part of the "
            "stack (in Boundaries, the CPU under Advanced helps when the graphics card is full)."
        )
        return
    show_error(
        f"{title} failed and nothing was changed ({type(error).__name__}: {error}). "
        "Details are in Help > Show logs."
    )


def format_seconds(seconds: float) -> str:
    """Write a duration as people say it: "40 s", "3 min", "2 h 10 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _step_back() -> None:
    """Let the window's thread go first, where the system can say so of one thread.

    Threads started from this one (torch's, numba's) inherit it.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _guarded(function: Callable[..., None], *args: Any) -> None:
    """Call a slot so that its failure is reported and the queue goes on."""
    try:
        function(*args)
    except Exception as error:
        report_error(error, "Showing the result")


class _Activity(cancelable_progress):  # type: ignore[misc]
    """A bar in napari's activity area whose Cancel button stops the job."""

    job: Job

    def cancel(self) -> None:
        super().cancel()
        self.job.stop()


def _show_activity(job: Job, report: Report) -> None:
    if job.activity is None:
        if time.monotonic() - job._started < QUIET_S or report.done >= report.total:
            return
        job.activity = _Activity(desc=job.title, total=report.total)
        job.activity.job = job
    step = report.done - job.activity.n
    if step > 0:
        job.activity.update(step)


def _close_activity(job: Job) -> None:
    activity, job.activity = job.activity, None
    if activity is not None:
        activity.close()

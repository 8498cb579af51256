"""A stop is answered while a call runs that cannot be stopped."""

from __future__ import annotations

import threading

import pytest

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Cancelled, Progress
from napari_emseg.steps.patience import answer_at_once


class StopAt:
    """Remembers reports; stops when one of `message` comes again."""

    def __init__(self, message: str) -> None:
        self.reports: list[tuple[int, int, str]] = []
        self.message = message

    def update(self, done: int, total: int, message: str = "") -> None:
        is_said_again = message == self.message and (done, total, message) in self.reports
        self.reports.append((done, total, message))
        if is_said_again:
            raise Cancelled


def test_a_stop_does_not_wait_for_a_call_that_reports_nothing() -> None:
    release, left = threading.Event(), threading.Event()

    def solve(progress: Progress) -> None:
        progress.update(3, 10, "solving")
        release.wait()  # a solver, for as long as it likes
        try:
            progress.update(4, 10, "solved")
        except Cancelled:
            left.set()
            raise

    with pytest.raises(Cancelled):
        answer_at_once(solve, StopAt("solving"))
    assert not release.is_set()
    release.set()
    assert left.wait(60), "the thread ends at its next report"


def test_reports_results_and_errors_pass_through() -> None:
    listener = StopAt("never")

    def count(progress: Progress) -> int:
        progress.update(2, 2, "counted")
        return 5

    def fail(progress: Progress) -> None:
        raise InputError("Too few sections.")

    assert answer_at_once(count, listener) == 5
    assert listener.reports[0] == (2, 2, "counted")
    with pytest.raises(InputError, match="Too few"):
        answer_at_once(fail, NO_PROGRESS)

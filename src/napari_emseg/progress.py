"""How a long computation reports and how it is stopped.

A computation takes ``progress: Progress = NO_PROGRESS`` and calls
``progress.update(done, total, message)`` at least once per block. It knows
nothing of threads or progress bars; a stop is an exception raised by that call.
"""

from __future__ import annotations

from typing import Protocol


class Cancelled(Exception):
    """Raised by :meth:`Progress.update` when the user pressed Stop."""


class Progress(Protocol):
    """Receiver of progress reports."""

    def update(self, done: int, total: int, message: str = "") -> None:
        """Report that `done` of `total` units are finished.

        Raises
        ------
        Cancelled
            If the computation should stop now.
        """


class NoProgress:
    """Ignores every report and never cancels."""

    def update(self, done: int, total: int, message: str = "") -> None:
        """Do nothing."""


NO_PROGRESS = NoProgress()

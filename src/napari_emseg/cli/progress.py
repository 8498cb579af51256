"""Progress on a terminal: one line that moves, or a line now and then in a log."""

from __future__ import annotations

import time
from typing import TextIO

from napari_emseg.time_left import TimeLeft

_BAR_WIDTH = 24
_REDRAW_S = 0.1
_LOG_EVERY_S = 10.0


class TerminalProgress:
    """Shows what a computation reports.

    Parameters
    ----------
    stream : text stream
        Usually stderr. On a terminal one line is redrawn, elsewhere a line is
        written every ten seconds.
    quiet : bool, optional
        Show nothing.
    """

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._is_terminal = stream.isatty()
        self._shown = time.monotonic()
        self._time_left = TimeLeft()
        self._is_line_open = False

    def update(self, done: int, total: int, message: str = "") -> None:
        """Show that `done` of `total` units are finished."""
        if self._quiet:
            return
        now = time.monotonic()
        left_s = self._time_left.estimate_s(done, total, now)
        if now - self._shown < (_REDRAW_S if self._is_terminal else _LOG_EVERY_S):
            return
        self._shown = now
        words = _words(done, total, message, left_s)
        if self._is_terminal:
            self._stream.write(f"\r\x1b[K{_bar(done, total)} {words}")
            self._is_line_open = True
        else:
            self._stream.write(words + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Clear the moving line."""
        if self._is_line_open:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._is_line_open = False


def _bar(done: int, total: int) -> str:
    full = round(_BAR_WIDTH * min(1.0, done / max(1, total)))
    return "#" * full + "." * (_BAR_WIDTH - full)


def _words(done: int, total: int, message: str, left_s: float | None) -> str:
    words = message or f"{done} of {total}"
    return words if left_s is None else f"{words}, {format_seconds(left_s)} left"


def format_seconds(seconds: float) -> str:
    """Write a duration for people.

    Examples
    --------
    >>> format_seconds(40), format_seconds(150), format_seconds(7500)
    ('40 s', '2 min', '2 h 5 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"

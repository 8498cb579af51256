"""Ctrl-C and polite kills that wait for the end of a step, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from napari_emseg.progress import Progress

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class HeldInterrupts:
    """Within the block, remembers interrupts and raises them when progress is reported.

    A second interrupt is not held back; one that the program was started to ignore
    (in the background of a script, with nohup) stays ignored. Outside of the main thread, where
    signals do not arrive, nothing is changed.

    Parameters
    ----------
    progress : Progress
        Told what this is told.

    Examples
    --------
    >>> from napari_emseg.progress import NO_PROGRESS
    >>> with HeldInterrupts(NO_PROGRESS) as progress:
    ...     progress.update(1, 2, "half")
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._is_interrupted = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            heeded = [n for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._hold) for number in heeded}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def update(self, done: int, total: int, message: str = "") -> None:
        """Report progress.

        Raises
        ------
        KeyboardInterrupt
            If an interrupt came since the last report.
        """
        if self._is_interrupted:
            raise KeyboardInterrupt
        self._progress.update(done, total, message)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        self._is_interrupted = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            # None: it was not set from Python, and cannot be
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

"""A stop is answered at once, whatever is being computed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from napari_emseg.progress import Cancelled, Progress

T = TypeVar("T")
_ASK_EVERY_S = 0.1


def answer_at_once(work: Callable[[Progress], T], progress: Progress) -> T:
    """Compute in a thread of its own, and leave it alone when somebody stops.

    Solvers of the libraries take up to half a minute in one call that cannot be stopped.
    After a stop the thread ends by itself at its next report, and what it made is dropped.

    Parameters
    ----------
    work : callable
        ``work(progress)``; must not change anything that lives on.
    progress : Progress
        Told what `work` reports, several times a second also in between.

    Returns
    -------
    object
        What `work` returns.

    Raises
    ------
    Cancelled
        As soon as `progress` raises it.
    Exception
        Whatever `work` raises.

    Examples
    --------
    >>> from napari_emseg.progress import NO_PROGRESS
    >>> answer_at_once(lambda progress: 6 * 7, NO_PROGRESS)
    42
    """
    going = _Going(work, progress)
    thread = threading.Thread(target=going.run, name="emseg patience", daemon=True)
    thread.start()
    try:
        while not going.ended.wait(_ASK_EVERY_S):
            going.repeat()
    except BaseException:
        going.is_left = True
        raise
    if going.error is not None:
        raise going.error
    return going.results[0]


class _Going(Generic[T]):
    """A computation in another thread; also what it reports to."""

    def __init__(self, work: Callable[[Progress], T], progress: Progress) -> None:
        self._work, self._progress = work, progress
        self._one_at_a_time = threading.Lock()
        self._last: tuple[int, int, str] | None = None
        self.results: list[T] = []
        self.error: BaseException | None = None
        self.ended = threading.Event()
        self.is_left = False

    def run(self) -> None:
        try:
            self.results.append(self._work(self))
        except BaseException as error:  # raised where it is waited for
            self.error = error
        self.ended.set()

    def update(self, done: int, total: int, message: str = "") -> None:
        """Pass a report of the computation on."""
        with self._one_at_a_time:
            if self.is_left:
                raise Cancelled
            self._last = (done, total, message)
            self._progress.update(done, total, message)

    def repeat(self) -> None:
        """Say the last report again, so that a stop is heard."""
        with self._one_at_a_time:
            if self._last is not None:
                self._progress.update(*self._last)

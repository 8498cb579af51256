"""The same work on many sections, on all the processors this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from napari_emseg.progress import Progress

Result = TypeVar("Result")


class Steps:
    """Counts steps of several phases as one progress, from 0 to `total`."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def finish_one(self, message: str) -> None:
        """Report one more finished step; raises ``Cancelled`` like the progress."""
        self._done += 1
        self._progress.update(self._done, self._total, message)


def ignore() -> None:
    """Report to nobody."""


def usable_cpus() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_threads(
    function: Callable[[int], Result],
    n_items: int,
    report: Callable[[], None] = ignore,
) -> list[Result]:
    """Return ``[function(0), function(1), ...]``, computed by several threads.

    `report` is called from this thread after each item, in order. An error in
    `function` or `report`, such as a cancellation, is raised here as soon as the
    items then being computed are finished.
    """
    results: list[Result] = []
    with ThreadPoolExecutor(min(usable_cpus(), n_items)) as pool:
        futures = [pool.submit(function, i) for i in range(n_items)]
        try:
            for future in futures:
                results.append(future.result())
                report()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results

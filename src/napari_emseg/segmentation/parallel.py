"""The same work on many sections, on all the processors this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from napari_emseg.progress import Progress

Result = TypeVar("Result")
SLAB = 8  # sections a thread works on at a time, at most


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
    if n_items == 0:
        return results
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


def slabs_of(n_z: int) -> list[slice]:
    """Divide `n_z` sections so that every processor has some, a few at a time."""
    thick = max(1, min(SLAB, n_z // (2 * usable_cpus())))
    return [slice(z, min(z + thick, n_z)) for z in range(0, n_z, thick)]


def for_each_slab(
    function: Callable[[int, int], Result], n_z: int, report: Callable[[], None] = ignore
) -> list[Result]:
    """Return ``function(z_start, z_stop)`` for slabs of `n_z` sections, by several threads.

    A single section is worked on here: its caller's threads have one each.
    """
    slabs = slabs_of(n_z)
    if len(slabs) > 1:
        return map_threads(lambda i: function(slabs[i].start, slabs[i].stop), len(slabs), report)
    result = function(0, n_z)
    report()
    return [result]

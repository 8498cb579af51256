"""A thread that makes batches ahead."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from napari_emseg.training.batch_arrays import Arrays, make_arrays
from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.params import TrainParams
from napari_emseg.training.sources import Source

_AHEAD = 2


class SideThread:
    """Makes batches ahead in one thread, where processes cannot be started."""

    def __init__(self, sources: Sequence[Source], params: TrainParams, spec: InputSpec) -> None:
        self._make = partial(make_arrays, sources, params, spec)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: dict[int, Future[Arrays]] = {}

    def get(self, step: int) -> Arrays:
        for wanted in range(step, step + 1 + _AHEAD):
            if wanted not in self._ahead:
                self._ahead[wanted] = self._thread.submit(self._make, wanted)
        return self._ahead.pop(step).result()

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

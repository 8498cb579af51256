"""How many steps of a training fit into a budget of time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_emseg.progress import Cancelled
from napari_emseg.training import TrainingPair, TrainParams, train

_PROBE_S = 8.0


class _Probe:
    """Stops a training when its steps have been timed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.times = [clock()]

    def update(self, done: int, total: int, message: str = "") -> None:
        self.times.append(self.clock())
        if len(self.times) > 4 and self.times[-1] - self.times[0] > _PROBE_S:
            raise Cancelled


def seconds_per_step(
    pair: TrainingPair, out: Path, params: TrainParams, clock: Callable[[], float]
) -> float:
    """Measure what a step takes, those at the start, which compile, left out."""
    watch = _Probe(clock)
    endless = params.model_copy(update={"steps": 10**6})
    bare = replace(pair, validation_sections=())
    with contextlib.suppress(Cancelled):
        train([bare], out.with_name("probe.safetensors"), params=endless, progress=watch)
    return float(np.mean(np.diff(watch.times)[2:]))

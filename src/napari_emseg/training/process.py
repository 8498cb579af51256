"""Training in a process of its own, so that a window never waits for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.training.params import TrainParams
from napari_emseg.training.result import TrainResult
from napari_emseg.training.watch import Watch

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo


def train_in_process(
    pairs: Sequence[TrainingPair],
    out_path: str | os.PathLike[str],
    *,
    params: TrainParams | None = None,
    info: ModelInfo | None = None,
    watch: Watch | None = None,
    progress: Progress = NO_PROGRESS,
    resume: bool = False,
) -> TrainResult:
    """Train as :func:`napari_emseg.training.train`.

    Parameters
    ----------
    pairs, out_path, params, info, progress, resume
        As of :func:`napari_emseg.training.train`.
    watch : Watch, optional
        Told how the training stands, and asked what to show.

    Raises
    ------
    InputError, Cancelled
        As :func:`napari_emseg.training.train`.
    """
    from napari_emseg.training.trainer import train
    from napari_emseg.training.watching import Watching

    hooks = [] if watch is None else [Watching(watch, params or TrainParams())]
    return train(
        pairs, out_path, params=params, info=info, progress=progress, resume=resume, hooks=hooks
    )

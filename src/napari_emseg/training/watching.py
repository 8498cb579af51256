"""Looking on for a :class:`napari_emseg.training.watch.Watch`."""

from __future__ import annotations

from napari_emseg.training.hooks import Hook, Moment
from napari_emseg.training.params import TrainParams
from napari_emseg.training.watch import Watch, thin

_SMOOTHING = 0.95


class Watching(Hook):
    """Tells a watch how a training stands.

    Parameters
    ----------
    watch : Watch
    params : TrainParams
    """

    def __init__(self, watch: Watch, params: TrainParams) -> None:
        self._watch = watch
        self._samples_per_step = params.batch_size * params.accumulate_batches
        self._loss: float | None = None

    def on_step(self, moment: Moment) -> None:
        before = self._loss
        loss = moment.loss
        if before is not None:
            loss = _SMOOTHING * before + (1 - _SMOOTHING) * moment.loss
        self._loss = loss
        state = self._watch.state()
        self._watch.tell(
            step=moment.step,
            seconds=moment.seconds,
            samples=moment.step * self._samples_per_step,
            loss=loss,
            losses=thin((*state.losses, (moment.step, loss))),
        )

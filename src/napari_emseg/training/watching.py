"""Looking on for a :class:`napari_emseg.training.watch.Watch`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari_emseg.training.hooks import Hook, Moment, Standing
from napari_emseg.training.live_map import LiveMap
from napari_emseg.training.params import TrainParams
from napari_emseg.training.scores import mean_scores
from napari_emseg.training.watch import Points, Validations, Watch, thin
from napari_emseg.volume import ZYX

_SMOOTHED_STEPS = 20
"""About over how many steps a loss is smoothed."""
_UNTYPICAL_STEPS = 3
"""So many steps after a start take longer, as everything is done for the first time."""


class Begun(Hook):
    """Calls a function after the first step: from then on there is something to save."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell: Callable[[], None] | None = tell

    def on_step(self, moment: Moment) -> None:
        """Tell once."""
        if self._tell is not None:
            self._tell()
            self._tell = None


class Watching(Hook):
    """Tells a watch how a training stands, and now and then shows it the map it asks for.

    Parameters
    ----------
    watch : Watch
    params : TrainParams
    voxel_size_nm : (z, y, x) or None
        Of what is trained on: sections of a far other one are resampled to be looked at.
    """

    def __init__(self, watch: Watch, params: TrainParams, voxel_size_nm: ZYX | None) -> None:
        self._watch = watch
        self._params = params
        self._samples_per_step = params.batch_size * params.accumulate_batches
        self._live_map = LiveMap(watch, params.device, voxel_size_nm)
        self._steps_here = 0
        self._loss = float("nan")
        self._start = (0, 0.0)

    def on_begin(self, standing: Standing) -> None:
        """Take over the curve of what was done before."""
        losses = _losses_of(standing.curve)
        self._loss = losses[-1][1] if losses else float("nan")
        self._live_map.begin(standing.earlier)
        self._watch.tell(
            step=standing.step,
            seconds=standing.seconds,
            samples=standing.step * self._samples_per_step,
            loss=self._loss,
            losses=losses,
            validations=_validations_of(standing.curve),
            best_step=standing.best_step,
            best_score=standing.best_score,
            eta_s=None,
        )

    def on_step(self, moment: Moment) -> None:
        """Tell of the loss; show a map if one is due."""
        self._note_loss(moment)
        self._live_map.go_on(moment)

    def on_scores(self, standing: Standing) -> None:
        """Tell of a validation."""
        validations = self._watch.state().validations
        if found := mean_scores(standing.scores):
            validations = (*validations, (standing.step, found))
        self._watch.tell(
            seconds=standing.seconds,
            validations=validations,
            best_step=standing.best_step,
            best_score=standing.best_score,
        )

    def _note_loss(self, moment: Moment) -> None:
        self._steps_here += 1
        if self._steps_here <= _UNTYPICAL_STEPS:
            self._start = (moment.step, moment.seconds)
        share = max(1 / _SMOOTHED_STEPS, 1 / self._steps_here)
        is_first = self._loss != self._loss
        self._loss = moment.loss if is_first else self._loss + share * (moment.loss - self._loss)
        state = self._watch.state()
        self._watch.tell(
            step=moment.step,
            seconds=moment.seconds,
            samples=moment.step * self._samples_per_step,
            loss=self._loss,
            losses=thin((*state.losses, (moment.step, self._loss))),
            eta_s=self._tell_rest(moment),
        )

    def _tell_rest(self, moment: Moment) -> float | None:
        """Return how many seconds are left."""
        if self._params.minutes is not None:
            return max(0.0, 60 * self._params.minutes - moment.seconds)
        steps, seconds = moment.step - self._start[0], moment.seconds - self._start[1]
        return seconds / steps * (self._params.steps - moment.step) if steps else None


def _losses_of(curve: Sequence[Mapping[str, Any]]) -> Points:
    points: Points = tuple((r["step"], r["loss"]) for r in curve if r.get("loss") is not None)
    while len(thin(points)) < len(points):
        points = thin(points)
    return points


def _validations_of(curve: Sequence[Mapping[str, Any]]) -> Validations:
    found = ((record["step"], mean_scores(record.get("scores", {}))) for record in curve)
    return tuple((step, scores) for step, scores in found if scores)

"""The training of one viewer: started, paused, taken up again, finished. Docks only show it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.jobs import Report
from napari_emseg.gui.models.known import known_models_of
from napari_emseg.gui.train.live_map import TrainMap
from napari_emseg.gui.train.record import (
    TrainingRecord,
    find_unfinished,
    forget,
    place_for,
)
from napari_emseg.progress import Progress
from napari_emseg.steps.train import TrainChoice, params_of
from napari_emseg.training.painting import MEMBRANE
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.training.result import STATE_SUFFIX, TrainResult
from napari_emseg.training.watch import Points, Validations, Watch, WatchState

if TYPE_CHECKING:
    from napari_emseg.training.params import TrainParams

State = Literal["none", "running", "pausing", "finishing", "paused", "finished"]
KEY = "train"


class Training(QObject):
    """The one training of a viewer.

    Signals: `reported` with a report of the job; `changed` when the state differs.
    """

    reported = Signal(object)
    changed = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context = context
        self.state: State = "none"
        self.watch: Watch | None = None
        self.params: TrainParams | None = None
        self.record: TrainingRecord | None = None
        self.model_path: Path | None = None
        self.result: TrainResult | None = None
        self.share = 0.0
        self._earlier = WatchState()  # of before it was taken up again
        self.known_px: tuple[int | None, int | None] = (None, None)
        self.map = TrainMap(context)
        self._look_for_unfinished()

    @property
    def is_busy(self) -> bool:
        """Whether the training runs, or is about to stop."""
        return self.state in ("running", "pausing", "finishing")

    @property
    def name(self) -> str:
        """Name of the model in the library, "" before there is one."""
        return self.model_path.stem if self.model_path is not None else ""

    @property
    def losses(self) -> Points:
        """The loss over the steps, also those of before it was taken up again."""
        now = self.watch.state().losses if self.watch is not None else ()
        first = now[0][0] if now else math.inf
        return (*(point for point in self._earlier.losses if point[0] < first), *now)

    @property
    def validations(self) -> Validations:
        """The scores over the steps, also those of before it was taken up again."""
        now = self.watch.state().validations if self.watch is not None else ()
        first = now[0][0] if now else math.inf
        return (*(point for point in self._earlier.validations if point[0] < first), *now)

    def start(self, pairs: Sequence[TrainingPair], choice: TrainChoice, title: str) -> None:
        """Train a new model.

        Raises
        ------
        InputError
            If one is being trained, the name is taken, or the choice cannot be used.
        """
        if self.is_busy or self.state == "paused":
            raise InputError("A training is not finished: resume it, or keep it as it is, first.")
        from napari_emseg.networks.library import user_folder

        params, taken = params_of(choice, pairs), known_models_of(self._context).all
        self.model_path = place_for(title, user_folder(), [info.name for info in taken])
        self.params = params
        names = tuple(pair.name for pair in pairs)
        self.record = TrainingRecord.here(title=title.strip(), choice=choice, data=names)
        self.watch, self.share, self._earlier = Watch(), 0.0, WatchState()
        self._run(pairs, resume=False)

    def resume(self, pairs: Sequence[TrainingPair]) -> None:
        """Go on where the training was paused, with the labels as they are now.

        Raises
        ------
        InputError
            If there is nothing to go on with.
        """
        if self.state != "paused" or self.record is None:
            raise InputError("No training is paused: press Train to start one.")
        choice = self.record.choice
        self.params = params_of(choice, pairs)
        self.record = TrainingRecord.here(
            title=self.record.title, choice=choice, data=self.record.data
        )
        self._earlier = WatchState(losses=self.losses, validations=self.validations)
        self.watch = Watch()
        self._run(pairs, resume=True)

    def pause(self) -> None:
        """Stop after the present step; everything needed to go on is saved."""
        if self.state == "running":
            self._stop("pausing")

    def finish(self) -> None:
        """Stop, and keep the best model so far."""
        if self.state == "running":
            self._stop("finishing")
        elif self.state == "paused":
            self._finish()

    def _run(self, pairs: Sequence[TrainingPair], *, resume: bool) -> None:
        assert self.record is not None
        assert self.model_path is not None
        assert self.watch is not None
        self.record.write(self.model_path)
        self.known_px = count_paint(pairs)
        self.result, self.state = None, "running"
        self.map.follow(self.watch, self.record.title)
        self._context.jobs.start(
            partial(_train, tuple(pairs), self.record, self.model_path, self.watch, resume),
            title=f"Training {self.record.title}",
            key=KEY,
            lane=KEY,  # predictions go on meanwhile
            on_report=self._on_report,
            on_result=self._on_result,
            on_end=self._on_end,
        )
        self.changed.emit()

    def _stop(self, state: State) -> None:
        self.state = state
        self._context.jobs.stop(KEY)
        self.changed.emit()

    def _on_report(self, report: Report) -> None:
        self.share = report.done / max(report.total, 1)
        self.map.refresh()
        self.reported.emit(report)

    def _on_result(self, result: TrainResult) -> None:
        self.result = result

    def _on_end(self) -> None:
        self.map.refresh()
        self.map.end()
        if self.result is not None or self.state == "finishing":
            self._finish()
            return
        assert self.model_path is not None
        is_saved = self.model_path.with_suffix(STATE_SUFFIX).exists()
        if not is_saved:
            forget(self.model_path)
        self.state = "paused" if is_saved else "none"
        self.changed.emit()

    def _finish(self) -> None:
        """Put the model where it is used: chosen in Boundaries."""
        assert self.model_path is not None
        forget(self.model_path)
        if not self.model_path.exists():  # stopped before there was anything to keep
            self.state, self.model_path = "none", None
            self.changed.emit()
            return
        self.state = "finished"
        self._put_maps_aside()
        self._context.session.change("predict", model=self.name)
        show_info(f"The model '{self.name}' is in the library, and chosen in Boundaries.")
        self.changed.emit()

    def _put_maps_aside(self) -> None:
        """Let no prediction go on with maps that the model made before it had learned this much."""
        maps = self._context.maps
        for layer in self._context.viewer.layers:
            how, done = maps.how(layer), maps.done(layer)
            if done is None or how.get("model") != self.name:
                continue
            maps.begin(layer, how, None)
            maps.done(layer)[:] = done  # type: ignore[index]

    def _look_for_unfinished(self) -> None:
        from napari_emseg.networks.library import user_folder

        found = find_unfinished(user_folder())
        if found is not None:
            self.model_path, self.record = found
            self.state = "paused"


def _train(
    pairs: tuple[TrainingPair, ...],
    record: TrainingRecord,
    path: Path,
    watch: Watch,
    resume: bool,
    progress: Progress,
) -> TrainResult:
    from napari_emseg.steps import train

    return train.run(
        pairs,
        choice=record.choice,
        out_path=path,
        title=record.title,
        watch=watch,
        resume=resume,
        progress=progress,
    )


def count_paint(pairs: Sequence[TrainingPair]) -> tuple[int | None, int | None]:
    """Count the painted pixels of membrane and of cells; None where not all labels are paint."""
    if any(pair.labels_kind != "painted" for pair in pairs):
        return None, None
    sections = [pair.labels.read(z) for pair in pairs for z in pair.train_sections]
    painted = sum(int(np.count_nonzero(section)) for section in sections)
    membrane = sum(int(np.count_nonzero(section == MEMBRANE)) for section in sections)
    return membrane, painted - membrane


def training_of(context: Context) -> Training:
    """Return the one training of a context, made when first asked for."""
    found = context.findChild(Training)
    return found if found is not None else Training(context)

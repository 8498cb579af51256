"""The prediction of one viewer: which map is filled, and how far it is.

Several docks may show it; there is one of it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_emseg.errors import InputError
from napari_emseg.gui.boundaries.filled import Filled
from napari_emseg.gui.boundaries.large_maps import folder_if_large, store_name
from napari_emseg.gui.boundaries.looks import Looks, look_at_section
from napari_emseg.gui.boundaries.preparing import Preparing
from napari_emseg.gui.context import Context
from napari_emseg.gui.jobs import Job, Report
from napari_emseg.gui.layers import add_volume, free_name
from napari_emseg.gui.maps import how_of
from napari_emseg.progress import Progress
from napari_emseg.steps.affected import differ_in_sections_only, unaffected
from napari_emseg.steps.predict import PredictParams
from napari_emseg.steps.step import StepRecord, record_step, with_record
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Layer


class Predicting(QObject):
    """Fills boundary layers, the visible section first.

    Signals: `reported` with a report of the job, `ended` when it has stopped.
    """

    reported = Signal(object)
    ended = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context = context
        self._job: Job | None = None
        self._layer: Layer | None = None  # being filled
        self._filled: Filled | None = None
        self._added: tuple[Layer, Layer | None] | None = None  # with the map chosen before
        self._marked = 0  # of the sections written
        self._looks = Looks(context)
        self._preparing = Preparing(context)

    @property
    def is_running(self) -> bool:
        """Whether a prediction runs or waits."""
        return self._context.jobs.is_busy("predict")

    @property
    def words(self) -> str:
        """How far the map is that was filled last; blank when it is whole."""
        layer = self._layer if self._layer in self._context.viewer.layers else None
        done = self._context.maps.done(layer)
        if done is None or done.all():
            return " "
        return f"{int(done.sum())} of {done.size} sections done"

    def stop(self) -> bool:
        """Stop after the present block; say whether there was anything to stop."""
        was_running = self.is_running
        self._context.jobs.stop("predict")
        return was_running

    def start(self, what: Literal["section", "all"]) -> None:
        """Predict the visible section, or every section that is not done.

        Raises
        ------
        InputError
            If a prediction runs already, or there is nothing to predict.
        """
        context = self._context
        if self.is_running:
            raise InputError("A prediction is running: press Stop first, or wait for it.")
        raw, params = context.volume("raw"), context.session.predict
        from napari_emseg.networks.library import find_model
        from napari_emseg.steps.predict import check_models

        check_models(params)
        info = find_model(params.model)
        if what == "section" and (info.offsets or params.axes == "zyx"):
            self._start_look(raw, params)
            return
        folder = folder_if_large(raw, len(info.offsets) or 1)
        if info.offsets or (folder and what == "all"):
            self._start_whole(raw, params, folder)
            return
        layer, was_chosen = self._layer_for(raw, params, what)
        done = context.maps.done(layer)
        assert done is not None
        visible = context.section
        wanted = [visible] if what == "section" else [*range(visible, done.size), *range(visible)]
        sections = [z for z in wanted if not done[z]]
        if not sections:
            self._say_done(layer, what, was_chosen)
            return
        context.boundary_started.emit()
        context.show_result(layer)
        self._fill(layer, raw, params, sections)

    def _start_look(self, raw: Volume, params: PredictParams) -> None:
        """Predict the visible section of what only comes whole, to be looked at only."""
        source, section = self._context.layer("raw"), self._context.section
        assert source is not None
        if params.axes == "zyx":
            show_info(
                "The preview shows what the model sees along z; Predict all averages all three "
                "axes, for which it needs every section."
            )
        self._filled = self._layer = None
        self._job = self._context.jobs.start(
            partial(look_at_section, raw, section, params),
            title=f"Predicting boundaries of {raw.name}",
            key="predict",
            lane="accelerator",
            on_report=self.reported.emit,
            on_result=partial(self._looks.show, source, raw, params, section),
            on_end=self._on_ended,
        )

    def _start_whole(self, raw: Volume, params: PredictParams, folder: Path | None) -> None:
        """Predict what cannot be shown before it is done: affinities, or a map on the disk."""
        store = None if folder is None else folder / store_name(raw, params)
        if store is not None:
            show_info(f"The map would take too much memory: it is written to {store}.")
        self._filled = self._layer = None
        source, record = self._context.layer("raw"), record_step("predict", params, raw=raw)
        self._job = self._context.jobs.start(
            partial(_predict_whole, raw, params, store),
            title=f"Predicting boundaries of {raw.name}",
            key="predict",
            lane="accelerator",
            on_report=self.reported.emit,
            on_result=partial(self._on_whole_predicted, source, record, raw.name),
            on_end=self._on_ended,
        )

    def _on_whole_predicted(
        self, source: Layer | None, record: StepRecord, stem: str, made: Volume
    ) -> None:
        context = self._context
        if source not in context.viewer.layers:
            return
        self._looks.clear()
        with context.choosing():
            name = free_name(context.viewer, f"{stem} boundaries")
            layer = add_volume(context.viewer, made, like=source, name=name)
        context.set_layer("boundary", layer)
        context.show_result(layer)
        context.session.remember(record)

    def _say_done(self, layer: Layer, what: str, was_chosen: bool) -> None:
        if not was_chosen:  # the settings were set back to those of an earlier map
            self._context.show_result(layer)
            show_info(f"'{layer.name}' was made with these settings: it is used again.")
            return
        which = "This section" if what == "section" else "Every section"
        raise InputError(
            f"{which} has a boundary map already; change the model or the averaging to "
            "predict anew."
        )

    def _layer_for(self, raw: Volume, params: PredictParams, what: str) -> tuple[Layer, bool]:
        """Return the layer to fill, and whether it was the boundary map before.

        A look at one section with other settings does not put a whole map aside.
        """
        context = self._context
        raw_layer, chosen = context.layer("raw"), context.layer("boundary")
        assert raw_layer is not None
        layer = context.maps.find(reversed(context.viewer.layers), params, raw_layer)
        self._added = None
        if layer is None:
            layer = self._add_layer(raw, params, raw_layer)
            self._added = layer, chosen
        is_trial = what == "section" and chosen is not None and context.is_boundary_complete
        if not is_trial or context.maps.is_complete(layer):
            context.set_layer("boundary", layer)
        return layer, layer is chosen

    def _add_layer(self, raw: Volume, params: PredictParams, raw_layer: Layer) -> Layer:
        context = self._context
        name = free_name(context.viewer, f"{raw.name} boundaries")
        empty = np.zeros(raw.shape, np.float32)
        volume = raw.derive(empty, kind="boundary", name=name, unfinished=how_of(params))
        layer = add_volume(context.viewer, volume, like=raw_layer)
        context.maps.begin(layer, how_of(params), raw_layer)
        self._take_over(layer, params, raw_layer)
        return layer

    def _take_over(self, layer: Layer, params: PredictParams, raw_layer: Layer) -> None:
        """Copy the sections that another table of bad sections leaves as they are."""
        maps, done = self._context.maps, self._context.maps.done(layer)
        if done is None or params.axes != "z":
            return
        for other in reversed(self._context.viewer.layers):
            known = maps.how(other)
            if other is layer or maps.raw(other) is not raw_layer or not known:
                continue
            before = PredictParams(**known)
            ready = maps.done(other)
            if ready is None or not differ_in_sections_only(before, params):
                continue
            same = ready & unaffected(before, params, done.size)
            layer.data[same] = other.data[same]
            done |= same
            return

    def _fill(self, layer: Layer, raw: Volume, params: PredictParams, sections: list[int]) -> None:
        self._filled, self._marked, self._layer = Filled(layer.data), 0, layer
        record = record_step("predict", params, raw=raw)
        self._job = self._context.jobs.start(
            partial(_predict, raw, params, self._filled, sections),
            title=f"Predicting boundaries of {raw.name}",
            key="predict",
            lane="accelerator",
            on_report=self._on_report,
            on_result=partial(self._on_predicted, layer, record, raw),
            on_end=self._on_ended,
        )

    def _on_report(self, report: Report) -> None:
        self._mark_done()
        self.reported.emit(report)

    def _mark_done(self) -> None:
        """Count the sections written: reports tell how far the work is, which may be further."""
        if self._filled is None:
            return
        new = self._filled.sections[self._marked :]
        self._marked += len(new)
        layer = self._layer
        done = self._context.maps.done(layer)
        if not new or done is None or layer is None:
            return
        done[new] = True
        if self._context.section in new:
            layer.refresh(extent=False)
        if self._context.layer("boundary") is layer:
            self._context.boundary_grew.emit(new)

    def _on_predicted(
        self, layer: Layer, record: StepRecord, raw: Volume, boundary: Volume
    ) -> None:
        self._mark_done()
        context = self._context
        if not context.maps.is_complete(layer) or layer not in context.viewer.layers:
            return
        self._looks.clear()
        made = with_record(boundary, record, raw)
        layer.metadata = {**layer.metadata, "emseg": {**made.provenance, "kind": "boundary"}}
        context.session.remember(record)
        if context.layer("boundary") is layer:
            context.refresh_reference("boundary")
            context.layer_changed.emit("boundary")

    def _on_ended(self) -> None:
        self._mark_done()
        self._job = self._filled = None
        self._remove_empty()
        self.ended.emit()
        self._context.plan_changed.emit()

    def _remove_empty(self) -> None:
        """Take away the layer added for a prediction that was stopped before any section."""
        (layer, before), self._added = self._added or (None, None), None
        done, layers = self._context.maps.done(layer), self._context.viewer.layers
        if layer not in layers or done is None or done.any():
            return
        with self._context.choosing():
            layers.remove(layer)
        if before in layers:
            self._context.set_layer("boundary", before)
            self._context.show_result(before)


def _predict(
    raw: Volume, params: PredictParams, out: Filled, sections: list[int], progress: Progress
) -> Volume:
    from napari_emseg.inference import threads_for
    from napari_emseg.steps.predict import open_predictor

    with open_predictor(params, n_threads=threads_for(background=True)) as predictor:
        return predictor.predict(
            raw,
            tta=params.tta,
            out=out,
            sections=sections,
            resample=params.resample,
            progress=progress,
        )


def _predict_whole(
    raw: Volume, params: PredictParams, store: Path | None, progress: Progress
) -> Volume:
    from napari_emseg.inference import threads_for
    from napari_emseg.steps import predict

    how: dict[str, Any] = {"params": params, "n_threads": threads_for(background=True)}
    if store is None:
        return predict.run(raw, progress=progress, **how)
    return predict.stream(raw, store, progress=progress, **how)


def predicting_of(context: Context) -> Predicting:
    """Return the one prediction of a context, made when first asked for."""
    found = context.findChild(Predicting)
    return found if found is not None else Predicting(context)

"""A better boundary map from the chosen one: mended, filtered, calibrated, combined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QComboBox, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.forms import NumberRow, make_check, make_choice
from napari_emseg.gui.frame import ProgressRow, button, column, row
from napari_emseg.gui.jobs import Report
from napari_emseg.gui.layers import add_volume, free_name, kind_of, volume_of
from napari_emseg.progress import Progress
from napari_emseg.steps.evaluate import EvaluateParams
from napari_emseg.steps.fields import describe_fields
from napari_emseg.steps.fuse import FuseParams
from napari_emseg.steps.params import parse_params
from napari_emseg.steps.postprocess import PostprocessParams
from napari_emseg.steps.step import last_record
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_emseg.postprocessing import Calibration

_SLIDER_MAXIMA = {"median_px": 5.0, "watershed_weight": 1.0}
_TITLES = {"median_px": "Median", "watershed_weight": "Add lines"}
_HOW = {"mean": "by their mean", "max": "by the surer"}


class ImproveMap(QWidget):
    """Makes a new boundary layer; the old one stays."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._calibration: Calibration | None = None
        self._maps: list[Layer] = []
        rows = column(self)
        fields = {field.name: field for field in describe_fields(PostprocessParams)}
        self.numbers = {
            name: NumberRow(fields[name], slider_maximum=maximum)
            for name, maximum in _SLIDER_MAXIMA.items()
        }
        for name, number in self.numbers.items():
            number.set_label(_TITLES[name])
            rows.addWidget(number)
        self.mend = make_check(fields["mend_sections"])
        self.calibrate = QCheckBox("Calibrate")
        self.calibrate.setToolTip(fields["calibration"].description)
        self.calibrate.setEnabled(False)
        rows.addLayout(row("", self.mend, self.calibrate))
        self.other = QComboBox()
        self.other.setToolTip("Another boundary map of the same stack, as of a second model")
        self.other.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        how = {field.name: field for field in describe_fields(FuseParams)}["how"]
        self.how = make_choice(how, _HOW)
        self.how.removeItem(self.how.findData("weighted"))
        rows.addLayout(row("Combine", self.other, self.how))
        self.fit_button = button(
            "Fit to truth",
            self.fit,
            "Find the share of lines and the calibration that suit the ground truth best",
        )
        self.make_button = button("Make new map", self.make, "Make a new layer; this map stays")
        buttons = row("", self.fit_button, self.make_button)
        buttons.setStretch(1, 1)
        rows.addLayout(buttons)
        self.progress = ProgressRow(partial(context.jobs.stop, "improve"))
        rows.addWidget(self.progress)
        events = context.viewer.layers.events
        events.inserted.connect(self._list_maps)
        events.removed.connect(self._list_maps)
        context.layer_changed.connect(self._on_layer_changed)
        context.plan_changed.connect(self._enable)
        self._list_maps()
        self._enable()

    def detach(self) -> None:
        """Stop listening to the viewer."""
        events = self._context.viewer.layers.events
        events.inserted.disconnect(self._list_maps)
        events.removed.disconnect(self._list_maps)

    def make(self) -> None:
        """Make a new map from the chosen one, in the background."""
        self._try_to(self._start_making)

    def fit(self) -> None:
        """Fit the share of lines and the calibration to the ground truth."""
        self._try_to(self._start_fitting)

    def _start_making(self) -> None:
        boundary, params = self._whole_map(), self._params()
        chosen = self.other.currentIndex() - 1
        other = self._maps[chosen] if chosen >= 0 else None
        if other is None and params == PostprocessParams():
            raise InputError("Nothing is set: move a slider or tick a box, then make the map.")
        fuse = None
        if other is not None:
            second = volume_of(other, "boundary")
            source = str(second.provenance.get("source") or other.name)
            fuse = second, FuseParams(others=(source,), how=self.how.currentData())
        self._start(
            "Making a new map",
            partial(_make, boundary, params, fuse),
            partial(self._show_made, self._context.layer("boundary"), other),
        )

    def _start_fitting(self) -> None:
        boundary, truth = self._whole_map(), self._context.volume("ground_truth")
        params = self._context.session.evaluate
        self._start(
            "Fitting to the ground truth", partial(_fit, boundary, truth, params), self._show_fit
        )

    def _start(
        self, title: str, work: Callable[[Progress], Any], on_result: Callable[[Any], None]
    ) -> None:
        self.progress.show_report(0, 0, title.lower() + "…")
        self._context.jobs.start(
            work,
            title=title,
            key="improve",
            on_report=self._on_report,
            on_result=on_result,
            on_end=self._on_ended,
        )

    def _whole_map(self) -> Volume:
        if not self._context.is_boundary_complete:
            raise InputError("This map is not finished: predict all its sections first.")
        return self._context.volume("boundary")

    def _params(self) -> PostprocessParams:
        is_calibrated = self.calibrate.isChecked() and self._calibration is not None
        return parse_params(
            PostprocessParams,
            {
                "mend_sections": self.mend.isChecked(),
                "calibration": astuple(self._calibration) if is_calibrated else None,  # type: ignore[arg-type]
                **{name: number.value for name, number in self.numbers.items()},
            },
        )

    def _show_made(self, source: Layer | None, other: Layer | None, made: Volume) -> None:
        context, stem = self._context, made.name if source is None else source.name
        words = f"{stem}, improved" if other is None else f"{stem} + {other.name}"
        name = free_name(context.viewer, words)
        with context.choosing():
            layer = add_volume(context.viewer, made, like=source, name=name)
        context.set_layer("boundary", layer)
        context.show_result(layer)
        record = last_record(made.provenance)
        if record is not None:
            context.session.remember(record)

    def _show_fit(self, fitted: tuple[float, Calibration]) -> None:
        weight, self._calibration = fitted
        self.numbers["watershed_weight"].set_value(weight)
        self.calibrate.setEnabled(True)
        self.calibrate.setChecked(True)

    def _on_report(self, report: Report) -> None:
        self.progress.show_report(report.done, report.total, report.describe("sections"))

    def _on_ended(self) -> None:
        self.progress.idle(" ")
        self._context.plan_changed.emit()

    def _on_layer_changed(self, role: str) -> None:
        if role == "boundary":
            self._list_maps()
        self._enable()

    def _list_maps(self, *_: Any) -> None:
        """Offer the other finished boundary maps of the same size."""
        context, kept = self._context, self.other.currentText()
        chosen = context.layer("boundary")
        self._maps = [
            layer
            for layer in reversed(context.viewer.layers)
            if chosen is not None
            and layer is not chosen
            and kind_of(layer) == "boundary"
            and context.maps.is_complete(layer)
            and tuple(layer.data.shape) == tuple(chosen.data.shape)
        ]
        with QSignalBlocker(self.other):
            self.other.clear()
            self.other.addItem("no other map")
            self.other.addItems([layer.name for layer in self._maps])
            self.other.setCurrentIndex(max(0, self.other.findText(kept)))
        self.how.setEnabled(bool(self._maps))

    def _enable(self) -> None:
        has_map = self._context.layer("boundary") is not None
        is_busy = self._context.jobs.is_busy("improve")
        has_truth = self._context.layer("ground_truth") is not None
        self.make_button.setEnabled(has_map and not is_busy)
        self.fit_button.setEnabled(has_map and has_truth and not is_busy)

    def _try_to(self, action: Callable[[], None]) -> None:
        try:
            action()
        except InputError as error:
            self._context.refuse(error)


def _make(
    boundary: Volume,
    params: PostprocessParams,
    fuse: tuple[Volume, FuseParams] | None,
    progress: Progress,
) -> Volume:
    from napari_emseg.steps import fuse as fusing
    from napari_emseg.steps import postprocess

    if fuse is not None:
        other, how = fuse
        boundary = fusing.fuse([boundary, other], params=how, progress=progress)
    if params == PostprocessParams():
        return boundary
    return postprocess.run(boundary, params=params, progress=progress)


def _fit(
    boundary: Volume, truth: Volume, params: EvaluateParams, progress: Progress
) -> tuple[float, Calibration]:
    from napari_emseg.postprocessing import fit_calibration, tune_watershed_weight

    how: dict[str, Any] = {
        "ground_truth_kind": params.ground_truth_kind,
        "invert": params.invert_ground_truth,
        "sections": range(*params.sections) if params.sections else None,
        "progress": progress,
    }
    weight = tune_watershed_weight(boundary, truth, **how).best
    return weight, fit_calibration(boundary, truth, **how)

"""Step 2, Boundaries: a network turns raw sections into a boundary map."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QMessageBox, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.forms import make_check, make_choice
from napari_emseg.gui.frame import Fold, ProgressRow, button, column, note, row, set_role
from napari_emseg.gui.jobs import Job, Report
from napari_emseg.gui.layers import add_volume, free_name
from napari_emseg.gui.step_widget import StepWidget
from napari_emseg.progress import Progress
from napari_emseg.steps.fields import FieldDescription, describe_fields
from napari_emseg.steps.predict import PredictParams
from napari_emseg.steps.step import StepRecord, record_step, with_record
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_emseg.networks.info import ModelInfo

_DEVICES = {
    "auto": "fastest there is",
    "cpu": "processor (CPU)",
    "cuda": "NVIDIA GPU",
    "mps": "Apple GPU",
}


class BoundariesStep(StepWidget):
    """Predicts the visible section or all of them, in the background."""

    title, name = "2 Boundaries", "boundaries"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._job: Job | None = None
        self._pending: list[int] = []
        self._filled: Layer | None = None
        self._marked = 0
        self._made: tuple[Any, ...] = ()
        fields = {field.name: field for field in describe_fields(PredictParams)}
        self.model = self._make_model_combo()
        self.about_button = button(
            "About", self.show_about, "What the model was trained on, its scores and its terms"
        )
        self.rows.addLayout(row("Model", self.model, self.about_button))
        self.about = note(lines=2)
        self.rows.addWidget(self.about)
        self.tta = make_check(fields["tta"])
        self.resample = QCheckBox("Resample")
        self.resample.setChecked(True)
        self.resample.setToolTip(fields["resample"].description)
        self.rows.addLayout(row("", self.tta, self.resample))
        self.preview_button = button(
            "Preview this section", self.preview_section, "Predict only the section you see"
        )
        self.predict_button = button(
            "Predict all",
            self.predict_all,
            "Predict every section that has no boundary map yet",
        )
        self.stop_button = button(
            "Stop", self.stop, "Stop after the present block; finished sections stay"
        )
        buttons = row("", self.preview_button, self.predict_button, self.stop_button)
        buttons.setStretch(1, 1)
        self.rows.addLayout(buttons)
        self.progress = ProgressRow()
        self.rows.addWidget(self.progress)
        self.rows.addWidget(self._make_advanced(fields["device"]))
        self.main_button = self.predict_button
        self._name_model()
        self._connect()
        self._show_params()
        self._describe_model()
        self._enable()

    def preview_section(self) -> None:
        """Predict the visible section."""
        self.try_to(self._start, "section")

    def predict_all(self) -> None:
        """Predict every section that is not done."""
        self.try_to(self._start, "all")

    def stop(self) -> None:
        """Stop the running prediction."""
        self.progress.words.setText("stopping after this block…")
        self.context.jobs.stop("predict")

    def show_about(self) -> None:
        """Show all that the model's file says about itself."""
        info = self._chosen()
        if info is None:
            return
        box = QMessageBox(QMessageBox.Icon.Information, info.title or info.name, "", parent=self)
        box.setText(describe_model_fully(info))
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def _name_model(self) -> None:
        """Put a name for "default", so that records say which model it was."""
        if self.context.session.predict.model == "default" and self._models:
            self.context.session.change("predict", model=self._models[0].name)

    def _chosen(self) -> ModelInfo | None:
        index = self.model.currentIndex()
        return self._models[index] if 0 <= index < len(self._models) else None

    def _start(self, what: str) -> None:
        if self.context.jobs.is_busy("predict"):
            raise InputError("A prediction is running: press Stop first, or wait for it.")
        raw, params = self.context.volume("raw"), self.context.session.predict
        from napari_emseg.networks.library import find_model

        find_model(params.model)
        layer = self._layer_for(raw, params)
        done = self.context.done_sections
        assert done is not None
        visible = self.context.section
        wanted = [visible] if what == "section" else [*range(visible, done.size), *range(visible)]
        sections = [z for z in wanted if not done[z]]
        if not sections:
            which = "This section" if what == "section" else "Every section"
            raise InputError(
                f"{which} has a boundary map already; change the model or the averaging to "
                "predict anew."
            )
        self.context.boundary_started.emit()
        self.context.show_result(layer)
        record = record_step("predict", params, raw=raw)
        self._pending, self._marked, self._filled = sections, 0, layer
        self.progress.show_report(0, 0, "starting…")
        self._job = self.context.jobs.start(
            partial(_predict, raw, params, layer.data, sections),
            title=f"Predicting boundaries of {raw.name}",
            key="predict",
            lane="accelerator",
            on_report=self._on_predict_report,
            on_result=partial(self._on_predicted, layer, record, raw),
            on_end=self._on_predict_ended,
        )

    def _layer_for(self, raw: Volume, params: PredictParams) -> Layer:
        """Return the boundary layer to go on filling, a new one when anything changed."""
        raw_layer = self.context.layer("raw")
        made = (id(raw_layer), params.model, params.tta, params.resample)
        old = self.context.layer("boundary")
        if self._made == made and self.context.done_of(old) is not None:
            return old
        name = free_name(self.viewer, f"{raw.name} boundaries")
        empty = np.zeros(raw.shape, np.float32)
        volume = raw.derive(empty, kind="boundary", name=name, unfinished=True)
        layer = add_volume(self.viewer, volume, like=raw_layer)
        self.context.set_layer("boundary", layer, is_unfinished=True)
        self._made = made
        return layer

    def _on_predict_report(self, report: Report) -> None:
        self._mark_done(report.done)
        self.progress.show_report(report.done, report.total, report.describe("sections"))

    def _mark_done(self, count: int) -> None:
        new, self._marked = self._pending[self._marked : count], max(count, self._marked)
        done, layer = self.context.done_of(self._filled), self._filled
        if not new or done is None or layer is None:
            return
        done[new] = True
        is_still_chosen = self.context.layer("boundary") is layer
        if not is_still_chosen:
            return
        if self.context.section in new:
            layer.refresh(extent=False)
        self.context.boundary_grew.emit(new)

    def _on_predicted(
        self, layer: Layer, record: StepRecord, raw: Volume, boundary: Volume
    ) -> None:
        self._mark_done(len(self._pending))
        done = self.context.done_of(layer)
        if done is None or not done.all() or layer not in self.viewer.layers:
            return
        made = with_record(boundary, record, raw)
        layer.metadata = {**layer.metadata, "emseg": {**made.provenance, "kind": "boundary"}}
        self.context.session.remember(record)
        is_still_chosen = self.context.layer("boundary") is layer
        if not is_still_chosen:
            return
        self.context.refresh_reference("boundary")
        self.context.layer_changed.emit("boundary")

    def _on_predict_ended(self) -> None:
        if self._job is not None:
            self._mark_done(self._job.done)
        done = self.context.done_sections
        words = " "
        if done is not None and not done.all():
            words = f"{int(done.sum())} of {done.size} sections done"
        self.progress.idle(words)
        self._job = None
        self.context.plan_changed.emit()

    def _make_model_combo(self) -> QComboBox:
        from napari_emseg.networks.library import list_models

        combo = QComboBox()
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        combo.setMinimumContentsLength(12)
        combo.setAccessibleName("model")
        self._models: list[ModelInfo] = [info for info in list_models() if not info.problem]
        for info in self._models:
            combo.addItem(info.title or info.name, info.name)
        if not self._models:
            combo.addItem("no model found", "default")
        return combo

    def _make_advanced(self, device: FieldDescription) -> Fold:
        content = QWidget()
        rows = column(content)
        self.device = make_choice(device, _DEVICES)
        rows.addLayout(row("Compute on", self.device))
        return Fold("Advanced", content)

    def _connect(self) -> None:
        self.model.currentIndexChanged.connect(self._on_params_edited)
        self.tta.toggled.connect(self._on_params_edited)
        self.resample.toggled.connect(self._on_params_edited)
        self.device.currentIndexChanged.connect(self._on_params_edited)
        self.context.session.events.predict.connect(self._show_params)
        self.context.layer_changed.connect(self._on_layer_changed)
        self.context.plan_changed.connect(self._enable)

    def _on_params_edited(self, *_: Any) -> None:
        self.context.session.change(
            "predict",
            model=self.model.currentData(),
            tta=self.tta.isChecked(),
            resample="auto" if self.resample.isChecked() else "never",
            device=self.device.currentData(),
        )
        self._describe_model()

    def _show_params(self, *_: Any) -> None:
        params = self.context.session.predict
        for widget in (self.model, self.tta, self.resample, self.device):
            widget.blockSignals(True)
        index = self.model.findData(params.model)
        self.model.setCurrentIndex(max(0, index))
        self.tta.setChecked(params.tta)
        self.resample.setChecked(params.resample == "auto")
        self.device.setCurrentIndex(max(0, self.device.findData(params.device)))
        for widget in (self.model, self.tta, self.resample, self.device):
            widget.blockSignals(False)

    def _on_layer_changed(self, role: str) -> None:
        if role == "raw":
            self._describe_model()
        self._enable()

    def _describe_model(self) -> None:
        info = self._chosen()
        if info is None:
            self.about.setText("No model is installed: train one, or put one in the models folder.")
            set_role(self.about, "warning")
            self.predict_button.setEnabled(False)
            return
        raw = self.context.session.raw
        warning = size_warning(raw.voxel_size_nm if raw else None, info, self.resample.isChecked())
        self.about.setText(warning or describe_model(info))
        set_role(self.about, "warning" if warning else "quiet")
        self.about.setToolTip(describe_model_fully(info))
        self.model.setToolTip(describe_model_fully(info))

    def _enable(self) -> None:
        is_busy = self.context.jobs.is_busy("predict")
        has_raw = self.context.layer("raw") is not None and bool(self._models)
        self.preview_button.setEnabled(has_raw and not is_busy)
        self.predict_button.setEnabled(has_raw and not is_busy)
        self.stop_button.setEnabled(is_busy)


def describe_model(info: ModelInfo) -> str:
    """Say in a line or two what a model learned on."""
    size = f" at {_nm(info.voxel_size_nm)}" if info.voxel_size_nm else ""
    return f"Trained on {info.trained_on or 'unknown data'}{size}."


def describe_model_fully(info: ModelInfo) -> str:
    """Say all a model's file says about itself."""
    scores = ", ".join(f"{name} {value}" for name, value in info.scores.items())
    lines = [
        info.title or info.name,
        info.summary,
        describe_model(info),
        f"Scores: {scores}" if scores else "",
        f"Terms: {info.licence}" if info.licence else "",
        f"Network: {info.network}, {info.in_sections} section(s) in",
    ]
    return "\n".join(line for line in lines if line)


def size_warning(
    data_nm: tuple[float, float, float] | None, info: ModelInfo, will_resample: bool
) -> str:
    """Warn when the pixels are more than 1.5 times off those the model learned on."""
    if data_nm is None or info.voxel_size_nm is None:
        return ""
    ratio = data_nm[2] / info.voxel_size_nm[2]
    if 1 / 1.5 <= ratio <= 1.5:
        return ""
    have, learned = f"{data_nm[2]:g} nm", f"{info.voxel_size_nm[2]:g} nm"
    if will_resample:
        return f"Pixels of {have}, the model learned on {learned}: they will be resampled."
    return f"Pixels of {have}, the model learned on {learned}: tick Resample for better borders."


def _nm(size: tuple[float, float, float]) -> str:
    return " × ".join(f"{value:g}" for value in size) + " nm"


def _predict(
    raw: Volume, params: PredictParams, out: Any, sections: list[int], progress: Progress
) -> Volume:
    from napari_emseg.inference import Predictor

    cores = max(1, (os.cpu_count() or 2) - 1)  # one is left to the window
    with Predictor(params.model, device=params.device, n_threads=cores) as predictor:
        return predictor.predict(
            raw,
            tta=params.tta,
            out=out,
            sections=sections,
            resample=params.resample,
            progress=progress,
        )

"""Step 2, Boundaries: a network turns raw sections into a boundary map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QWidget

from napari_emseg.cli.models import takes_and_gives
from napari_emseg.gui.boundaries.improve import ImproveMap
from napari_emseg.gui.boundaries.predicting import predicting_of
from napari_emseg.gui.boundaries.proposing import proposing_of
from napari_emseg.gui.boundaries.section_table import SectionTable
from napari_emseg.gui.context import Context
from napari_emseg.gui.forms import make_check, make_choice
from napari_emseg.gui.frame import Fold, ProgressRow, button, column, note, row, set_role
from napari_emseg.gui.jobs import Report
from napari_emseg.gui.models.combo import ModelCombo
from napari_emseg.gui.models.known import known_models_of
from napari_emseg.gui.models.options import ModelOptions
from napari_emseg.gui.step_widget import StepWidget
from napari_emseg.steps.fields import FieldDescription, describe_fields
from napari_emseg.steps.predict import PredictParams

if TYPE_CHECKING:
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
        self.predicting = predicting_of(context)
        self.proposing = proposing_of(context)
        fields = {field.name: field for field in describe_fields(PredictParams)}
        self.known = known_models_of(context)
        self.model = ModelCombo(context)
        self.library_button = button(
            "Models…",
            self.show_library,
            "All models: what they were trained on, their scores and terms; add, rename, share",
        )
        self.rows.addLayout(row("Model", self.model, self.library_button))
        self.about = note(lines=3)
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
        self.improve = ImproveMap(context)
        self.rows.addWidget(self._make_advanced(fields["device"]))
        self.main_button = self.predict_button
        self._connect()
        self._show_params()
        self._enable()

    def preview_section(self) -> None:
        """Predict the visible section."""
        self.try_to(self.predicting.start, "section")

    def predict_all(self) -> None:
        """Predict every section that is not done."""
        self.try_to(self.predicting.start, "all")

    def detach(self) -> None:
        super().detach()
        self.improve.detach()

    def stop(self) -> None:
        """Stop the running prediction."""
        if self.predicting.stop():
            self.progress.words.setText("stopping after this block…")

    def show_library(self) -> None:
        """Open the library of models."""
        from napari_emseg.gui.models.library import open_model_library

        open_model_library(self.context)

    def _on_reported(self, report: Report) -> None:
        self.progress.show_report(report.done, report.total, report.describe("sections"))

    def _on_ended(self) -> None:
        self.progress.idle(self.predicting.words)

    def _make_advanced(self, device: FieldDescription) -> Fold:
        content = QWidget()
        rows = column(content)
        self.options = ModelOptions(self.context)
        rows.addWidget(self.options)
        self.device = make_choice(device, _DEVICES)
        rows.addLayout(row("Device", self.device))
        self.sections = SectionTable(self.context)
        rows.addWidget(Fold("Bad sections", self.sections))
        rows.addWidget(Fold("Improve the map", self.improve))
        return Fold("Advanced", content)

    def _connect(self) -> None:
        self.model.currentIndexChanged.connect(self._on_params_edited)
        self.known.changed.connect(self._on_models_changed)
        self.tta.toggled.connect(self._on_params_edited)
        self.resample.toggled.connect(self._on_params_edited)
        self.device.currentIndexChanged.connect(self._on_params_edited)
        self.context.session.events.predict.connect(self._show_params)
        self.context.layer_changed.connect(self._on_layer_changed)
        self.context.geometry_changed.connect(self._describe_model)
        self.predicting.reported.connect(self._on_reported)
        self.predicting.ended.connect(self._on_ended)
        self.context.plan_changed.connect(self._enable)

    def _on_params_edited(self, *_: Any) -> None:
        chosen = self.model.currentData()
        self.context.session.change(
            "predict",
            **self.options.without(chosen),
            model=chosen,
            tta=self.tta.isChecked(),
            resample="auto" if self.resample.isChecked() else "never",
            device=self.device.currentData(),
        )
        self._enable()

    def _show_params(self, *_: Any) -> None:
        params = self.context.session.predict
        self.model.show_model(params.model)
        for widget in (self.tta, self.resample, self.device):
            widget.blockSignals(True)
        self.tta.setChecked(params.tta)
        self.resample.setChecked(params.resample == "auto")
        self.device.setCurrentIndex(max(0, self.device.findData(params.device)))
        self.options.show_params()
        for widget in (self.tta, self.resample, self.device):
            widget.blockSignals(False)
        self._describe_model()

    def _on_models_changed(self) -> None:
        self._show_params()
        self._enable()

    def _on_layer_changed(self, role: str) -> None:
        if role == "raw":
            self._describe_model()
        self._enable()

    def _describe_model(self) -> None:
        info = self.model.info
        self.options.refresh_axes()
        if info is None:
            self.about.setText(self._why_no_model())
            set_role(self.about, "warning")
            return
        raw = self.context.session.raw
        warning = size_warning(raw.voxel_size_nm if raw else None, info, self.resample.isChecked())
        reason = self.proposing.reason
        self.about.setText(" ".join(filter(None, (reason, warning))) or describe_model(info))
        set_role(self.about, "warning" if warning else "quiet")
        self.about.setToolTip(describe_model_fully(info))
        self.model.setToolTip(describe_model_fully(info))
        self.tta.setText(f"Average {16 if info.dimensions == 3 else 8} orientations")
        # The steps of affinities count voxels, which another size would change.
        self.resample.setEnabled(info.target == "boundary")

    def _why_no_model(self) -> str:
        if not self.known.usable:
            return "No model is installed: press Models… and add one, or train one."
        return f"There is no model '{self.context.session.predict.model}': choose another one."

    def _enable(self) -> None:
        is_busy = self.context.jobs.is_busy("predict")
        can_start = self.context.layer("raw") is not None and self.model.info is not None
        self.preview_button.setEnabled(can_start and not is_busy)
        self.predict_button.setEnabled(can_start and not is_busy)
        self.stop_button.setEnabled(is_busy)
        if is_busy and not self.progress.bar.isVisible():
            self.progress.show_report(0, 0, "starting…")
        self.options.refresh_axes()


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
        f"Network: {info.network}, {takes_and_gives(info.model_dump())}",
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

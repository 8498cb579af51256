"""Auto-tune: let the parameters of step 3 be searched, look at the honest score, use them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QComboBox

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import ProgressRow, button, note, row
from napari_emseg.gui.grouping_names import name_of
from napari_emseg.gui.jobs import Report, format_seconds
from napari_emseg.gui.step_widget import StepWidget
from napari_emseg.progress import Progress
from napari_emseg.steps.autotune import TITLES, Autotuned, AutotuneParams, autotune
from napari_emseg.steps.evaluate import EvaluateParams
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.steps.autotune import Metric

_ABOUT = (
    "Tries smoothings with every threshold on the first two thirds of the sections; the last "
    "third is kept aside and only scores what was found."
)


class AutotunePanel(StepWidget):
    """Starts the search, tells what it found, puts it into the sliders and back."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.found: Autotuned | None = None
        self._before: SegmentParams | None = None
        self.metric_box = QComboBox()
        for metric, title in TITLES.items():
            self.metric_box.addItem(title, metric)
        self.metric_box.setAccessibleName("score to be best")
        self.metric_box.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.metric_box.setMinimumContentsLength(4)
        self.all_groupings = QCheckBox("all ways to join")
        self.all_groupings.setToolTip(
            "Try every way to join basins, not only the chosen one; takes several times as long"
        )
        self.rows.addLayout(row("Best in", self.metric_box, self.all_groupings))
        self.start_button = button("Auto-tune", self.start, _ABOUT)
        self.stop_button = button("Stop", self.stop, "Stop the search; nothing is changed")
        self.rows.addLayout(_evenly(self.start_button, self.stop_button))
        self.progress = ProgressRow()
        self.rows.addWidget(self.progress)
        self.words = note(_ABOUT, lines=6)
        self.rows.addWidget(self.words)
        self.use_button = button("Use these", self.use, "Set the sliders to what was found")
        self.back_button = button("Put back", self.put_back, "Set the sliders as they were")
        self.rows.addLayout(_evenly(self.use_button, self.back_button))
        context.layer_changed.connect(self._on_layer_changed)
        context.plan_changed.connect(self._enable)
        self._enable()

    def start(self) -> None:
        """Search in the background."""
        self.try_to(self._start)

    def stop(self) -> None:
        """Stop the search."""
        self.progress.words.setText("stopping…")
        self.context.jobs.stop("autotune")

    def _on_layer_changed(self, role: str) -> None:
        if role in ("boundary", "ground_truth"):  # what was found is of other layers
            self.context.jobs.stop("autotune")
            self.found = None
            self.words.setText(_ABOUT)
            self.words.setToolTip("")
        self._enable()

    def use(self) -> None:
        """Set the parameters of step 3 to what was found."""
        if self.found is not None:
            self._before = self.context.session.segment
            self._set(self.found.params)

    def put_back(self) -> None:
        """Set the parameters of step 3 as they were before."""
        if self._before is not None:
            before, self._before = self._before, None
            self._set(before)

    def _set(self, params: SegmentParams) -> None:
        self.try_to(partial(self.context.session.change, "segment", **params.model_dump()))
        self._enable()

    def _start(self) -> None:
        boundary, truth = self.context.volume("boundary"), self.context.volume("ground_truth")
        if not self.context.is_boundary_complete:
            raise InputError("The boundary map is not finished: press Predict all in step 2 first.")
        session = self.context.session
        self.found = self._before = None
        self.progress.show_report(0, 0, "starting…")
        self.context.jobs.start(
            partial(
                _search, boundary, truth, session.segment, session.evaluate, self._params_wanted()
            ),
            title="Auto-tuning",
            key="autotune",
            on_report=self._on_report,
            on_result=self._on_found,
            on_end=self._on_ended,
        )
        self._enable()

    def _params_wanted(self) -> AutotuneParams:
        from napari_emseg.segmentation import GROUPINGS

        metric: Metric = self.metric_box.currentData()
        every = ("h_minima", *GROUPINGS) if self.all_groupings.isChecked() else None
        return AutotuneParams(metric=metric, groupings=every)

    def _on_report(self, report: Report) -> None:
        left = f", {format_seconds(report.eta_s)} left" if report.eta_s is not None else ""
        self.progress.show_report(report.done, report.total, f"{report.message}{left}")

    def _on_found(self, found: Autotuned) -> None:
        self.found = found
        lines = (describe_params(found.params), found.describe(), _verdict(found))
        self.words.setText("\n".join(line for line in lines if line))
        self.words.setToolTip(describe_trials(found))

    def _on_ended(self) -> None:
        self.progress.idle()
        if self.found is None:
            self.words.setText(_ABOUT)
            self.words.setToolTip("")
        self._enable()

    def _enable(self, *_: Any) -> None:
        is_busy = self.context.jobs.is_busy("autotune")
        roles = ("boundary", "ground_truth")
        ready = all(self.context.layer(role) is not None for role in roles)
        self.start_button.setEnabled(ready and not is_busy)
        self.stop_button.setEnabled(is_busy)
        self.use_button.setEnabled(self.found is not None and self._before is None)
        self.back_button.setEnabled(self._before is not None)


def describe_params(params: SegmentParams) -> str:
    """Name the parameters found, shortly."""
    joined = "" if params.grouping == "h_minima" else f"{name_of(params.grouping)}, "
    what = "h" if params.threshold_name == "h" else "threshold"
    return (
        f"Smoothing {params.sigma_px:g} px, {joined}{what} {params.threshold:.3g}, "
        f"min size {params.min_size_voxels} voxels."
    )


def describe_trials(found: Autotuned, limit: int = 8) -> str:
    """List the best that were tried, one per line."""
    lines = [f"{t.score:.4f}  {describe_params(t.params)}" for t in found.trials[:limit]]
    return "\n".join([f"{TITLES[found.metric]} of what was tried, best first:", *lines])


def _verdict(found: Autotuned) -> str:
    if found.score_before is None:
        return ""
    return "" if found.improves else "Not better than what it began with: better keep that."


def _evenly(*widgets: Any) -> Any:
    layout = row("", *widgets)
    for place in range(len(widgets)):
        layout.setStretch(place, 1)
    return layout


def _search(
    boundary: Volume,
    truth: Volume,
    segment: SegmentParams,
    evaluate: EvaluateParams,
    params: AutotuneParams,
    progress: Progress,
) -> Autotuned:
    return autotune(
        boundary, truth, segment=segment, evaluate=evaluate, params=params, progress=progress
    )

"""Step 4, Evaluate: how good the labels are, which h would be best, where the errors are."""

from __future__ import annotations

import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QFileDialog, QWidget

from napari_emseg.errors import InputError
from napari_emseg.evaluation.metrics import LOWER_IS_BETTER
from napari_emseg.gui.colours import theme_colour
from napari_emseg.gui.context import Context
from napari_emseg.gui.evaluate.autotune import AutotunePanel
from napari_emseg.gui.evaluate.computing import Evaluated, compare_groupings, evaluate_all
from napari_emseg.gui.evaluate.error_keys import ErrorKeys
from napari_emseg.gui.evaluate.error_layer import ErrorLayer, go_to_section
from napari_emseg.gui.evaluate.error_list import ErrorList
from napari_emseg.gui.evaluate.inputs import EvaluateInputs
from napari_emseg.gui.evaluate.score_curves import METRICS, ScoreCurves
from napari_emseg.gui.evaluate.score_file import write_scores
from napari_emseg.gui.evaluate.score_table import ScoreTable, describe_more, overlay_text
from napari_emseg.gui.evaluate.section_strip import SectionStrip
from napari_emseg.gui.frame import Fold, ProgressRow, button, column, note, row
from napari_emseg.gui.jobs import Report, format_seconds
from napari_emseg.gui.step_widget import StepWidget
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_emseg.evaluation import ScoreCurve

_BEST, _BEST_TIP = "Use best", "Set the slider to the best position of the curve"
_HINT = "Try the hint"
_HINT_TIP = (
    "Set the slider to the middle of the range where the number of segments hardly changes; "
    "a place to begin where there is no ground truth"
)


class EvaluateStep(StepWidget):
    """Compares labels and every slider position with ground truth."""

    title, name = "4 Evaluate", "evaluate"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._overlay_words = ""
        self._listed_for: SegmentParams | None = None  # where errors are those at the sliders
        self._uncovered: weakref.WeakSet[Layer] = weakref.WeakSet()
        self.inputs = EvaluateInputs(context)
        self.combos = self.inputs.combos
        self.kind = self.inputs.kind
        self.rows.addWidget(self.inputs)
        self._add_buttons()
        self.progress = ProgressRow(partial(context.jobs.stop, "evaluate"))
        self.rows.addWidget(self.progress)
        self.table = ScoreTable()
        self.rows.addWidget(self.table)
        self.curves = ScoreCurves(context)
        self.plot, self.now = self.curves.plot, self.curves.now
        self.rows.addWidget(self.curves)
        self.strip = SectionStrip(partial(theme_colour, self.viewer))
        self.rows.addWidget(self.strip)
        self.rows.addWidget(self._make_comparison())
        self.error_list, self.error_layer = ErrorList(), ErrorLayer(context)
        self.rows.addWidget(self.error_list)
        self.autotune = AutotunePanel(context)
        self.rows.addWidget(Fold("Auto-tune", self.autotune))
        self.rows.addWidget(self._make_advanced())
        self.keys = ErrorKeys(self.viewer, self.error_list.step)
        self.main_button = self.evaluate_button
        self._connect()
        self._show_scores()
        self._enable()

    @property
    def curve(self) -> ScoreCurve | None:
        """The score curve of the present grouping."""
        return self.curves.curve

    def evaluate(self) -> None:
        """Score the labels against the ground truth, draw the curve, list the errors."""
        self.try_to(self._start)

    def use_best(self) -> None:
        """Set the threshold to the best of the curve, without one to the hint."""
        threshold = self.curves.suggestion()
        if threshold is not None:
            self._set_threshold(threshold)

    def compare(self) -> None:
        """Draw the curves of all ways to join, with the present smoothing."""
        self.try_to(self._start_comparing)

    def export(self) -> None:
        """Ask for a file and write scores, curves and errors into it."""
        path, _ = QFileDialog.getSaveFileName(
            self, "Export scores", "scores.csv", "CSV (*.csv);;JSON (*.json)"
        )
        if path:
            self.try_to(self.export_to, Path(path))

    def export_to(self, path: Path) -> None:
        """Write scores, curves and errors as CSV, or as JSON if the name ends so.

        Raises
        ------
        InputError
            If there is nothing to write, or it cannot be written there.
        """
        scores = dict(self.context.session.scores)
        errors = self.error_list.errors
        if not scores and errors is None:
            raise InputError("There are no scores yet: press Evaluate first.")
        write_scores(path, scores, self.curves.by_grouping, errors)

    def detach(self) -> None:
        self.inputs.detach()  # the combo boxes are there
        self.keys.release()
        self.error_layer.detach()
        self.viewer.events.theme.disconnect(self._on_theme_changed)
        self.viewer.dims.events.current_step.disconnect(self._on_section_changed)

    def _start(self) -> None:
        self.inputs.refresh()
        truth = self.context.volume("ground_truth")
        has_labels = self.context.layer("segmentation") is not None
        hierarchy = self.context.hierarchy
        if not has_labels and hierarchy is None:
            raise InputError("There is nothing to score yet: press Write labels in step 3 first.")
        labels = self.context.volume("segmentation") if has_labels else None
        params, segment = self.context.session.evaluate, self.context.session.segment
        like = labels if labels is not None else self.context.volume("boundary")
        self.progress.show_report(0, 0, "comparing…")
        self.context.jobs.start(
            partial(evaluate_all, labels, hierarchy, truth, params, segment),
            title="Evaluating",
            key="evaluate",
            on_report=self._on_report,
            on_result=partial(
                self._on_evaluated, self.context.layer("segmentation"), like, segment
            ),
            on_end=self._on_ended,
        )

    def _start_comparing(self) -> None:
        boundary, truth = self.context.volume("boundary"), self.context.volume("ground_truth")
        if not self.context.is_boundary_complete:
            raise InputError("The boundary map is not finished: press Predict all in step 2 first.")
        params, segment = self.context.session.evaluate, self.context.session.segment
        self.progress.show_report(0, 0, "comparing…")
        self.context.jobs.start(
            partial(compare_groupings, boundary, truth, self.context.hierarchy, params, segment),
            title="Comparing ways to join",
            key="evaluate",
            on_report=self._on_report,
            on_result=partial(self._on_compared, segment),
            on_end=self._on_ended,
        )

    def _on_compared(self, segment: SegmentParams, curves: dict[str, ScoreCurve]) -> None:
        for grouping, curve in curves.items():
            self.curves.add(segment.model_copy(update={"grouping": grouping}), curve)
        self._enable()

    def _on_report(self, report: Report) -> None:
        left = f", {format_seconds(report.eta_s)} left" if report.eta_s is not None else ""
        self.progress.show_report(report.done, report.total, f"{report.message}{left}")

    def _on_evaluated(
        self,
        layer: Layer | None,
        like: Volume,
        segment: SegmentParams,
        result: Evaluated,
    ) -> None:
        session, record = self.context.session, result.record
        session.scores = result.scores
        if record is not None and layer is not None:
            session.scored = record
            session.remember(record)
            known = layer.metadata.get("emseg", {})
            layer.metadata = {**layer.metadata, "emseg": {**known, "scores": result.scores}}
        if result.curve is not None:
            self.curves.add(segment, result.curve)
        self._uncover()
        self.error_layer.set_errors(result.view, like)
        self.error_list.show_errors(result.errors)
        self._listed_for = segment if layer is None else None
        self._note_moved_sliders(self.context.session.segment)
        self.keys.hold()
        self._show_strip()
        self._enable()

    def _uncover(self) -> None:
        """Hide a ground truth that is an image, which lies over all else; once, as an offer."""
        truth = self.context.layer("ground_truth")
        has_picture = any(self.context.layer(role) is not None for role in ("raw", "boundary"))
        is_image = truth is not None and type(truth).__name__ == "Image"
        if truth is not None and is_image and has_picture and truth not in self._uncovered:
            self._uncovered.add(truth)
            truth.visible = False

    def _on_ended(self) -> None:
        notes = self.curve.notes if self.curve is not None else ()
        self.progress.idle(notes[0] if notes else " ")
        self.context.plan_changed.emit()

    def _add_buttons(self) -> None:
        self.evaluate_button = button(
            "Evaluate",
            self.evaluate,
            "Score the labels and every position of the slider, and list the errors",
        )
        self.best_button = button(_BEST, self.use_best, _BEST_TIP)
        buttons = row("", self.evaluate_button, self.best_button)
        buttons.setStretch(1, 1)
        self.rows.addLayout(buttons)

    def _make_comparison(self) -> Fold:
        content = QWidget()
        rows = column(content)
        self.compare_button = button(
            "Score every way to join",
            self.compare,
            "Draw the curve of every way to join, with the present smoothing",
        )
        rows.addWidget(self.compare_button)
        rows.addWidget(self.curves.ranking)
        return Fold("Compare ways to join", content)

    def _make_advanced(self) -> Fold:
        content = QWidget()
        rows = column(content)
        self.overlay = QCheckBox("Show the scores on the canvas")
        self.overlay.setChecked(self.context.session.view.show_scores)
        self.overlay.toggled.connect(self._on_overlay_toggled)
        rows.addWidget(self.overlay)
        rows.addWidget(
            button("Export scores…", self.export, "Write scores, curves and errors as CSV or JSON")
        )
        self.more = note(lines=5)
        rows.addWidget(self.more)
        return Fold("Advanced", content)

    def _connect(self) -> None:
        self.inputs.changed.connect(self._forget)
        self.inputs.painted.connect(partial(self.error_list.mark_stale, "Voxels were painted"))
        self.curves.threshold_chosen.connect(self._set_threshold)
        self.curves.grouping_chosen.connect(self._set_grouping)
        self.curves.metric_changed.connect(self._show_strip)
        self.curves.hint_changed.connect(self._enable)
        self.strip.section_chosen.connect(partial(go_to_section, self.context))
        self.error_list.chosen.connect(self._on_error_chosen)
        self.error_list.colours_wanted.connect(self.error_layer.set_visible)
        self.error_layer.shown.connect(self.error_list.set_colours)
        self.context.layer_changed.connect(self._on_layer_changed)
        self.context.plan_changed.connect(self._enable)
        self.context.hierarchy_changed.connect(self._enable)
        self.context.session.events.segment.connect(self._on_segment_changed)
        self.context.session.events.scores.connect(self._show_scores)
        self.viewer.events.theme.connect(self._on_theme_changed)
        self.viewer.dims.events.current_step.connect(self._on_section_changed)

    def _on_theme_changed(self, event: Any) -> None:
        self.curves.refresh()
        self.strip.update()

    def _on_section_changed(self, event: Any) -> None:
        self.strip.set_current(self.context.section)

    def _on_layer_changed(self, role: str) -> None:
        if role in ("ground_truth", "boundary"):
            self.context.jobs.stop("evaluate")
            self.curves.clear()
        if role in ("ground_truth", "segmentation"):
            self.context.jobs.stop("evaluate")
            self._forget_errors()
            if self.context.layer(role) is None:  # the scores are of nothing any more
                self.context.session.scores = {}
                self.context.session.scored = None
        self._enable()

    def _on_segment_changed(self, new: SegmentParams, old: SegmentParams) -> None:
        self.curves.drop_unfit()
        self._note_moved_sliders(new)
        self._enable()

    def _note_moved_sliders(self, params: SegmentParams) -> None:
        if self._listed_for not in (None, params):
            self.error_list.mark_stale("The sliders moved")

    def _forget(self) -> None:
        self.context.jobs.stop("evaluate")
        self.curves.clear()
        self._forget_errors()

    def _forget_errors(self) -> None:
        self.error_layer.set_errors(None)
        self.error_list.show_errors(None)
        self.keys.release()
        self._show_strip()

    def _on_error_chosen(self, site: Any) -> None:
        self.error_layer.show(site)
        self.keys.hold(self.error_layer.layer)

    def _show_scores(self, *_: Any) -> None:
        scores = self.context.session.scores
        self.table.show_scores(scores)
        self.more.setText(describe_more(scores))
        self._show_overlay()

    def _show_strip(self) -> None:
        errors, metric = self.error_list.errors, self.curves.chosen_metric
        if errors is None:
            self.strip.clear()
            return
        scores = errors.sections
        is_error = metric in LOWER_IS_BETTER
        values = getattr(scores, metric)
        self.strip.set_scores(scores.section, values, name=METRICS[metric], is_error=is_error)
        self.strip.set_current(self.context.section)

    def _set_grouping(self, grouping: str, threshold: float) -> None:
        params = self.context.session.segment.model_copy(update={"grouping": grouping})
        changes = {"grouping": grouping, params.threshold_name: threshold}
        self.try_to(partial(self.context.session.change, "segment", **changes))

    def _set_threshold(self, threshold: float) -> None:
        name = self.context.session.segment.threshold_name
        self.try_to(partial(self.context.session.change, "segment", **{name: threshold}))

    def _on_overlay_toggled(self, on: bool) -> None:
        session = self.context.session
        session.view = session.view.model_copy(update={"show_scores": on})
        self._show_overlay()

    def _show_overlay(self) -> None:
        scores = self.context.session.scores
        overlay = self.viewer.canvas.overlays.text
        if not scores and overlay.text != self._overlay_words:
            return  # somebody else's
        overlay.visible = bool(scores) and self.context.session.view.show_scores
        if scores:
            overlay.text = self._overlay_words = overlay_text(scores)
            overlay.position = "bottom_left"

    def _enable(self) -> None:
        is_busy = self.context.jobs.is_busy("evaluate")
        has_truth = self.context.layer("ground_truth") is not None
        has_labels = self.context.layer("segmentation") is not None
        ready = has_truth and (has_labels or self.context.hierarchy is not None)
        self.evaluate_button.setEnabled(ready and not is_busy)
        has_map = self.context.layer("boundary") is not None
        self.compare_button.setEnabled(has_truth and has_map and not is_busy)
        is_hint = self.curve is None and self.curves.hint is not None
        self.best_button.setText(_HINT if is_hint else _BEST)
        self.best_button.setToolTip(_HINT_TIP if is_hint else _BEST_TIP)
        self.best_button.setEnabled(self.curves.suggestion() is not None)

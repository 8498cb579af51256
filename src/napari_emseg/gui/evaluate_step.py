"""Step 4, Evaluate: how good the labels are, and which h would be best."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QWidget,
)

from napari_emseg.errors import InputError
from napari_emseg.gui.colours import theme_colour
from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import ElidedLabel, Fold, ProgressRow, button, column, note, row
from napari_emseg.gui.jobs import Report
from napari_emseg.gui.plot import ScorePlot
from napari_emseg.gui.score_file import write_scores
from napari_emseg.gui.score_table import HEADLINES, ScoreTable, describe_more, overlay_text
from napari_emseg.gui.step_widget import StepWidget
from napari_emseg.progress import Progress
from napari_emseg.steps.evaluate import EvaluateParams
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.steps.step import StepRecord, record_step
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_emseg.evaluation import ScoreCurve
    from napari_emseg.segmentation import Hierarchy

_KINDS = {"labels": "3D labels", "labels_2d": "2D labels", "membranes": "membranes"}


class EvaluateStep(StepWidget):
    """Compares labels and every slider position with ground truth."""

    title, name = "4 Evaluate", "evaluate"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.curve: ScoreCurve | None = None
        self._suggested_for: Layer | None = None
        self._overlay_words = ""
        self.rows.addLayout(row("Labels", self.combo("segmentation", "The labels to score")))
        self.kind = QComboBox()
        self.kind.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.kind.setMinimumContentsLength(7)
        for kind, words in _KINDS.items():
            self.kind.addItem(words, kind)
        self.kind.setToolTip("Ids of neurons, or a drawing of the membranes between them")
        truth = self.combo("ground_truth", "What somebody drew by hand")
        self.rows.addLayout(row("Truth", truth, self.kind))
        self.rows.addLayout(self._make_sections_row())
        self.evaluate_button = button(
            "Evaluate",
            self.evaluate,
            "Score the labels and every position of the h slider",
        )
        self.best_button = button(
            "Use best h", self.use_best, "Set the H-minima slider to the best h of the curve"
        )
        buttons = row("", self.evaluate_button, self.best_button)
        buttons.setStretch(1, 1)
        self.rows.addLayout(buttons)
        self.progress = ProgressRow()
        self.rows.addWidget(self.progress)
        self.table = ScoreTable()
        self.rows.addWidget(self.table)
        self.now = ElidedLabel(" ")
        self.rows.addWidget(self.now)
        self.plot = ScorePlot(partial(theme_colour, self.viewer))
        self.plot.h_chosen.connect(self._set_h)
        self.rows.addWidget(self.plot)
        self.rows.addWidget(self._make_advanced())
        self.main_button = self.evaluate_button
        self._connect()
        self._show_params()
        self._show_scores()
        self._enable()

    def evaluate(self) -> None:
        """Score the labels against the ground truth, and draw the curve."""
        self.try_to(self._start)

    def use_best(self) -> None:
        """Set h to the best of the curve."""
        if self.curve is not None:
            self._set_h(self.curve.best(self.curve_of.currentData())[0])

    def export(self) -> None:
        """Ask for a file and write scores and curve into it."""
        path, _ = QFileDialog.getSaveFileName(
            self, "Export scores", "scores.csv", "CSV (*.csv);;JSON (*.json)"
        )
        if path:
            self.try_to(self.export_to, Path(path))

    def export_to(self, path: Path) -> None:
        """Write scores and curve as CSV, or as JSON if the name ends so.

        Raises
        ------
        InputError
            If there is nothing to write, or it cannot be written there.
        """
        scores = dict(self.context.session.scores)
        if not scores and self.curve is None:
            raise InputError("There are no scores yet: press Evaluate first.")
        write_scores(path, scores, self.curve)

    def _start(self) -> None:
        for role in ("segmentation", "ground_truth"):
            self.context.refresh_reference(role)  # they may have been painted in
        truth = self.context.volume("ground_truth")
        has_labels = self.context.layer("segmentation") is not None
        hierarchy = self.context.hierarchy
        if not has_labels and hierarchy is None:
            raise InputError("There is nothing to score yet: press Write labels in step 3 first.")
        labels = self.context.volume("segmentation") if has_labels else None
        params = self.context.session.evaluate
        record = None
        if labels is not None:
            record = record_step("evaluate", params, labels=labels, ground_truth=truth)
        self.progress.show_report(0, 0, "comparing…")
        self.context.jobs.start(
            partial(_evaluate, labels, hierarchy, truth, params),
            title="Evaluating",
            key="evaluate",
            on_report=self._on_report,
            on_result=partial(self._on_evaluated, self.context.layer("segmentation"), record),
            on_end=self._on_ended,
        )

    def _on_report(self, report: Report) -> None:
        self.progress.show_report(report.done, report.total, report.describe("sections"))

    def _on_evaluated(
        self,
        layer: Layer | None,
        record: StepRecord | None,
        result: tuple[dict[str, float], ScoreCurve | None],
    ) -> None:
        scores, self.curve = result
        session = self.context.session
        session.scores = scores
        if record is not None and layer is not None:
            session.scored = record
            session.remember(record)
            known = layer.metadata.get("emseg", {})
            layer.metadata = {**layer.metadata, "emseg": {**known, "scores": scores}}
        self._show_curve()

    def _on_ended(self) -> None:
        notes = self.curve.notes if self.curve is not None else ()
        self.progress.idle(notes[0] if notes else " ")
        self.context.plan_changed.emit()

    def _make_sections_row(self) -> QHBoxLayout:
        self.first, self.last = QSpinBox(), QSpinBox()
        for box, name in ((self.first, "first"), (self.last, "last")):
            box.setRange(0, 0)
            box.setKeyboardTracking(False)
            box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
            box.setFixedWidth(52)
            box.setAccessibleName(f"{name} section")
            box.setToolTip("Only these sections are compared; counted from 0, both included")
            box.valueChanged.connect(self._on_sections_edited)
        self.depth_words = QLabel(" ")
        self.depth_words.setProperty("role", "quiet")
        return row("Sections", self.first, QLabel("to"), self.last, self.depth_words, stretch=3)

    def _make_advanced(self) -> Fold:
        content = QWidget()
        rows = column(content)
        self.curve_of = QComboBox()
        for key, title in HEADLINES.items():
            self.curve_of.addItem(title, key)
        self.curve_of.currentIndexChanged.connect(lambda _: self._show_curve())
        rows.addLayout(row("Curve of", self.curve_of))
        self.overlay = QCheckBox("Show the scores on the canvas")
        self.overlay.setChecked(self.context.session.view.show_scores)
        self.overlay.toggled.connect(self._on_overlay_toggled)
        rows.addWidget(self.overlay)
        rows.addWidget(
            button("Export scores…", self.export, "Write scores and curve as CSV or JSON")
        )
        self.more = note(lines=5)
        rows.addWidget(self.more)
        return Fold("Advanced", content)

    def _connect(self) -> None:
        self.kind.activated.connect(self._on_kind_chosen)
        self.context.layer_changed.connect(self._on_layer_changed)
        self.context.plan_changed.connect(self._enable)
        self.context.hierarchy_changed.connect(self._on_hierarchy_changed)
        self.context.session.events.segment.connect(self._on_segment_changed)
        self.context.session.events.evaluate.connect(self._show_params)
        self.context.session.events.scores.connect(self._show_scores)
        self.viewer.events.theme.connect(self._on_theme_changed)

    def detach(self) -> None:
        super().detach()
        self.viewer.events.theme.disconnect(self._on_theme_changed)

    def _on_theme_changed(self, event: Any) -> None:
        self.plot.update()

    def _on_layer_changed(self, role: str) -> None:
        truth = self.context.layer("ground_truth")
        is_new_truth = role == "ground_truth" and truth is not self._suggested_for
        if is_new_truth:
            self._suggested_for = truth
            self._suggest_kind()
        if is_new_truth or role in ("segmentation", "boundary"):
            self._suggest_sections(keep_choice=not is_new_truth)
        if role in ("ground_truth", "boundary"):
            self._forget_curve()
        self._enable()

    def _on_hierarchy_changed(self) -> None:
        self._forget_curve()
        self._enable()

    def _forget_curve(self) -> None:
        self.curve = None
        self._show_curve()

    def _suggest_kind(self) -> None:
        truth = self.context.session.ground_truth
        if truth is not None:
            kind = suggest_kind(self.context.volume("ground_truth"))
            if kind == "labels" and self.context.session.segment.mode == "2d":
                kind = "labels_2d"  # segments of single sections cannot follow ids through them
            self.context.session.change("evaluate", ground_truth_kind=kind)

    def _on_segment_changed(self, new: SegmentParams, old: SegmentParams) -> None:
        if new.mode != old.mode and self.kind.currentData() != "membranes":
            self._suggest_kind()
            self._forget_curve()
        self._show_now()

    def _suggest_sections(self, *, keep_choice: bool) -> None:
        truth = self.context.session.ground_truth
        other = self.context.session.segmentation or self.context.session.boundary
        if truth is None or other is None:
            return
        common = min(truth.shape[0], other.shape[0])
        chosen = self.context.session.evaluate.sections
        if keep_choice and chosen is not None and chosen[1] <= common:
            return
        differ = truth.shape[0] != other.shape[0]
        self.context.session.change("evaluate", sections=(0, common) if differ else None)

    def _on_kind_chosen(self, _index: int) -> None:
        self.context.session.change("evaluate", ground_truth_kind=self.kind.currentData())
        self._forget_curve()

    def _on_sections_edited(self, _value: int) -> None:
        first, stop = self.first.value(), self.last.value() + 1
        if first < stop:
            whole = (first, stop) == (0, self.last.maximum() + 1) and not self._depths_differ()
            self.try_to(
                partial(
                    self.context.session.change,
                    "evaluate",
                    sections=None if whole else (first, stop),
                )
            )
            self._forget_curve()

    def _depths_differ(self) -> bool:
        truth = self.context.session.ground_truth
        other = self.context.session.segmentation or self.context.session.boundary
        return truth is not None and other is not None and truth.shape[0] != other.shape[0]

    def _show_params(self, *_: Any) -> None:
        params = self.context.session.evaluate
        self.kind.setCurrentIndex(max(0, self.kind.findData(params.ground_truth_kind)))
        truth = self.context.session.ground_truth
        other = self.context.session.segmentation or self.context.session.boundary
        depths = [volume.shape[0] for volume in (truth, other) if volume is not None]
        last = min(depths) - 1 if depths else 0
        start, stop = params.sections or (0, last + 1)
        for box, value in ((self.first, start), (self.last, stop - 1)):
            box.blockSignals(True)
            box.setRange(0, last)
            box.setValue(value)
            box.blockSignals(False)
        words = f"truth has {truth.shape[0]}" if truth is not None else " "
        self.depth_words.setText(words)

    def _show_scores(self, *_: Any) -> None:
        scores = self.context.session.scores
        self.table.show_scores(scores)
        self.more.setText(describe_more(scores))
        self._show_overlay()

    def _show_curve(self) -> None:
        metric = self.curve_of.currentData()
        if self.curve is None:
            self.plot.clear()
        else:
            best = self.curve.best(metric)
            values = self.curve.values(metric)
            self.plot.set_curve(self.curve.h, values, name=HEADLINES[metric], best=best)
        self._show_now()
        self._enable()

    def _show_now(self, *_: Any) -> None:
        h = self.context.session.segment.h
        self.plot.set_current(h)
        if self.curve is None:
            self.now.setText(" ")
            return
        at = self.curve.at(h)
        self.now.setText(
            f"Sliders now: V_rand {at['v_rand']:.4f} "
            f"(split {at['v_rand_split']:.3f}, merge {at['v_rand_merge']:.3f})"
        )

    def _set_h(self, h: float) -> None:
        self.try_to(partial(self.context.session.change, "segment", h=h))

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
            overlay.position = "top_left"

    def _enable(self) -> None:
        is_busy = self.context.jobs.is_busy("evaluate")
        has_truth = self.context.layer("ground_truth") is not None
        has_labels = self.context.layer("segmentation") is not None
        ready = has_truth and (has_labels or self.context.hierarchy is not None)
        self.evaluate_button.setEnabled(ready and not is_busy)
        self.best_button.setEnabled(self.curve is not None)


def suggest_kind(truth: Volume) -> str:
    """Guess whether a ground truth holds ids or a drawing of membranes."""
    if truth.kind != "labels":
        return "membranes"
    values = np.unique(truth.read(0)[::2, ::2])
    return "membranes" if values.size <= 2 and set(values.tolist()) <= {0, 255} else "labels"


def _evaluate(
    labels: Volume | None,
    hierarchy: Hierarchy | None,
    truth: Volume,
    params: EvaluateParams,
    progress: Progress,
) -> tuple[dict[str, float], ScoreCurve | None]:
    from napari_emseg.evaluation import score_curve
    from napari_emseg.steps.evaluate import run

    curve = None
    if hierarchy is not None:
        sections = range(*params.sections) if params.sections else None
        curve = score_curve(
            hierarchy,
            truth,
            ground_truth_kind=params.ground_truth_kind,
            invert=params.invert_ground_truth,
            sections=sections,
            progress=progress,
        )
    scores = run(labels, truth, params=params, progress=progress) if labels is not None else {}
    return scores, curve

"""What is compared with what: labels, ground truth, its kind, the sections."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSpinBox

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import row
from napari_emseg.gui.step_widget import StepWidget
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer

_KINDS = {"labels": "3D labels", "labels_2d": "2D labels", "membranes": "membranes"}
_PAINTED = ("data", "labels_update", "paint")
SETTLE_MS = 500  # after the last stroke of the brush


class EvaluateInputs(StepWidget):
    """Rows to choose what is compared.

    Signals: `changed` when a score would mean something else, `painted` after strokes of
    the brush in what is compared.
    """

    changed = Signal()
    painted = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._suggested_for: Layer | None = None
        self._watched: dict[str, Layer] = {}
        self._painted: set[str] = set()
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._on_painting_settled)
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
        self.kind.activated.connect(self._on_kind_chosen)
        context.layer_changed.connect(self._on_layer_changed)
        context.session.events.segment.connect(self._on_segment_changed)
        context.session.events.evaluate.connect(self._show_params)
        for role in ("segmentation", "ground_truth"):
            self._watch(role)
        self._show_params()

    def detach(self) -> None:
        super().detach()
        self._settle.stop()
        for role in list(self._watched):
            self._unwatch(role)

    def refresh(self) -> None:
        """Look at the layers again: they may have been painted in."""
        self._settle.stop()
        self._painted.clear()
        for role in ("segmentation", "ground_truth"):
            self.context.refresh_reference(role)

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

    def _on_layer_changed(self, role: str) -> None:
        truth = self.context.layer("ground_truth")
        is_new_truth = role == "ground_truth" and truth is not self._suggested_for
        if is_new_truth:
            self._suggested_for = truth
            self._suggest_kind()
        if is_new_truth or role in ("segmentation", "boundary"):
            self._suggest_sections(keep_choice=not is_new_truth)
        if role in ("segmentation", "ground_truth"):
            self._watch(role)
        self._show_params()

    def _watch(self, role: str) -> None:
        """Notice when the role's layer is painted in."""
        layer = self.context.layer(role)
        if layer is self._watched.get(role):
            return
        self._unwatch(role)
        if layer is not None:
            self._watched[role] = layer
            for name in _PAINTED:
                if hasattr(layer.events, name):
                    getattr(layer.events, name).connect(self._on_layer_painted)

    def _unwatch(self, role: str) -> None:
        layer = self._watched.pop(role, None)
        if layer is not None and layer not in self._watched.values():
            for name in _PAINTED:
                if hasattr(layer.events, name):
                    getattr(layer.events, name).disconnect(self._on_layer_painted)

    def _on_layer_painted(self, event: Any) -> None:
        self._painted |= {role for role, layer in self._watched.items() if layer is event.source}
        self._settle.start()

    def _on_painting_settled(self) -> None:
        painted, self._painted = self._painted, set()
        for role in painted:
            self.try_to(self.context.refresh_reference, role)
        self.painted.emit()

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
            self.changed.emit()

    def _suggest_sections(self, *, keep_choice: bool) -> None:
        truth, other = self._truth_and_other()
        if truth is None or other is None:
            return
        common = min(truth.shape[0], other.shape[0])
        chosen = self.context.session.evaluate.sections
        if keep_choice and chosen is not None and chosen[1] <= common:
            return
        differ = truth.shape[0] != other.shape[0]
        self.context.session.change("evaluate", sections=(0, common) if differ else None)

    def _truth_and_other(self) -> tuple[Any, Any]:
        session = self.context.session
        return session.ground_truth, session.segmentation or session.boundary

    def _on_kind_chosen(self, _index: int) -> None:
        self.context.session.change("evaluate", ground_truth_kind=self.kind.currentData())
        self.changed.emit()

    def _on_sections_edited(self, _value: int) -> None:
        first, stop = self.first.value(), self.last.value() + 1
        if first >= stop:
            words = f"Section {first} is after section {stop - 1}: type the first one first."
            self.context.refuse(InputError(words))
            self._show_params()
            return
        truth, other = self._truth_and_other()
        differ = truth is not None and other is not None and truth.shape[0] != other.shape[0]
        whole = (first, stop) == (0, self.last.maximum() + 1) and not differ
        sections = None if whole else (first, stop)
        self.try_to(partial(self.context.session.change, "evaluate", sections=sections))
        self.changed.emit()

    def _show_params(self, *_: Any) -> None:
        params = self.context.session.evaluate
        self.kind.setCurrentIndex(max(0, self.kind.findData(params.ground_truth_kind)))
        truth, other = self._truth_and_other()
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


def suggest_kind(truth: Volume) -> str:
    """Guess whether a ground truth holds ids or a drawing of membranes."""
    from napari_emseg.evaluation import guess_ground_truth_kind

    return guess_ground_truth_kind(truth)

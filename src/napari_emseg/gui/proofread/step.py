"""Step 5, Proofread: begin or go on, choose the mode, walk through the places, export."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QButtonGroup, QComboBox, QFileDialog, QHBoxLayout, QToolButton, QWidget

from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import (
    ElidedLabel,
    Fold,
    ProgressRow,
    StepFrame,
    button,
    column,
    note,
    row,
)
from napari_emseg.gui.jobs import Report
from napari_emseg.gui.proofread import keys
from napari_emseg.gui.proofread.bringing import LostPanel, bring_in_menu, describe
from napari_emseg.gui.proofread.export import export_labels, labels_as_layer
from napari_emseg.gui.proofread.history import HistoryPanel
from napari_emseg.gui.proofread.modes import MODES
from napari_emseg.gui.proofread.progress import ProgressPanel
from napari_emseg.gui.proofread.proofreading import Proofreading, proofreading_of
from napari_emseg.gui.proofread.queue import QueuePanel
from napari_emseg.gui.proofread.segment import SegmentPanel
from napari_emseg.gui.proofread.surfaces import SurfacesPanel
from napari_emseg.gui.step_widget import StepWidget
from napari_emseg.session.proofreads import list_folders

_MOST_LISTED = 12
_KEYS = {"look": "drop", "merge": "merge", "split": "split", "line": "line"}  # of the modes
_PANELS: tuple[tuple[type[QWidget], str], ...] = (
    (QueuePanel, ""),
    (SegmentPanel, ""),
    (HistoryPanel, "History"),
    (SurfacesPanel, "3D surfaces"),
    (ProgressPanel, "Progress"),
)
_PATTERNS = "TIFF (*.tif);;HDF5 (*.h5);;Zarr (*.zarr)"


class ProofreadStep(StepWidget):
    """Corrects the labels by merges, splits and strokes that are never lost."""

    title, name = "5 Proofread", "proofread"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.proofreading: Proofreading = proofreading_of(context)
        self.panels: dict[str, QWidget] = {}
        self.beginning = self._make_beginning()
        self.working = self._make_working()
        self.rows.addWidget(self.beginning)
        self.rows.addWidget(self.working)
        self.progress = ProgressRow(self.stop)
        self.rows.addWidget(self.progress)
        self.main_button = self.start_button
        self._connect()
        self._show_state()

    @property
    def words(self) -> str:
        """Where the step stands."""
        proofreading = self.proofreading
        if proofreading.is_starting:
            return "running"
        if proofreading.editor is not None:
            n = proofreading.editor.position
            return f"{n} edit{'' if n == 1 else 's'}, all on disk" if n else "click, or press a key"
        if self.context.layer("segmentation") is not None:
            return "ready: press Start proofreading"
        if self.earlier.count():
            return "ready: go on where you stopped"
        return "waiting for labels: press Write labels"

    @property
    def is_due(self) -> bool:
        """Whether this is what comes next, when all other steps are done."""
        return self.start_button.isEnabled() and self.proofreading.editor is None

    def start(self) -> None:
        """Start proofreading the chosen labels."""
        layer = self.context.layer("segmentation")
        if layer is not None:
            self.progress.show_report(0, 0, "preparing…")
            self.proofreading.start(layer)
            self._show_state()

    def resume(self) -> None:
        """Go on with the proofreading that is chosen in the list."""
        folder = self.earlier.currentData()
        if folder is not None:
            self.progress.show_report(0, 0, "opening…")
            self.proofreading.resume(folder)
            self._show_state()

    def stop(self) -> None:
        """Stop preparing."""
        self.context.jobs.stop("proofread")

    def finish(self) -> None:
        """End proofreading; the corrected labels become a layer."""
        labels_as_layer(self.proofreading)
        self.proofreading.finish()

    def export(self) -> None:
        """Ask for a file and write the corrected labels."""
        if self.proofreading.editor is None:
            return
        name = f"{self.proofreading.name} corrected.tif"
        path, _ = QFileDialog.getSaveFileName(self, "Export corrected labels", name, _PATTERNS)
        if path:
            export_labels(self.proofreading, Path(path))

    def bring_in(self) -> None:
        """Choose whose edits are to be made here, too."""
        menu = bring_in_menu(self.proofreading, self.bring_button)
        menu.exec(self.bring_button.mapToGlobal(self.bring_button.rect().bottomLeft()))

    def detach(self) -> None:
        """Stop listening to the viewer."""
        super().detach()
        for panel in self.panels.values():
            detach = getattr(panel, "detach", None)
            if detach is not None:
                detach()

    def _make_beginning(self) -> QWidget:
        content = QWidget()
        rows = column(content)
        rows.addLayout(row("Labels", self.combo("segmentation", "The labels to correct")))
        self.start_button = button(
            "Start proofreading",
            self.start,
            "Correct these labels by clicks; every edit is on disk at once and can be undone",
        )
        rows.addWidget(self.start_button)
        self.earlier = QComboBox()
        self.earlier.setToolTip("Proofreadings of earlier days, the newest first")
        self.earlier.setMinimumWidth(60)
        self.resume_button = button("Go on", self.resume, "Open it with every edit")
        self.earlier_row = QWidget()
        layout = row("Earlier", self.earlier, self.resume_button)
        layout.setContentsMargins(0, 0, 0, 0)
        self.earlier_row.setLayout(layout)
        rows.addWidget(self.earlier_row)
        return content

    def _make_working(self) -> QWidget:
        content = QWidget()
        self._work_rows = column(content)
        keys.KeyListener(content, self.proofreading)
        self.mode_buttons = QButtonGroup(self)
        modes = QHBoxLayout()
        modes.setSpacing(4)
        for mode in MODES:
            made = QToolButton()
            made.setText(mode.title)
            keys.tell_key(self.proofreading, made, _KEYS.get(mode.name, ""), mode.tip)
            made.setCheckable(True)
            made.setProperty("role", "tool")
            made.setProperty("mode", mode.name)
            made.clicked.connect(partial(self.proofreading.set_mode, mode.name))
            made.setSizePolicy(made.sizePolicy().Policy.Expanding, made.sizePolicy().Policy.Fixed)
            self.mode_buttons.addButton(made)
            modes.addWidget(made, 1)
        self._work_rows.addLayout(modes)
        decision = QHBoxLayout()
        self.accept_button = button("Accept", self.proofreading.accept, "Make this change (Enter)")
        self.drop_button = button("Drop", self.proofreading.drop, "Leave all as it is (Esc)")
        decision.addWidget(self.accept_button, 1)
        decision.addWidget(self.drop_button, 1)
        self._work_rows.addLayout(decision)
        self.said = note(" ", lines=2)
        self._work_rows.addWidget(self.said)
        self._work_rows.addWidget(LostPanel(self.proofreading))
        return content

    def _make_panels(self) -> None:
        """Make what lies under the modes, when something is proofread for the first time."""
        if self.panels:
            return
        for kind, title in _PANELS:
            made = kind(self.proofreading)  # type: ignore[arg-type]
            self.panels[kind.__name__] = made
            self._work_rows.addWidget(Fold(title, made) if title else made)
        self._work_rows.addWidget(self._make_ends())

    def _make_ends(self) -> QWidget:
        content = QWidget()
        rows = column(content)
        ends = QHBoxLayout()
        for text, action, tip in (
            ("Export labels…", self.export, "Write the corrected labels; you can go on meanwhile"),
            ("Finish", self.finish, "End proofreading; the corrected labels become a layer"),
        ):
            ends.addWidget(button(text, action, tip), 1)
        rows.addLayout(ends)
        self.bring_button = button(
            "Bring in edits…",
            self.bring_in,
            "Make the edits of another day or person here, too, where they fit",
        )
        rows.addWidget(self.bring_button)
        self.place = ElidedLabel("")
        self.place.setProperty("role", "quiet")
        rows.addWidget(self.place)
        return content

    def _connect(self) -> None:
        proofreading = self.proofreading
        self.refresh_earlier()
        for signal in (proofreading.started, proofreading.ended):
            signal.connect(self._show_state)
        proofreading.ended.connect(self.refresh_earlier)
        proofreading.hinted.connect(self._show_mode)
        proofreading.changed.connect(self._on_changed)
        proofreading.said.connect(self.said.setText)
        proofreading.reported.connect(self._on_reported)
        proofreading.prepared.connect(self._on_prepared)
        self.context.layer_changed.connect(self._show_state)

    def refresh_earlier(self) -> None:
        """List the proofreadings on disk anew."""
        self.earlier.clear()
        for folder in list_folders()[:_MOST_LISTED]:
            if folder.n_edits:
                self.earlier.addItem(describe(folder), folder)
        self.earlier_row.setVisible(self.earlier.count() > 0)

    def _show_state(self, *_: object) -> None:
        proofreading = self.proofreading
        is_active = proofreading.editor is not None
        if is_active:
            self._make_panels()
            self.place.setText(f"Edits are in {proofreading.folder.path}")  # type: ignore[union-attr]
        self.beginning.setVisible(not is_active)
        self.working.setVisible(is_active)
        has_labels = self.context.layer("segmentation") is not None
        self.start_button.setEnabled(has_labels and not proofreading.is_starting)
        self.resume_button.setEnabled(not proofreading.is_starting)
        self.earlier_row.setVisible(self.earlier.count() > 0)
        self._show_mode()
        self.context.plan_changed.emit()

    def _show_mode(self) -> None:
        proofreading = self.proofreading
        for made in self.mode_buttons.buttons():
            made.setChecked(made.property("mode") == proofreading.mode)
        has_preview = proofreading.preview is not None
        self.accept_button.setEnabled(has_preview)
        self.drop_button.setEnabled(has_preview or proofreading.hand.is_pending)

    def _on_changed(self, _change: object) -> None:
        """Count the edits; the plan of the other steps, which takes longer, is as it was."""
        frame = self.parentWidget()
        if isinstance(frame, StepFrame):
            frame.state.setText(self.words)

    def _on_reported(self, report: Report) -> None:
        self.progress.show_report(report.done, report.total, report.message.lower())

    def _on_prepared(self) -> None:
        self.progress.idle()
        self.refresh_earlier()
        self._show_state()

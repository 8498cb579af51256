"""The table of bad sections: found, ticked, added, and flown to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QMenu, QTableWidgetItem, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.compact_table import RIGHT, Column, CompactTable
from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import ElidedLabel, ProgressRow, button, column, row
from napari_emseg.gui.jobs import Report
from napari_emseg.gui.models.combo import ModelCombo
from napari_emseg.postprocessing.section_table import (
    FAULTS,
    BadSection,
    Fault,
    check_table,
    format_entries,
    parse_entries,
)
from napari_emseg.progress import Progress
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer

_ROWS_SEEN = 5
_COLUMNS = (
    Column("section", "Ticked: something else stands in for it; double-click to go there", 70),
    Column("fault", "What is wrong", 84),
    Column("finding", "How far it is off its neighbours"),
)
_UNCHECKED = "Not checked yet: press Check sections."


class SectionTable(QWidget):
    """Finds bad sections and keeps the table that Predict uses."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._rows: tuple[BadSection, ...] = ()
        self._raw: Layer | None = None  # that the rows are of
        self.summary = ElidedLabel(_UNCHECKED)
        self.summary.setProperty("role", "quiet")
        self.table = CompactTable(_COLUMNS, rows_seen=_ROWS_SEEN, name="Bad sections")
        # napari's empty box is all but invisible on a table
        self.table.setStyleSheet("QTableWidget::indicator:unchecked { border: 1px solid #888; }")
        self.table.cellDoubleClicked.connect(lambda index, _column: self.go_to(index))
        self.table.itemChanged.connect(self._on_item_changed)
        self.check_button = button(
            "Check sections", self.check, "Look for misaligned, blank and blurred sections"
        )
        self.add_button = button("Add this one", lambda: None, "Add the section you see, as")
        menu = QMenu(self.add_button)
        for fault in FAULTS:
            action: Any = menu.addAction(fault)
            action.triggered.connect(partial(self._on_fault_triggered, fault))
        self.add_button.setMenu(menu)
        self.substitute = self._make_substitute()
        rows = column(self)
        rows.addWidget(self.summary)
        rows.addWidget(self.table)
        buttons = row("", self.check_button, self.add_button)
        buttons.setStretch(1, 1)
        rows.addLayout(buttons)
        rows.addLayout(row("Misaligned", self.substitute))
        self.progress = ProgressRow(partial(context.jobs.stop, "sections"))
        rows.addWidget(self.progress)
        context.plan_changed.connect(self._enable)
        context.layer_changed.connect(self._on_layer_changed)
        context.session.events.predict.connect(self.show_params)
        self.show_params()
        self._enable()

    @property
    def rows(self) -> tuple[BadSection, ...]:
        """The table."""
        return self._rows

    def check(self) -> None:
        """Look for bad sections in the raw stack, in the background."""
        try:
            raw = self._context.volume("raw")
        except InputError as error:
            self._context.refuse(error)
            return
        layer = self._context.layer("raw")
        self.progress.show_report(0, 0, "checking sections…")
        self._context.jobs.start(
            partial(_find, raw),
            title=f"Checking sections of {raw.name}",
            key="sections",
            on_report=self._on_report,
            on_result=partial(self._on_found, layer),
            on_end=self._on_ended,
        )
        self._enable()

    def add(self, fault: Fault) -> None:
        """Put the visible section into the table, or change what is said to be wrong with it."""
        z = self._context.section
        kept = [bad for bad in self._rows if bad.z != z]
        self._raw = self._context.layer("raw")
        self._keep(check_table([*kept, BadSection(z, fault, what="added by hand")]))
        index = next(at for at, bad in enumerate(self._rows) if bad.z == z)
        self.table.setCurrentCell(index, 0)

    def go_to(self, index: int) -> None:
        """Show the section of a row."""
        layer = self._context.layer("raw") or self._context.layer("boundary")
        if layer is None or layer.ndim != 3 or not 0 <= index < len(self._rows):
            return
        viewer = self._context.viewer
        position = layer.data_to_world((self._rows[index].z, 0, 0))[0]
        viewer.dims.set_point(viewer.dims.ndim - 3, float(position))

    def show_params(self, *_: Any) -> None:
        """Show what the session says, which may come from a file."""
        params = self._context.session.predict
        entries = params.bad_sections
        if entries != ("auto",) and format_entries(self._rows) != entries:
            self._raw = None
            self._rows = parse_entries(entries)
            self._fill()
        self.substitute.show_model(params.substitute)

    def _make_substitute(self) -> ModelCombo:
        combo = ModelCombo(
            self._context,
            name="model for misaligned sections",
            first=("none: each section by itself", ""),
            accepts=lambda info: info.target == "boundary",
        )
        combo.setToolTip(
            "Model that joins in where sections are misaligned: one of single sections that "
            "draws membranes wide"
        )
        combo.activated.connect(self._on_substitute_activated)
        return combo

    def _on_substitute_activated(self, _index: int) -> None:
        self._context.session.change("predict", substitute=self.substitute.currentData())

    def _on_fault_triggered(self, fault: Fault, *_: Any) -> None:
        self.add(fault)

    def _on_found(self, layer: Layer | None, found: tuple[BadSection, ...]) -> None:
        if layer is not self._context.layer("raw"):
            return
        by_hand = [bad for bad in self._rows if bad.what == "added by hand" and self._raw is layer]
        named = {bad.z for bad in by_hand}
        self._raw = layer
        self._keep(check_table([*by_hand, *(bad for bad in found if bad.z not in named)]))
        if not self._rows:
            self.summary.setText("No bad section was found.")

    def _keep(self, rows: tuple[BadSection, ...]) -> None:
        self._rows = rows
        self._fill()
        self._tell_session()

    def _tell_session(self) -> None:
        self._context.session.change("predict", bad_sections=format_entries(self._rows))

    def _fill(self) -> None:
        with QSignalBlocker(self.table):
            self.table.setRowCount(len(self._rows))
            for index, bad in enumerate(self._rows):
                number = QTableWidgetItem(str(bad.z))
                number.setFlags(number.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                state = Qt.CheckState.Checked if bad.use else Qt.CheckState.Unchecked
                number.setCheckState(state)
                number.setTextAlignment(RIGHT)
                self.table.setItem(index, 0, number)
                for place, text in ((1, bad.fault), (2, bad.what)):
                    item = QTableWidgetItem(text)
                    item.setToolTip(f"Section {bad.z}: {bad.fault}, {bad.what}".rstrip(", "))
                    self.table.setItem(index, place, item)
        self._summarise()

    def _summarise(self) -> None:
        n_used = sum(bad.use for bad in self._rows)
        if not self._rows:
            self.summary.setText(_UNCHECKED)
            return
        listed = f"{len(self._rows)} section{'' if len(self._rows) == 1 else 's'} listed"
        self.summary.setText(f"{listed}, {n_used} to be substituted by Predict.")

    def _on_item_changed(self, item: QTableWidgetItem) -> None:
        if item.column() != 0 or item.row() >= len(self._rows):
            return
        index, use = item.row(), item.checkState() == Qt.CheckState.Checked
        old = self._rows[index]
        changed = BadSection(old.z, old.fault, old.strength, use, old.what)
        self._rows = (*self._rows[:index], changed, *self._rows[index + 1 :])
        self._summarise()
        self._tell_session()

    def _on_layer_changed(self, role: str) -> None:
        raw = self._context.layer("raw")
        if role != "raw" or raw is None:
            return
        if self._rows and self._raw is not None and self._raw is not raw:
            self._raw = None
            self._keep(())  # they are of another stack
        elif self._rows and self._raw is None:
            self._raw = raw

    def _on_report(self, report: Report) -> None:
        self.progress.show_report(report.done, report.total, report.describe("sections"))

    def _on_ended(self) -> None:
        self.progress.idle(" ")
        self._context.plan_changed.emit()

    def _enable(self) -> None:
        has_raw = self._context.layer("raw") is not None
        self.check_button.setEnabled(has_raw and not self._context.jobs.is_busy("sections"))
        self.add_button.setEnabled(has_raw)


def _find(raw: Volume, progress: Progress) -> tuple[BadSection, ...]:
    from napari_emseg.postprocessing.bad_sections import find_bad_sections

    return find_bad_sections(raw, progress=progress)

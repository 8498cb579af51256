"""The list of errors, the costliest first, and the walk from one to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QIcon, QKeyEvent, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QTableWidgetItem,
    QWidget,
)

from napari_emseg.evaluation.error_view import IS_MERGE, IS_SPLIT
from napari_emseg.gui.compact_table import RIGHT, Column, CompactTable
from napari_emseg.gui.evaluate.error_layer import COLOURS
from napari_emseg.gui.frame import ElidedLabel, button, column, note, row

if TYPE_CHECKING:
    from napari_emseg.evaluation.error_sites import Errors, ErrorSite

ROWS_SEEN = 6
_COLUMNS = (
    Column("error", "split: one neuron in two segments; merge: two neurons in one segment", 68),
    Column("of loss", "How much of the V_rand lost comes back if exactly this is mended", 58),
    Column("voxels", "Size of the piece to join, or of the part to cut off", 68),
    Column("section", "Where to look", 56),
    Column("segments", "Ids of the segments"),
)
_STEPS: dict[int, int] = {Qt.Key.Key_N: 1, Qt.Key.Key_P: -1}
_KIND = {"split": IS_SPLIT, "merge": IS_MERGE}
_KEYS = "Key {key}; with a labels layer selected napari takes P for its brush"


class ErrorList(QWidget):
    """A compact table of errors; `chosen` tells which one to go to."""

    chosen = Signal(object)
    colours_wanted = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._errors: Errors | None = None
        self.summary = ElidedLabel()
        name = "Split and merge errors, the costliest first"
        self.table = _Table(_COLUMNS, rows_seen=ROWS_SEEN, name=name)
        self.table.currentCellChanged.connect(self._on_table_current)
        self.table.cellDoubleClicked.connect(lambda index, _column: self._announce(index))
        self.previous_button = button(
            "◀ Previous (P)", lambda: self.step(-1), _KEYS.format(key="P")
        )
        self.next_button = button("Next (N) ▶", lambda: self.step(1), "Key N")
        self.colours = QCheckBox("Colours")
        self.colours.setToolTip("Colour split errors blue and merge errors orange on the canvas")
        self.colours.toggled.connect(self.colours_wanted)
        self.words = note(lines=2)
        rows = column(self)
        rows.addLayout(row("", self.summary, self.colours))
        rows.addWidget(self.table)
        buttons = row("", self.previous_button, self.next_button)
        buttons.setStretch(1, 1)
        rows.addLayout(buttons)
        rows.addWidget(self.words)
        self.show_errors(None)

    @property
    def errors(self) -> Errors | None:
        """What is listed."""
        return self._errors

    def show_errors(self, errors: Errors | None) -> None:
        """List other errors, or none."""
        self._errors = errors
        sites = errors.sites if errors is not None else ()
        with QSignalBlocker(self.table):
            self.table.setRowCount(len(sites))
            for index, site in enumerate(sites):
                assert errors is not None
                self._fill(index, site, errors.share_of_loss(site))
            self.table.setCurrentCell(-1, -1)
        self.summary.setText(summarise(errors))
        self.words.setText("")
        for widget in (self.previous_button, self.next_button, self.colours):
            widget.setEnabled(bool(sites))

    def mark_stale(self, because: str) -> None:
        """Say that the list is of something earlier."""
        if self._errors is not None:
            self.summary.setText(f"{because}: press Evaluate")

    def step(self, by: int) -> None:
        """Go to the next error (1) or the one before (-1); after the last comes the first."""
        n = self.table.rowCount()
        if n:
            index = self.table.currentRow()
            index = (index + by) % n if index >= 0 else (0 if by > 0 else n - 1)
            self.table.setCurrentCell(index, 0)

    def set_colours(self, on: bool) -> None:
        """Show whether the canvas is coloured, without asking for it."""
        with QSignalBlocker(self.colours):
            self.colours.setChecked(on)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        by = _STEPS.get(event.key()) if event is not None else None
        if by is None:
            super().keyPressEvent(event)
        else:
            self.step(by)

    def _on_table_current(self, index: int, _column: int, before: int, _before: int) -> None:
        if index != before:
            self._announce(index)

    def _announce(self, index: int) -> None:
        if self._errors is None or not 0 <= index < len(self._errors.sites):
            return
        site = self._errors.sites[index]
        self.words.setText(describe(site))
        self.chosen.emit(site)

    def _fill(self, index: int, site: ErrorSite, share: float) -> None:
        words = (
            site.kind,
            percent(share),
            f"{site.n_voxels:,}",
            str(site.section),
            " + ".join(map(str, site.segments)),
        )
        for place, text in enumerate(words):
            item = QTableWidgetItem(text)
            item.setToolTip(describe(site))
            if place == 0:
                item.setIcon(_square(COLOURS[_KIND[site.kind]]))
            elif place < 4:
                item.setTextAlignment(RIGHT)
            self.table.setItem(index, place, item)


class _Table(CompactTable):
    """N and P are the list's."""

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in _STEPS:
            event.ignore()
        else:
            super().keyPressEvent(event)


def summarise(errors: Errors | None) -> str:
    """Say how many errors there are."""
    if errors is None:
        return "Evaluate lists split and merge errors here."
    if not errors.sites:
        return "No split or merge errors."
    is_one = errors.n_split + errors.n_merge == 1
    found = f"{errors.n_split:,} split and {errors.n_merge:,} merge error{'' if is_one else 's'}"
    if len(errors.sites) < errors.n_split + errors.n_merge:
        found += f", {len(errors.sites):,} listed"
    return found


def describe(site: ErrorSite) -> str:
    """Say what is wrong and what would mend it."""
    if site.kind == "split":
        one, other = site.segments
        return (
            f"Split: segment {one} (yellow) belongs to the same neuron as segment {other} "
            "(green); they should be one."
        )
    return (
        f"Merge: segment {site.segments[0]} runs from one neuron (green) into another (yellow); "
        "it should be cut between them."
    )


def percent(share: float) -> str:
    """Write a share as people read it."""
    value = 100 * share
    if abs(value) >= 10:
        return f"{value:.0f} %"
    return f"{value:.1f} %" if abs(value) >= 0.05 else "< 0.1 %"


def _square(colour: str) -> QIcon:
    picture = QPixmap(10, 10)
    picture.fill(QColor(colour))
    return QIcon(picture)

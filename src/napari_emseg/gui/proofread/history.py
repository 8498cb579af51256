"""The list of edits, the newest first; a click goes back or forth to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QModelIndex, QSignalBlocker, Qt
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QApplication, QWidget

from napari_emseg.gui.compact_table import RIGHT, Column
from napari_emseg.gui.frame import ElidedLabel, button, column, row
from napari_emseg.gui.jobs import format_seconds
from napari_emseg.gui.proofread.keys import KeyListener
from napari_emseg.gui.proofread.table import TableModel, TableView

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading
    from napari_emseg.proofreading import HistoryItem

ROWS_SEEN = 6
_COLUMNS = (
    Column("edit", "What was done, the newest first; a click goes to the state after it"),
    Column("took", "Time since the edit before", 60),
)
_START = "As it was opened"


class HistoryModel(TableModel):
    """The edits of a history, the newest in the first row, the start in the last one."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS)
        self._items: tuple[HistoryItem, ...] = ()
        self._position = 0

    @property
    def row_now(self) -> int:
        """Row of the present state."""
        return len(self._items) - self._position

    def position_of(self, at: int) -> int:
        """Return how many edits count in the state of a row."""
        return len(self._items) - at

    def item_of(self, at: int) -> HistoryItem | None:
        """Return the edit of a row; None for the start."""
        return self._items[-1 - at] if 0 <= at < len(self._items) else None

    def follow(self, items: tuple[HistoryItem, ...], position: int) -> None:
        """Show a history; only what differs is told to the view."""
        known, n = self._items, len(items)
        n_same = min(len(known), n)
        while n_same and known[n_same - 1] is not items[n_same - 1]:
            n_same -= 1
        if len(known) > n_same:
            self.beginRemoveRows(QModelIndex(), 0, len(known) - n_same - 1)
            self._items = known[:n_same]
            self.endRemoveRows()
        if n > n_same:
            self.beginInsertRows(QModelIndex(), 0, n - n_same - 1)
            self._items = items
            self.endInsertRows()
        self._position = position
        self.dataChanged.emit(self.index(0, 0), self.index(n, len(_COLUMNS) - 1))

    @property
    def n_rows(self) -> int:
        """One for each edit, and the start."""
        return len(self._items) + 1

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        item, kinds = self.item_of(index.row()), Qt.ItemDataRole
        if role == kinds.ForegroundRole and index.row() < self.row_now:
            return QApplication.palette().brush(
                QPalette.ColorGroup.Disabled, QPalette.ColorRole.Text
            )
        if role == kinds.TextAlignmentRole and index.column() == 1:
            return RIGHT
        if role not in (kinds.DisplayRole, kinds.ToolTipRole):
            return None
        if item is None:
            return _START if index.column() == 0 else ""
        if role == kinds.ToolTipRole:
            return f"{item.words}\n{item.who}, {item.time}" if item.who else item.words
        return item.words if index.column() == 0 else format_seconds(item.seconds)


class HistoryPanel(QWidget):
    """All edits, to go back and forth in.

    Parameters
    ----------
    proofreading : Proofreading
    """

    def __init__(self, proofreading: Proofreading) -> None:
        super().__init__()
        self.proofreading = proofreading
        self.summary = ElidedLabel()
        self.undo_button = button(
            "Undo (Ctrl+Z)", proofreading.undo, "Take the last edit back; as often as you like"
        )
        self.redo_button = button(
            "Redo (Ctrl+Shift+Z)", proofreading.redo, "Make the edit that was undone again"
        )
        self.model = HistoryModel()
        self.table = TableView(
            self.model, _COLUMNS, rows_seen=ROWS_SEEN, name="Edits, the newest first"
        )
        self.table.clicked.connect(lambda index: self._go(index.row()))
        rows = column(self)
        rows.addWidget(self.summary)
        rows.addWidget(self.table)
        buttons = row("", self.undo_button, self.redo_button)
        buttons.setStretch(1, 1)
        rows.addLayout(buttons)
        KeyListener(self, proofreading)
        for signal in (proofreading.started, proofreading.ended, proofreading.changed):
            signal.connect(self.refresh)
        self.refresh()

    def refresh(self, *_: Any) -> None:
        """Show the history as it is now."""
        editor = self.proofreading.editor
        items, position = (editor.history, editor.position) if editor is not None else ((), 0)
        self.model.follow(items, position)
        chosen = self.table.selectionModel()
        assert chosen is not None
        with QSignalBlocker(chosen):
            self.table.selectRow(self.model.row_now)
        self.table.scrollTo(self.model.index(self.model.row_now, 0))
        self.table.setEnabled(editor is not None)
        self.undo_button.setEnabled(position > 0)
        self.redo_button.setEnabled(position < len(items))
        self.summary.setText(summarise(len(items), position) if editor is not None else " ")

    def _go(self, at: int) -> None:
        """Go to the state of a row, and to where its edit was made."""
        item = self.model.item_of(at)
        position = self.model.position_of(at)
        editor = self.proofreading.editor
        if editor is not None and position != editor.position:
            self.proofreading.jump_to(position)
        if item is not None and item.place is not None:
            self.proofreading.go_to(item.place)


def summarise(n: int, position: int) -> str:
    """Say how many edits there are, and how many of them were taken back.

    Examples
    --------
    >>> summarise(12, 12), summarise(12, 10)
    ('12 edits; a click goes back to one', '10 of 12 edits; the next one replaces the grey ones')
    """
    if n == 0:
        return "No edits yet; each one will stand here."
    edits = f"{n:,} edit" + ("" if n == 1 else "s")
    if position < n:
        return f"{position:,} of {edits}; the next one replaces the grey ones"
    return f"{edits}; a click goes back to one"

"""A table over a model: as wide as the dock, some rows high, quick with any number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSize, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_emseg.gui.compact_table import Column

_WALKS = {
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
}


class TableModel(QAbstractTableModel):
    """Columns with headings; what stands in them is told by a subclass."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        self._columns = tuple(columns)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else self.n_rows

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._columns[section].title
        return self._columns[section].tip if role == Qt.ItemDataRole.ToolTipRole else None


class TableView(QTableView):
    """Its size never depends on what is in it, so that nothing moves."""

    def __init__(
        self, model: TableModel, columns: Sequence[Column], *, rows_seen: int, name: str
    ) -> None:
        super().__init__()
        self._rows_seen = rows_seen
        self.setModel(model)
        self.setAccessibleName(name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        head, vertical = self.horizontalHeader(), self.verticalHeader()
        assert head is not None
        assert vertical is not None
        vertical.setVisible(False)
        vertical.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        vertical.setMinimumSectionSize(8)
        vertical.setDefaultSectionSize(self.fontMetrics().lineSpacing() + 6)
        head.setHighlightSections(False)
        head.setSectionsClickable(False)
        if not any(column.title for column in columns):
            head.setVisible(False)
        for place, column in enumerate(columns):
            mode = QHeaderView.ResizeMode
            head.setSectionResizeMode(place, mode.Fixed if column.width_px else mode.Stretch)
            if column.width_px:
                self.setColumnWidth(place, column.width_px)

    def sizeHint(self) -> QSize:
        head, vertical = self.horizontalHeader(), self.verticalHeader()
        assert head is not None
        assert vertical is not None
        title = 0 if head.isHidden() else head.sizeHint().height()
        return QSize(300, title + self._rows_seen * vertical.defaultSectionSize() + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(100, self.sizeHint().height())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Walk with arrows; leave letters to the keys of proofreading."""
        if event is not None and event.key() in _WALKS:
            super().keyPressEvent(event)
        elif event is not None:
            event.ignore()

"""A table as wide as the dock and some rows high, whatever is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True)
class Column:
    """A heading, what it means, and how wide it is: 0 takes the room that is left."""

    title: str
    tip: str
    width_px: int = 0


class CompactTable(QTableWidget):
    """Rows to choose one of; its size never depends on them, so that nothing moves."""

    def __init__(self, columns: Sequence[Column], *, rows_seen: int, name: str) -> None:
        super().__init__(0, len(columns))
        self._rows_seen = rows_seen
        self.setAccessibleName(name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setWordWrap(False)
        head, vertical = self.horizontalHeader(), self.verticalHeader()
        assert head is not None
        assert vertical is not None
        vertical.setVisible(False)
        vertical.setMinimumSectionSize(8)
        vertical.setDefaultSectionSize(self.fontMetrics().lineSpacing() + 6)
        head.setHighlightSections(False)
        for place, column in enumerate(columns):
            item = QTableWidgetItem(column.title)
            item.setToolTip(column.tip)
            self.setHorizontalHeaderItem(place, item)
            mode = QHeaderView.ResizeMode
            head.setSectionResizeMode(place, mode.Interactive if column.width_px else mode.Stretch)
            self.setColumnWidth(place, column.width_px)

    def sizeHint(self) -> QSize:
        head, vertical = self.horizontalHeader(), self.verticalHeader()
        assert head is not None
        assert vertical is not None
        height = head.sizeHint().height() + self._rows_seen * vertical.defaultSectionSize() + 2
        return QSize(300, height)

    def minimumSizeHint(self) -> QSize:
        return QSize(100, self.sizeHint().height())

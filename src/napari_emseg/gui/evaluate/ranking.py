"""Every way to join that has been tried, the best first; a click sets the sliders so."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QEvent, QSignalBlocker, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QTableWidgetItem

from napari_emseg.gui.compact_table import RIGHT, Column, CompactTable
from napari_emseg.gui.grouping_names import GROUPING_NAMES, name_of

_COLUMNS = (
    Column("join by", "Way to join basins, the best first; a click sets the sliders so"),
    Column("best", "Its best score, of the kind chosen above the curve", 62),
    Column("at", "Where its slider is best: h, or the threshold", 52),
)
_UNSEEN = QColor("gray")


class Ranking(CompactTable):
    """A row for each grouping: its colour in the plot, its best score and where that is."""

    chosen = Signal(str)
    pointed_at = Signal(str)

    def __init__(self) -> None:
        name = "Ways to join, the best first; click to use one"
        super().__init__(_COLUMNS, rows_seen=len(GROUPING_NAMES), name=name)
        self._groupings: list[str] = []
        self.setMouseTracking(True)
        self.cellEntered.connect(lambda row, _column: self.pointed_at.emit(self._groupings[row]))
        self.cellClicked.connect(self._on_cell_chosen)
        self.cellActivated.connect(self._on_cell_chosen)

    def show_best(
        self,
        best: Mapping[str, tuple[float, float]],
        inks: Mapping[str, QColor],
        *,
        chosen: str,
        is_error: bool,
    ) -> None:
        """List groupings.

        Parameters
        ----------
        best : mapping
            Grouping to (position of the slider, score).
        inks : mapping
            Grouping to its colour in the plot, if it is seen there.
        chosen : str
            The one the sliders move on; marked.
        is_error : bool
            Whether 0 is perfect.
        """
        sign = 1 if is_error else -1
        self._groupings = sorted(best, key=lambda grouping: sign * best[grouping][1])
        with QSignalBlocker(self):
            self.setRowCount(len(self._groupings))
            for row, grouping in enumerate(self._groupings):
                self._fill(row, grouping, best[grouping], inks.get(grouping, _UNSEEN))
            row = self._groupings.index(chosen) if chosen in self._groupings else -1
            self.setCurrentCell(row, 0)

    def leaveEvent(self, event: QEvent | None) -> None:
        super().leaveEvent(event)
        self.pointed_at.emit("")

    def _fill(self, row: int, grouping: str, best: tuple[float, float], ink: QColor) -> None:
        at, score = best
        tip = f"Join by {name_of(grouping)}, at {at:.3g}: {score:.4f}. Click to set it so."
        for place, text in enumerate((name_of(grouping), f"{score:.4f}", f"{at:.3g}")):
            item = QTableWidgetItem(text)
            item.setToolTip(tip)
            if place == 0:
                item.setIcon(_swatch(ink))
            else:
                item.setTextAlignment(RIGHT)
            self.setItem(row, place, item)

    def _on_cell_chosen(self, row: int, _column: int) -> None:
        self.chosen.emit(self._groupings[row])


def _swatch(ink: QColor) -> QIcon:
    picture = QPixmap(10, 10)
    picture.fill(ink)
    return QIcon(picture)

"""Which sections to learn from, which to try the model on, and further stacks to learn from."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QLineEdit, QTableWidgetItem, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.compact_table import Column, CompactTable
from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import button, column, note, row
from napari_emseg.gui.train.wishes import wishes_of

_ROWS_SEEN = 2
_COLUMNS = (
    Column("also learn from", "Raw layer + layer of labels"),
    Column("sections", "Those learned from", 84),
)
_AUTOMATIC = "automatic"
_ALL = "all that are labelled"


class TrainPairs(QWidget):
    """Edits the sections of the chosen layers, and the list of further ones."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.wishes = wishes_of(context)
        self.sections = self._make_line("sections", _ALL, "Sections to learn from, such as 3, 7-9")
        self.held_out = self._make_line(
            "held_out",
            _AUTOMATIC,
            "Sections that the model is tried on and never learns from, such as 12-14; by itself "
            "the last 15 % of four or more",
        )
        self.table = CompactTable(_COLUMNS, rows_seen=_ROWS_SEEN, name="Also learn from")
        self.add_button = button(
            "Add these layers",
            self.add,
            "Keep the layers chosen above in the list; then choose others, of another stack",
        )
        self.remove_button = button("Remove", self.remove, "Take the chosen row off the list")
        rows = column(self)
        rows.addLayout(row("Learn from", self.sections))
        rows.addLayout(row("Hold out", self.held_out))
        rows.addWidget(
            note("Numbers as under the image, such as 3, 7-9. Held-out sections give the score.")
        )
        rows.addWidget(self.table)
        buttons = row("", self.add_button, self.remove_button)
        buttons.setStretch(1, 1)
        rows.addLayout(buttons)
        self.wishes.changed.connect(self.show_wishes)
        self.table.itemSelectionChanged.connect(self._enable)
        self.show_wishes()

    def add(self) -> None:
        """Put the layers chosen above into the list."""
        try:
            present = self.wishes.present()
            present.material().pair(keep=False)  # what cannot be learned from is not listed
        except InputError as error:
            self._context.refuse(error)
            return
        kept = [one for one in self.wishes.others if not one.is_same(present)]
        self.wishes.change(others=(*kept, present))

    def remove(self) -> None:
        """Take the chosen row off the list."""
        at = self.table.currentRow()
        others = self.wishes.others
        self.wishes.change(others=(*others[:at], *others[at + 1 :]))

    def show_wishes(self) -> None:
        """Show what is wished for."""
        for line, text in (
            (self.sections, self.wishes.sections),
            (self.held_out, self.wishes.held_out),
        ):
            if line.text() != text:
                with QSignalBlocker(line):
                    line.setText(text)
        self._fill()
        self._enable()

    def _make_line(self, name: str, placeholder: str, tip: str) -> QLineEdit:
        line = QLineEdit()
        line.setPlaceholderText(placeholder)
        line.setToolTip(tip)
        line.setAccessibleName(tip)
        line.editingFinished.connect(partial(self._on_typed, name, line))
        return line

    def _on_typed(self, name: str, line: QLineEdit) -> None:
        self.wishes.change(**{name: line.text().strip()})

    def _fill(self) -> None:
        others = self.wishes.others
        self.table.setRowCount(len(others))
        for index, data in enumerate(others):
            words: tuple[Any, ...] = (data.name, data.sections or "all")
            for place, text in enumerate(words):
                item = QTableWidgetItem(text)
                held = f", held out: {data.held_out}" if data.held_out else ""
                item.setToolTip(f"{data.name}, sections: {data.sections or _ALL}{held}")
                self.table.setItem(index, place, item)

    def _enable(self) -> None:
        self.add_button.setEnabled(self.wishes.layer("labels") is not None)
        self.remove_button.setEnabled(0 <= self.table.currentRow() < len(self.wishes.others))

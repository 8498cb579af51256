"""Edits of another day or person brought in, and the list of those that could not be made."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_emseg.gui.compact_table import Column
from napari_emseg.gui.frame import ElidedLabel, button, column, row
from napari_emseg.gui.proofread.opening import others_like
from napari_emseg.gui.proofread.table import TableModel, TableView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emseg.gui.proofread.proofreading import Proofreading
    from napari_emseg.proofreading import NotCarried
    from napari_emseg.session.proofreads import ProofreadFolder

ROWS_SEEN = 4
_MOST_LISTED = 10
_COLUMNS = (
    Column("edit", "What was done there; a click goes to the place"),
    Column("why it could not be made", "What is otherwise here"),
)


def bring_in_menu(proofreading: Proofreading, parent: QWidget) -> QMenu:
    """Return the choice of what edits can be brought in from.

    Parameters
    ----------
    proofreading : Proofreading
        In which something is being corrected.
    parent : QWidget

    Returns
    -------
    QMenu
    """
    menu, editor, folder = QMenu(parent), proofreading.editor, proofreading.folder
    if editor is not None and folder is not None:
        for other in others_like(folder, editor.view.shape)[:_MOST_LISTED]:
            menu.addAction(describe(other), partial(proofreading.bring_in, other.log))
    if not menu.isEmpty():
        menu.addSeparator()
    menu.addAction("A log of another computer…", partial(_choose, proofreading, parent))
    return menu


def describe(folder: ProofreadFolder) -> str:
    """Name a proofreading in a list: labels, edits, day."""
    n, when = folder.n_edits, folder.changed.astimezone().strftime("%d %b %H:%M")
    return f"{folder.name}, {n} edit{'' if n == 1 else 's'}, {when}"


def _choose(proofreading: Proofreading, parent: QWidget) -> None:
    path, _ = QFileDialog.getOpenFileName(
        parent, "Log of the edits to bring in", "", "Logs of edits (*.jsonl)"
    )
    if path:
        proofreading.bring_in(Path(path))


class LostModel(TableModel):
    """Edits that could not be made."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS)
        self.lost: Sequence[NotCarried] = ()

    @property
    def n_rows(self) -> int:
        """One for each edit."""
        return len(self.lost)

    def show(self, lost: Sequence[NotCarried]) -> None:
        """Show others."""
        self.beginResetModel()
        self.lost = lost
        self.endResetModel()

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        if not 0 <= index.row() < len(self.lost):
            return None
        edit, kinds = self.lost[index.row()], Qt.ItemDataRole
        if role == kinds.DisplayRole:
            return (edit.words, edit.reason)[index.column()]
        if role == kinds.ToolTipRole:
            who = f"\nEdit {edit.n} of {edit.who}" if edit.who else f"\nEdit {edit.n}"
            return f"{edit.words}\n{edit.reason}{who}"
        return None


class LostPanel(QWidget):
    """Lists edits that were to be brought in and could not be made, until it is closed.

    Parameters
    ----------
    proofreading : Proofreading
    """

    def __init__(self, proofreading: Proofreading) -> None:
        super().__init__()
        self._proofreading = proofreading
        self.model = LostModel()
        self.summary = ElidedLabel()
        name = "Edits that could not be made"
        self.table = TableView(self.model, _COLUMNS, rows_seen=ROWS_SEEN, name=name)
        self.table.clicked.connect(self._go)
        rows = column(self)
        rows.addLayout(row("", self.summary, button("Close", self.hide, "The list is not needed")))
        rows.addWidget(self.table)
        proofreading.told_lost.connect(self.tell)
        proofreading.ended.connect(self.hide)
        self.hide()

    def tell(self, lost: Sequence[NotCarried]) -> None:
        """List edits."""
        self.model.show(lost)
        n = len(lost)
        self.summary.setText(
            f"{n} edit{'' if n == 1 else 's'} could not be made; a click goes there"
        )
        self.show()

    def _go(self, index: QModelIndex) -> None:
        place = self.model.lost[index.row()].place
        if place is not None and self._proofreading.editor is not None:
            self._proofreading.go_to(place)

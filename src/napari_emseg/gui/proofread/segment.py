"""The panel of the selected segment: what it is, what it touches, and the way to another."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QFont, QIcon, QPixmap
from qtpy.QtWidgets import QLabel, QLineEdit, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.compact_table import RIGHT, Column
from napari_emseg.gui.frame import ElidedLabel, button, column, row
from napari_emseg.gui.proofread.actions import requests_of
from napari_emseg.gui.proofread.facts import (
    Neighbour,
    describe,
    describe_contact,
    facts_of,
    middle_of,
    neighbours_of,
    place_wanted,
)
from napari_emseg.gui.proofread.keymap import shown
from napari_emseg.gui.proofread.keys import KeyListener, canvas_of, key_button, keys_of
from napari_emseg.gui.proofread.table import TableModel, TableView
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from qtpy.QtCore import QModelIndex

    from napari_emseg.gui.proofread.proofreading import Proofreading
    from napari_emseg.proofreading import Proofreader
    from napari_emseg.volume import ZYX

ROWS_SEEN = 3
_JOB, _LANE = "proofread neighbours", "proofread neighbours"
_SWATCH_PX = 12
_MERGE = 3
_COLUMNS = (
    Column("neighbour", "Segments that touch it, the largest contact first; a click goes there"),
    Column("contact", "How large the area is over which they touch", 96),
    Column("wall", "Mean of the boundary map between them: 0 is no membrane, 1 a sure one", 48),
    Column("", "Click to see what the merge would do", 60),
)


class NeighbourModel(TableModel):
    """Segments that touch the selected one.

    Parameters
    ----------
    proofreading : Proofreading
    """

    def __init__(self, proofreading: Proofreading) -> None:
        super().__init__(_COLUMNS)
        self._proofreading = proofreading
        self.neighbours: tuple[Neighbour, ...] = ()
        self.voxel_size_nm: ZYX | None = None

    def renew(self, neighbours: tuple[Neighbour, ...], voxel_size_nm: ZYX | None) -> None:
        """Show others."""
        self.beginResetModel()
        self.neighbours, self.voxel_size_nm = neighbours, voxel_size_nm
        self.endResetModel()

    @property
    def n_rows(self) -> int:
        """One for each neighbour."""
        return len(self.neighbours)

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        if not 0 <= index.row() < len(self.neighbours):
            return None
        found, kinds = self.neighbours[index.row()], Qt.ItemDataRole
        if role == kinds.DisplayRole:
            contact = describe_contact(found.n_faces, self.voxel_size_nm)
            return (self._name(found.segment), contact, f"{found.wall:.2f}", "Merge")[
                index.column()
            ]
        if role == kinds.DecorationRole and index.column() == 0:
            return swatch(self._proofreading, found.segment)
        if role == kinds.TextAlignmentRole and index.column() in (1, 2):
            return RIGHT
        if role == kinds.ToolTipRole and index.column() == _MERGE:
            return f"See what merging with segment {found.segment} would do"
        if role == kinds.FontRole and index.column() == _MERGE:
            font = QFont()
            font.setUnderline(True)
            return font
        return None

    def _name(self, segment: int) -> str:
        editor = self._proofreading.editor
        name = editor.state.names.get(segment, "") if editor is not None else ""
        return f"{segment}  {name}".rstrip()


class SegmentPanel(QWidget):
    """What is known of the selected segment.

    Parameters
    ----------
    proofreading : Proofreading
    """

    def __init__(self, proofreading: Proofreading) -> None:
        super().__init__()
        self.proofreading = proofreading
        self._segment = 0
        self.swatch = QLabel()
        self.swatch.setFixedWidth(_SWATCH_PX + 4)
        self.title = ElidedLabel()
        self.title.setProperty("role", "heading")
        self.facts = ElidedLabel()
        self.name = QLineEdit()
        self.name.setPlaceholderText("no name yet")
        self.name.setAccessibleName("Name of the segment")
        self.name.setToolTip("Type a name, then Enter")
        self.name.returnPressed.connect(self._on_named)
        self.done_button = key_button(
            proofreading, "done", "Done", "Lock it: nothing changes it until it is unlocked"
        )
        self.aside_button = key_button(
            proofreading, "set_aside", "Set aside", "It is asked about no more; again: take back"
        )
        self.model = NeighbourModel(proofreading)
        self.table = TableView(
            self.model, _COLUMNS, rows_seen=ROWS_SEEN, name="Neighbours of the segment"
        )
        self.table.setCursor(Qt.CursorShape.PointingHandCursor)
        self.table.clicked.connect(self._on_clicked)
        self.wanted = QLineEdit()
        self.wanted.setAccessibleName("Id or position to go to")
        self.wanted.setPlaceholderText("id, or z, y, x")
        self.wanted.returnPressed.connect(self.jump)
        self.go_button = button("Go", self.jump, "Go to this segment or position")
        self._lay_out()
        self._connect()
        self._show(self.proofreading.selection)

    def jump(self) -> None:
        """Go to the id or the position that was typed."""
        editor, layer = self.proofreading.editor, self.proofreading.layer
        words = self.wanted.text().strip()
        if editor is None or layer is None or not words:
            return
        try:
            found = place_wanted(words, editor.state, self._voxel_size)
        except InputError as error:
            self.proofreading.said.emit(str(error))
            self.wanted.selectAll()
            return
        place = middle_of(editor.state, found) if isinstance(found, int) else found
        self.proofreading.go_to(place)
        segment = found if isinstance(found, int) else self.proofreading.segment_at(place)
        self.proofreading.select((segment,) if segment else ())
        self._back_to_canvas()

    @property
    def _voxel_size(self) -> ZYX | None:
        editor = self.proofreading.editor
        return editor.state.volume.voxel_size_nm if editor is not None else None

    def _lay_out(self) -> None:
        rows = column(self)
        rows.addLayout(row("", self.swatch, self.title, stretch=1))
        rows.addWidget(self.facts)
        rows.addLayout(row("Name", self.name))
        buttons = row("", self.done_button, self.aside_button)
        buttons.setStretch(1, 1)
        rows.addLayout(buttons)
        rows.addWidget(self.table)
        rows.addLayout(row("Go to", self.wanted, self.go_button))

    def _connect(self) -> None:
        proofreading = self.proofreading
        KeyListener(self, proofreading)
        proofreading.selected.connect(self._show)
        proofreading.changed.connect(self._on_changed)
        proofreading.started.connect(lambda: self._show(proofreading.selection))
        proofreading.ended.connect(lambda: self._show(()))
        requests_of(proofreading).asked.connect(self._on_asked)
        keys_of(proofreading).changed.connect(self._label)
        self._label()

    def _label(self) -> None:
        key = shown(keys_of(self.proofreading).key_of("jump"))
        tip = f"A segment's id, or a position as z, y, x in voxels (add nm for nm). Key {key}"
        self.wanted.setToolTip(tip)

    def _on_asked(self, what: str) -> None:
        field = {"rename": self.name, "jump": self.wanted}.get(what)
        if field is None:
            return
        if what == "rename" and not self._segment:
            self.proofreading.said.emit("Click a segment first: none is selected.")
            return
        field.setFocus()
        field.selectAll()

    def _on_changed(self, change: Any) -> None:
        self._show(self.proofreading.selection)

    def _show(self, selection: tuple[int, ...]) -> None:
        editor = self.proofreading.editor
        self._segment = selection[0] if selection and editor is not None else 0
        if editor is None or not self._segment or self._segment not in editor.state.members:
            self._show_nothing()
            return
        facts = facts_of(editor.state, self._segment)
        flags = ["done: locked"] * facts.is_done + ["set aside"] * facts.is_aside
        more = [f"and {len(selection) - 1} more"] * (len(selection) > 1)
        self.title.setText(" · ".join([f"Segment {self._segment}", *flags, *more]))
        self.swatch.setPixmap(swatch(self.proofreading, self._segment).pixmap(_SWATCH_PX))
        self.facts.setText(describe(facts, self._voxel_size))
        if not self.name.hasFocus():
            self.name.setText(facts.name)
        self._enable(True)
        self.proofreading.context.jobs.start(
            partial(look_around, editor, self._segment),
            title="Looking at neighbours",
            key=_JOB,
            lane=_LANE,
            on_result=partial(self._on_neighbours, self._segment),
        )

    def _show_nothing(self) -> None:
        self._segment = 0
        self.title.setText("No segment is selected")
        self.facts.setText("Click one to see what it is and touches.")
        self.swatch.clear()
        self.name.clear()
        self.model.renew((), None)
        self._enable(False)

    def _enable(self, has_one: bool) -> None:
        for widget in (self.name, self.done_button, self.aside_button, self.table):
            widget.setEnabled(has_one)
        has_any = self.proofreading.editor is not None
        for widget in (self.wanted, self.go_button):
            widget.setEnabled(has_any)

    def _on_neighbours(self, segment: int, found: tuple[Neighbour, ...]) -> None:
        if segment == self._segment:
            self.model.renew(found, self._voxel_size)

    def _on_clicked(self, index: QModelIndex) -> None:
        """Go to the contact; in the last column, show the merge."""
        editor, found = self.proofreading.editor, self.model.neighbours[index.row()]
        if editor is None or found.segment not in editor.state.members:
            return
        self.proofreading.go_to(found.place)
        pair = (self._segment, found.segment)
        self.proofreading.select(pair)
        if index.column() == _MERGE:
            self.proofreading.propose("merge", pair)

    def _on_named(self) -> None:
        editor, words = self.proofreading.editor, self.name.text()
        if editor is not None and self._segment:
            if words.strip() != editor.state.names.get(self._segment, ""):
                self.proofreading.edit("rename", self._segment, words)
            self._back_to_canvas()

    def _back_to_canvas(self) -> None:
        canvas_of(self.proofreading).setFocus()


def look_around(editor: Proofreader, segment: int, progress: Progress) -> tuple[Neighbour, ...]:
    """Return the neighbours of a segment; none where an edit came between."""
    version = editor.version
    try:
        return neighbours_of(editor.state, segment, progress=progress)
    except Exception:
        if editor.version == version:
            raise
        return ()


def swatch(proofreading: Proofreading, segment: int) -> QIcon:
    """Return a small square in the colour that a segment has on the canvas."""
    picture = QPixmap(_SWATCH_PX, _SWATCH_PX)
    picture.fill(Qt.GlobalColor.transparent)
    layer = proofreading.layer
    colour = layer.get_color(segment) if layer is not None else None
    if colour is not None:
        red, green, blue = (float(c) for c in np.asarray(colour)[:3])
        picture.fill(QColor.fromRgbF(red, green, blue))
    return QIcon(picture)

"""The panel of suspicious places: the list, why, and one button a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QModelIndex, QSignalBlocker, Qt
from qtpy.QtGui import QFont, QKeyEvent
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_emseg.gui.compact_table import RIGHT, Column
from napari_emseg.gui.frame import ElidedLabel, column, note, row
from napari_emseg.gui.proofread.colours import CHANGED_COLOURS, KEPT_COLOUR
from napari_emseg.gui.proofread.facts import describe_size
from napari_emseg.gui.proofread.keys import KeyListener, key_button
from napari_emseg.gui.proofread.order import Order
from napari_emseg.gui.proofread.sites import SiteQueue, queue_of
from napari_emseg.gui.proofread.table import TableModel, TableView

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading
    from napari_emseg.proofreading.guidance import Site
    from napari_emseg.volume import ZYX

ROWS_SEEN = 5
_COLUMNS = (
    Column("is it", "one cell: two segments may belong together; two cells: one may not", 78),
    Column("segments", "Ids of what is asked about"),
    Column("at stake", "Size of the smaller side, which would change hands", 84),
    Column("likely", "How likely something is wrong there; learns from your decisions", 52),
)
_QUESTION = {"merge": "one cell?", "split": "two cells?"}
_DECISIONS = (
    ("site_merge", "Merge", "The two segments are one cell: join them"),
    ("site_keep", "Keep", "It is right as it is; it is not asked again"),
    ("site_split", "Split", "The segment is two cells: part it at its neck"),
    ("site_later", "Later", "Put it at the end of the list"),
)


class QueueModel(TableModel):
    """Rows of an `Order`.

    Parameters
    ----------
    queue : SiteQueue
    """

    def __init__(self, queue: SiteQueue) -> None:
        super().__init__(_COLUMNS)
        self._queue = queue
        self.voxel_size_nm: ZYX | None = None

    @property
    def order(self) -> Order:
        """What is listed."""
        return self._queue.order

    @property
    def n_rows(self) -> int:
        """One for each place."""
        return len(self.order.sites)

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        if not 0 <= index.row() < len(self.order.sites):
            return None
        site, kinds = self.order.sites[index.row()], Qt.ItemDataRole
        if role == kinds.DisplayRole:
            return self._words(site)[index.column()]
        if role == kinds.ToolTipRole:
            return f"Section {site.position[0]}. {site.reason}"
        if role == kinds.TextAlignmentRole and index.column() >= 2:
            return RIGHT
        if role == kinds.FontRole and self.order.is_late(site):
            font = QFont()
            font.setItalic(True)
            return font
        return None

    def renew(self) -> None:
        """Show another list."""
        self.beginResetModel()
        self.endResetModel()

    def _words(self, site: Site) -> tuple[str, ...]:
        return (
            _QUESTION[site.kind],
            " + ".join(map(str, site.segments)),
            describe_size(self.order.at_stake(site), self.voxel_size_nm, digits=2),
            f"{100 * site.probability:.0f} %",
        )


class QueuePanel(QWidget):
    """Suspicious places, best first, and what to decide at the one looked at.

    Parameters
    ----------
    proofreading : Proofreading
    """

    def __init__(self, proofreading: Proofreading) -> None:
        super().__init__()
        self.proofreading, self.queue = proofreading, queue_of(proofreading)
        self.summary = ElidedLabel()
        self.marks = QCheckBox("Colour both sides")
        self.marks.setChecked(True)
        self.marks.setToolTip("Colour the two sides of a place blue and orange on the canvas")
        self.marks.toggled.connect(self.queue.set_marks)
        self.model = QueueModel(self.queue)
        name = "Suspicious places, best first"
        self.table = TableView(self.model, _COLUMNS, rows_seen=ROWS_SEEN, name=name)
        self.table.clicked.connect(lambda index: self.queue.go(index.row()))
        chosen = self.table.selectionModel()
        assert chosen is not None
        chosen.currentRowChanged.connect(self._on_row_changed)
        self.table.installEventFilter(self)
        self.words = note(lines=4)
        self.buttons = {
            action.removeprefix("site_"): key_button(proofreading, action, text, tip)
            for action, text, tip in _DECISIONS
        }
        self.previous_button = key_button(
            proofreading, "previous_site", "◀", "The place before; P does it too in this list"
        )
        self.next_button = key_button(proofreading, "next_site", "Next ▶", "Go to the next place")
        self.keys_button = key_button(
            proofreading, "cheat_sheet", "Keys", "All keys at a glance; they can be changed"
        )
        self._lay_out()
        self.queue.listed.connect(self._show_list)
        self.queue.shown.connect(self._show_site)
        self.queue.busy_changed.connect(lambda _: self._show_summary())
        KeyListener(self, proofreading)
        self._show_list()
        self._show_site(self.queue.current)

    def eventFilter(self, watched: Any, event: QEvent | None) -> bool:
        """Keep the list still under the mouse; take P for the place before."""
        if event is None:
            return False
        if event.type() == QEvent.Type.Enter:
            self.queue.hold(True)
        elif event.type() in (QEvent.Type.Leave, QEvent.Type.Hide):
            self.queue.hold(False)
        elif isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            is_previous = event.key() == Qt.Key.Key_P and not event.modifiers()
            if is_previous:
                self.queue.step(-1)
            return is_previous
        return False

    def _lay_out(self) -> None:
        rows = column(self)
        rows.addLayout(row("", self.summary, self.marks))
        rows.addWidget(self.table)
        rows.addWidget(self.words)
        decisions = row("", *self.buttons.values())
        for place in range(len(self.buttons)):
            decisions.setStretch(place, 1)
        rows.addLayout(decisions)
        walk = row("", self.previous_button, self.next_button, self.keys_button)
        walk.setStretch(1, 1)
        rows.addLayout(walk)

    def _show_list(self) -> None:
        layer = self.proofreading.layer
        editor = self.proofreading.editor
        known = editor.state.volume.voxel_size_nm if editor is not None else None
        self.model.voxel_size_nm = known if layer is not None else None
        self.model.renew()
        self._show_row()
        self._show_summary()
        self._enable()

    def _show_row(self) -> None:
        chosen = self.table.selectionModel()
        assert chosen is not None
        with QSignalBlocker(chosen):
            if self.queue.current is not None:
                self.table.selectRow(self.queue.order.at)
                self.table.scrollTo(self.model.index(self.queue.order.at, 0))
            else:
                self.table.clearSelection()
        viewport = self.table.viewport()
        assert viewport is not None
        viewport.update()

    def _show_site(self, site: Site | None) -> None:
        self._show_row()
        self._enable()
        self.words.setText(describe(site) if site is not None else self._invitation())

    def _invitation(self) -> str:
        if self.proofreading.editor is None:
            return "Once a segmentation is being proofread, places that may be wrong are here."
        if not self.queue.order.sites:
            return " "
        return "Next goes to the place where a decision is likely to mend most."

    def _show_summary(self) -> None:
        n, queue = len(self.queue.order.sites), self.queue
        if self.proofreading.editor is None:
            self.summary.setText(" ")
        elif not queue.is_listed:
            self.summary.setText("Looking for places…")
        elif not n:
            self.summary.setText("No suspicious place is left.")
        else:
            self.summary.setText(f"{n} places, best first" + (" …" if queue.is_busy else ""))

    def _enable(self) -> None:
        site, has_any = self.queue.current, bool(self.queue.order.sites)
        for name, made in self.buttons.items():
            fits = site is not None and (name in ("keep", "later") or name == site.kind)
            made.setEnabled(fits)
        for made in (self.previous_button, self.next_button):
            made.setEnabled(has_any)

    def _on_row_changed(self, current: QModelIndex, before: QModelIndex) -> None:
        if self.table.hasFocus() and current.isValid() and current.row() != self.queue.order.at:
            self.queue.go(current.row())


def describe(site: Site) -> str:
    """Say which side has which colour, and why the place is shown."""
    blue, orange = square(KEPT_COLOUR), square(CHANGED_COLOURS[0])
    if len(site.segments) > 1:
        one, two = site.segments[:2]
        sides = f"{blue} segment {one} &nbsp; {orange} segment {two}"
    else:
        sides = f"{blue} {orange} both sides of segment {site.segments[0]}"
    return f"{sides}<br>{site.reason}"


def square(colour: str) -> str:
    """Return a small square in a colour, for a label."""
    return f'<span style="color:{colour}">■</span>'

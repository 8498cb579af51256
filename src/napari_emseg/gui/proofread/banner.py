"""A strip over the canvas that always says the mode, and what the next click does."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel, QWidget

from napari_emseg.gui.colours import readable_on
from napari_emseg.gui.proofread.keymap import shown
from napari_emseg.gui.proofread.keys import keys_of
from napari_emseg.gui.proofread.modes import MODES
from napari_emseg.gui.proofread.sites import SiteQueue

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading

_TITLES = {mode.name: mode.title for mode in MODES}
_COLOURS = {
    "look": "#404654",
    "merge": "#0072b2",
    "split": "#d55e00",
    "line": "#d55e00",
    "paint": "#6a3d9a",
}
_QUESTIONS = {"merge": "one cell?", "split": "two cells?"}
_MARGIN_PX = 8


class Banner(QLabel):
    """Lies over the top of the canvas while something is proofread; clicks go through it.

    Parameters
    ----------
    proofreading : Proofreading
    """

    def __init__(self, proofreading: Proofreading) -> None:
        canvas: QWidget = proofreading.viewer.window._qt_window._qt_viewer.canvas.native
        super().__init__(canvas)
        self._proofreading, self._canvas = proofreading, canvas
        self._shown = ("", "")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setWordWrap(True)
        canvas.installEventFilter(self)
        for signal in (
            proofreading.started,
            proofreading.ended,
            proofreading.hinted,
            proofreading.previewed,
            proofreading.mode_changed,
        ):
            signal.connect(self._refresh)
        proofreading.viewer.layers.selection.events.active.connect(self._refresh)
        self._refresh()

    @property
    def words(self) -> str:
        """What it says, without looks."""
        proofreading = self._proofreading
        layer = proofreading.layer
        if layer is None:
            return ""
        if proofreading.viewer.dims.ndisplay == 3:
            return "This is the 3D view: click a surface to go to that place in its section."
        if proofreading.viewer.layers.selection.active is not layer:
            return f"Another layer is selected: select “{layer.name}” to go on."
        return self._question or proofreading.hint

    @property
    def _question(self) -> str:
        """What is asked at the place looked at, and by which keys it is answered."""
        queue = self._proofreading.findChild(SiteQueue)
        if self._proofreading.mode != "look" or queue is None or queue.current is None:
            return ""
        site, keys = queue.current, keys_of(self._proofreading)
        if set(self._proofreading.selection) != set(site.segments):  # something else was clicked
            return ""
        answers = [("site_" + site.kind, site.kind), ("site_keep", "keep"), ("site_later", "later")]
        question = _QUESTIONS[site.kind]
        told = ", ".join(f"{words} ({shown(keys.key_of(action))})" for action, words in answers)
        asked = f"Blue and orange: {question}" if queue.has_marks else question.capitalize()
        return f"{asked} {told[0].upper()}{told[1:]}."

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Stay at the top of the canvas."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _refresh(self, *_: object) -> None:
        proofreading = self._proofreading
        self.setVisible(proofreading.layer is not None)
        if proofreading.layer is None:
            return
        colour = _COLOURS[proofreading.mode]
        text = f"<b>{_TITLES[proofreading.mode].upper()}</b>&nbsp;&nbsp; {escape(self.words)}"
        if (text, colour) == self._shown:
            return
        self._shown = text, colour
        self.setText(text)
        self.setStyleSheet(
            f"background: {colour}; color: {readable_on(QColor(colour))}; border-radius: 4px; "
            "padding: 4px 12px; font-size: 13px;"
        )
        self._place()

    def _place(self) -> None:
        room = max(120, self._canvas.width() - 2 * _MARGIN_PX)
        self.setWordWrap(False)
        wanted = self.sizeHint()
        if wanted.width() > room:
            self.setWordWrap(True)
            wanted = QSize(room, self.heightForWidth(room))
        self.resize(wanted)
        self.move((self._canvas.width() - self.width()) // 2, _MARGIN_PX)
        self.raise_()

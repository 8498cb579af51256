"""One bar a section: which sections are bad; a click goes there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QRectF, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_emseg.gui.colours import mix
from napari_emseg.gui.plot import LEFT, RIGHT

Floats = npt.NDArray[np.floating]
_TOP, _BOTTOM = 2, 14
_WORST_SPAN = 0.05  # bars of a stack that is good throughout stay high


class SectionStrip(QWidget):
    """Paints a score of each section as a bar, low and warning where it is bad."""

    section_chosen = Signal(int)

    def __init__(self, colour: Callable[[str], QColor]) -> None:
        super().__init__()
        self._colour = colour
        self._sections: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._score: Floats = np.zeros(0)
        self._name, self._is_error, self._current = "V_rand", False, -1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Score of each section; click to go there")

    def sizeHint(self) -> QSize:
        return QSize(300, 46)

    def set_scores(
        self, sections: npt.NDArray[np.int64], score: Floats, *, name: str, is_error: bool
    ) -> None:
        """Show `score` of `sections`; NaN where there is none; `is_error`: 0 is perfect."""
        self._sections, self._score, self._name = sections, np.asarray(score), name
        self._is_error = is_error
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self.set_scores(np.zeros(0, np.int64), np.zeros(0), name=self._name, is_error=False)

    def set_current(self, section: int) -> None:
        """Mark the visible section."""
        self._current = section
        self.update()

    def section_at(self, x: float) -> int | None:
        """Return the section whose bar is at `x`, None if there is none."""
        n, area = self._sections.size, self._area()
        if n == 0 or not area.left() <= x <= area.right():
            return None
        return int(self._sections[min(n - 1, int((x - area.left()) / area.width() * n))])

    def describe(self, section: int) -> str:
        """Say how good a section is."""
        score = self._score[np.flatnonzero(self._sections == section)[0]]
        if np.isnan(score):
            return f"section {section}: no ground truth"
        return f"section {section}: {self._name} {score:.4f}"

    def _area(self) -> QRectF:
        width, height = self.width() - LEFT - RIGHT, self.height() - _TOP - _BOTTOM
        return QRectF(LEFT, _TOP, width, height)

    def _loss(self) -> Floats:
        """How bad each section is, from 0 to 1."""
        loss = self._score if self._is_error else 1.0 - self._score
        worst = float(np.nanmax(loss, initial=_WORST_SPAN))
        return np.asarray(loss / worst)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        text, background = self._colour("text"), self._colour("background")
        area, flags = self._area(), Qt.AlignmentFlag
        painter.setPen(mix(text, background, 0.6))
        if self._sections.size == 0:
            painter.drawText(self.rect(), flags.AlignCenter, "The score of each section.")
            return
        good, bad = mix(self._colour("current"), text, 0.75), self._colour("warning")
        width = area.width() / self._sections.size
        gap = 1.0 if width > 4 else 0.0
        for k, loss in enumerate(self._loss()):
            left = area.left() + k * width
            if np.isnan(loss):
                continue
            height = max(2.0, area.height() * float(loss))
            bar = QRectF(left, area.bottom() - height, max(1.0, width - gap), height)
            painter.fillRect(bar, mix(bad, good, float(loss)))
            if self._sections[k] == self._current:
                painter.setPen(QPen(text, 1))
                painter.drawRect(QRectF(left - 0.5, area.top(), width, area.height()))
        self._paint_words(painter, area, text)

    def _paint_words(self, painter: QPainter, area: QRectF, text: QColor) -> None:
        flags = Qt.AlignmentFlag
        painter.setPen(text)
        below = QRectF(area.left(), area.bottom() + 1, area.width(), 14)
        painter.drawText(below, flags.AlignLeft, str(int(self._sections[0])))
        painter.drawText(below, flags.AlignRight, str(int(self._sections[-1])))
        painter.drawText(below, flags.AlignHCenter, "sections: what each has lost")

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        section = self.section_at(event.position().x()) if event is not None else None
        if section is not None:
            self.section_chosen.emit(section)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        section = self.section_at(event.position().x()) if event is not None else None
        if section is not None:
            self.setToolTip(self.describe(section))

"""The score curve: score against h, the current h, the best h; a click chooses an h."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_emseg.gui.colours import mix

Floats = npt.NDArray[np.floating]
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 24, 34


class ScorePlot(QWidget):
    """Paints one score against h."""

    h_chosen = Signal(float)

    def __init__(self, colour: Callable[[str], QColor]) -> None:
        super().__init__()
        self._colour = colour
        self._h: Floats = np.zeros(0)
        self._score: Floats = np.zeros(0)
        self._name = "V_rand"
        self._current = 0.0
        self._best: tuple[float, float] | None = None
        self._x_max = 0.5
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Score against H-minima; click to choose an h")

    def sizeHint(self) -> QSize:
        return QSize(300, 160)

    def set_curve(self, h: Floats, score: Floats, *, name: str, best: tuple[float, float]) -> None:
        """Show a curve; `h` ascending, `best` its highest point."""
        self._h, self._score, self._name, self._best = np.asarray(h), np.asarray(score), name, best
        self._x_max = float(min(1.0, max(0.3, 1.6 * best[0])))
        self.update()

    def clear(self) -> None:
        """Show no curve."""
        self._h, self._score, self._best = np.zeros(0), np.zeros(0), None
        self.update()

    def set_current(self, h: float) -> None:
        """Move the marker of the current h."""
        self._current = h
        self.update()

    def score_at(self, h: float) -> float:
        """Score of the curve at `h`: that of the last step at or below it."""
        index = int(np.searchsorted(self._h, h, side="right")) - 1
        return float(self._score[max(index, 0)])

    @property
    def has_curve(self) -> bool:
        """Whether there is anything to click on."""
        return self._h.size > 0

    def _area(self) -> QRectF:
        return QRectF(LEFT, TOP, self.width() - LEFT - RIGHT, self.height() - TOP - BOTTOM)

    def _y_range(self) -> tuple[float, float]:
        shown = self._score[self._h <= self._x_max]
        low = float(shown.min()) if shown.size else 0.0
        high = float(shown.max()) if shown.size else 1.0
        step = nice_step(high - low, 4)
        return np.floor(low / step) * step, np.ceil(high / step + 1e-9) * step

    def _point(self, h: float, score: float) -> QPointF:
        area, (low, high) = self._area(), self._y_range()
        x = area.left() + area.width() * h / self._x_max
        return QPointF(x, area.bottom() - area.height() * (score - low) / max(high - low, 1e-9))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text, background = self._colour("text"), self._colour("background")
        if not self.has_curve:
            painter.setPen(mix(text, background, 0.6))
            painter.drawText(
                self.rect(), Qt.AlignmentFlag.AlignCenter, "The score against h appears here."
            )
            return
        self._paint_axes(painter, text, mix(text, background, 0.2))
        self._paint_curve(painter, mix(self._colour("current"), text, 0.75))
        self._paint_markers(painter, text, self._colour("warning"))

    def _paint_axes(self, painter: QPainter, text: QColor, faint: QColor) -> None:
        area, (low, high) = self._area(), self._y_range()
        flags = Qt.AlignmentFlag
        step = nice_step(high - low, 4)
        digits = max(0, -int(np.floor(np.log10(step))))
        for value in np.arange(low, high + step / 2, step):
            y = self._point(0, value).y()
            painter.setPen(faint)
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(text)
            box = QRectF(0, y - 8, LEFT - 5, 16)
            painter.drawText(box, flags.AlignRight | flags.AlignVCenter, f"{value:.{digits}f}")
        for value in np.arange(0, self._x_max + 1e-9, nice_step(self._x_max, 5)):
            x = self._point(value, low).x()
            box = QRectF(x - 20, area.bottom() + 1, 40, 15)
            painter.drawText(box, flags.AlignCenter, f"{value:g}")
        title = QRectF(area.left(), self.height() - 16, area.width(), 16)
        painter.drawText(title, flags.AlignCenter, "H-minima (h)")
        painter.drawText(QRectF(0, 0, 120, 15), flags.AlignLeft | flags.AlignTop, self._name)

    def _paint_curve(self, painter: QPainter, colour: QColor) -> None:
        h = np.linspace(0, self._x_max, max(2, int(self._area().width())))
        points = [self._point(float(x), self.score_at(float(x))) for x in h]
        painter.setPen(QPen(colour, 2))
        painter.drawPolyline(QPolygonF(points))

    def _paint_markers(self, painter: QPainter, text: QColor, accent: QColor) -> None:
        area, flags = self._area(), Qt.AlignmentFlag
        if self._best is not None:
            best = self._point(*self._best)
            painter.setPen(QPen(accent, 1.5))
            painter.setBrush(accent)
            painter.drawEllipse(best, 4, 4)
            words = f"best {self._best[1]:.3f} at h = {self._best[0]:.3g}"
            box = QRectF(area.right() - 180, 0, 180, 16)
            painter.setPen(text)
            painter.drawText(box, flags.AlignRight | flags.AlignTop, words)
            width = painter.fontMetrics().horizontalAdvance(words)
            painter.setPen(QPen(accent, 1.5))
            painter.drawEllipse(QPointF(area.right() - width - 9, 8), 4, 4)
        if self._current <= self._x_max:
            x = self._point(self._current, 0).x()
            painter.setPen(QPen(text, 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
            painter.setBrush(text)
            painter.drawEllipse(self._point(self._current, self.score_at(self._current)), 3, 3)

    def _h_at(self, x: float) -> float:
        area = self._area()
        return float(np.clip((x - area.left()) / area.width(), 0, 1)) * self._x_max

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self.has_curve:
            self.h_chosen.emit(round(self._h_at(event.position().x()), 3))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None or not self.has_curve:
            return
        h = self._h_at(event.position().x())
        self.setToolTip(f"h = {h:.3f}: {self._name} {self.score_at(h):.4f}")
        if event.buttons():
            self.h_chosen.emit(round(h, 3))


def nice_step(span: float, ticks: int) -> float:
    """Distance between about `ticks` round axis values over `span`."""
    raw = max(span, 1e-6) / ticks
    power = 10.0 ** np.floor(np.log10(raw))
    return float(power * next(m for m in (1, 2, 5, 10) if m * power >= raw * 0.999))

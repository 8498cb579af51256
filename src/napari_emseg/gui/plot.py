"""The score curves: score against the slider, now and at best; a click moves the slider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import (
    QColor,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_emseg.gui.colours import mix

Floats = npt.NDArray[np.floating]
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 24, 34
# Okabe and Ito's colours, for the best of the groupings that are not chosen.
_OTHERS = ("#e69f00", "#56b4e9", "#009e73")
_SHARED_AXIS = "position of the slider (h or threshold)"
_ENDS = (0.3, 1.0)  # the axis ends somewhere between
NO_CURVE = "Evaluate shows here how good every position of the slider is."
_LEAST_SPAN = 0.05
_SEEN = 0.75  # share of the curves that must fit; what is far from the best may leave the plot


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve: scores at ascending thresholds, each holding until the next, and the best."""

    threshold: Floats
    score: Floats
    best: tuple[float, float]

    def at(self, threshold: float) -> float:
        """Score at `threshold`: that of the last step at or below it."""
        return float(self.sample(np.array([threshold]))[0])

    def sample(self, thresholds: Floats) -> Floats:
        """Scores at many thresholds."""
        index = np.searchsorted(self.threshold, thresholds, side="right") - 1
        return np.asarray(self.score[np.maximum(index, 0)])


class ScorePlot(QWidget):
    """Paints one score against the threshold, for each grouping that has been tried."""

    h_chosen = Signal(float)

    def __init__(self, colour: Callable[[str], QColor]) -> None:
        super().__init__()
        self._colour = colour
        self._curves: dict[str, Curve] = {}
        self._picture: tuple[QPixmap, tuple[str, ...]] | None = None
        self._chosen, self._words = "", NO_CURVE
        self._name, self._axis = "V_rand", "H-minima (h)"
        self._is_error = False
        self._best_possible: float | None = None
        self._current, self._pointed_at = 0.0, ""
        self._x_max, self._y_range, self._y_step = 0.5, (0.0, 1.0), 0.5
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Score against the threshold; click to choose one")

    def sizeHint(self) -> QSize:
        return QSize(300, 176)

    def set_curves(
        self,
        curves: Mapping[str, Curve],
        *,
        chosen: str,
        name: str,
        axis: str = "H-minima (h)",
        is_error: bool = False,
        best_possible: float | None = None,
    ) -> None:
        """Show curves by the name of their grouping.

        Parameters
        ----------
        curves : mapping
            Not empty.
        chosen : str
            The one the sliders move on; its best is marked.
        name, axis : str
            What the score and the threshold are called.
        is_error : bool
            Whether 0 is perfect.
        best_possible : float, optional
            Drawn as a line: what no curve can pass.
        """
        self._curves, self._chosen = dict(curves), chosen
        self._name, self._axis, self._is_error = name, axis, is_error
        self._best_possible = best_possible
        self._fit()
        self.update()

    def clear(self, words: str = NO_CURVE) -> None:
        """Show `words` instead of curves."""
        self._curves, self._words = {}, words
        self.update()

    def set_current(self, threshold: float) -> None:
        """Move the marker of the current threshold; the axis grows where it would leave it."""
        self._current = threshold
        if self.has_curve and threshold > self._x_max:
            self._fit()
        self.update()

    def point_at(self, name: str) -> None:
        """Draw one curve as if it had a colour of its own, "" for none."""
        if name != self._pointed_at:
            self._pointed_at, self._picture = name, None
            self.update()

    def inks(self) -> dict[str, QColor]:
        """Return the colour of each curve."""
        text, background = self._colour("text"), self._colour("background")
        chosen = mix(self._colour("current"), text, 0.75)
        named, rest = self._others()
        inks = dict.fromkeys(rest, mix(text, background, 0.35))
        inks |= {name: QColor(ink) for name, ink in zip(named, _OTHERS, strict=False)}
        return {**inks, self._chosen: chosen} if self.has_curve else {}

    def score_at(self, threshold: float) -> float:
        """Score of the chosen curve at `threshold`."""
        return self._curves[self._chosen].at(threshold)

    @property
    def has_curve(self) -> bool:
        """Whether there is anything to click on."""
        return self._chosen in self._curves

    def _area(self) -> QRectF:
        return QRectF(LEFT, TOP, self.width() - LEFT - RIGHT, self.height() - TOP - BOTTOM)

    def _fit(self) -> None:
        """Let the axes hold the marker and the best of every curve."""
        ends = [1.1 * curve.best[0] for curve in self._curves.values()]
        ends += [1.6 * self._curves[self._chosen].best[0], 1.1 * self._current]
        self._x_max = float(np.clip(max(ends), *_ENDS))
        self._y_range, self._y_step = self._find_y_range()
        self._picture = None

    def _find_y_range(self) -> tuple[tuple[float, float], float]:
        grid = np.linspace(0, self._x_max, 200)
        scores = np.array([curve.sample(grid) for curve in self._curves.values()])
        shares = (_SEEN, 0.0) if self._is_error else (1 - _SEEN, 1.0)
        worst, best = np.quantile(scores, shares)
        ends = [worst, best]
        if self._best_possible is not None:
            ends.append(self._best_possible)
            # What lies ten times farther from the best than the best from the possible says little.
            span = max(_LEAST_SPAN, 10 * abs(self._best_possible - best))
            ends[0] = min(worst, best + span) if self._is_error else max(worst, best - span)
        ends += [curve.best[1] for curve in self._curves.values()]
        low, high = float(min(ends)), float(max(ends))
        step = nice_step(high - low, 4)
        return (np.floor(low / step + 1e-9) * step, np.ceil(high / step - 1e-9) * step), step

    def _point(self, threshold: float, score: float) -> QPointF:
        area, (low, high) = self._area(), self._y_range
        x = area.left() + area.width() * threshold / self._x_max
        return QPointF(x, area.bottom() - area.height() * (score - low) / max(high - low, 1e-9))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._picture = None

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text, background = self._colour("text"), self._colour("background")
        if not self.has_curve:
            painter.setPen(mix(text, background, 0.6))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(8, 0, -8, 0), flags, self._words)
            return
        painter.drawPixmap(0, 0, self._curves_picture())
        self._paint_marker(painter, text)

    def _curves_picture(self) -> QPixmap:
        """Paint all but the marker, once: that moves far more often than the curves do."""
        inks = tuple(self._colour(role).name() for role in ("text", "background", "current"))
        if self._picture is None or self._picture[1] != inks:
            ratio = self.devicePixelRatioF()
            picture = QPixmap(self.size() * ratio)
            picture.setDevicePixelRatio(ratio)
            picture.fill(Qt.GlobalColor.transparent)
            painter = QPainter(picture)
            painter.setFont(self.font())
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_all(painter)
            painter.end()
            self._picture = picture, inks
        return self._picture[0]

    def _paint_all(self, painter: QPainter) -> None:
        text, background = self._colour("text"), self._colour("background")
        self._paint_axes(painter, text, mix(text, background, 0.2))
        painter.save()
        painter.setClipRect(self._area().adjusted(-1, -3, 1, 3))
        self._paint_best_possible(painter, mix(text, background, 0.6))
        self._paint_curves(painter)
        painter.restore()
        self._paint_best(painter, text, self._colour("warning"))

    def _paint_axes(self, painter: QPainter, text: QColor, faint: QColor) -> None:
        area, (low, high) = self._area(), self._y_range
        flags = Qt.AlignmentFlag
        step = self._y_step
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
        painter.drawText(title, flags.AlignCenter, self._axis_words())
        painter.drawText(QRectF(0, 0, 120, 15), flags.AlignLeft | flags.AlignTop, self._name)

    def _paint_best_possible(self, painter: QPainter, colour: QColor) -> None:
        if self._best_possible is None:
            return
        area, y = self._area(), self._point(0, self._best_possible).y()
        painter.setPen(QPen(colour, 1, Qt.PenStyle.DotLine))
        painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))

    def _paint_curves(self, painter: QPainter) -> None:
        """Paint the chosen curve last, over the others and the one pointed at."""
        inks, (named, rest) = self.inks(), self._others()
        for name in (*rest, *reversed(named)):
            self._paint_curve(painter, name, QPen(inks[name], 1.3 if name in named else 1))
        if self._pointed_at in inks:
            ink = inks[self._pointed_at]
            ink = self._colour("text") if self._pointed_at in rest else ink
            self._paint_curve(painter, self._pointed_at, QPen(ink, 2.5))
        self._paint_curve(painter, self._chosen, QPen(inks[self._chosen], 2))

    def _others(self) -> tuple[list[str], list[str]]:
        """Curves beside the chosen one, best first: those with a colour of their own, the rest."""
        sign = 1 if self._is_error else -1
        names = sorted(self._curves, key=lambda name: sign * self._curves[name].best[1])
        names = [name for name in names if name != self._chosen]
        return names[: len(_OTHERS)], names[len(_OTHERS) :]

    def _paint_curve(self, painter: QPainter, name: str, pen: QPen) -> None:
        grid = np.linspace(0, self._x_max, max(2, int(self._area().width())))
        scores = self._curves[name].sample(grid)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(list(map(self._point, grid, scores))))
        painter.setBrush(pen.color())
        painter.drawEllipse(self._point(*self._curves[name].best), 2, 2)

    def _paint_best(self, painter: QPainter, text: QColor, accent: QColor) -> None:
        area, flags = self._area(), Qt.AlignmentFlag
        where, value = self._curves[self._chosen].best
        best = self._point(where, value)
        painter.setPen(QPen(accent, 1.5))
        painter.setBrush(accent)
        painter.drawEllipse(best, 4, 4)
        words = f"best {value:.3f} at {where:.3g}"
        if self._best_possible is not None:
            words += f", possible {self._best_possible:.3f}"
        box = QRectF(area.right() - 240, 0, 240, 16)
        painter.setPen(text)
        painter.drawText(box, flags.AlignRight | flags.AlignTop, words)
        width = painter.fontMetrics().horizontalAdvance(words)
        painter.setPen(QPen(accent, 1.5))
        painter.drawEllipse(QPointF(area.right() - width - 9, 8), 4, 4)

    def _paint_marker(self, painter: QPainter, text: QColor) -> None:
        """Mark where the slider is; an arrow says that the score there lies beyond the axis."""
        area = self._area()
        at = self._point(self._current, self.score_at(self._current))
        painter.setPen(QPen(text, 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(at.x(), area.top()), QPointF(at.x(), area.bottom()))
        painter.setPen(QPen(text, 1))
        painter.setBrush(text)
        if area.top() - 1 <= at.y() <= area.bottom() + 1:
            painter.drawEllipse(at, 3, 3)
            return
        is_below = at.y() > area.bottom()
        tip = QPointF(at.x(), area.bottom() if is_below else area.top())
        rise = -7 if is_below else 7
        painter.drawPolygon(QPolygonF([tip, tip + QPointF(-5, rise), tip + QPointF(5, rise)]))

    def _axis_words(self) -> str:
        return self._axis if len(self._curves) == 1 else _SHARED_AXIS

    def _threshold_at(self, x: float) -> float:
        area = self._area()
        return float(np.clip((x - area.left()) / area.width(), 0, 1)) * self._x_max

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self.has_curve:
            self.h_chosen.emit(round(self._threshold_at(event.position().x()), 3))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None or not self.has_curve:
            return
        threshold = self._threshold_at(event.position().x())
        score = self.score_at(threshold)
        self.setToolTip(f"{self._axis} {threshold:.3f}: {self._name} {score:.4f}")
        if event.buttons():
            self.h_chosen.emit(round(threshold, 3))


def nice_step(span: float, ticks: int) -> float:
    """Distance between about `ticks` round axis values over `span`."""
    raw = max(span, 1e-6) / ticks
    power = 10.0 ** np.floor(np.log10(raw))
    return float(power * next(m for m in (1, 2, 5, 10) if m * power >= raw * 0.999))

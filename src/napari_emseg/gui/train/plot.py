"""The curves of a training: the loss, and the score of the sections held out, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_emseg.gui.colours import mix
from napari_emseg.gui.plot import nice_step

Floats = npt.NDArray[np.floating]
Points = Sequence[tuple[int, float]]
_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 132, 34, 8, 20, 30
_GAP = 6
_SCORE_NAMES = {"v_rand": "V_rand, held out", "accuracy": "right, held out"}
"""Of a validation: the first that it has is drawn."""
NOTHING_YET = "The loss is drawn here while a model learns: the lower the better."
NO_SCORE = "The score of held-out sections is drawn here, if any are held out."


@dataclass(frozen=True, eq=False)
class _Panel:
    title: str
    points: Floats  # (n, 2): step, value
    area: QRectF
    x_max: float
    y_range: tuple[float, float]
    y_step: float

    def at(self, step: float, value: float) -> QPointF:
        low, high = self.y_range
        x = self.area.left() + self.area.width() * step / max(self.x_max, 1)
        share = (value - low) / max(high - low, 1e-9)
        return QPointF(x, self.area.bottom() - self.area.height() * float(np.clip(share, 0, 1)))


class TrainPlot(QWidget):
    """Paints both curves over the steps; its size never changes."""

    def __init__(self, colour: Callable[[str], QColor]) -> None:
        super().__init__()
        self._colour = colour
        self._losses: Floats = np.zeros((0, 2))
        self._scores: Floats = np.zeros((0, 2))
        self._score_name, self._best_step = "", -1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Loss and score while a model learns")

    def sizeHint(self) -> QSize:
        return QSize(300, _HEIGHT)

    def set_curves(
        self,
        losses: Points,
        validations: Sequence[tuple[int, Mapping[str, float]]],
        *,
        best_step: int = -1,
    ) -> None:
        """Show the curves as they are now; the step of the model that is kept is marked."""
        self._losses = np.array([p for p in losses if np.isfinite(p[1])], float).reshape(-1, 2)
        names = [name for name in _SCORE_NAMES if any(name in scores for _, scores in validations)]
        name = self._score_name = names[0] if names else ""
        scores = [(step, found[name]) for step, found in validations if name in found]
        self._scores = np.array(scores, float).reshape(-1, 2)
        self._best_step = best_step
        self._describe()
        self.update()

    def clear(self) -> None:
        """Show what will be drawn instead of curves."""
        self.set_curves((), ())

    def _describe(self) -> None:
        words = []
        if len(self._losses):
            words.append(f"loss {self._losses[-1, 1]:.3f} at step {self._losses[-1, 0]:.0f}")
        if len(self._scores):
            name = _SCORE_NAMES[self._score_name]
            words.append(f"{name} {self._scores[-1, 1]:.3f} at step {self._scores[-1, 0]:.0f}")
        self.setToolTip(", ".join(words))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        half = (self.width() - _GAP) / 2
        left = QRectF(0, 0, half, self.height())
        right = QRectF(half + _GAP, 0, half, self.height())
        if len(self._losses):
            self._paint_panel(painter, self._make_panel("loss", self._losses, left, low=0.0))
        else:
            self._paint_words(painter, left, NOTHING_YET)
        if len(self._scores):
            name = _SCORE_NAMES[self._score_name]
            panel = self._make_panel(name, self._scores, right, high=1.0)
            self._paint_panel(painter, panel)
            self._paint_best(painter, panel)
        else:
            self._paint_words(painter, right, NO_SCORE)

    def _make_panel(
        self,
        title: str,
        points: Floats,
        box: QRectF,
        *,
        low: float | None = None,
        high: float | None = None,
    ) -> _Panel:
        values = points[:, 1]
        # The first steps of a training may be far off all that follows.
        top = float(np.quantile(values, 0.98)) if high is None else high
        bottom = float(values.min()) if low is None else low
        step = nice_step(max(top - bottom, 0.02), 3)
        edges = np.floor(bottom / step + 1e-9) * step, np.ceil(top / step - 1e-9) * step
        area = box.adjusted(_LEFT, _TOP, -_RIGHT, -_BOTTOM)
        last = float(self._losses[-1, 0]) if len(self._losses) else float(points[-1, 0])
        return _Panel(title, points, area, last, (float(edges[0]), float(edges[1])), step)

    def _paint_panel(self, painter: QPainter, panel: _Panel) -> None:
        text, background = self._colour("text"), self._colour("background")
        self._paint_axes(painter, panel, text, mix(text, background, 0.2))
        ink = mix(self._colour("current"), text, 0.75)
        painter.setPen(QPen(ink, 1.8))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        line = [panel.at(step, value) for step, value in panel.points]
        painter.drawPolyline(QPolygonF(line))
        if len(line) < 40:  # each is worth a dot
            painter.setBrush(ink)
            for point in line:
                painter.drawEllipse(point, 1.5, 1.5)

    def _paint_axes(self, painter: QPainter, panel: _Panel, text: QColor, faint: QColor) -> None:
        area, (low, high), flags = panel.area, panel.y_range, Qt.AlignmentFlag
        digits = max(0, -int(np.floor(np.log10(panel.y_step))))
        for value in np.arange(low, high + panel.y_step / 2, panel.y_step):
            y = panel.at(0, value).y()
            painter.setPen(faint)
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(text)
            box = QRectF(area.left() - _LEFT, y - 8, _LEFT - 4, 16)
            painter.drawText(box, flags.AlignRight | flags.AlignVCenter, f"{value:.{digits}f}")
        for step in _ticks(panel.x_max):
            x = panel.at(step, low).x()
            box = QRectF(x - 22, area.bottom() + 1, 44, 14)
            painter.drawText(box, flags.AlignCenter, _steps_in_words(step))
        under = QRectF(area.left(), area.bottom() + 14, area.width(), 15)
        painter.drawText(under, flags.AlignCenter, "steps")
        head = QRectF(area.left() - _LEFT, 0, area.width() + _LEFT, 16)
        now = panel.points[-1, 1]
        painter.drawText(head, flags.AlignLeft | flags.AlignTop, panel.title)
        painter.drawText(head, flags.AlignRight | flags.AlignTop, f"{now:.3f}")

    def _paint_best(self, painter: QPainter, panel: _Panel) -> None:
        found = panel.points[panel.points[:, 0] == self._best_step]
        if len(found):
            accent = self._colour("warning")
            painter.setPen(QPen(accent, 1.5))
            painter.setBrush(accent)
            painter.drawEllipse(panel.at(*found[0]), 3.5, 3.5)

    def _paint_words(self, painter: QPainter, box: QRectF, words: str) -> None:
        painter.setPen(mix(self._colour("text"), self._colour("background"), 0.6))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(box.adjusted(6, 0, -6, 0), flags, words)


def _ticks(x_max: float) -> list[float]:
    """Round numbers of steps, few enough to be read."""
    step = max(1.0, nice_step(x_max, 3))
    return [n * step for n in range(int(x_max // step) + 1)]


def _steps_in_words(step: float) -> str:
    return f"{step / 1000:g}k" if step >= 1000 else f"{step:.0f}"

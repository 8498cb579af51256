"""The curve is drawn where it is, and a click chooses the h under the mouse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor

from napari_emseg.gui.plot import LEFT, RIGHT, ScorePlot, nice_step

INK = {
    "text": QColor("black"),
    "background": QColor("white"),
    "current": QColor("blue"),  # painted a quarter darker
    "warning": QColor("red"),
}


@pytest.fixture
def plot(qtbot: Any) -> ScorePlot:
    made = ScorePlot(INK.__getitem__)
    qtbot.addWidget(made)
    made.resize(300, 160)
    made.set_curve(
        np.array([0, 0.1, 0.25]), np.array([0.5, 0.9, 0.7]), name="V_rand", best=(0.17, 0.9)
    )
    made.show()
    return made


def test_a_click_gives_the_h_under_it(plot: ScorePlot, qtbot: Any) -> None:
    middle = QPoint((LEFT + plot.width() - RIGHT) // 2, 60)
    with qtbot.waitSignal(plot.h_chosen) as chosen:
        qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=middle)
    assert chosen.args[0] == pytest.approx(0.15, abs=0.003)  # half of 0.3, the end of the axis


def test_score_holds_until_the_next_step(plot: ScorePlot) -> None:
    assert [plot.score_at(h) for h in (0, 0.05, 0.1, 0.2, 0.25, 1)] == [
        0.5,
        0.5,
        0.9,
        0.9,
        0.7,
        0.7,
    ]


def test_curve_marker_and_best_are_painted(plot: ScorePlot) -> None:
    plot.set_current(0.05)
    picture = plot.grab().toImage()
    colours = {
        picture.pixelColor(x, y).name()
        for x in range(picture.width())
        for y in range(picture.height())
    }
    assert {"#0000bf", "#ff0000"} <= colours


def test_without_a_curve_a_click_does_nothing(plot: ScorePlot, qtbot: Any) -> None:
    plot.clear()
    with qtbot.assertNotEmitted(plot.h_chosen):
        qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(100, 60))


@pytest.mark.parametrize(("span", "step"), [(1, 0.5), (0.06, 0.02), (0.011, 0.005), (40, 10)])
def test_axis_values_are_round(span: float, step: float) -> None:
    assert nice_step(span, 4) == pytest.approx(step)

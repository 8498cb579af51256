"""The curve is drawn where it is, and a click chooses the h under the mouse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor

from napari_emseg.gui.plot import LEFT, RIGHT, Curve, ScorePlot, nice_step

INK = {
    "text": QColor("black"),
    "background": QColor("white"),
    "current": QColor("blue"),  # painted a quarter darker
    "warning": QColor("red"),
}


CURVE = Curve(np.array([0, 0.1, 0.25]), np.array([0.5, 0.9, 0.7]), best=(0.17, 0.9))
OTHER = Curve(np.array([0, 0.4]), np.array([0.2, 0.95]), best=(0.5, 0.95))


@pytest.fixture
def plot(qtbot: Any) -> ScorePlot:
    made = ScorePlot(INK.__getitem__)
    qtbot.addWidget(made)
    made.resize(300, 160)
    made.set_curves({"h_minima": CURVE}, chosen="h_minima", name="V_rand")
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


def colours_of(plot: ScorePlot) -> set[str]:
    picture = plot.grab().toImage()
    return {
        picture.pixelColor(x, y).name()
        for x in range(picture.width())
        for y in range(picture.height())
    }


def test_curve_marker_and_best_are_painted(plot: ScorePlot) -> None:
    plot.set_current(0.05)
    assert {"#0000bf", "#ff0000"} <= colours_of(plot)


def test_every_grouping_has_its_colour_and_the_sliders_move_on_one(plot: ScorePlot) -> None:
    before = colours_of(plot)
    curves = {"h_minima": CURVE, "mean_boundary": OTHER}
    plot.set_curves(curves, chosen="mean_boundary", name="V_rand", best_possible=0.99)
    assert "#e69f00" in colours_of(plot) - before
    assert plot.score_at(0.45) == 0.95


def test_of_many_groupings_the_best_have_colours_and_all_are_ranked(
    plot: ScorePlot, qtbot: Any
) -> None:
    scores = {
        f"way_{k}": Curve(CURVE.threshold, CURVE.score, (0.1, 0.9 + k / 100)) for k in range(6)
    }
    plot.set_curves({**scores, "h_minima": CURVE}, chosen="h_minima", name="V_rand")
    assert plot._others() == (["way_5", "way_4", "way_3"], ["way_2", "way_1", "way_0"])
    qtbot.mouseMove(plot, QPoint(150, 60))
    ranked = plot.toolTip().splitlines()
    assert ranked[-7:] == [
        *(f"{0.9 + k / 100:.4f} at 0.1  way {k}" for k in (5, 4, 3, 2, 1, 0)),
        "0.9000 at 0.17  H-minima",
    ]


def test_errors_hang_from_below(plot: ScorePlot) -> None:
    errors = Curve(np.array([0, 0.1]), np.array([2.0, 0.5]), best=(0.2, 0.5))
    plot.set_curves({"h_minima": errors}, chosen="h_minima", name="VOI", is_error=True)
    low, high = plot._y_range
    assert low <= 0.5 < high


def test_without_a_curve_a_click_does_nothing(plot: ScorePlot, qtbot: Any) -> None:
    plot.clear()
    with qtbot.assertNotEmitted(plot.h_chosen):
        qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(100, 60))


@pytest.mark.parametrize(("span", "step"), [(1, 0.5), (0.06, 0.02), (0.011, 0.005), (40, 10)])
def test_axis_values_are_round(span: float, step: float) -> None:
    assert nice_step(span, 4) == pytest.approx(step)

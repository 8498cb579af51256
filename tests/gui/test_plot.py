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


def test_of_many_groupings_the_best_have_colours_and_one_can_be_pointed_at(
    plot: ScorePlot,
) -> None:
    scores = {
        f"way_{k}": Curve(CURVE.threshold, CURVE.score - k / 100, (0.17, 0.9 - k / 100))
        for k in range(1, 7)
    }
    plot.set_curves({**scores, "h_minima": CURVE}, chosen="h_minima", name="V_rand")
    inks = plot.inks()
    colours = [inks[f"way_{k}"].name() for k in range(1, 7)]
    assert len(set(colours[:3])) == 3
    assert len(set(colours[3:])) == 1
    plot.point_at("way_6")
    seen = plot.grab().toImage()
    plot.point_at("")
    assert seen != plot.grab().toImage()


def test_the_axes_hold_the_best_of_every_curve_and_the_slider(plot: ScorePlot) -> None:
    far = Curve(np.array([0, 0.7]), np.array([0.1, 0.3]), best=(0.8, 0.3))
    plot.set_curves({"h_minima": CURVE, "far": far}, chosen="h_minima", name="V_rand")
    low, high = plot._y_range
    assert low <= 0.3 < 0.9 <= high
    assert plot._x_max >= 0.8
    plot.set_curves({"h_minima": CURVE}, chosen="h_minima", name="V_rand")
    assert plot._x_max < 0.5
    plot.set_current(0.6)
    assert plot._x_max > 0.6


def test_ticks_are_where_their_numbers_say(plot: ScorePlot) -> None:
    flat = Curve(np.array([0, 0.1]), np.array([0.9885, 0.9931]), best=(0.2, 0.9931))
    plot.set_curves({"h_minima": flat}, chosen="h_minima", name="V_rand", best_possible=0.9972)
    low, high = plot._y_range
    for end in (low, high):
        assert end / plot._y_step == pytest.approx(round(end / plot._y_step))


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

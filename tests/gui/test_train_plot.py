"""The curves of a training: drawn where they belong, of one size whatever comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from napari.components import ViewerModel
from qtpy.QtGui import QColor, QImage

from napari_emseg.gui.context import Context
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.train.live_map import LatestMaps, TrainMap
from napari_emseg.gui.train.plot import TrainPlot
from napari_emseg.training.watch import Watch
from napari_emseg.volume import Volume

INK = {"text": "#ffffff", "background": "#000000", "current": "#ff0000", "warning": "#00ff00"}
LOSSES = [(step, 0.2 + 0.6 / step) for step in range(1, 400)]
SCORES = [(100, {"v_rand": 0.9, "accuracy": 0.1}), (300, {"v_rand": 0.8, "accuracy": 0.2})]


@pytest.fixture
def plot(qtbot: Any) -> TrainPlot:
    made = TrainPlot(lambda role: QColor(INK[role]))
    qtbot.addWidget(made)
    made.resize(380, made.sizeHint().height())
    return made


def pixels(plot: TrainPlot) -> npt.NDArray[np.int64]:
    """Paint the plot: (y, x, rgb)."""
    image = plot.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    rows = [
        [QColor(image.pixel(x, y)).getRgb()[:3] for x in range(image.width())]
        for y in range(image.height())
    ]
    return np.array(rows, np.int64)


def reddish(picture: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    red, green, _ = np.moveaxis(picture, -1, 0)
    return (red > 180) & (green < 120)


def test_each_curve_has_its_half(plot: TrainPlot) -> None:
    assert not reddish(pixels(plot)).any()
    plot.set_curves(LOSSES, [])
    found = reddish(pixels(plot))
    assert found[:, :190].any()
    assert not found[:, 190:].any()
    plot.set_curves(LOSSES, SCORES, best_step=100)
    picture = pixels(plot)
    assert reddish(picture)[:, 190:].any()
    green = (picture[..., 1] > 200) & (picture[..., 0] < 80)
    assert green[:, 190:].any()  # the best is marked
    assert not green[:, :190].any()


def test_a_falling_loss_falls_on_the_screen(plot: TrainPlot) -> None:
    plot.set_curves(LOSSES, [])
    found = reddish(pixels(plot))[:, :190]
    rows = [np.flatnonzero(found[:, x]).mean() for x in np.flatnonzero(found.any(axis=0))]
    assert rows[-1] > rows[3] + 10


def test_v_rand_is_drawn_where_there_is_one(plot: TrainPlot) -> None:
    plot.set_curves(LOSSES, SCORES)
    assert "V_rand, held out 0.800 at step 300" in plot.toolTip()
    plot.set_curves(LOSSES, [(5, {"accuracy": 0.75})])
    assert "right, held out 0.750 at step 5" in plot.toolTip()


@pytest.mark.parametrize(
    ("losses", "scores"),
    [
        ([], []),
        ([(1, float("nan"))], []),
        ([(1, 0.7)], [(1, {"v_rand": 1.0})]),
        ([(1, 0.5), (2, 0.5)], [(2, {"accuracy": 0.0})]),
        ([(n, 1e6 / n) for n in range(1, 1001)], [(10**7, {"v_rand": 0.5})]),
        ([], [(0, {"v_rand": 0.4})]),
        ([], [(0, {})]),
    ],
)
def test_any_curve_can_be_drawn_and_nothing_grows(
    plot: TrainPlot, losses: Any, scores: Any
) -> None:
    before = plot.sizeHint()
    plot.set_curves(losses, scores, best_step=1)
    assert pixels(plot).any()
    assert plot.sizeHint() == before
    plot.clear()
    assert plot.toolTip() == ""


def test_the_last_maps_are_kept() -> None:
    maps = LatestMaps((20, 3, 4))
    for z in range(10):
        maps.put(z, np.full((3, 4), z + 1, np.float32))
    maps.put(2, np.full((3, 4), 7, np.float32))
    maps.put(11, np.full((3, 4), 12, np.float32))
    shown = np.asarray(maps).max(axis=(1, 2))
    assert shown.tolist() == [0, 0, 7, 0, 5, 6, 7, 8, 9, 10, 0, 12, *[0] * 8]


def test_the_map_follows_the_section_in_sight() -> None:
    viewer = ViewerModel()
    context = Context(viewer)
    raw = add_volume(viewer, Volume(np.zeros((6, 20, 30), np.uint8), voxel_size_nm=(50, 4, 4)))
    watch, shown = Watch(), TrainMap(context)
    viewer.dims.set_current_step(0, 4)
    shown.follow(watch, "mine")
    view = watch.view()
    assert view is not None
    assert view.section == 4
    viewer.dims.set_current_step(0, 1)
    assert watch.view().section == 1  # type: ignore[union-attr]
    assert shown.layer is None
    viewer.layers.selection.active = raw
    watch.tell(section=1, map=np.ones((20, 30), np.float32), map_step=10)
    shown.refresh()
    layer: Any = shown.layer
    assert layer.name == "mine (training)"
    assert viewer.layers.selection.active is raw  # somebody may be painting
    assert context.layer("boundary") is None  # nothing goes on with it
    assert layer.data[1].all()
    assert not layer.data[4].any()
    watch.tell(section=1, map=np.ones((9, 9), np.float32), map_step=11)  # of another stack
    shown.refresh()
    assert layer.data[1].shape == (20, 30)
    viewer.layers.remove(layer)
    watch.tell(section=1, map=np.ones((20, 30), np.float32), map_step=12)
    shown.refresh()
    assert shown.layer is None  # deleted by hand: it stays away
    shown.end()
    viewer.dims.set_current_step(0, 3)
    assert watch.view().section == 1  # type: ignore[union-attr]
    context.close()

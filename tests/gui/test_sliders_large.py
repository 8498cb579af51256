"""Every slider dragged with the mouse over 100 sections of 1024x1024: what is seen is right.

How long each frame took is recorded as a property of the test, and judged nowhere here:
`benchmarks/slider_drag.py` does that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication
from scipy.ndimage import gaussian_filter
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.context import Context
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.live import SLAB_REACH, live_preview_of
from napari_emseg.gui.workspace import Workspace
from napari_emseg.steps.segment import run
from napari_emseg.volume import Volume

SHAPE = (100, 1024, 1024)
N_MOVES = 8
_HANDLE_PX = 8  # half of it, where the slider begins
Labels = npt.NDArray[np.uint32]


@pytest.fixture(scope="module")
def large_map() -> Volume:
    """Smooth walls, drifting a little from section to section."""
    noise = np.random.default_rng(0).standard_normal(SHAPE[1:]).astype(np.float32)
    smooth = gaussian_filter(noise, 9, mode="wrap")
    walls = (255 * np.exp(-3 * np.abs(smooth / smooth.std()))).astype(np.uint8)
    data = np.stack([np.roll(walls, 2 * z, axis=z % 2) for z in range(SHAPE[0])])
    return Volume(data, kind="boundary", name="large", voxel_size_nm=(30, 6, 6))


@pytest.fixture
def frames(workspace: Workspace) -> Iterator[list[float]]:
    """When the canvas was painted."""
    painted: list[float] = []

    def note(_event: Any) -> None:
        painted.append(time.perf_counter())

    draw = workspace.context.viewer.window._qt_viewer.canvas._scene_canvas.events.draw
    draw.connect(note, position="last")
    yield painted
    draw.disconnect(note)


class Drag:
    """Moves the handle of one slider, checks each frame and remembers how long it took."""

    def __init__(self, workspace: Workspace, frames: list[float], qtbot: Any) -> None:
        self.workspace, self.context = workspace, workspace.context
        self.frames, self.qtbot = frames, qtbot
        self.latency_ms: dict[str, list[float]] = {}

    def __call__(self, name: str, check: Callable[[], None] | None = None) -> None:
        step: Any = self.workspace.step("segment")
        number = step.numbers[name]
        self.workspace.scroll_area.ensureWidgetVisible(number)
        QApplication.processEvents()
        slider = number.slider
        middle, span = slider.height() // 2, slider.width() - 2 * _HANDLE_PX
        start = QPoint(_HANDLE_PX + round(span * slider.value() / slider.maximum()), middle)
        self.qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=start)
        took, seen = [], []
        for place in 0.1 + 0.8 * np.abs(np.sin(0.6 * np.arange(1, N_MOVES + 1))):
            before, begin = len(self.frames), time.perf_counter()
            self.qtbot.mouseMove(slider, QPoint(_HANDLE_PX + round(span * place), middle))
            self.qtbot.waitUntil(lambda n=before: len(self.frames) > n, timeout=PATIENCE_MS)
            took.append(1000 * (self.frames[-1] - begin))
            value = getattr(self.context.session.segment, name)
            assert number.value == pytest.approx(value)
            assert value == pytest.approx(place * slider.maximum(), rel=0.1)
            seen.append(value)
            if check is not None:
                check()
        self.qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=start)
        assert len(set(seen)) > N_MOVES // 2
        self.latency_ms[name] = took

    def summary(self) -> str:
        return json.dumps(
            {
                name: {
                    "frames": len(took),
                    "median_ms": round(float(np.median(took)), 1),
                    "p95_ms": round(float(np.percentile(took, 95)), 1),
                }
                for name, took in self.latency_ms.items()
            }
        )


def seen_section(workspace: Workspace) -> Labels:
    """What the canvas was given to paint."""
    layer = live_preview_of(workspace.context).layer
    assert layer is not None
    assert layer.visible
    return np.asarray(layer._slice.image.raw)


def cut_here(context: Context) -> Labels:
    """The labels of the visible section, from the table of all fragments."""
    params, hierarchy = context.session.segment, context.hierarchy
    assert hierarchy is not None
    table = hierarchy.cut(params.threshold, params.min_size_voxels).segment_of
    return table[hierarchy.fragments.data[context.section]]


@pytest.mark.filterwarnings("ignore:record_property is incompatible")
@pytest.mark.timeout(900)
def test_every_slider_shows_its_cut(
    workspace: Workspace,
    large_map: Volume,
    frames: list[float],
    notices: list[str],
    record_property: Callable[[str, object], None],
    qtbot: Any,
) -> None:
    context = workspace.context
    context.session.change("segment", mode="3d", h=0.05)  # each move cuts the whole stack
    add_volume(context.viewer, large_map)
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)
    drag = Drag(workspace, frames, qtbot)

    def check_cut() -> None:
        np.testing.assert_array_equal(seen_section(workspace), cut_here(context))

    drag("h", check_cut)
    drag("min_size_voxels", check_cut)
    context.session.change("segment", grouping="mean_boundary", min_size_voxels=0)
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)
    drag("merge_threshold", check_cut)
    context.viewer.dims.set_current_step(0, SHAPE[0] // 2)
    check_cut()

    drag("sigma_px")
    qtbot.waitUntil(lambda: not context.jobs.is_busy("section"), timeout=PATIENCE_MS)
    context.jobs.stop("hierarchy")  # of the whole stack, which comes when the slider rests
    around = slice(SHAPE[0] // 2 - SLAB_REACH, SHAPE[0] // 2 + SLAB_REACH + 1)
    slab = context.volume("boundary").derive(large_map.data[around], kind="boundary")
    expected = run(slab, params=context.session.segment).read(SLAB_REACH)
    np.testing.assert_array_equal(seen_section(workspace), expected)
    record_property("frame_latency", drag.summary())
    assert not notices

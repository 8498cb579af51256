"""One press takes layer, mode, label and brush; the words say how much is painted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from app_model.types import KeyBinding
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from napari_emseg.gui.context import context_of
from napari_emseg.gui.layers import add_volume, volume_of
from napari_emseg.gui.painting.layer import PaintCount, add_painting, is_painting
from napari_emseg.gui.painting.tools import TOOLS, PaintTools, width_px
from napari_emseg.gui.roles import looks_like
from napari_emseg.gui.train.data import guess_kind
from napari_emseg.volume import Volume


@pytest.fixture
def viewer() -> Any:
    """A viewer without a window, but for the test of real keys."""
    return ViewerModel()


@pytest.fixture
def raw(viewer: Any) -> Any:
    return add_raw(viewer)


def add_raw(viewer: Any) -> Any:
    grey = np.random.default_rng(0).integers(0, 255, (4, 61, 75), np.uint8)
    stack = Volume(grey, name="stack", voxel_size_nm=(50, 8, 8), offset_nm=(100, 16, 40))
    return add_volume(viewer, stack)


@pytest.fixture
def tools(viewer: Any, raw: Any, qtbot: Any) -> Iterator[PaintTools]:
    made = PaintTools(context_of(viewer))
    qtbot.addWidget(made)
    made.set_layer(add_painting(viewer, raw))
    made.show()
    qtbot.waitExposed(made)
    yield made
    made.detach()
    context_of(viewer).close()


def press(qtbot: Any, tools: PaintTools, name: str) -> None:
    qtbot.mouseClick(tools.buttons[name], Qt.MouseButton.LeftButton)


def taken(tools: PaintTools) -> list[str]:
    return [name for name, made in tools.buttons.items() if made.isChecked()]


def test_a_painting_lies_on_the_sections(viewer: Any, raw: Any) -> None:
    layer = add_painting(viewer, raw)
    assert layer.data.dtype == np.uint8
    assert volume_of(layer, "labels").shape == volume_of(raw, "raw").shape
    assert np.array_equal(layer.scale, raw.scale)
    assert np.array_equal(layer.translate, raw.translate)
    assert volume_of(layer, "labels").voxel_size_nm == (50, 8, 8)
    assert is_painting(layer)
    assert guess_kind(layer) == "painted"
    assert not any(looks_like(role, layer) for role in ("segmentation", "ground_truth", "raw"))
    seen = {label: tuple(np.round(layer.get_color(label), 2)) for label in (1, 2)}
    assert seen[1] != seen[2]
    context_of(viewer).close()


def test_a_press_takes_a_tool_and_another_puts_it_away(tools: PaintTools, qtbot: Any) -> None:
    layer, viewer = tools.layer, tools.layer and tools._viewer
    assert layer is not None
    viewer.dims.ndisplay = 3
    layer.visible = False
    press(qtbot, tools, "Membrane")
    assert (layer.mode, layer.selected_label, taken(tools)) == ("paint", 1, ["Membrane"])
    assert viewer.layers.selection.active is layer
    assert (viewer.dims.ndisplay, layer.visible) == (2, True)
    assert layer.brush_size == round(20 / 8)
    press(qtbot, tools, "Inside")
    assert (layer.mode, layer.selected_label, taken(tools)) == ("paint", 2, ["Inside"])
    assert layer.brush_size == 10
    press(qtbot, tools, "Erase")
    assert (layer.mode, taken(tools)) == ("erase", ["Erase"])
    press(qtbot, tools, "Erase")
    assert (layer.mode, taken(tools)) == ("pan_zoom", [])


def test_a_brush_made_wider_stays_so(tools: PaintTools, qtbot: Any) -> None:
    layer = tools.layer
    assert layer is not None
    press(qtbot, tools, "Inside")
    layer.brush_size = 33
    press(qtbot, tools, "Membrane")
    assert layer.brush_size != 33
    press(qtbot, tools, "Inside")
    assert layer.brush_size == 33


def test_keys_take_tools_while_they_are_seen(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer(show=True)
    raw, tools = add_raw(viewer), PaintTools(context_of(viewer))
    viewer.window.add_dock_widget(tools, name="tools", area="right")
    layer = add_painting(viewer, raw)
    tools.set_layer(layer)
    qtbot.waitUntil(tools.isVisible)
    canvas = viewer.window._qt_viewer.canvas.native
    viewer.layers.selection.active = raw
    for tool in TOOLS:
        qtbot.keyClick(canvas, getattr(Qt.Key, f"Key_{tool.key}"))
        assert taken(tools) == [tool.name]
    tools.hide()
    layer.mode = "pan_zoom"
    qtbot.keyClick(canvas, Qt.Key.Key_Q)
    assert layer.mode == "pan_zoom"
    tools.detach()
    context_of(viewer).close()


@pytest.mark.parametrize("closed_first", [0, 1])
def test_two_docks_share_the_keys_and_give_them_back(
    closed_first: int, tools: PaintTools, qtbot: Any
) -> None:
    viewer: Any = tools._viewer
    tools.hide()
    viewer.bind_key("Q", print)  # of somebody else
    both = [tools, PaintTools(context_of(viewer))]
    qtbot.addWidget(both[1])
    both[1].set_layer(tools.layer)
    for shown in both:
        shown.show()
    both[closed_first].hide()
    press_key = viewer.keymap[KeyBinding.from_str("Q")]
    press_key(viewer)
    assert taken(both[1 - closed_first]) == ["Membrane"]
    both[1 - closed_first].hide()
    assert viewer.keymap[KeyBinding.from_str("Q")] is print
    assert KeyBinding.from_str("W") not in viewer.keymap


def test_the_tools_keys_are_none_of_napari(viewer: Any, raw: Any) -> None:
    from napari.layers import Image, Labels

    used = {str(key) for kind in (Labels, Image) for key in kind.class_keymap}
    used |= {str(key) for key in type(viewer).class_keymap}
    assert used.isdisjoint(tool.key for tool in TOOLS)
    assert {"P", "Z"} <= used  # the keymaps were those of napari
    context_of(viewer).close()


def test_napari_s_own_buttons_are_followed(viewer: Any, raw: Any, tools: PaintTools) -> None:
    layer = tools.layer
    assert layer is not None
    viewer.layers.selection.active = layer
    layer.selected_label = 2
    layer.mode = "paint"
    assert taken(tools) == ["Inside"]
    layer.selected_label = 1
    assert taken(tools) == ["Membrane"]
    layer.mode = "fill"
    assert taken(tools) == []
    layer.mode = "erase"
    assert taken(tools) == ["Erase"]
    viewer.layers.selection.active = raw
    assert taken(tools) == []


def test_the_words_follow_the_brush_and_undo(tools: PaintTools, qtbot: Any) -> None:
    layer = tools.layer
    assert layer is not None
    assert tools.words.text() == "nothing is painted yet"
    rows, columns = np.indices((61, 75)).reshape(2, -1)[:, :915]  # a fifth of section 2
    layer.data_setitem((np.full(rows.size, 2), rows, columns), 1)
    layer.data_setitem((np.array([0]), np.array([0]), np.array([0])), 2)
    with qtbot.waitSignal(tools.counted):
        pass
    assert tools.words.text() == "2 sections, 10 % painted: membrane 10 %, inside < 0.1 %"
    layer.undo()
    with qtbot.waitSignal(tools.counted):
        layer.undo()
    assert tools.words.text() == "nothing is painted yet"


def test_paint_of_other_cells_counts_as_inside() -> None:
    data = np.zeros((3, 10, 10), np.uint16)
    data[1, :2], data[1, 5] = 1, 700
    count = PaintCount(data)
    assert count.describe() == "1 section, 30 % painted: membrane 20 %, inside 10 %"
    assert count.sections == (1,)
    data[1] = 0
    count.recount(0)
    assert count.sections == (1,)
    count.recount()
    assert count.sections == ()


def test_brushes_suit_the_pixels(viewer: Any) -> None:
    coarse = viewer.add_labels(np.zeros((2, 5, 5), int), scale=(50, 90, 90), units=("nm",) * 3)
    unknown = viewer.add_labels(np.zeros((2, 5, 5), int))
    for tool in TOOLS:
        assert width_px(tool, coarse) == 2
        assert width_px(tool, unknown) == tool.usual_px
    context_of(viewer).close()

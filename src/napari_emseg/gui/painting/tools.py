"""Three tools to paint examples with, and how much is painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, QSize, Qt, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QHideEvent, QIcon, QPainter, QPixmap, QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QWidget

from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import ElidedLabel, column
from napari_emseg.gui.layers import voxel_size_of
from napari_emseg.gui.painting.keys import paint_keys_of
from napari_emseg.gui.painting.layer import (
    INSIDE_COLOUR,
    MEMBRANE_COLOUR,
    PaintCount,
    dress,
    is_painting,
)
from napari_emseg.training.painting import INSIDE, MEMBRANE

if TYPE_CHECKING:
    from napari.layers import Labels, Layer

_LARGE_BYTES = 32 << 20  # counted whole only once
_SWATCH_PX = 12
_RECOUNT_MS = 250


@dataclass(frozen=True)
class Tool:
    """One way of painting: its words, key, what it does, and how wide it is."""

    name: str
    key: str
    mode: str
    label: int
    width_nm: float
    usual_px: int
    colour: str
    tip: str


TOOLS = (
    Tool(
        "Membrane",
        "Q",
        "paint",
        MEMBRANE,
        20.0,
        5,
        MEMBRANE_COLOUR,
        "Draw along membranes of cells; a few strokes a section are enough",
    ),
    Tool(
        "Inside",
        "W",
        "paint",
        INSIDE,
        80.0,
        20,
        INSIDE_COLOUR,
        "Draw inside cells, also over mitochondria and vesicles, which are no membrane; "
        "the right mouse button fills what it encircles",
    ),
    Tool("Erase", "R", "erase", 0, 80.0, 20, "", "Take paint away"),
)
_NARROWEST_PX, _WIDEST_PX = 2, 40


class PaintTools(QWidget):
    """Chooses layer, mode, label and brush in one press; again puts the tool away.

    The keys on the buttons are bound while the tools can be seen.
    """

    counted = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context, self._viewer = context, context.viewer
        self._layer: Labels | None = None
        self._widths: dict[str, int] = {}  # as somebody left them
        self._keys = paint_keys_of(context)
        self.count: PaintCount | None = None
        self.buttons = {tool.name: self._make_button(tool) for tool in TOOLS}
        tools = QHBoxLayout()
        tools.setSpacing(6)
        for made in self.buttons.values():
            tools.addWidget(made, 1)
        self.words = ElidedLabel()
        self.words.setProperty("role", "quiet")
        rows = column(self)
        rows.addLayout(tools)
        rows.addWidget(self.words)
        self._recount = QTimer(self)
        self._recount.setSingleShot(True)
        self._recount.setInterval(_RECOUNT_MS)
        self._recount.timeout.connect(self.recount)
        self._viewer.layers.selection.events.active.connect(self._show_tool)
        self._show_tool()
        self._show_count()

    @property
    def layer(self) -> Labels | None:
        """The painting."""
        return self._layer

    def set_layer(self, layer: Labels | None) -> None:
        """Paint in this layer from now on."""
        if layer is self._layer:
            return
        self._unfollow()
        self._layer, self.count = layer, None
        self._widths.clear()
        if layer is not None:
            for event in (layer.events.mode, layer.events.selected_label):
                event.connect(self._show_tool)
            layer.events.brush_size.connect(self._on_brush_resized)
            layer.events.paint.connect(self._on_painted)
            layer.events.set_data.connect(self._on_painted)  # undo tells nothing else
            self.count = PaintCount(layer.data)
        self._show_tool()
        self._show_count()

    def detach(self) -> None:
        """Stop listening to the viewer."""
        self._recount.stop()
        self._keys.release(self)
        self._unfollow()
        self._layer = None
        self._viewer.layers.selection.events.active.disconnect(self._show_tool)

    def take(self, name: str) -> None:
        """Take up a tool."""
        layer, tool = self._layer, next(tool for tool in TOOLS if tool.name == name)
        if layer is None or layer not in self._viewer.layers:
            return
        if not is_painting(layer):  # the colours on the buttons are those of the paint
            dress(layer)
        self._bring_to_view(layer)
        with layer.events.brush_size.blocker(self._on_brush_resized):
            if tool.label:
                layer.selected_label = tool.label
            layer.mode = tool.mode
            layer.brush_size = self._widths.get(name) or width_px(tool, layer)
        self._show_tool()

    def put_away(self) -> None:
        """Go back to moving the view."""
        if self._layer is not None:
            self._layer.mode = "pan_zoom"

    @property
    def taken(self) -> str:
        """Name of the tool in hand, "" for none."""
        layer = self._layer
        if layer is None or self._viewer.layers.selection.active is not layer:
            return ""
        for tool in TOOLS:
            if layer.mode == tool.mode and tool.label in (0, layer.selected_label):
                return tool.name
        return ""

    def recount(self) -> None:
        """Count the paint again: all of it, or of a large painting the section in sight."""
        layer = self._layer
        if layer is None or self.count is None:
            return
        section = None
        if self.count.nbytes > _LARGE_BYTES and layer.ndim == 3:
            at = round(float(layer.world_to_data(self._viewer.dims.point[-3:])[0]))
            section = min(max(at, 0), layer.data.shape[0] - 1)
        self.count.recount(section)
        self._show_count()
        self.counted.emit()

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._keys.hold(self, [(tool.key, tool.name) for tool in TOOLS], self.take)

    def hideEvent(self, event: QHideEvent | None) -> None:
        super().hideEvent(event)
        self._keys.release(self)

    def _make_button(self, tool: Tool) -> QToolButton:
        made = QToolButton()
        made.setText(f"{tool.name}  ({tool.key})")
        made.setCheckable(True)
        made.setProperty("role", "tool")
        made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        made.setMinimumHeight(32)
        made.setToolTip(f"{tool.tip}. Key {tool.key}; [ and ] make the brush smaller and larger")
        if tool.colour:
            made.setIcon(_swatch(tool.colour))
            made.setIconSize(QSize(_SWATCH_PX, _SWATCH_PX))
        made.clicked.connect(lambda is_on: self.take(tool.name) if is_on else self.put_away())
        return made

    def _bring_to_view(self, layer: Labels) -> None:
        """Show the painting on top of everything, ready for a brush."""
        viewer = self._viewer
        viewer.dims.ndisplay = 2
        layer.visible = True
        at = viewer.layers.index(layer)
        if at < len(viewer.layers) - 1:
            viewer.layers.move(at, len(viewer.layers))
        viewer.layers.selection.active = layer

    def _show_tool(self, *_: object) -> None:
        taken = self.taken
        for name, made in self.buttons.items():
            with QSignalBlocker(made):
                made.setChecked(name == taken)
            made.setEnabled(self._layer is not None)

    def _show_count(self) -> None:
        self.words.setText(self.count.describe() if self.count is not None else " ")

    def _on_brush_resized(self, *_: object) -> None:
        if self._layer is not None and self.taken:
            self._widths[self.taken] = int(self._layer.brush_size)

    def _on_painted(self, *_: object) -> None:
        self._recount.start()

    def _unfollow(self) -> None:
        layer = self._layer
        if layer is None:
            return
        for event in (layer.events.mode, layer.events.selected_label):
            event.disconnect(self._show_tool)
        layer.events.brush_size.disconnect(self._on_brush_resized)
        layer.events.paint.disconnect(self._on_painted)
        layer.events.set_data.disconnect(self._on_painted)


def width_px(tool: Tool, layer: Layer) -> int:
    """Width of a brush that suits the pixels of `layer`."""
    size = voxel_size_of(layer)
    if size is None:
        return tool.usual_px
    return int(min(max(round(tool.width_nm / size[2]), _NARROWEST_PX), _WIDEST_PX))


def _swatch(colour: str) -> QIcon:
    picture = QPixmap(_SWATCH_PX, _SWATCH_PX)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawRoundedRect(picture.rect(), 3, 3)
    painter.end()
    return QIcon(picture)

"""A combo box that follows the layer list and chooses the layer of a role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox

from napari_emseg.gui.layers import kind_of
from napari_emseg.gui.preview_labels import is_preview

if TYPE_CHECKING:
    from napari.layers import Layer

_NOTHING = {
    "labels": "none yet",
    "raw": "no image open",
    "boundary": "none yet",
    "segmentation": "none yet",
    "ground_truth": "none",
}


class Chooser(Protocol):
    """What knows which layer is chosen for a role: a context, or the wishes of a training."""

    layer_changed: Any

    @property
    def viewer(self) -> Any:
        """Whose layers can be chosen."""

    def layer(self, role: str) -> Layer | None:
        """Return the layer chosen for a role."""

    def set_layer(self, role: str, layer: Layer | None) -> None:
        """Choose the layer of a role."""


class LayerCombo(QComboBox):
    """Shows the layers fit for a role, and which is chosen."""

    def __init__(self, context: Chooser, role: str) -> None:
        super().__init__()
        self._context, self._role = context, role
        self._layers: list[Layer] = []
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(3)
        self.setAccessibleName(role.replace("_", " "))
        self.activated.connect(self._on_activated)
        events = context.viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._on_layers_changed)
        context.layer_changed.connect(self._on_role_changed)
        self._follow()

    def detach(self) -> None:
        """Stop listening to the viewer."""
        events = self._context.viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.disconnect(self._on_layers_changed)

    def _suits(self, layer: Layer) -> bool:
        is_labels, kind = type(layer).__name__ == "Labels", kind_of(layer)
        if is_preview(layer):
            return False
        if self._role == "segmentation":
            return is_labels
        is_image = type(layer).__name__ == "Image"
        if self._role == "labels":  # to learn from; membranes may be an image
            is_made_here = "unfinished" in layer.metadata.get("emseg", {})
            return is_labels or (is_image and not is_made_here)
        if self._role == "ground_truth":
            return is_labels or (is_image and layer is not self._context.layer("boundary"))
        return is_image and (self._role == "boundary" or kind != "boundary")

    def _on_layers_changed(self, event: Any) -> None:
        self._follow()

    def _follow(self) -> None:
        for layer in self._context.viewer.layers:
            if layer not in self._layers:
                layer.events.name.connect(self._refill)
        self._layers = [la for la in reversed(self._context.viewer.layers) if self._suits(la)]
        self._refill()

    def _on_role_changed(self, role: str) -> None:
        if role == self._role:
            self._refill()

    def _refill(self, *_: Any) -> None:
        with QSignalBlocker(self):
            self.clear()
            self.addItem(_NOTHING[self._role])
            for layer in self._layers:
                self.addItem(layer.name)
            chosen = self._context.layer(self._role)
            index = self._layers.index(chosen) + 1 if chosen in self._layers else 0
            self.setCurrentIndex(index)
        self.setToolTip(self.currentText())

    def _on_activated(self, index: int) -> None:
        self._context.set_layer(self._role, self._layers[index - 1] if index else None)

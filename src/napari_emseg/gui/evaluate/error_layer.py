"""Errors on the canvas: a layer that colours them, and the flight from one to the next."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import CyclicLabelColormap
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor

from napari_emseg.evaluation.error_view import IS_MERGE, IS_OTHER, IS_PART, IS_SPLIT, ErrorView
from napari_emseg.gui.context import Context
from napari_emseg.gui.layers import add_volume
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Labels, Layer

    from napari_emseg.evaluation.error_sites import ErrorSite

# Okabe and Ito's colours, which all eyes tell apart.
COLOURS = {IS_SPLIT: "#56b4e9", IS_MERGE: "#e69f00", IS_PART: "#f0e442", IS_OTHER: "#009e73"}
NAME = "split and merge errors"
_FIELD_PX = 160  # at least so much is seen around an error
_PAINTING = {"paint", "fill", "erase", "polygon", "pick"}


class ErrorLayer(QObject):
    """Shows errors in a labels layer whose voxels are looked up when they are seen.

    The signal `shown` tells when it becomes visible or hidden, by whomever.
    """

    shown = Signal(bool)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context, self._viewer = context, context.viewer
        self._volume: Volume | None = None
        self._layer: Labels | None = None
        self._covered: list[weakref.ref[Layer]] = []  # what was hidden for the errors to be seen
        self._viewer.layers.events.removed.connect(self._on_layer_removed)

    def detach(self) -> None:
        """Stop listening to the viewer."""
        self._viewer.layers.events.removed.disconnect(self._on_layer_removed)

    @property
    def layer(self) -> Labels | None:
        """The layer, if there is one."""
        return self._layer if self._layer in self._viewer.layers else None

    @property
    def is_visible(self) -> bool:
        """Whether the errors are coloured now."""
        return self.layer is not None and self.layer.visible

    def set_errors(self, errors: ErrorView | None, like: Volume | None = None) -> None:
        """Show other errors, on the grid of `like`; None takes the layer away."""
        is_shown = self.is_visible
        if self.layer is not None:
            self._viewer.layers.remove(self.layer)
        self._layer, self._volume = None, None
        self.shown.emit(False)
        if errors is not None and like is not None:
            self._volume = Volume(
                errors,
                kind="labels",
                name=NAME,
                voxel_size_nm=like.voxel_size_nm,
                offset_nm=like.offset_nm,
            )
            self.set_visible(is_shown)

    def set_visible(self, is_visible: bool) -> None:
        """Colour the errors, or stop."""
        if is_visible and self.layer is None and self._volume is not None:
            self._add()
        elif self.layer is not None and self.layer.visible != is_visible:
            self.layer.visible = is_visible
            if is_visible:
                self._uncover(self.layer)

    def show(self, site: ErrorSite) -> None:
        """Go to an error and mark both sides of it."""
        if self._volume is None:
            return
        self._volume.data.select(site)
        self.set_visible(True)
        layer = self.layer
        assert layer is not None
        layer.refresh(extent=False, thumbnail=False)
        self._viewer.layers.selection.active = layer
        self._fly(layer, site)

    def _fly(self, layer: Labels, site: ErrorSite) -> None:
        go_to_section(self._context, site.section)
        ends = np.array([site.position, site.other_position], float)
        centre = np.asarray(layer.data_to_world(ends.mean(axis=0)))
        centre[0] = layer.data_to_world(ends[0])[0]
        camera, dims = self._viewer.scene.camera, self._viewer.dims
        camera.center = tuple(centre[-3:])
        if dims.ndisplay == 2:
            pixel = float(np.abs(layer.scale[-1]))
            field = max(_FIELD_PX, 2.5 * float(np.abs(ends[0] - ends[1])[1:].max())) * pixel
            camera.zoom = min(self._viewer.canvas.size) / field

    def _add(self) -> None:
        assert self._volume is not None
        like = _compared_layer(self._context)
        selected = self._viewer.layers.selection.active
        self._layer = add_volume(
            self._viewer,
            self._volume,
            like=like,
            colormap=_colormap(),
            opacity=0.55,
        )
        self._layer.events.mode.connect(self._on_mode_changed)
        self._layer.events.visible.connect(self._on_visible_changed)
        self._uncover(self._layer)
        self.shown.emit(True)
        if selected is not None:
            self._viewer.layers.selection.active = selected

    def _uncover(self, layer: Labels) -> None:
        """Hide what lies over the raw sections or the map: results made here, and the truth."""
        before = [other for other in self._viewer.layers if other.visible and other is not layer]
        self._context.show_result(layer)
        truth = self._context.layer("ground_truth")
        has_picture = any(self._context.layer(role) is not None for role in ("raw", "boundary"))
        if truth is not None and has_picture:
            truth.visible = False
        self._covered += [weakref.ref(other) for other in before if not other.visible]

    def _on_layer_removed(self, event: Any) -> None:
        """Show again what was hidden for the errors, once they are gone."""
        if event.value is not self._layer or self._layer is None:
            return
        self._layer = None
        covered, self._covered = [ref() for ref in self._covered], []
        for other in covered:
            if other is not None and other in self._viewer.layers:
                other.visible = True
        self.shown.emit(False)

    def _on_visible_changed(self, event: Any) -> None:
        self.shown.emit(self.is_visible)

    def _on_mode_changed(self, event: Any) -> None:
        if self.layer is not None and str(self.layer.mode) in _PAINTING:
            self.layer.mode = "pan_zoom"
            show_info("This layer shows errors only. Select a labels layer to paint in it.")


def _colormap() -> CyclicLabelColormap:
    """Each value its colour; napari's direct colormaps take seconds to compile at first."""
    colours = [QColor(COLOURS[value]).getRgbF() for value in sorted(COLOURS)]
    return CyclicLabelColormap(colors=np.array([(0, 0, 0, 0), *colours]), background_value=0)


def go_to_section(context: Context, section: int) -> None:
    """Turn to a section of the stack that is compared."""
    layer, dims = _compared_layer(context), context.viewer.dims
    if layer is not None and layer.ndim == 3 and dims.ndim >= 3:
        dims.set_point(dims.ndim - 3, layer.data_to_world((section, 0, 0))[0])


def _compared_layer(context: Context) -> Layer | None:
    layers = (context.layer(role) for role in ("segmentation", "boundary", "ground_truth"))
    return next((layer for layer in layers if layer is not None), None)

"""napari's 3D view of a few surfaces and the visible section, and the way back to 2D."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Surface as SurfaceLayer
from napari.utils.colormaps import Colormap

from napari_emseg.gui.layers import free_name

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_emseg.morphometry import Surface

Rgb = Sequence[float]
_STILL_PX = 4
_MOST_COLOURS = 64
_MOST_TEXTURE_PX = 2048
_ANGLES = (-20.0, 35.0, 20.0)  # from above, a little from the side
_PLANE_OPACITY = 0.8
_NOTHING = (np.zeros((3, 3), np.float32), np.array([[0, 1, 2]]), np.zeros(3, np.float32))


class SurfaceScene:
    """Surfaces of segments in one layer, the section in another, both in 3D only.

    Parameters
    ----------
    viewer : Viewer
    like : Layer
        The labels, whose units and axes the surfaces have.
    on_click : callable
        Called with a segment, a place on its surface and the way inward, in world units.
    """

    def __init__(
        self,
        viewer: Viewer,
        like: Layer,
        on_click: Callable[[int, npt.NDArray[Any], npt.NDArray[Any]], object],
    ) -> None:
        self.like = like
        self._viewer, self._on_click = viewer, on_click
        self._layer: SurfaceLayer | None = None
        self._plane: SurfaceLayer | None = None
        self._segments: list[int] = []
        self._hidden: list[Layer] = []
        self._active: Layer | None = None
        self._view: tuple[Any, ...] | None = None
        self._view_2d: tuple[Any, ...] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the 3D view is on."""
        return self._layer is not None

    def open(self) -> None:
        """Turn to the 3D view; what else is shown would be drawn as whole volumes there."""
        viewer, camera = self._viewer, self._viewer.scene.camera
        self._view_2d = (camera.center, camera.zoom)
        self._active = viewer.layers.selection.active
        self._hidden = [layer for layer in viewer.layers if layer.visible]
        for layer in self._hidden:
            layer.visible = False
        viewer.dims.ndisplay = 3
        self._layer = self._add(_NOTHING, "3D surfaces", shading="smooth", visible=False)
        self._layer.mouse_drag_callbacks.append(self._on_press)

    def close(self) -> None:
        """Go back to sections, as they were."""
        viewer, camera = self._viewer, self._viewer.scene.camera
        if self._layer is None:
            return
        if viewer.dims.ndisplay == 3:
            self._view = (camera.center, camera.zoom, camera.angles)
        for layer in (self._layer, self._plane):
            if layer is not None and layer in viewer.layers:
                viewer.layers.remove(layer)
        self._layer = self._plane = None
        viewer.dims.ndisplay = 2
        for layer in self._hidden:
            if layer in viewer.layers:
                layer.visible = True
        if self._active is not None and self._active in viewer.layers:
            viewer.layers.selection.active = self._active
        if self._view_2d is not None:
            camera.center, camera.zoom = self._view_2d

    def show(self, surfaces: Mapping[int, Surface], colours: Mapping[int, Rgb]) -> int:
        """Show these surfaces; return the number of triangles.

        Parameters
        ----------
        surfaces : mapping
            Surface of each segment, in world units.
        colours : mapping
            Red, green and blue of each segment.
        """
        layer = self._layer
        kept = {s: surface for s, surface in surfaces.items() if surface.n_faces}
        if layer is None or layer not in self._viewer.layers:
            return 0
        self._segments = list(kept)
        layer.visible = bool(kept)
        if not kept:
            return 0
        was_empty = len(layer.data[0]) == len(_NOTHING[0])
        data = _join(list(kept.values()))
        palette = np.array([(*colours[s][:3], 1.0) for s in kept][:_MOST_COLOURS])
        layer.colormap = _colormap(palette)
        layer.data = data
        layer.contrast_limits = (0, _MOST_COLOURS)
        if was_empty:
            self._look_at(data[0])
        return int(data[1].shape[0])

    def show_plane(self, source: Layer, section: int) -> None:
        """Show a section of an image where it lies.

        Parameters
        ----------
        source : Layer
            A stack of grey sections.
        section : int
        """
        if self._layer is None:
            return
        corners, texture = _section_of(source, section)
        if self._plane is None or self._plane not in self._viewer.layers:
            faces = np.array([[0, 1, 2], [0, 2, 3]])
            self._plane = self._add(
                (corners, faces, np.ones(4, np.float32)),
                "section in 3D",
                shading="none",
                opacity=_PLANE_OPACITY,
                colormap="gray",
                contrast_limits=(0, 1),
                texture=texture,
                texcoords=np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32),
            )
            self._viewer.layers.selection.active = self._layer
            return
        self._plane.vertices = corners
        self._plane.texture = texture

    def _add(self, data: Any, name: str, **look: Any) -> SurfaceLayer:
        made = SurfaceLayer(
            data,
            name=free_name(self._viewer, name),
            units=self.like.units,
            axis_labels=self.like.axis_labels,
            metadata={"emseg": {"kind": "surface"}},
            **look,
        )
        self._viewer.add_layer(made)
        return made

    def _look_at(self, vertices: npt.NDArray[np.float32]) -> None:
        camera = self._viewer.scene.camera
        if self._view is not None:
            camera.center, camera.zoom, camera.angles = self._view
            return
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        camera.angles = _ANGLES
        camera.center = tuple((low + high) / 2)
        camera.zoom = (
            0.8 * min(self._viewer.canvas.size) / max(float(np.linalg.norm(high - low)), 1)
        )

    def _on_press(self, layer: SurfaceLayer, event: Any) -> Iterator[None]:
        start, has_moved = np.array(event.pos), False
        yield
        while event.type == "mouse_move":
            has_moved = has_moved or bool(np.hypot(*(np.array(event.pos) - start)) > _STILL_PX)
            yield
        if has_moved or event.button != 1:
            return
        _, triangle = layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        ) or (None, None)
        if triangle is None:
            return
        vertices, faces, values = layer.data
        a, b, c = vertices[faces[triangle]].astype(float)
        inward = np.cross(c - a, b - a)
        inward /= max(float(np.linalg.norm(inward)), 1e-9)
        segment = self._segments[int(values[faces[triangle][0]])]
        self._on_click(segment, (a + b + c) / 3, inward)


def _join(
    surfaces: Sequence[Surface],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Put surfaces into one; each vertex has as value its surface's number and a half."""
    sizes = [len(surface.vertices) for surface in surfaces]
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
    values = np.minimum(np.repeat(np.arange(len(sizes)), sizes), _MOST_COLOURS - 1) + 0.5
    return (
        np.concatenate([surface.vertices for surface in surfaces]),
        # napari wants triangles outward in (z, y, x)
        np.concatenate([s.faces[:, ::-1] + n for s, n in zip(surfaces, first, strict=True)]),
        values.astype(np.float32),
    )


def _colormap(palette: npt.NDArray[Any]) -> Colormap:
    colours = np.ones((_MOST_COLOURS, 4))
    colours[: len(palette)] = palette
    controls = np.linspace(0, 1, _MOST_COLOURS + 1)
    return Colormap(colours, controls=controls, interpolation="zero", name="segments in 3D")


def _section_of(
    source: Layer, section: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the corners of a section in the world, and its grey values from 0 to 1."""
    plane = np.asarray((source.data[0] if source.multiscale else source.data)[section])
    n_y, n_x = plane.shape
    step = max(1, -(-max(plane.shape) // _MOST_TEXTURE_PX))
    low, high = (float(v) for v in source.contrast_limits)
    grey = (plane[::step, ::step].astype(np.float32) - low) / max(high - low, 1e-9)
    y, x = (
        np.array([-0.5, -0.5, n_y - 0.5, n_y - 0.5]),
        np.array([-0.5, n_x - 0.5, n_x - 0.5, -0.5]),
    )
    corners = np.stack([np.full(4, section), y, x], axis=1)
    world = np.array([source.data_to_world(corner) for corner in corners], np.float32)
    return world, np.clip(grey, 0, 1)

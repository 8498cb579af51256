"""The boundary map of the section in sight while a model learns, in a layer of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_emseg.gui.context import Context
from napari_emseg.gui.layers import add_volume, free_name, volume_of
from napari_emseg.sectionwise import SectionwiseArray
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_emseg.training.watch import Watch

_KEPT_SECTIONS = 8


class LatestMaps(SectionwiseArray):
    """The last maps of a few sections; the others are blank."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape, np.float32)
        self._maps: dict[int, npt.NDArray[np.float32]] = {}

    def put(self, z: int, boundary: npt.NDArray[np.float32]) -> None:
        """Keep the map of a section; the one longest kept gives way."""
        self._maps.pop(z, None)
        self._maps[z] = boundary
        while len(self._maps) > _KEPT_SECTIONS:
            del self._maps[next(iter(self._maps))]

    def section(self, z: int) -> npt.NDArray[np.float32]:
        """Return the map of a section, blank where there is none."""
        found = self._maps.get(z)
        return np.zeros(self.shape[1:], np.float32) if found is None else found


class TrainMap:
    """Asks a training for the map of the section in sight, and shows it.

    Parameters
    ----------
    context : Context
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._layer: Layer | None = None
        self._source: Layer | None = None
        self._raw: Volume | None = None
        self._watch: Watch | None = None
        self._name = ""
        self._shown = (-1, -1)  # section and step of the map seen last

    @property
    def layer(self) -> Layer | None:
        """The layer, as long as it is in the viewer."""
        return self._layer if self._layer in self._context.viewer.layers else None

    def follow(self, watch: Watch, name: str) -> None:
        """Show what `watch` tells from now on; `name` is that of the model."""
        self.clear()
        self._source = self._context.layer("raw")
        if self._source is None:
            return
        self._raw = volume_of(self._source, "raw")
        self._watch, self._name = watch, name
        self._context.viewer.dims.events.current_step.connect(self._on_moved)
        self._on_moved()

    def refresh(self) -> None:
        """Show the newest map."""
        if self._watch is None or self._raw is None or self._source is None:
            return
        state = self._watch.state()
        if state.map is None or state.section is None:
            return
        if (state.section, state.map_step) == self._shown:
            return
        if state.map.shape != self._raw.shape[1:] or state.section >= self._raw.shape[0]:
            return
        self._shown = state.section, state.map_step
        layer = self._present_layer()
        if layer is None:
            return
        layer.data.put(state.section, state.map)
        layer.refresh(extent=False)

    def end(self) -> None:
        """Ask for no more maps; the last one stays to be looked at."""
        if self._watch is not None:
            self._context.viewer.dims.events.current_step.disconnect(self._on_moved)
        self._watch = None

    def clear(self) -> None:
        """Take the layer away."""
        self.end()
        layer = self.layer
        if layer is not None:
            self._context.viewer.layers.remove(layer)
        self._layer, self._shown = None, (-1, -1)

    def _present_layer(self) -> Layer | None:
        """Return the layer, made with the first map; one that was deleted stays away."""
        if self._layer is not None:
            return self.layer
        assert self._raw is not None
        viewer = self._context.viewer
        data: Any = LatestMaps(self._raw.shape)
        volume = self._raw.derive(data, kind="boundary", unfinished={"training": self._name})
        name = free_name(viewer, f"{self._name} (training)")
        active = viewer.layers.selection.active
        with self._context.choosing():
            self._layer = add_volume(viewer, volume, like=self._source, name=name)
        # Nothing goes on with these maps, so they count as a map of which no section is done.
        self._context.maps.begin(self._layer, {}, None)
        viewer.layers.selection.active = active  # somebody may be painting
        return self._layer

    def _on_moved(self, *_: object) -> None:
        if self._watch is not None and self._raw is not None:
            section = min(self._context.section, self._raw.shape[0] - 1)
            self._watch.look_at(self._raw, section)

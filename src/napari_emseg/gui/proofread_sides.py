"""Both sides of a suspicious place on the canvas, in two colours that all eyes tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.utils.colormaps import CyclicLabelColormap
from qtpy.QtGui import QColor

from napari_emseg.gui.preview_labels import ONLY_SHOWN
from napari_emseg.sectionwise import SectionwiseArray

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

    from napari_emseg.proofreading import Preview, Proofreader
    from napari_emseg.proofreading.guidance import Site

NAME = "both sides"
BLUE, ORANGE = "#0072b2", "#e69f00"  # Okabe and Ito's


class Sides(SectionwiseArray):
    """Read-only (z, y, x) uint8: 1 and 2 are the sides of a place, 0 is all else.

    Parameters
    ----------
    shape : (z, y, x)
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape, np.uint8)
        self._editor: Proofreader | None = None
        self._site: Site | None = None
        self._preview: Preview | None = None

    def show(self, editor: Proofreader, site: Site | None, preview: Preview | None = None) -> None:
        """Show a place; the two sides of a split are whole only with its preview."""
        self._editor, self._site, self._preview = editor, site, preview

    def section(self, z: int) -> npt.NDArray[np.uint8]:
        """Return section `z` (y, x)."""
        editor, site = self._editor, self._site
        if editor is None or site is None:
            return np.zeros(self.shape[1:], np.uint8)
        preview = self._preview
        if preview is not None and preview.version == editor.version:
            ids, sides = preview.section_view(z), _after(preview, site)
        elif len(site.segments) > 1:
            ids, sides = np.asarray(editor.view[z]), site.segments[:2]
        else:
            ids, sides = np.asarray(editor.state.fragments[z]), site.fragments
        return (ids == sides[0]).astype(np.uint8) + np.uint8(2) * (ids == sides[1])


def _after(preview: Preview, site: Site) -> tuple[int, int]:
    """Return the two segments of a split that hold most of what takes part."""
    parts = [segment for segment in preview.edit.after if segment][:2]
    return (parts[0], parts[1]) if len(parts) > 1 else (parts[0], 0)


class SidesLayer:
    """A layer over the segments that shows both sides; the active layer stays active.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layer: Labels | None = None

    @property
    def layer(self) -> Labels | None:
        """The layer, if there is one."""
        return self._layer if self._layer in self._viewer.layers else None

    def show(self, editor: Proofreader, like: Labels, site: Site, preview: Preview | None) -> None:
        """Show both sides of a place."""
        if self.layer is None:
            self._add(editor, like)
        layer = self.layer
        assert layer is not None
        layer.data.show(editor, site, preview)
        layer.visible = self._viewer.dims.ndisplay == 2
        layer.refresh(extent=False, thumbnail=False, highlight=False)

    def hide(self) -> None:
        """Show nothing for now."""
        if self.layer is not None:
            self.layer.visible = False

    def remove(self) -> None:
        """Take the layer away."""
        if self.layer is not None:
            self._viewer.layers.remove(self.layer)
        self._layer = None

    def _add(self, editor: Proofreader, like: Labels) -> None:
        active = self._viewer.layers.selection.active
        self._layer = self._viewer.add_labels(
            Sides(editor.view.shape),
            name=NAME,
            scale=like.scale,
            translate=like.translate,
            units=like.units,
            axis_labels=like.axis_labels,
            metadata={"emseg": {ONLY_SHOWN: True}},
            colormap=_colormap(),
            opacity=0.5,
        )
        if active is not None:
            self._viewer.layers.selection.active = active


def _colormap() -> CyclicLabelColormap:
    """Each side its colour; napari's direct colormaps take seconds to compile at first."""
    colours: list[Any] = [QColor(colour).getRgbF() for colour in (BLUE, ORANGE)]
    return CyclicLabelColormap(colors=np.array([(0, 0, 0, 0), *colours]), background_value=0)

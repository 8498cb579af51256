"""The layer to paint examples in: membrane and inside, in two colours, and how much of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.utils.colormaps import DirectLabelColormap

from napari_emseg.gui.layers import free_name
from napari_emseg.gui.painting.sparse import make_blank
from napari_emseg.training.painting import INSIDE, MEMBRANE

if TYPE_CHECKING:
    from napari.layers import Labels, Layer
    from napari.viewer import Viewer

# Two of Okabe and Ito's colours: told apart by every kind of colour vision, and seen on grey.
MEMBRANE_COLOUR = "#e69f00"
INSIDE_COLOUR = "#56b4e9"
_OTHER_COLOUR = "#cc79a7"  # ids above 2: other cells
_OPACITY = 0.6
_MARK = "painted"


def is_painting(layer: Layer) -> bool:
    """Whether a layer was made to paint examples in, in this window or an earlier one."""
    return type(layer).__name__ == "Labels" and bool(layer.metadata.get("emseg", {}).get(_MARK))


def add_painting(viewer: Viewer, raw: Layer) -> Labels:
    """Add an empty painting on the grid of `raw`."""
    data = raw.data[0] if raw.multiscale else raw.data
    layer = viewer.add_labels(
        make_blank(data.shape, np.uint8),
        name=free_name(viewer, f"{raw.name} painting"),
        scale=raw.scale,
        translate=raw.translate,
        units=raw.units,
        axis_labels=raw.axis_labels,
        # The mark outlives a session file, in which every labels layer is of kind "labels".
        metadata={"emseg": {"kind": "painted", _MARK: True}},
    )
    dress(layer)
    return layer


def dress(layer: Labels) -> None:
    """Give a painting its colours, also one that comes from a session file."""
    known = layer.metadata.get("emseg", {})
    layer.metadata = {**layer.metadata, "emseg": {**known, "kind": "painted", _MARK: True}}
    colours = {
        None: _OTHER_COLOUR,
        0: "transparent",
        MEMBRANE: MEMBRANE_COLOUR,
        INSIDE: INSIDE_COLOUR,
    }
    layer.colormap = DirectLabelColormap(color_dict=colours)
    layer.opacity = _OPACITY


class PaintCount:
    """How many pixels of each section are membrane and inside.

    Parameters
    ----------
    data : integer array, (z, y, x) or (y, x)
        Painted over while this object lives.

    Examples
    --------
    >>> count = PaintCount(np.array([[[1, 2, 0, 0, 0, 0, 0, 0]], [[0] * 8]]))
    >>> count.describe()
    '1 section, 25 % painted: membrane 12 %, inside 12 %'
    """

    def __init__(self, data: Any) -> None:
        self._data = data[None] if data.ndim == 2 else data
        self._counts: npt.NDArray[np.int64] = np.zeros((len(self._data), 2), np.int64)
        self.recount()

    def recount(self, section: int | None = None) -> None:
        """Look again at one section, or at all of them."""
        if section is None and hasattr(self._data, "painted_sections"):
            self._counts[:] = 0
            sections: Iterable[int] = self._data.painted_sections
        else:
            sections = range(len(self._data)) if section is None else (section,)
        for z in sections:
            values = np.asarray(self._data[z])
            membrane = np.count_nonzero(values == MEMBRANE)
            self._counts[z] = membrane, np.count_nonzero(values) - membrane

    @property
    def nbytes(self) -> int:
        """Size of what is counted."""
        return int(np.prod(self._data.shape)) * int(self._data.dtype.itemsize)

    @property
    def sections(self) -> tuple[int, ...]:
        """Those in which anything is painted."""
        return tuple(np.flatnonzero(self._counts.any(axis=1)).tolist())

    def describe(self) -> str:
        """Say how much is painted."""
        n = len(self.sections)
        if n == 0:
            return "nothing is painted yet"
        pixels = n * int(np.prod(self._data.shape[1:]))
        membrane, inside = (_percent(int(part), pixels) for part in self._counts.sum(axis=0))
        painted = _percent(int(self._counts.sum()), pixels)
        noun = "section" if n == 1 else "sections"
        return f"{n} {noun}, {painted} painted: membrane {membrane}, inside {inside}"


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "< 0.1 %"
    return f"{share:.0f} %" if share >= 10 or share == 0 else f"{share:.1f} %"

"""The colours of segments under correction, which stay with them; also of those locked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from napari.utils.colormaps import CyclicLabelColormap, label_colormap

from napari_emseg.proofreading.shading import (
    ASIDE,
    CHANGED,
    EDGE,
    HATCH,
    KEPT,
    LOCKED,
    N_COLOURS,
    N_ENTRIES,
)

# Of Okabe and Ito's colours, which all eyes tell apart: what stays, and what changes.
KEPT_COLOUR = "#56b4e9"
CHANGED_COLOURS = ("#e69f00", "#009e73", "#f0e442", "#cc79a7")
_GREY = 0.55
_USUAL_SEED = 0.5


class SegmentColormap(CyclicLabelColormap):  # type: ignore[misc]
    """A cycle of colours, followed by those of locked segments and of previews.

    Labels take the first colours only; :func:`shading.shade` gives the others away.
    """

    def _data_to_texture(self, values: Any) -> Any:
        numbers = np.asarray(values).astype(np.int64)
        shades = np.where(numbers == 0, 0, (numbers - 1) % N_COLOURS + 1).astype(np.uint8)
        if self.use_selection:
            shades = np.where(numbers == self.selection, shades, 0).astype(np.uint8)
        return np.uint8(shades) if shades.ndim == 0 else shades

    def _map_without_cache(self, values: Any) -> npt.NDArray[Any]:
        shades = self._cmap_without_selection()._data_to_texture(values)
        mapped: npt.NDArray[Any] = self.colors[shades]
        mapped[shades == 0] = 0
        return mapped


def segment_colormap(seed: float = _USUAL_SEED) -> SegmentColormap:
    """Make the colours; another seed gives others."""
    usual = np.array(label_colormap(N_COLOURS, seed).colors)[: N_COLOURS + 1]
    colours = np.zeros((N_ENTRIES, 4), np.float32)
    colours[: N_COLOURS + 1] = usual
    grey = usual[1:, :3].mean(axis=1, keepdims=True)
    colours[LOCKED + 1 : LOCKED + N_COLOURS + 1, :3] = 0.35 * usual[1:, :3] + 0.65 * (
        _GREY * 0.5 + grey * 0.5
    )
    colours[LOCKED + 1 : LOCKED + N_COLOURS + 1, 3] = 0.8
    colours[HATCH] = (0.08, 0.08, 0.08, 0.9)
    colours[ASIDE] = (0.1, 0.1, 0.1, 0.75)
    colours[EDGE] = (1, 1, 1, 1)
    colours[KEPT] = _rgba(KEPT_COLOUR)
    for k, colour in enumerate(CHANGED_COLOURS):
        colours[CHANGED + k] = _rgba(colour)
    return SegmentColormap(colors=colours, background_value=0)


def _rgba(colour: str) -> tuple[float, ...]:
    return (*(int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)), 1.0)

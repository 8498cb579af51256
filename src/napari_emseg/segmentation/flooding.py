"""One flood: from a map to its fragments and their forest, shallow minima drowned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_emseg.segmentation.basins import find_basins, measure
from napari_emseg.segmentation.cutting import fill, fill_levels
from napari_emseg.segmentation.forest import Forest, build_forest, find_edges

Map = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Flooded:
    """The fragments of one section or volume, in numbers; entry 0 unused."""

    forest: Forest
    minimum: npt.NDArray[np.float32]
    size: npt.NDArray[np.int64]


def flood(smoothed: Map, labels: Labels, floor: float) -> Flooded:
    """Flood a map from its minima of dynamics above `floor`.

    The map is first flooded from all minima. Then the shallow ones are filled
    up to where their water runs off, which is the reconstruction that H-minima
    with h = `floor` floods, and that map is flooded: a shallow basin on a ridge
    is so shared out between both sides.

    Parameters
    ----------
    smoothed : (z, y, x) float32
        C-contiguous.
    labels : (z, y, x) uint32
        Overwritten with the fragments.
    floor : float
        Zero keeps all minima.
    """
    raw = _flood(smoothed, smoothed, labels)
    threshold = np.float32(floor)
    if not (raw.forest.height <= threshold).any():
        return raw
    level = np.zeros_like(raw.minimum)
    forest = raw.forest
    fill_levels(forest.outside, forest.saddle, forest.height, raw.minimum, threshold, level)
    filled = np.empty_like(smoothed)
    fill(smoothed, labels, level, filled)
    return _flood(filled, smoothed, labels)


def _flood(flooded: Map, smoothed: Map, labels: Labels) -> Flooded:
    """Flood `flooded`; depths are those of `smoothed`, to which it may have been filled."""
    n = find_basins(flooded, labels)
    minimum, size = np.full(n + 1, np.inf, np.float32), np.zeros(n + 1, np.int64)
    measure(smoothed, labels, minimum, size)
    edges = find_edges(flooded, labels, 0, flooded.shape[0])
    return Flooded(build_forest(edges, minimum), minimum, size)

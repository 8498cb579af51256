"""One flood: from a map to its fragments and their forest, shallow minima drowned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.segmentation.basins import (
    cross_plateaus,
    follow,
    measure,
    number_minima,
    point_down,
)
from napari_emseg.segmentation.cutting import fill, fill_levels
from napari_emseg.segmentation.forest import Edges, Forest, build_forest, find_edges
from napari_emseg.segmentation.parallel import ignore, map_threads

Map = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint32]
SLAB = 8  # sections a thread works on at a time


@dataclass(frozen=True, eq=False)
class Flooded:
    """The fragments of one section or volume, in numbers; entry 0 unused."""

    forest: Forest
    minimum: npt.NDArray[np.float32]
    size: npt.NDArray[np.int64]


def count_reports(n_z: int) -> int:
    """Return how often :func:`flood` reports for a volume of `n_z` sections, at most."""
    return 4 * len(_slabs(n_z))


def flood(
    smoothed: Map, labels: Labels, floor: float, report: Callable[[], None] = ignore
) -> Flooded:
    """Flood a map from its minima of dynamics above `floor`.

    The map is first flooded from all minima. Then the shallow ones are filled
    up to where their water runs off, which is the reconstruction that H-minima
    with h = `floor` floods, and that map is flooded: a shallow basin on a ridge
    is so shared out between both sides.

    Parameters
    ----------
    smoothed : (z, y, x) float32
        C-contiguous. Neighbours share a face: 6 in a volume, 4 in a section
        (z of length 1).
    labels : (z, y, x) uint32
        Overwritten with the fragments, numbered in raster order of their minima.
    floor : float
        Zero keeps all minima.
    report : callable
        Called after each slab; what it raises ends the flood.

    Returns
    -------
    Flooded
    """
    raw = _flood_all(smoothed, smoothed, labels, report)
    threshold = np.float32(floor)
    if not (raw.forest.height <= threshold).any():
        return raw
    return _flood_all(_filled(raw, smoothed, labels, threshold), smoothed, labels, report)


def _flood_all(height: Map, smoothed: Map, labels: Labels, report: Callable[[], None]) -> Flooded:
    """Flood `height` from all minima; depths are those of `smoothed`, which it may fill."""
    n = find_basins(height, labels, report)
    minimum, size = np.full(n + 1, np.inf, np.float32), np.zeros(n + 1, np.int64)
    measure(smoothed, labels, minimum, size)
    slabs = _slabs(height.shape[0])
    parts = _for_each(slabs, lambda z: find_edges(height, labels, z.start, z.stop), report)
    edges: Edges = parts[0]
    if len(parts) > 1:
        a, b, saddle = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        edges = (a, b, saddle)
    return Flooded(build_forest(edges, minimum), minimum, size)


def find_basins(height: Map, labels: Labels, report: Callable[[], None] = ignore) -> int:
    """Label the basins of `height` into `labels` and return how many there are.

    Every voxel follows its steepest descent; a voxel of a plateau goes the
    shortest way to the plateau's lower border, and a plateau without one is a
    minimum. So each basin is connected, and each of its voxels is joined to
    its minimum by a path that never rises. Linear time.

    Parameters
    ----------
    height : (z, y, x) float32
        C-contiguous.
    labels : (z, y, x) uint32
        Overwritten.
    report : callable
        Called after each slab.

    Returns
    -------
    int
        The number of basins.
    """
    slabs = _slabs(height.shape[0])
    counts = _for_each(slabs, lambda z: point_down(height, labels, z.start, z.stop), report)
    queue = np.empty(sum(counts), np.uint32)
    cross_plateaus(height, labels, queue)
    n_basins = int(number_minima(labels, queue))
    follow(labels)
    return n_basins


def _filled(raw: Flooded, smoothed: Map, labels: Labels, floor: np.float32) -> Map:
    """Return the map with its shallow minima filled up to where they run off."""
    forest, level = raw.forest, np.zeros_like(raw.minimum)
    fill_levels(forest.outside, forest.saddle, forest.height, raw.minimum, floor, level)
    filled = np.empty_like(smoothed)
    slabs = _slabs(smoothed.shape[0])
    _for_each(slabs, lambda z: fill(smoothed[z], labels[z], level, filled[z]), ignore)
    return filled


def _slabs(n_z: int) -> list[slice]:
    return [slice(z, min(z + SLAB, n_z)) for z in range(0, n_z, SLAB)]


def _for_each(
    slabs: list[slice], function: Callable[[slice], Any], report: Callable[[], None]
) -> list[Any]:
    if len(slabs) > 1:
        return map_threads(lambda i: function(slabs[i]), len(slabs), report)
    result = function(slabs[0])  # a section, and the caller's threads have one each
    report()
    return [result]

"""One flood: from a map to its fragments and their forest, shallow minima drowned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.segmentation.basins import UNDECIDED, count_voxels, follow, number_minima
from napari_emseg.segmentation.drowning import descend, drown, find_low_edges, shallow_levels
from napari_emseg.segmentation.forest import Forest, build_forest, collect_edges, join_edges
from napari_emseg.segmentation.levels import TOP, Levels
from napari_emseg.segmentation.parallel import for_each_slab, ignore, slabs_of

Labels = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Flooded:
    """The fragments of one section or volume, in numbers; entry 0 unused."""

    forest: Forest
    minimum: npt.NDArray[np.float32]
    size: npt.NDArray[np.int64]


def count_reports(n_z: int) -> int:
    """Return how often :func:`flood` reports for a volume of `n_z` sections, at most."""
    return 5 * len(slabs_of(n_z))


def flood(
    height: Levels, labels: Labels, floor: float, report: Callable[[], None] = ignore
) -> Flooded:
    """Flood a map from its minima of dynamics above `floor`.

    The map is first flooded from all minima. Then the shallow ones are filled
    up to where their water runs off, and their voxels flooded anew: a shallow
    basin on a ridge is so shared out between both sides.

    Parameters
    ----------
    height : (z, y, x) uint16
        C-contiguous levels; the shallow minima are filled in place. Neighbours
        share a face: 6 in a volume, 4 in a section (z of length 1).
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
    minimum = find_basins(height, labels, report)
    minimum = _drown_shallow(height, labels, minimum, int(floor * TOP + 1e-6), report)
    size = np.zeros(minimum.size, np.int64)
    count_voxels(labels, size)
    forest = build_forest(collect_edges(height, labels, report), minimum)
    for values in (forest.saddle, forest.height, minimum):
        values /= np.float32(TOP)
    return Flooded(forest, minimum, size)


def find_basins(
    height: Levels, labels: Labels, report: Callable[[], None] = ignore
) -> npt.NDArray[np.float32]:
    """Label the basins of `height` into `labels`.

    Every voxel follows its steepest descent; a voxel of a plateau goes the
    shortest way to the plateau's lower border, and a plateau without one is a
    minimum. So each basin is connected, and each of its voxels is joined to
    its minimum by a path that never rises. Linear time.

    Parameters
    ----------
    height : (z, y, x) uint16
        C-contiguous.
    labels : (z, y, x) uint32
        Overwritten.
    report : callable
        Called after each slab, twice.

    Returns
    -------
    float32
        The level of each minimum; entry 0 is infinite.
    """
    n_z = height.shape[0]

    def forget(first: int, stop: int) -> None:
        labels[first:stop] = UNDECIDED

    for_each_slab(forget, n_z, report)
    descend(height, labels)
    minimum: npt.NDArray[np.float32] = number_minima(height, labels)
    for_each_slab(lambda first, stop: follow(labels, first, stop), n_z, report)
    return minimum


def _drown_shallow(
    height: Levels,
    labels: Labels,
    minimum: npt.NDArray[np.float32],
    floor: int,
    report: Callable[[], None],
) -> npt.NDArray[np.float32]:
    """Drown the basins of dynamics up to `floor` levels; return the minima that stay."""
    if floor == 0:
        return minimum

    def find(first: int, stop: int) -> Any:
        return find_low_edges(height, labels, minimum, floor, first, stop)

    edges = join_edges(for_each_slab(find, height.shape[0], report))
    level, root = shallow_levels(edges, minimum, floor)
    stays = root == np.arange(root.size)
    if stays.all():
        return minimum
    rank = np.cumsum(stays, dtype=np.uint32) - np.uint32(1)  # entry 0 stays 0
    drown(height, labels, level, rank[root], report)
    deep: npt.NDArray[np.float32] = minimum[stays]
    return deep

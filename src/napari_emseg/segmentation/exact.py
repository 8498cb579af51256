"""The literal borders: one seeded flood of the map, in the order of scikit-image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.basins import neighbour
from napari_emseg.segmentation.cutting import absorb_small, cut_heights, relabel
from napari_emseg.segmentation.forest import grown
from napari_emseg.segmentation.parallel import Steps, ignore, map_threads

if TYPE_CHECKING:
    from napari_emseg.segmentation.segmentation import Cut

Map = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint32]
_VOXELS_PER_REPORT = 2_000_000  # about a second


def flood_cut(cut: Cut, progress: Progress = NO_PROGRESS) -> Labels:
    """Flood the smoothed map from the deepest voxel of each minimum that survives `cut`.

    Returns
    -------
    (z, y, x) uint32
        Ids of the surviving fragments. Segments below the minimum size, counted
        after the flood, have then joined the neighbour they are least separated from.
    """
    hierarchy = cut.hierarchy
    forest = hierarchy.forest
    table = np.zeros(forest.n_fragments + 1, np.uint32)
    cut_heights(forest.outside, forest.height, np.float32(cut.h), 1, table.size, table)
    fragments = np.ascontiguousarray(hierarchy.fragments.read())
    labels: Labels = np.zeros(fragments.shape, np.uint32)
    deepest = hierarchy.minimum.copy()

    def flood_part(z: slice, report: Callable[[], None]) -> npt.NDArray[np.intp]:
        place_seeds(hierarchy.smoothed[z], fragments[z], table, deepest, labels[z])
        flood(hierarchy.smoothed[z], labels[z], report)
        return np.bincount(labels[z].reshape(-1))

    n_z = labels.shape[0]
    is_2d = hierarchy.mode == "2d"
    steps = Steps(progress, n_z if is_2d else count_reports(labels.size))
    report = partial(steps.finish_one, "Flooding from the surviving minima")
    if is_2d:
        counts = map_threads(lambda z: flood_part(slice(z, z + 1), ignore), n_z, report)
    else:
        counts = [flood_part(slice(0, n_z), report)]
    if cut.min_size_voxels > 1:
        size = np.zeros(table.size, np.int64)
        for count in counts:
            size[: count.size] += count
        absorb_small(
            forest.inside,
            forest.outside,
            forest.order,
            size,
            cut.min_size_voxels,
            1,
            table.size,
            table,
        )
        relabel(labels, table, labels)
    return labels


def flood(height: Map, labels: Labels, report: Callable[[], None] = ignore) -> None:
    """Grow seeds over a map, as ``skimage.segmentation.watershed`` does.

    Parameters
    ----------
    height : (z, y, x) float32
        C-contiguous.
    labels : (z, y, x) uint32
        Seeds, and 0 where they may grow; filled in place.
    report : callable
        Called :func:`count_reports` times; what it raises ends the flood.
    """
    heap, n, clock = gather_seeds(height, labels)
    for _ in range(count_reports(labels.size)):
        heap, n, clock = grow(height, labels, heap, n, clock, _VOXELS_PER_REPORT)
        report()


def count_reports(n_voxels: int) -> int:
    """Return how often :func:`flood` reports."""
    return -(-n_voxels // _VOXELS_PER_REPORT)


@kernel
def place_seeds(smoothed: Any, fragments: Any, table: Any, minimum: Any, labels: Any) -> None:
    """Mark the first voxel, in raster order, at the minimum of each surviving fragment."""
    value, ids, seed = smoothed.reshape(-1), fragments.reshape(-1), labels.reshape(-1)
    for p in range(ids.size):
        i = ids[p]
        if table[i] == i and value[p] == minimum[i]:
            seed[p] = i
            minimum[i] = -1  # taken


@kernel
def _push(heap: Any, n: int, height: Any, age: int, voxel: int) -> None:
    """Insert an entry into the heap of size `n`: lowest first, then oldest."""
    heights, ages, voxels = heap
    i = n
    while i > 0:
        parent = (i - 1) // 2
        if heights[parent] < height or (heights[parent] == height and ages[parent] < age):
            break
        heights[i], ages[i], voxels[i] = heights[parent], ages[parent], voxels[parent]
        i = parent
    heights[i], ages[i], voxels[i] = height, age, voxel


@kernel
def _drop_first(heap: Any, n: int) -> None:
    """Take the first entry off the heap of size `n`."""
    heights, ages, voxels = heap
    n -= 1
    height, age, voxel = heights[n], ages[n], voxels[n]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        other = child + 1
        if other < n and (
            heights[other] < heights[child]
            or (heights[other] == heights[child] and ages[other] < ages[child])
        ):
            child = other
        if height < heights[child] or (height == heights[child] and age < ages[child]):
            break
        heights[i], ages[i], voxels[i] = heights[child], ages[child], voxels[child]
        i = child
    heights[i], ages[i], voxels[i] = height, age, voxel


@kernel
def _with_room(heap: Any, n: int) -> Any:
    """Return the heap, in larger arrays where a voxel's neighbours might not fit."""
    heights, ages, voxels = heap
    if n + 6 <= heights.size:
        return heap
    return (
        grown(heights, 2 * heights.size),
        grown(ages, 2 * heights.size),
        grown(voxels, 2 * heights.size),
    )


@kernel
def gather_seeds(height: Any, labels: Any) -> Any:
    """Return a heap (height, age, voxel) of the labelled voxels, its size and the next age."""
    flat, ids = height.reshape(-1), labels.reshape(-1)
    room = 1024
    heap = (np.empty(room, np.float32), np.empty(room, np.uint32), np.empty(room, np.uint32))
    n = 0
    for p in range(ids.size):
        if ids[p] != 0:
            heap = _with_room(heap, n)
            _push(heap, n, flat[p], n, p)
            n += 1
    return heap, n, n


@kernel
def grow(height: Any, labels: Any, heap: Any, n: int, clock: int, n_voxels: int) -> Any:
    """Let the first `n_voxels` of the heap label their neighbours."""
    n_z, n_y, n_x = height.shape
    flat, ids = height.reshape(-1), labels.reshape(-1)
    while n > 0 and n_voxels > 0:
        n_voxels -= 1
        water = heap[0][0]
        p = np.int64(heap[2][0])
        _drop_first(heap, n)
        n -= 1
        heap = _with_room(heap, n)
        for direction in range(6):
            q = neighbour(p, direction, n_z, n_y, n_x)
            if q < 0 or ids[q] != 0:
                continue
            ids[q] = ids[p]
            _push(heap, n, max(flat[q], water), clock, q)
            n += 1
            clock += 1
    return heap, n, clock

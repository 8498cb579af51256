"""The literal borders: one seeded flood of the map, in the order of scikit-image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.basins import neighbour
from napari_emseg.segmentation.cutting import absorb_small, cut_heights, relabel
from napari_emseg.segmentation.parallel import Steps, map_threads

if TYPE_CHECKING:
    from napari_emseg.segmentation.segmentation import Cut

Labels = npt.NDArray[np.uint32]


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
    slabs = _slabs(hierarchy.mode, labels.shape[0])

    def flood_slab(i: int) -> npt.NDArray[np.intp]:
        z = slabs[i]
        place_seeds(hierarchy.smoothed[z], fragments[z], table, deepest, labels[z])
        flood(hierarchy.smoothed[z], labels[z])
        return np.bincount(labels[z].reshape(-1))

    steps = Steps(progress, len(slabs))
    report = partial(steps.finish_one, "Flooding from the surviving minima")
    counts = map_threads(flood_slab, len(slabs), report)
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


def _slabs(mode: str, n_z: int) -> list[slice]:
    """List what is flooded by itself: each section, or everything."""
    if mode == "3d":
        return [slice(0, n_z)]
    return [slice(z, z + 1) for z in range(n_z)]


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
def _push(value: Any, age: Any, voxel: Any, n: int, v: Any, t: int, p: int) -> None:
    """Insert an entry into the heap of size `n`, lowest value first, then oldest."""
    i = n
    while i > 0:
        parent = (i - 1) // 2
        if value[parent] < v or (value[parent] == v and age[parent] < t):
            break
        value[i], age[i], voxel[i] = value[parent], age[parent], voxel[parent]
        i = parent
    value[i], age[i], voxel[i] = v, t, p


@kernel
def _pop(value: Any, age: Any, voxel: Any, n: int) -> Any:
    """Take the first entry off the heap of size `n` and return its voxel."""
    first = np.int64(voxel[0])
    n -= 1
    v, t, p = value[n], age[n], voxel[n]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        other = child + 1
        if other < n and (
            value[other] < value[child]
            or (value[other] == value[child] and age[other] < age[child])
        ):
            child = other
        if v < value[child] or (v == value[child] and t < age[child]):
            break
        value[i], age[i], voxel[i] = value[child], age[child], voxel[child]
        i = child
    value[i], age[i], voxel[i] = v, t, p
    return first


@kernel
def _resized(array: Any, size: int) -> Any:
    bigger = np.empty(size, array.dtype)
    bigger[: array.size] = array
    return bigger


@kernel
def flood(height: Any, labels: Any) -> None:
    """Grow the seeds in `labels` over the map, as ``skimage.segmentation.watershed`` does."""
    n_z, n_y, n_x = height.shape
    flat, ids = height.reshape(-1), labels.reshape(-1)
    room = 1024
    value, age = np.empty(room, np.float32), np.empty(room, np.uint32)
    voxel = np.empty(room, np.uint32)
    n = 0
    clock = 0
    for p in range(ids.size):
        if ids[p] != 0:
            if n == room:
                room *= 2
                value, age, voxel = (
                    _resized(value, room),
                    _resized(age, room),
                    _resized(voxel, room),
                )
            _push(value, age, voxel, n, flat[p], clock, p)
            n += 1
            clock += 1
    while n > 0:
        water = value[0]
        p = _pop(value, age, voxel, n)
        n -= 1
        if n + 6 > room:
            room *= 2
            value, age, voxel = _resized(value, room), _resized(age, room), _resized(voxel, room)
        for direction in range(6):
            q = neighbour(p, direction, n_z, n_y, n_x)
            if q < 0 or ids[q] != 0:
                continue
            clock += 1
            ids[q] = ids[p]
            _push(value, age, voxel, n, max(flat[q], water), clock, q)
            n += 1

"""Filling up shallow basins: where their water runs off, and who gets their voxels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.segmentation.basins import (
    UNDECIDED,
    cross_plateaus,
    follow,
    neighbour,
    plateau_edges,
    point_down,
)
from napari_emseg.segmentation.forest import (
    Edges,
    Forest,
    edges_of,
    empty_table,
    find_root,
    insert_edge,
    sort_keys,
    with_room,
)
from napari_emseg.segmentation.levels import TOP, Levels
from napari_emseg.segmentation.parallel import for_each_slab, ignore

Labels = npt.NDArray[np.uint32]


def drown(
    height: Levels,
    labels: Labels,
    level: Levels,
    new_id: Labels,
    report: Callable[[], None] = ignore,
) -> None:
    """Fill basins up to where their water runs off, and let it run.

    Only voxels of filled basins can change hands: any other keeps its
    neighbours below, and its path down stays within its basin. So only they are
    pointed down again.

    Parameters
    ----------
    height : (z, y, x) uint16
        C-contiguous; filled in place.
    labels : (z, y, x) uint32
        Ids of basins; in place replaced by those of the basins that stay.
    level : uint16
        By id, up to where a basin is filled; 0 for one that is not.
    new_id : uint32
        By id, what becomes of a basin that is not filled.
    report : callable
        Called after each slab of the last phase; what it raises ends the work.
    """
    n_z = height.shape[0]
    for_each_slab(
        lambda first, stop: drain(height[first:stop], labels[first:stop], level, new_id), n_z
    )
    descend(height, labels)
    for_each_slab(lambda first, stop: follow(labels, first, stop), n_z, report)


def descend(height: Levels, labels: Labels) -> None:
    """Give undecided voxels the direction their water takes; minima stay undecided."""
    n_z = height.shape[0]
    for_each_slab(lambda first, stop: point_down(height, labels, first, stop), n_z)
    fronts = for_each_slab(lambda first, stop: plateau_edges(height, labels, first, stop), n_z)
    cross_plateaus(height, labels, np.concatenate(fronts))


def shallow_levels(
    edges: Edges, minimum: npt.NDArray[np.float32], floor: int
) -> tuple[Levels, Labels]:
    """Return where basins of dynamics up to `floor` run off, and the basins they end up in.

    Parameters
    ----------
    edges : a, b, saddle
        At least those of :func:`find_low_edges`.
    minimum : float32
        Level of each minimum; entry 0 unused.
    floor : int
        In levels.

    Returns
    -------
    level : uint16
        By id, up to where each is filled. 0 for a basin that stays, and for one
        that runs off no higher than `floor` above the minimum that takes its
        water: H-minima makes a single plateau of both.
    root : uint32
        By id, the basin that stays.
    """
    a, b, saddle = edges
    level, root = np.zeros(minimum.size, np.uint16), np.zeros(minimum.size, np.uint32)
    merge_shallow(a, b, saddle, sort_keys(saddle), minimum, floor, level, root)
    level[level <= minimum[root] + floor] = 0
    return level, root


def cut_levels(forest: Forest, minimum: npt.NDArray[np.float32], h: float, root: Labels) -> Levels:
    """Return what :func:`shallow_levels` does, of fragments and their `root` at `h`."""
    level = np.zeros(root.size, np.float32)
    spill_levels(forest.outside, forest.saddle, forest.height, np.float32(h), level)
    level = np.rint(level * np.float32(TOP))
    level[level <= np.rint(minimum[root] * np.float32(TOP)) + h * TOP] = 0
    return np.asarray(np.clip(level, 0, TOP), np.uint16)


@kernel
def find_low_edges(
    height: Any, labels: Any, minimum: Any, floor: int, z_start: int, z_stop: int
) -> Any:
    """Find the passes at most `floor` above the higher of both minima.

    No other can end a minimum of dynamics up to `floor`, and few voxels lie so
    little above the minimum of their basin.
    """
    n_z, n_y, n_x = height.shape
    flat, ids = height.reshape(-1), labels.reshape(-1)
    keys, saddle = empty_table()
    n = 0
    where = np.empty(n_x + 1, np.int64)
    for start in range(z_start * n_y * n_x, z_stop * n_y * n_x, n_x):
        n_low = 0
        for x in range(n_x):  # free of branches
            where[n_low] = start + x
            n_low += flat[start + x] <= minimum[ids[start + x]] + floor
        keys, saddle = with_room(keys, saddle, n, 6 * n_low)
        for k in range(n_low):
            p = where[k]
            i = ids[p]
            for direction in range(6):
                q = neighbour(p, direction, n_z, n_y, n_x)
                if q < 0 or ids[q] == i or minimum[ids[q]] > minimum[i]:
                    continue
                if flat[q] <= minimum[i] + floor:
                    n += insert_edge(keys, saddle, i, ids[q], max(flat[p], flat[q]))
    return edges_of(keys, saddle, n)


@kernel
def merge_shallow(
    a: Any,
    b: Any,
    saddle: Any,
    edge_order: Any,
    minimum: Any,
    floor: int,
    level: Any,
    root: Any,
) -> None:
    """Merge basins of dynamics up to `floor` along ascending saddles; set level and root.

    A merge that ends a deeper minimum is left out: whatever meets its basin
    later ends at the same height without it, or is deeper than `floor` as well.
    """
    above = np.empty(minimum.size, np.uint32)
    for i in range(above.size):
        above[i] = i
    into = above.copy()
    ended, n = np.empty(minimum.size, np.uint32), 0
    for k in range(edge_order.size):
        edge = edge_order[k]
        survivor, ends = find_root(above, a[edge]), find_root(above, b[edge])
        if survivor == ends:
            continue
        if minimum[survivor] > minimum[ends] or (
            minimum[survivor] == minimum[ends] and survivor > ends
        ):
            survivor, ends = ends, survivor
        if saddle[edge] - minimum[ends] > floor:
            continue
        above[ends] = into[ends] = survivor
        level[ends] = saddle[edge]
        ended[n] = ends
        n += 1
    for k in range(n - 1, -1, -1):  # from the last, whose water stays where it runs
        i = ended[k]
        level[i] = max(level[i], level[into[i]])
    for i in range(root.size):
        root[i] = find_root(above, i)


@kernel
def spill_levels(outside: Any, saddle: Any, height: Any, h: Any, level: Any) -> None:
    """Set up to where fragments with ``height <= h`` are filled, given their forest."""
    path = outside.copy()
    for i in range(1, outside.size):
        n = 0
        j = i
        while height[j] <= h and level[j] == 0:
            path[n] = j
            n += 1
            j = outside[j]
        for k in range(n - 1, -1, -1):
            here = path[k]
            level[here] = max(saddle[here], level[outside[here]])


@kernel
def drain(height: Any, labels: Any, level: Any, new_id: Any) -> None:
    """Fill drowned basins and make their voxels undecided; renumber the others."""
    flat, ids = height.reshape(-1), labels.reshape(-1)
    for p in range(ids.size):
        i = ids[p]
        ids[p] = new_id[i] if level[i] == 0 else np.uint32(UNDECIDED)
        flat[p] = max(flat[p], level[i])

"""Loops over the voxels of one section, for the walk through errors (compiled by numba)."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_emseg.jit import kernel


@kernel
def bridge_gaps(cell: Any, is_gap: Any, filled: Any, source: Any) -> None:
    """Give each gap voxel the cell of the nearest voxel that is none, by steps to 4 neighbours.

    Parameters
    ----------
    cell : ndarray of int32, shape (y, x)
    is_gap : ndarray of bool, shape (y, x)
    filled : ndarray of int32, shape (y, x)
        Filled in: the cells without gaps; `cell` where all is gap.
    source : ndarray of int64, shape (y * x,)
        Filled in: the flat place of the voxel whose cell it is.
    """
    n_y, n_x = cell.shape
    queue = np.empty(cell.size, np.int64)
    n = 0
    for y in range(n_y):
        for x in range(n_x):
            at = y * n_x + x
            filled[y, x] = cell[y, x]
            source[at] = -1 if is_gap[y, x] else at
            if is_gap[y, x]:
                continue
            is_edge = (
                (y > 0 and is_gap[y - 1, x])
                or (x > 0 and is_gap[y, x - 1])
                or (y + 1 < n_y and is_gap[y + 1, x])
                or (x + 1 < n_x and is_gap[y, x + 1])
            )
            if is_edge:
                queue[n] = at
                n += 1
    k = 0
    while k < n:
        at = queue[k]
        k += 1
        y, x = at // n_x, at % n_x
        for dy, dx in ((-1, 0), (0, -1), (0, 1), (1, 0)):
            to_y, to_x = y + dy, x + dx
            if to_y < 0 or to_x < 0 or to_y >= n_y or to_x >= n_x:
                continue
            to = to_y * n_x + to_x
            if source[to] < 0:
                source[to] = source[at]
                filled[to_y, to_x] = filled[y, x]
                queue[n] = to
                n += 1
    for at in range(source.size):
        if source[at] < 0:
            source[at] = at


@kernel
def mark_thick(cell: Any, width: int, is_thick: Any) -> None:
    """Mark the cells into which a square of side `width` fits; `is_thick` has one entry a cell."""
    n_y, n_x = cell.shape
    above = np.zeros(n_x, np.int64)  # side of the largest square that ends here, in the row above
    for y in range(n_y):
        before = corner = 0
        for x in range(n_x):
            here = cell[y, x]
            side = 1
            if y > 0 and x > 0:
                is_same = cell[y - 1, x] == here and cell[y, x - 1] == here
                if is_same and cell[y - 1, x - 1] == here:
                    side = 1 + min(above[x], before, corner)
            corner = above[x]
            above[x] = side
            before = side
            if side >= width and here >= 0:
                is_thick[here] = True

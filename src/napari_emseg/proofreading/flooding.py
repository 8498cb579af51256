"""Sharing out the voxels of one fragment between seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.jit import kernel
from napari_emseg.volume import ZYX

Mask = npt.NDArray[np.bool_]
Sides = npt.NDArray[np.int32]
_LEVELS = 1024
_IS_WALL = 0.5
_LONGEST_STEP = 400
_MOST_SIDES = 255


def flood_seeds(
    mask: Mask,
    seeds: Sequence[npt.NDArray[Any]],
    boundary: npt.NDArray[np.float32] | None,
    voxel_size_nm: ZYX,
) -> Sides:
    """Give each voxel of a mask to the seeds that reach it through the widest passage.

    The water level falls from the most spacious places to the narrowest: the room of a
    voxel is its distance in nm to the next wall or to the border of the mask, less
    where the map is not clear. So two cells part in the wall between them; where the
    wall has a hole or there is no map, in the neck; and of two ways of the same width,
    the shorter in nm counts [1]_.

    Parameters
    ----------
    mask : (z, y, x) bool
        What is to be shared out.
    seeds : sequence of (n, 3) int
        Voxels of each side, in the mask.
    boundary : (z, y, x) float32 in [0, 1], or None
        The map there; values from 0.5 on are walls.
    voxel_size_nm : (z, y, x)

    Returns
    -------
    (z, y, x) int32
        Side 1, 2, ... of each voxel; 0 outside the mask and in parts without a seed.

    Raises
    ------
    InputError
        If there are more than 255 sides.

    References
    ----------
    .. [1] Meyer, F. (1994). Topographic distance and watershed lines. Signal Processing
       38, section 4 (hierarchical queue). doi 10.1016/0165-1684(94)90060-4

    Examples
    --------
    >>> waist = np.ones((1, 5, 11), bool)
    >>> waist[:, [0, 1, 3, 4], 6] = False
    >>> flood_seeds(waist, [np.array([[0, 2, 5]]), np.array([[0, 2, 10]])], None, (1, 1, 1))[0, 2]
    array([1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2], dtype=int32)
    """
    room = _room(mask, boundary, voxel_size_nm)
    levels = np.where(mask, 1 + (room * (_LEVELS - 2)).astype(np.int16), 0).astype(np.int16)
    if len(seeds) > _MOST_SIDES:
        raise InputError(f"{len(seeds)} sides are too many: give up to {_MOST_SIDES}.")
    side = np.zeros(mask.shape, np.uint8)
    for k, places in enumerate(seeds, start=1):
        side[tuple(np.asarray(places, np.int64).T)] = k
    side[~mask] = 0
    finest = min(voxel_size_nm)
    steps = [min(_LONGEST_STEP, max(1, round(4 * n / finest))) for n in voxel_size_nm]
    _flood(levels, side, np.array(steps, np.int64), _LEVELS)
    return side.astype(np.int32)


def _room(
    mask: Mask, boundary: npt.NDArray[np.float32] | None, voxel_size_nm: ZYX
) -> npt.NDArray[np.float32]:
    """Return the distance to walls and border, as a share of the largest."""
    from bioimage_cpp.distance import distance_transform

    is_free = mask if boundary is None else mask & (boundary < _IS_WALL)
    room: npt.NDArray[np.float32] = np.ones(mask.shape, np.float32)
    if not is_free.all():  # else there is nothing to be distant from
        free = np.ascontiguousarray(is_free, np.uint8)
        room = np.asarray(distance_transform(free, sampling=list(voxel_size_nm)), np.float32)
    if boundary is not None:
        room *= 1 - boundary
    largest = float(room.max())
    return room / np.float32(largest) if largest > 0 else room


@kernel
def _flood(levels: Any, side: Any, steps: Any, n_levels: Any) -> None:
    """Let the water fall from the highest level to the lowest; level 0 is never wet.

    Voxels wait in lists: for their level, or for the time at which the water that
    reached them first has come the nm to them.
    """
    _, n_y, n_x = levels.shape
    height, owner = levels.reshape(-1), side.reshape(-1)
    after = np.full(height.size, np.int32(-1), np.int32)
    first, last = np.full(n_levels, np.int32(-1), np.int32), np.empty(n_levels, np.int32)
    n_times = np.int64(1 + steps.max())
    due, due_last = np.full(n_times, np.int32(-1), np.int32), np.empty(n_times, np.int32)
    for seed in range(height.size):
        if owner[seed] > 0:
            _append(first, last, after, n_levels - 1, seed)
    now = np.int64(0)
    for level in range(n_levels - 1, 0, -1):
        n_due = 0
        p = np.int64(first[level])
        while p >= 0:
            following = np.int64(after[p])
            _append(due, due_last, after, now, p)
            n_due += 1
            p = following
        while n_due > 0:
            p = np.int64(due[now])
            if p < 0:
                now = (now + 1) % n_times
                continue
            due[now] = after[p]
            n_due -= 1
            x, y = p % n_x, (p // n_x) % n_y
            for direction in range(6):
                axis = direction // 2
                if direction == 0:
                    q, is_out = p - n_x * n_y, p < n_x * n_y
                elif direction == 1:
                    q = p + n_x * n_y
                    is_out = q >= height.size
                elif direction == 2:
                    q, is_out = p - n_x, y == 0
                elif direction == 3:
                    q, is_out = p + n_x, y == n_y - 1
                elif direction == 4:
                    q, is_out = p - 1, x == 0
                else:
                    q, is_out = p + 1, x == n_x - 1
                if is_out or owner[q] > 0 or height[q] == 0:
                    continue
                owner[q] = owner[p]
                if height[q] >= level:
                    _append(due, due_last, after, (now + steps[axis]) % n_times, q)
                    n_due += 1
                else:
                    _append(first, last, after, height[q], q)


@kernel
def _append(first: Any, last: Any, after: Any, k: Any, p: Any) -> None:
    """Put a voxel at the end of list k."""
    after[p] = -1
    if first[k] < 0:
        first[k] = p
    else:
        after[last[k]] = p
    last[k] = p

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
_LEVELS = 96
_STEPS_PER_OCTAVE = 4
_IS_CLEAR, _IS_WALL = 0.2, 0.5
_MOST_CLIMBERS = 100
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
    wall has a hole or there is no map, in the neck. Places of about the same room are
    shared out by the way in nm [1]_. A seed first climbs to the most spacious place
    above it, so that it does not matter whether a click hit the middle of a cell.

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
    if len(seeds) > _MOST_SIDES:
        raise InputError(f"{len(seeds)} sides are too many: give up to {_MOST_SIDES}.")
    levels = _levels(mask, boundary, voxel_size_nm)
    side = np.zeros(mask.shape, np.uint8)
    for k, places in enumerate(seeds, start=1):
        side[tuple(np.asarray(places, np.int64).T)] = k
    side[~mask] = 0
    finest = min(voxel_size_nm)
    steps = [min(_LONGEST_STEP, max(1, round(4 * n / finest))) for n in voxel_size_nm]
    _climb(levels, side, [np.asarray(places, np.int64) for places in seeds])
    _flood(levels, side, np.array(steps, np.int64), _LEVELS)
    return side.astype(np.int32)


def _levels(
    mask: Mask, boundary: npt.NDArray[np.float32] | None, voxel_size_nm: ZYX
) -> npt.NDArray[np.int16]:
    """Return the room of each voxel in steps of a quarter octave from 1; 0 is outside."""
    from bioimage_cpp.distance import distance_transform

    is_free = mask if boundary is None else mask & (boundary < _IS_WALL)
    room: npt.NDArray[np.float32] = np.ones(mask.shape, np.float32)
    if not is_free.all():  # else there is nothing to be distant from
        free = np.ascontiguousarray(is_free, np.uint8)
        room = np.asarray(distance_transform(free, sampling=list(voxel_size_nm)), np.float32)
    if boundary is not None:
        room *= np.clip((_IS_WALL - boundary) / (_IS_WALL - _IS_CLEAR), 0, 1)
    octaves = np.log2(np.maximum(room * np.float32(2 / min(voxel_size_nm)), 1))
    steps = np.minimum(octaves * np.float32(_STEPS_PER_OCTAVE), _LEVELS - 2).astype(np.int16) + 1
    return np.where(mask, steps, 0).astype(np.int16)


def _climb(
    levels: npt.NDArray[np.int16], side: Any, seeds: Sequence[npt.NDArray[np.int64]]
) -> None:
    """Extend each seed to the top of its hill; many seeds, as along a line, are there already."""
    n = levels.size
    came_from, queue = np.full(n, -2, np.int32), np.empty(n, np.int32)
    for k, places in enumerate(seeds, start=1):
        if len(places) <= _MOST_CLIMBERS:
            for z, y, x in places.tolist():
                start = int(np.ravel_multi_index((z, y, x), levels.shape))
                if levels[z, y, x] > 0:
                    _climb_one(levels, side, start, k, came_from, queue)


@kernel
def _climb_one(levels: Any, side: Any, start: int, k: int, came_from: Any, queue: Any) -> None:
    """Mark the way from a voxel to ever higher ones, each the nearest over level ground.

    `came_from` is -2 everywhere, and is so again afterwards.
    """
    _, n_y, n_x = levels.shape
    height, owner = levels.reshape(-1), side.reshape(-1)
    queue[0] = start
    came_from[start] = -1
    n_queue, k_next = 1, 0
    while k_next < n_queue:
        p = np.int64(queue[k_next])
        k_next += 1
        x, y = p % n_x, (p // n_x) % n_y
        for direction in range(6):
            q = _neighbour(p, direction, x, y, n_y, n_x, height.size)
            if q < 0 or height[q] < height[p] or came_from[q] != -2:
                continue
            if owner[q] > 0 and owner[q] != k:
                continue
            came_from[q] = p
            queue[n_queue] = q
            n_queue += 1
            if height[q] > height[p]:
                back = q
                while back >= 0:
                    owner[back] = k
                    back = np.int64(came_from[back])
                for i in range(n_queue):
                    came_from[queue[i]] = -2
                queue[0] = q
                came_from[q] = -1
                n_queue, k_next = 1, 0
                break
    for i in range(n_queue):
        came_from[queue[i]] = -2


@kernel
def _neighbour(p: Any, direction: int, x: Any, y: Any, n_y: Any, n_x: Any, size: Any) -> Any:
    """Return the voxel beside voxel p, or -1 where the array ends."""
    q: Any = np.int64(-1)
    if direction == 0:
        q = p - n_x * n_y
    elif direction == 1:
        q = p + n_x * n_y if p + n_x * n_y < size else -1
    elif direction == 2:
        q = p - n_x if y > 0 else -1
    elif direction == 3:
        q = p + n_x if y < n_y - 1 else -1
    elif direction == 4:
        q = p - 1 if x > 0 else -1
    else:
        q = p + 1 if x < n_x - 1 else -1
    return q


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
            _append(first, last, after, height[seed], seed)
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
                q = _neighbour(p, direction, x, y, n_y, n_x, height.size)
                if q < 0 or owner[q] > 0 or height[q] == 0:
                    continue
                owner[q] = owner[p]
                if height[q] >= level:
                    _append(due, due_last, after, (now + steps[direction // 2]) % n_times, q)
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

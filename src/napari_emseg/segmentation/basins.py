"""The loops that find catchment basins: steepest descent, plateaus by distance."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_emseg.jit import kernel

# Until a voxel has its id, its label holds where its water goes: one of these
# plus the direction (0..5 = -z, -y, -x, +x, +y, +z). No id gets this large.
_PLATEAU_EDGE = 0xFFFFFFE0  # flat, one step from a voxel that has a lower neighbour
_DOWN = 0xFFFFFFF0
_UNDECIDED = 0xFFFFFFF6
MAX_VOXELS = _PLATEAU_EDGE - 1


@kernel
def point_down(height: Any, labels: Any, z_start: int, z_stop: int) -> int:
    """Set the direction of steepest descent; return how many voxels have none."""
    n_z, n_y, n_x = height.shape
    row, section = n_x, n_y * n_x
    flat, code = height.reshape(-1), labels.reshape(-1)
    n_undecided = 0
    for z in range(z_start, z_stop):
        for y in range(n_y):
            start = z * section + y * row
            for x in range(n_x):
                p = start + x
                lowest = flat[p]
                choice = _UNDECIDED
                if z > 0 and flat[p - section] < lowest:
                    lowest = flat[p - section]
                    choice = _DOWN
                if y > 0 and flat[p - row] < lowest:
                    lowest = flat[p - row]
                    choice = _DOWN + 1
                if x > 0 and flat[p - 1] < lowest:
                    lowest = flat[p - 1]
                    choice = _DOWN + 2
                if x < n_x - 1 and flat[p + 1] < lowest:
                    lowest = flat[p + 1]
                    choice = _DOWN + 3
                if y < n_y - 1 and flat[p + row] < lowest:
                    lowest = flat[p + row]
                    choice = _DOWN + 4
                if z < n_z - 1 and flat[p + section] < lowest:
                    choice = _DOWN + 5
                code[p] = choice
                if choice == _UNDECIDED:
                    n_undecided += 1
    return n_undecided


@kernel
def neighbour(p: Any, direction: int, n_z: int, n_y: int, n_x: int) -> Any:
    """Flat index of the neighbour of `p` in `direction`, -1 outside."""
    if direction == 2:
        return p - 1 if p % n_x > 0 else -1
    if direction == 3:
        return p + 1 if p % n_x < n_x - 1 else -1
    if direction == 1:
        return p - n_x if (p // n_x) % n_y > 0 else -1
    if direction == 4:
        return p + n_x if (p // n_x) % n_y < n_y - 1 else -1
    section = n_y * n_x
    if direction == 0:
        return p - section if p >= section else -1
    return p + section if p < (n_z - 1) * section else -1


@kernel
def cross_plateaus(height: Any, labels: Any, queue: Any) -> None:
    """Point the voxels of plateaus to the nearest lower border, breadth first."""
    n_z, n_y, n_x = height.shape
    flat, code = height.reshape(-1), labels.reshape(-1)
    end = 0
    for start in range(flat.size):
        if code[start] != _UNDECIDED:
            continue
        for direction in range(6):
            q = neighbour(start, direction, n_z, n_y, n_x)
            if q >= 0 and flat[q] == flat[start] and _DOWN <= code[q] < _UNDECIDED:
                code[start] = _PLATEAU_EDGE + direction
                queue[end] = start
                end += 1
                break
    begin = 0
    while begin < end:
        p: Any = np.int64(queue[begin])
        begin += 1
        for direction in range(6):
            q = neighbour(p, direction, n_z, n_y, n_x)
            if q >= 0 and code[q] == _UNDECIDED and flat[q] == flat[p]:
                code[q] = _DOWN + 5 - direction
                queue[end] = q
                end += 1


@kernel
def number_minima(labels: Any, stack: Any) -> int:
    """Give each connected set of undecided voxels, a regional minimum, an id."""
    n_z, n_y, n_x = labels.shape
    code = labels.reshape(-1)
    n_basins = 0
    for first in range(code.size):
        if code[first] != _UNDECIDED:
            continue
        n_basins += 1
        code[first] = n_basins
        stack[0] = first
        end = 1
        while end > 0:
            end -= 1
            p = np.int64(stack[end])
            for direction in range(6):
                q = neighbour(p, direction, n_z, n_y, n_x)
                if q >= 0 and code[q] == _UNDECIDED:
                    code[q] = n_basins
                    stack[end] = q
                    end += 1
    return n_basins


@kernel
def follow(labels: Any) -> None:
    """Replace directions by the id of the minimum they lead to."""
    _, n_y, n_x = labels.shape
    section = n_y * n_x
    step = np.array([-section, -n_x, -1, 1, n_x, section], np.int64)
    code = labels.reshape(-1)
    for start in range(code.size):
        p: Any = start
        while code[p] >= _PLATEAU_EDGE:
            p += step[code[p] & 7]
        basin = code[p]
        p = start
        while code[p] >= _PLATEAU_EDGE:
            away = step[code[p] & 7]
            code[p] = basin
            p += away


@kernel
def measure(height: Any, labels: Any, lowest: Any, size: Any) -> None:
    """Add each basin's voxels to `size` and lower `lowest` to its deepest value."""
    flat, ids = height.reshape(-1), labels.reshape(-1)
    for p in range(flat.size):
        i = ids[p]
        size[i] += 1
        lowest[i] = min(lowest[i], flat[p])

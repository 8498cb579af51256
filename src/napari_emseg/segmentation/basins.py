"""The loops that find catchment basins: steepest descent, plateaus by distance."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_emseg.jit import kernel
from napari_emseg.segmentation.forest import grown

# Until a voxel has its id, its label holds where its water goes: one of these
# plus the direction (0..5 = -z, -y, -x, +x, +y, +z). No id gets this large.
_PLATEAU_EDGE = 0xFFFFFFE0  # flat, one step from a voxel that has a way down
_DOWN = 0xFFFFFFF0
UNDECIDED = 0xFFFFFFF6
MAX_VOXELS = _PLATEAU_EDGE - 1
_TILE = 16384  # voxels of one section walked over at a time, so that caches hold the tile


@kernel
def point_down(height: Any, labels: Any, z_start: int, z_stop: int) -> None:
    """Set the direction of steepest descent of undecided voxels, if they have one."""
    n_z, n_y, n_x = height.shape
    for z in range(z_start, z_stop):
        for y in range(n_y):
            here, code = height[z, y], labels[z, y]
            # Beyond the rim a row is its own neighbour, and never lower than itself.
            above = height[z - 1, y] if z > 0 else here
            below = height[z + 1, y] if z < n_z - 1 else here
            north = height[z, y - 1] if y > 0 else here
            south = height[z, y + 1] if y < n_y - 1 else here
            for x in range(1, n_x - 1):  # without branches, so that it runs on whole vectors
                lowest, choice = here[x], np.uint32(UNDECIDED)
                choice = np.uint32(_DOWN) if above[x] < lowest else choice
                lowest = min(lowest, above[x])
                choice = np.uint32(_DOWN + 1) if north[x] < lowest else choice
                lowest = min(lowest, north[x])
                choice = np.uint32(_DOWN + 2) if here[x - 1] < lowest else choice
                lowest = min(lowest, here[x - 1])
                choice = np.uint32(_DOWN + 3) if here[x + 1] < lowest else choice
                lowest = min(lowest, here[x + 1])
                choice = np.uint32(_DOWN + 4) if south[x] < lowest else choice
                lowest = min(lowest, south[x])
                choice = np.uint32(_DOWN + 5) if below[x] < lowest else choice
                code[x] = choice if code[x] == UNDECIDED else code[x]
            for x in (0, n_x - 1):
                values = (
                    above[x],
                    north[x],
                    here[max(x - 1, 0)],
                    here[min(x + 1, n_x - 1)],
                    south[x],
                    below[x],
                )
                lowest, choice = here[x], np.uint32(UNDECIDED)
                for direction in range(6):
                    if values[direction] < lowest:
                        lowest, choice = values[direction], np.uint32(_DOWN + direction)
                code[x] = choice if code[x] == UNDECIDED else code[x]


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
def undecided_of(row: Any, where: Any) -> int:
    """List the undecided voxels of a row; return their number. Free of branches."""
    n = 0
    for x in range(row.size):
        where[n] = x
        n += row[x] == UNDECIDED
    return n


@kernel
def plateau_edges(height: Any, labels: Any, z_start: int, z_stop: int) -> Any:
    """Point undecided voxels to a neighbour as high that has a way down; list them."""
    n_z, n_y, n_x = height.shape
    flat, code = height.reshape(-1), labels.reshape(-1)
    where = np.empty(n_x + 1, np.int64)
    edges, n = np.empty(1024 + n_x, np.uint32), 0
    for start in range(z_start * n_y * n_x, z_stop * n_y * n_x, n_x):
        n_undecided = undecided_of(code[start : start + n_x], where)
        if n + n_undecided > edges.size:
            edges = grown(edges, 2 * edges.size)
        for k in range(n_undecided):
            p = start + where[k]
            for direction in range(6):
                q = neighbour(p, direction, n_z, n_y, n_x)
                if q < 0 or flat[q] != flat[p]:
                    continue
                way = code[q]  # read once: an edge found just now, by any thread, is no way down
                if way < _PLATEAU_EDGE or _DOWN <= way < UNDECIDED:
                    code[p] = _PLATEAU_EDGE + direction
                    edges[n] = p
                    n += 1
                    break
    return edges[:n].copy()


@kernel
def cross_plateaus(height: Any, labels: Any, front: Any) -> None:
    """Point the voxels of plateaus the shortest way to one of `front`, breadth first."""
    n_z, n_y, n_x = height.shape
    flat, code = height.reshape(-1), labels.reshape(-1)
    while front.size > 0:
        behind, n = np.empty(front.size + 1024, np.uint32), 0
        for k in range(front.size):
            p: Any = np.int64(front[k])
            behind = grown(behind, 2 * behind.size) if n + 6 > behind.size else behind
            for direction in range(6):
                q = neighbour(p, direction, n_z, n_y, n_x)
                if q >= 0 and code[q] == UNDECIDED and flat[q] == flat[p]:
                    code[q] = _DOWN + 5 - direction
                    behind[n] = q
                    n += 1
        front = behind[:n].copy()


@kernel
def number_minima(height: Any, labels: Any) -> Any:
    """Give each connected set of undecided voxels an id; list the height of each set.

    Entry 0 of the list is unused.
    """
    n_x = labels.shape[2]
    flat, code = height.reshape(-1), labels.reshape(-1)
    where = np.empty(n_x + 1, np.int64)
    minimum, n_basins = np.empty(1024 + n_x, np.float32), 0
    stack = np.empty(1024, np.uint32)
    for start in range(0, code.size, n_x):
        n_undecided = undecided_of(code[start : start + n_x], where)
        if n_basins + n_undecided >= minimum.size:
            minimum = grown(minimum, 2 * minimum.size)
        for k in range(n_undecided):
            first = start + where[k]
            if code[first] != UNDECIDED:
                continue
            n_basins += 1
            minimum[n_basins] = flat[first]
            stack = spread(labels, first, n_basins, stack)
    minimum[0] = np.inf
    return minimum[: n_basins + 1].copy()


@kernel
def spread(labels: Any, first: int, basin: int, stack: Any) -> Any:
    """Give `first` and all undecided voxels connected to it the id `basin`."""
    n_z, n_y, n_x = labels.shape
    code = labels.reshape(-1)
    code[first] = basin
    stack[0] = first
    end = 1
    while end > 0:
        end -= 1
        p: Any = np.int64(stack[end])
        if end + 6 > stack.size:
            stack = grown(stack, 2 * stack.size)
        for direction in range(6):
            q = neighbour(p, direction, n_z, n_y, n_x)
            if q >= 0 and code[q] == UNDECIDED:
                code[q] = basin
                stack[end] = q
                end += 1
    return stack


@kernel
def follow(labels: Any, z_start: int, z_stop: int) -> None:
    """Replace the directions in some sections by the id they lead to, 0 if to none.

    Paths may leave the sections. Where two threads meet, each reads a label
    either as a direction or as the id it leads to, and both are right.
    """
    _, n_y, n_x = labels.shape
    section = n_y * n_x
    # Unsigned, so that no index can be negative; two entries for labels that go nowhere.
    step = np.array([-section, -n_x, -1, 1, n_x, section, 0, 0], np.int64).view(np.uint64)
    code = labels.reshape(-1)
    for tile in range(0, section, _TILE):
        for z in range(z_start, z_stop):
            for p in range(z * section + tile, z * section + min(tile + _TILE, section)):
                start = np.uint64(p)
                label = code[start]
                label = code[start + step[label & 7 if label >= _PLATEAU_EDGE else 6]]
                if label < _PLATEAU_EDGE:  # nearly all: decided already, or one step away
                    code[start] = label
                else:
                    follow_path(code, step, start)


@kernel
def follow_path(code: Any, step: Any, start: Any) -> None:
    """Give the voxels from `start` on the id that their path leads to."""
    q = start
    label = code[q]
    while _PLATEAU_EDGE <= label < UNDECIDED:
        q += step[label & 7]
        label = code[q]
    basin = label if label < _PLATEAU_EDGE else np.uint32(0)
    q = start
    label = code[q]
    while _PLATEAU_EDGE <= label < UNDECIDED:
        code[q] = basin
        q += step[label & 7]
        label = code[q]
    code[q] = basin


@kernel
def count_voxels(labels: Any, size: Any) -> None:
    """Add the voxels of each id to `size`, a run of equal labels at a time."""
    ids = labels.reshape(-1)
    start = 0
    for p in range(1, ids.size):
        if ids[p] != ids[start]:
            size[ids[start]] += p - start
            start = p
    size[ids[start]] += ids.size - start

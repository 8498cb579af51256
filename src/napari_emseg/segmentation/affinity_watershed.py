"""The watershed of an affinity graph: steepest ascent, in linear time (compiled by numba).

While a voxel's basin is not known, its label says which of its edges are steepest.
Directions 0..5 are -z, -y, -x, +x, +y, +z.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.jit import kernel
from napari_emseg.segmentation.affinities import AffinityReader
from napari_emseg.segmentation.forest import grown
from napari_emseg.segmentation.parallel import ignore, map_threads

Labels = npt.NDArray[np.uint32]

_EDGES = 0x80000000  # plus one bit for each of the steepest edges, and
_CHOSEN = 0x40  # plus the chosen direction times 0x80, where the way out is known
_GOES = 0xFFFFFFF0  # plus the one direction that is left
MAX_VOXELS = _EDGES - 1


def find_affinity_basins(
    reader: AffinityReader,
    labels: Labels,
    *,
    low: float,
    high: float,
    background: bool = True,
    first_section: int = 0,
    report: Callable[[], None] = ignore,
) -> int:
    """Label the basins of an affinity graph.

    Every voxel goes along its edge of highest affinity. Edges up to `low` do not
    exist; those from `high` on are all equally high. A connected set of voxels
    that go nowhere but to each other is a basin; a plateau from which some
    voxels go on is divided among its exits by distance; a voxel without edges
    is background.

    Parameters
    ----------
    reader : AffinityReader
        The affinities.
    labels : (z, y, x) uint32
        As many sections as shall be flooded, those from `first_section` on.
        Overwritten with the basins, numbered in raster order; 0 = background.
    low, high : float
        The thresholds.
    background : bool
        If False, no edge is removed, whatever `low` is, and every voxel is in
        some basin.
    first_section : int
        Sections before it and behind the last one do not count.
    report : callable
        Called once per section; what it raises ends the work.

    Returns
    -------
    int
        The number of basins.

    References
    ----------
    A. Zlateski, H. S. Seung, "Image segmentation by size-dependent single
    linkage clustering of a watershed basin graph", arXiv:1505.00249, 2015.
    """
    n_z = labels.shape[0]
    bottom, top = np.float32(low if background else -1), np.float32(high)

    def point_up(z: int) -> None:
        is_last = z == n_z - 1
        own = reader.nearest(first_section + z)
        ahead = own[0] if is_last else reader.behind(first_section + z + 1)
        _point_up(own, ahead, z > 0, not is_last, bottom, top, labels[z])

    map_threads(point_up, n_z, report)
    queue = np.empty(_find_exits(labels), np.uint32)
    _divide_plateaus(labels, queue)
    n_basins = int(_number_basins(labels, background))
    _follow(labels)
    return n_basins


def check_thresholds(low: float, high: float) -> tuple[float, float]:
    """Return the thresholds if they can be used, or raise InputError."""
    if not 0 <= low < high:
        raise InputError(
            f"The low threshold must be 0 or more and below the high one, not {low:g} and "
            f"{high:g}; 0.3 and 0.9 suit many maps."
        )
    return float(low), float(high)


@kernel
def _point_up(
    own: Any, ahead: Any, has_before: Any, has_behind: Any, low: Any, high: Any, code: Any
) -> None:
    """Mark each voxel's steepest edges: the highest, or all from `high` on."""
    n_y, n_x = code.shape
    value = np.empty(6, np.float32)
    for y in range(n_y):
        for x in range(n_x):
            value[0] = own[0, y, x] if has_before else low
            value[1] = own[1, y, x] if y > 0 else low
            value[2] = own[2, y, x] if x > 0 else low
            value[3] = own[2, y, x + 1] if x < n_x - 1 else low
            value[4] = own[1, y + 1, x] if y < n_y - 1 else low
            value[5] = ahead[y, x] if has_behind else low
            steepest = value.max()
            code[y, x] = 0
            if steepest > low:
                steepest = min(steepest, high)
                edges = 0
                for direction in range(6):
                    if value[direction] >= steepest:
                        edges |= 1 << direction
                code[y, x] = _EDGES + edges


@kernel
def _steps(labels: Any) -> Any:
    _, n_y, n_x = labels.shape
    return np.array([-n_y * n_x, -n_x, -1, 1, n_x, n_y * n_x], np.int64)


@kernel
def _find_exits(labels: Any) -> int:
    """Choose, for each voxel with an edge that does not come back, the first such edge.

    Return how many voxels may have to wait in a queue: all but those whose only
    edge is chosen.
    """
    code = labels.reshape(-1)
    step = _steps(labels)
    n_queued = 0
    for p in range(code.size):
        if code[p] == 0:
            continue
        edges = code[p] & 63
        n_queued += 1
        for direction in range(6):
            if edges & (1 << direction) == 0:
                continue
            if code[p + step[direction]] & (1 << (5 - direction)) == 0:
                code[p] += _CHOSEN + 0x80 * direction
                n_queued -= edges == 1 << direction
                break
    return n_queued


@kernel
def _divide_plateaus(labels: Any, queue: Any) -> None:
    """Send the voxels of a plateau to its nearest exit, breadth first."""
    code = labels.reshape(-1)
    step = _steps(labels)
    end = 0
    for p in range(code.size):
        if code[p] & _CHOSEN:
            edges, chosen = code[p] & 63, (code[p] >> 7) & 7
            if edges == 1 << chosen:
                code[p] = _GOES + chosen
            else:
                queue[end] = p
                end += 1
    begin = 0
    while begin < end:
        here = np.int64(queue[begin])
        begin += 1
        edges, chosen = code[here] & 63, (code[here] >> 7) & 7
        code[here] = _GOES + chosen
        for direction in range(6):
            q = here + step[direction]
            if edges & (1 << direction) == 0 or code[q] >= _GOES or code[q] & _CHOSEN:
                continue
            if code[q] & (1 << (5 - direction)):
                code[q] += _CHOSEN + 0x80 * (5 - direction)
                queue[end] = q
                end += 1


@kernel
def _number_basins(labels: Any, background: bool) -> int:
    """Give each connected set of voxels that go only to each other an id.

    A voxel without edges gets one too where there is no background.
    """
    code = labels.reshape(-1)
    step = _steps(labels)
    stack = np.empty(1024, np.uint32)
    n_basins = 0
    for first in range(code.size):
        is_lone = code[first] == 0 and not background
        if not is_lone and (code[first] < _EDGES or code[first] >= _GOES):
            continue
        n_basins += 1
        code[first] = n_basins
        stack[0] = first
        end = 1
        while end > 0:
            end -= 1
            p = np.int64(stack[end])
            if end + 6 > stack.size:
                stack = grown(stack, 2 * stack.size)
            for direction in range(6):
                q = p + step[direction]
                # The edges of p are overwritten, but each comes back from its other end.
                if q < 0 or q >= code.size or code[q] < _EDGES or code[q] >= _GOES:
                    continue
                if code[q] & (1 << (5 - direction)):
                    code[q] = n_basins
                    stack[end] = q
                    end += 1
    return n_basins


@kernel
def _follow(labels: Any) -> None:
    """Replace directions by the basin they lead to."""
    code = labels.reshape(-1)
    step = _steps(labels)
    for start in range(code.size):
        p: Any = start
        while code[p] >= _GOES:
            p += step[code[p] & 7]
        basin = code[p]
        p = start
        while code[p] >= _GOES:
            away = step[code[p] & 7]
            code[p] = basin
            p += away

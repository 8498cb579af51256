"""Contacts between regions of an affinity graph: sum, count and maximum of their edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.segmentation.affinities import AffinityReader
from napari_emseg.segmentation.forest import grown
from napari_emseg.segmentation.parallel import ignore

Labels = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Contacts:
    """Pairs of regions and the affinities of the edges between them.

    Attributes
    ----------
    a, b : (E,) uint32
        The two regions, ``a < b``; each pair once, in ascending order.
    total : (E,) float64
        Sum of the affinities.
    count : (E,) int64
        Number of edges.
    strongest : (E,) float32
        Highest affinity.
    """

    a: npt.NDArray[np.uint32]
    b: npt.NDArray[np.uint32]
    total: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    strongest: npt.NDArray[np.float32]

    def take(self, which: npt.NDArray[Any]) -> Contacts:
        """Return some of the contacts, chosen by index or mask."""
        return Contacts(
            self.a[which],
            self.b[which],
            self.total[which],
            self.count[which],
            self.strongest[which],
        )

    def merged(self, region_of: npt.NDArray[np.uint32]) -> Contacts:
        """Return the contacts of the regions that each region becomes; 0 is dropped."""
        one, two = region_of[self.a], region_of[self.b]
        kept = np.flatnonzero((one != two) & (one > 0) & (two > 0))
        if kept.size == 0:
            return self.take(kept)
        a, b = np.minimum(one, two)[kept], np.maximum(one, two)[kept]
        order = np.lexsort((b, a))
        a, b, old = a[order], b[order], self.take(kept[order])
        is_first = np.append(True, (a[1:] != a[:-1]) | (b[1:] != b[:-1]))
        first = np.flatnonzero(is_first)
        return Contacts(
            a[first],
            b[first],
            np.add.reduceat(old.total, first),
            np.add.reduceat(old.count, first),
            np.maximum.reduceat(old.strongest, first),
        )


def find_contacts(
    reader: AffinityReader,
    labels: Labels,
    first_section: int = 0,
    report: Callable[[], None] = ignore,
) -> Contacts:
    """Run over all nearest edges between different regions.

    Parameters
    ----------
    reader : AffinityReader
        The affinities.
    labels : (z, y, x) uint32
        Regions of the sections from `first_section` on; 0 touches nothing.
    first_section : int
        Edges to the section before it do not count.
    report : callable
        Called once per section; what it raises ends the work.

    Returns
    -------
    Contacts
    """
    room = 1024
    while room < 6 * labels.shape[2]:
        room *= 2
    pairs, sums, slots = _empty(room)
    n = 0
    for z in range(labels.shape[0]):
        own = reader.nearest(first_section + z)
        pairs, sums, slots, n = _add_section(own, labels, z, pairs, sums, slots, n)
        report()
    a, b = (ids[:n] for ids in pairs)
    total, count, strongest = (values[:n] for values in sums)
    return Contacts(a, b, total, count, strongest).take(np.lexsort((b, a)))


def _empty(room: int) -> Any:
    pairs = np.empty(room, np.uint32), np.empty(room, np.uint32)
    sums = np.empty(room, np.float64), np.empty(room, np.int64), np.empty(room, np.float32)
    return pairs, sums, np.full(2 * room, -1, np.int32)


@kernel
def _slot(slots: Any, pairs: Any, i: Any, j: Any) -> Any:
    """Slot of the pair (i, j), or the empty one where it belongs."""
    a, b = pairs
    mask = slots.size - 1
    key = np.int64(i) * 0x9E3779B1 + np.int64(j) * 0x85EBCA6B
    slot = (key ^ (key >> 17)) & mask
    while slots[slot] >= 0:
        edge = slots[slot]
        if a[edge] == i and b[edge] == j:
            break
        slot = (slot + 1) & mask
    return slot


@kernel
def _count(slots: Any, pairs: Any, sums: Any, n: int, i: Any, j: Any, value: Any) -> int:
    """Add an edge to the contact of i and j, if any; return the number of contacts."""
    if i == j or i == 0 or j == 0:
        return n
    if i > j:
        i, j = j, i
    total, count, strongest = sums
    slot = _slot(slots, pairs, i, j)
    edge = slots[slot]
    if edge < 0:
        slots[slot] = n
        pairs[0][n], pairs[1][n] = i, j
        total[n], count[n], strongest[n] = value, 1, value
        return n + 1
    total[edge] += value
    count[edge] += 1
    strongest[edge] = max(strongest[edge], value)
    return n


@kernel
def _with_room(pairs: Any, sums: Any, n: int, room: int) -> Any:
    pairs = grown(pairs[0], room), grown(pairs[1], room)
    sums = grown(sums[0], room), grown(sums[1], room), grown(sums[2], room)
    slots = np.full(2 * room, -1, np.int32)
    for edge in range(n):
        slots[_slot(slots, pairs, pairs[0][edge], pairs[1][edge])] = edge
    return pairs, sums, slots


@kernel
def _add_section(own: Any, labels: Any, z: int, pairs: Any, sums: Any, slots: Any, n: int) -> Any:
    """Add the edges from section `z` to the voxels before along z, y and x."""
    _, n_y, n_x = labels.shape
    for y in range(n_y):
        if n + 3 * n_x > pairs[0].size:
            pairs, sums, slots = _with_room(pairs, sums, n, 2 * pairs[0].size)
        for x in range(n_x):
            i = labels[z, y, x]
            if z > 0:
                n = _count(slots, pairs, sums, n, labels[z - 1, y, x], i, own[0, y, x])
            if y > 0:
                n = _count(slots, pairs, sums, n, labels[z, y - 1, x], i, own[1, y, x])
            if x > 0:
                n = _count(slots, pairs, sums, n, labels[z, y, x - 1], i, own[2, y, x])
    return pairs, sums, slots, n

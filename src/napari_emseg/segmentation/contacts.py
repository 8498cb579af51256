"""Contacts between regions of an affinity graph: sum, count and maximum of their edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.segmentation.affinities import AffinityReader
from napari_emseg.segmentation.parallel import ignore
from napari_emseg.segmentation.rag import RegionGraph, add_face, empty_contacts, with_room

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

    def walls(self, n_regions: int) -> RegionGraph:
        """Return the contacts as walls of 1 - affinity."""
        return RegionGraph(self.a, self.b, self.count - self.total, self.count, n_regions)

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
    contacts, slots = empty_contacts()
    n = 0
    for z in range(labels.shape[0]):
        own = reader.nearest(first_section + z)
        contacts, slots, n = _add_section(own, labels, z, contacts, slots, n)
        report()
    contacts = contacts[:n]
    contacts = contacts[np.lexsort((contacts["b"], contacts["a"]))]
    return Contacts(
        a=contacts["a"].copy(),
        b=contacts["b"].copy(),
        total=contacts["total"].copy(),
        count=contacts["count"].astype(np.int64),
        strongest=contacts["highest"].copy(),
    )


@kernel
def _add_section(own: Any, labels: Any, z: int, contacts: Any, slots: Any, n: int) -> Any:
    """Add the edges from section `z` to the voxels before along z, y and x."""
    _, n_y, n_x = labels.shape
    last_z, last_y, last_x = np.int64(0), np.int64(0), np.int64(0)
    for y in range(n_y):
        while n + 3 * n_x > contacts.size:
            contacts, slots = with_room(contacts, n)
        for x in range(n_x):
            i = labels[z, y, x]
            if i == 0:
                continue
            if z > 0:
                j = labels[z - 1, y, x]
                if j != i and j != 0:
                    edge = np.float64(own[0, y, x])
                    last_z, n = add_face(contacts, slots, n, last_z, i, j, edge)
            if y > 0:
                j = labels[z, y - 1, x]
                if j != i and j != 0:
                    edge = np.float64(own[1, y, x])
                    last_y, n = add_face(contacts, slots, n, last_y, i, j, edge)
            if x > 0:
                j = labels[z, y, x - 1]
                if j != i and j != 0:
                    edge = np.float64(own[2, y, x])
                    last_x, n = add_face(contacts, slots, n, last_x, i, j, edge)
    return contacts, slots, n

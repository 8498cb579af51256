"""Where segments hang together by little: the edges of a spanning tree of their fragments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.proofreading.contacts import Edges
from napari_emseg.proofreading.state import State

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Necks:
    """Contacts that alone hold two parts of a segment together in its spanning tree.

    Attributes
    ----------
    edges : Edges
        Of two fragments of one segment; the strongest tree.
    size_one, size_two : (E,) int64
        Voxels of the two parts.
    """

    edges: Edges
    size_one: Ints
    size_two: Ints


def find_necks(state: State, kept: set[tuple[int, int]]) -> Necks:
    """Return the contacts inside segments at which each could be two.

    The spanning tree is that of the lowest walls, so that a part behind a high wall
    hangs on that wall only where there is no other way.

    Parameters
    ----------
    state : State
    kept : set of (int, int)
        Pairs of fragments, in ascending order, that are known to be right.

    Returns
    -------
    Necks
    """
    edges = state.contacts.all()
    table = state.segment_of
    closed = np.array(sorted(state.done | state.set_aside), np.uint32)
    inner = (table[edges.a] == table[edges.b]) & (table[edges.a] > 0)
    inner &= ~np.isin(table[edges.a], closed)
    edges = edges.take(np.flatnonzero(inner))
    one, two, child, below = _hang_up(edges, state.extents.size[: table.size])
    total = np.bincount(table, state.extents.size[: table.size]).astype(np.int64)
    low, high = np.minimum(one, two).astype(np.uint64), np.maximum(one, two).astype(np.uint64)
    which = np.searchsorted(edges.keys, (low << np.uint64(32)) | high)
    size_one = below[child]
    size_two = total[table[child]] - size_one
    is_open = (size_one > 0) & (size_two > 0)
    if kept:
        pairs = zip(low.tolist(), high.tolist(), strict=True)
        is_open &= np.array([pair not in kept for pair in pairs], bool)
    return Necks(edges.take(which[is_open]), size_one[is_open], size_two[is_open])


def _hang_up(edges: Edges, size: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Return both ends of the edges of the trees, the lower one, and the voxels below each node.

    All trees hang on node 0, which is no fragment, by one of their fragments.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import (
        breadth_first_order,
        connected_components,
        minimum_spanning_tree,
    )

    shape = (size.size, size.size)
    graph = coo_matrix((edges.mean + 1e-3, (edges.a, edges.b)), shape).tocsr()
    tree = minimum_spanning_tree(graph).tocoo()
    roots = np.unique(connected_components(tree, directed=False)[1], return_index=True)[1]
    roots = roots[roots > 0]
    ends = (np.append(tree.row, np.zeros(roots.size, np.int64)), np.append(tree.col, roots))
    whole = coo_matrix((np.ones(ends[0].size), ends), shape).tocsr()
    order, parent = breadth_first_order(whole, 0, directed=False)
    below = size.copy()
    _sum_up(order.astype(np.int64), parent.astype(np.int64), below)
    child = np.where(parent[tree.row] == tree.col, tree.row, tree.col)
    return tree.row, tree.col, child, below


@kernel
def _sum_up(order: Any, parent: Any, below: Any) -> None:
    """Add to each node the voxels of all below it."""
    for k in range(order.size - 1, 0, -1):
        node = order[k]
        if parent[node] > 0:
            below[parent[node]] += below[node]

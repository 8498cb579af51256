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
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    edges = state.contacts.all()
    table = state.segment_of
    done = np.array(sorted(state.done | state.set_aside), np.uint32)
    inner = (table[edges.a] == table[edges.b]) & (table[edges.a] > 0)
    inner &= ~np.isin(table[edges.a], done)
    edges = edges.take(np.flatnonzero(inner))
    n = table.size
    graph = coo_matrix((edges.mean + 1e-3, (edges.a, edges.b)), (n, n)).tocsr()
    tree = minimum_spanning_tree(graph).tocoo()
    # All trees hang on node 0, which is no fragment, by one of their fragments.
    from scipy.sparse.csgraph import connected_components

    _, part = connected_components(tree, directed=False)
    roots = np.unique(part, return_index=True)[1]
    roots = roots[roots > 0]
    rows = np.concatenate([tree.row, np.zeros(roots.size, np.int64)])
    columns = np.concatenate([tree.col, roots])
    whole = coo_matrix((np.ones(rows.size), (rows, columns)), (n, n)).tocsr()
    order, parent = breadth_first_order(whole, 0, directed=False)
    below = state.extents.size[:n].copy()
    _sum_up(order.astype(np.int64), parent.astype(np.int64), below)
    child = np.where(parent[tree.row] == tree.col, tree.row, tree.col)
    total = np.bincount(table, state.extents.size[:n]).astype(np.int64)
    keys = (np.minimum(tree.row, tree.col).astype(np.uint64) << np.uint64(32)) | np.maximum(
        tree.row, tree.col
    ).astype(np.uint64)
    which = np.searchsorted(edges.keys, keys)
    fresh = (
        np.array([(int(edges.a[k]), int(edges.b[k])) not in kept for k in which], bool)
        if kept
        else np.ones(which.size, bool)
    )
    size_one = below[child]
    size_two = total[table[child]] - size_one
    fresh &= (size_one > 0) & (size_two > 0)
    return Necks(edges.take(which[fresh]), size_one[fresh], size_two[fresh])


@kernel
def _sum_up(order: Any, parent: Any, below: Any) -> None:
    """Add to each node the voxels of all below it."""
    for k in range(order.size - 1, 0, -1):
        node = order[k]
        if parent[node] > 0:
            below[parent[node]] += below[node]

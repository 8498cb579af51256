"""Spanning trees of the fragments of segments, and what each of their edges cuts off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.proofreading.contacts import Edges
from napari_emseg.proofreading.runs import Ids

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trees:
    """A tree for each connected part of a segment, all hung on node 0, which is no fragment.

    Attributes
    ----------
    parent : (F + 1,) int64
        The node above each; 0 for the top of a tree.
    order : (n,) int64
        Nodes from the top down, 0 first.
    depth : (F + 1,) int64
    top : (F + 1,) int64
        First node of the heavy path each node lies on.
    """

    parent: Ints
    order: Ints
    depth: Ints
    top: Ints

    def summed_up(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Add to the value of each node those of all below it; (F + 1, k) float64."""
        below = values.copy()
        _sum_up(self.order, self.parent, below)
        return below

    def crossing(self, edges: Edges, columns: Floats) -> Floats:
        """Sum columns of all contacts that lead out of the part below each node.

        Parameters
        ----------
        edges : Edges
            Between nodes of the same tree.
        columns : (E, k) float64

        Returns
        -------
        (F + 1, k) float64
        """
        sums = np.zeros((self.parent.size, columns.shape[1]))
        _cross(self.parent, self.depth, self.top, edges.a, edges.b, columns, sums)
        return self.summed_up(sums)

    def on_the_way(self, one: Ids, two: Ids) -> npt.NDArray[np.bool_]:
        """Whether the edge above each node is on the way between one of some pairs of nodes."""
        marked = np.zeros(self.parent.size, bool)
        _mark_ways(self.parent, self.depth, one.astype(np.int64), two.astype(np.int64), marked)
        return marked


def hang_up(edges: Edges, cost: Floats, n: int) -> Trees:
    """Return the spanning trees of least cost.

    Parameters
    ----------
    edges : Edges
        Between fragments of one segment.
    cost : (E,) float64
        Above 0.
    n : int
        Nodes, 0 included.

    Returns
    -------
    Trees
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import (
        breadth_first_order,
        connected_components,
        minimum_spanning_tree,
    )

    graph = coo_matrix((cost, (edges.a, edges.b)), (n, n)).tocsr()
    tree = minimum_spanning_tree(graph).tocoo()
    roots = np.unique(connected_components(tree, directed=False)[1], return_index=True)[1]
    roots = roots[roots > 0]
    ends = (np.append(tree.row, np.zeros(roots.size, np.int64)), np.append(tree.col, roots))
    whole = coo_matrix((np.ones(ends[0].size), ends), (n, n)).tocsr()
    order, parent = breadth_first_order(whole, 0, directed=False)
    parent = np.maximum(parent, 0).astype(np.int64)
    order = order.astype(np.int64)
    depth, top = np.zeros(n, np.int64), np.zeros(n, np.int64)
    _find_paths(order, parent, depth, top)
    return Trees(parent, order, depth, top)


@kernel
def _find_paths(order: Any, parent: Any, depth: Any, top: Any) -> None:
    """Fill in depths, and the first nodes of the heavy paths."""
    n = parent.size
    weight, heavy = np.ones(n, np.int64), np.zeros(n, np.int64)
    for k in range(order.size - 1, 0, -1):
        weight[parent[order[k]]] += weight[order[k]]
    for k in range(1, order.size):
        node = order[k]
        above = parent[node]
        depth[node] = depth[above] + 1
        if heavy[above] == 0 or weight[node] > weight[heavy[above]]:
            heavy[above] = node
    for k in range(1, order.size):
        node = order[k]
        above = parent[node]
        top[node] = top[above] if above > 0 and heavy[above] == node else node


@kernel
def _cross(parent: Any, depth: Any, top: Any, one: Any, two: Any, columns: Any, sums: Any) -> None:
    """Add each contact at both its ends and take it away twice where they meet."""
    n_columns = columns.shape[1]
    for e in range(one.size):
        a, b = np.int64(one[e]), np.int64(two[e])
        i, j = a, b
        while top[i] != top[j]:
            if depth[top[i]] < depth[top[j]]:
                i, j = j, i
            i = parent[top[i]]
        meet = i if depth[i] < depth[j] else j
        for c in range(n_columns):
            sums[a, c] += columns[e, c]
            sums[b, c] += columns[e, c]
            sums[meet, c] -= 2 * columns[e, c]


@kernel
def _sum_up(order: Any, parent: Any, below: Any) -> None:
    n_columns = below.shape[1]
    for k in range(order.size - 1, 0, -1):
        node = order[k]
        above = parent[node]
        if above > 0:
            for c in range(n_columns):
                below[above, c] += below[node, c]


@kernel
def _mark_ways(parent: Any, depth: Any, one: Any, two: Any, marked: Any) -> None:
    for k in range(one.size):
        i, j = one[k], two[k]
        while i != j:
            if depth[i] < depth[j]:
                i, j = j, i
            marked[i] = True
            i = parent[i]

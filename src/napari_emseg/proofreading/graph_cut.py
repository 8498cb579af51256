"""The weakest walls between groups of fragments: minimum cuts of a region graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Nodes = npt.NDArray[np.int64]
# A click stands for what lies around it: up to this share of the way to the other clicks.
_REACH = 0.3
_STEP = 0.02  # a way through many fragments is longer than one through few
_SUM = 2**30  # scipy counts flow in 32 bits


@dataclass(frozen=True, eq=False)
class RegionEdges:
    """Contacts between the nodes 0..n-1 of a graph.

    Attributes
    ----------
    n : int
        Nodes.
    i, j : (E,) int64
        Ends of each edge.
    count : (E,) int64
        Faces of the contact.
    wall : (E,) float64
        Mean boundary value of the contact, in [0, 1].
    """

    n: int
    i: Nodes
    j: Nodes
    count: npt.NDArray[np.int64]
    wall: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sides:
    """Which group each node went to.

    Attributes
    ----------
    side : (n,) int64
        Number of the group; -1 where a node touches none, not even through others.
    n_moved : int
        Nodes that the cut left without a way to their own group, so that they went to
        the one they touch most.
    """

    side: Nodes
    n_moved: int


def cut_graph(graph: RegionEdges, groups: Sequence[Nodes]) -> Sides:
    """Separate groups of nodes where the walls between them are weakest evidence of one cell.

    An edge holds its two fragments together by its faces, those in a wall counting
    little. The nodes around each group go with it (small fragments would otherwise be
    cheapest to cut out right at the click). The first group is cut from all others,
    then the second from those left, and so on [1]_.

    Parameters
    ----------
    graph : RegionEdges
    groups : sequence of (k,) int64
        Nodes of each group, two groups or more; disjoint.

    Returns
    -------
    Sides

    References
    ----------
    .. [1] Boykov, Y., Jolly, M.-P. (2001). Interactive graph cuts for optimal boundary
       and region segmentation of objects in N-D images, equation 1 without the region
       term. doi 10.1109/ICCV.2001.937505

    Examples
    --------
    >>> i, j = np.array([0, 1, 2]), np.array([1, 2, 3])
    >>> chain = RegionEdges(4, i, j, np.array([9, 2, 9]), np.array([0.1, 0.8, 0.1]))
    >>> cut_graph(chain, [np.array([0]), np.array([3])]).side
    array([0, 0, 1, 1])
    """
    capacity = _capacities(graph)
    grown = _grow(graph, groups)
    side = np.full(graph.n, -1, np.int64)
    left = np.ones(graph.n, bool)
    for k in range(len(groups) - 1):
        others = np.concatenate(grown[k + 1 :])
        is_source = _cut_one(graph, capacity, left, grown[k], others)
        side[is_source] = k
        left &= ~is_source
    side[left] = len(groups) - 1
    return _gather(graph, capacity, side, groups)


def _capacities(graph: RegionEdges) -> npt.NDArray[np.int32]:
    holds = graph.count * (1 - graph.wall) ** 2
    total = float(holds.sum())
    scale = min((_SUM - graph.i.size) / total, 1000.0) if total > 0 else 1.0
    return (holds * scale).astype(np.int32) + np.int32(1)


def _grow(graph: RegionEdges, groups: Sequence[Nodes]) -> list[Nodes]:
    """Add to each group the nodes near it, by walls and contacts to cross."""
    import scipy.sparse as sparse
    from scipy.sparse.csgraph import dijkstra

    length = graph.wall + _STEP
    size = (graph.n, graph.n)
    ways = sparse.csr_matrix((length, (graph.i, graph.j)), shape=size)
    far = [dijkstra(ways, directed=False, indices=g, min_only=True) for g in groups]
    nearest = np.argmin(far, axis=0)
    grown = []
    for k, group in enumerate(groups):
        others = np.concatenate([g for m, g in enumerate(groups) if m != k])
        reach = _REACH * float(far[k][others].min())
        near = np.flatnonzero((far[k] < reach) & (nearest == k)) if np.isfinite(reach) else group
        grown.append(np.union1d(group, near))
    return grown


def _cut_one(
    graph: RegionEdges,
    capacity: npt.NDArray[np.int32],
    left: npt.NDArray[np.bool_],
    sources: Nodes,
    sinks: Nodes,
) -> npt.NDArray[np.bool_]:
    """Return the nodes on the side of `sources`, among those left."""
    import scipy.sparse as sparse
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    number = np.full(graph.n, -1, np.int64)
    number[left] = 0
    number[sources], number[sinks] = 1, 2
    free = np.flatnonzero(number == 0)
    number[left] -= 1  # the source is 0, the sink 1
    number[free] = np.arange(free.size) + 2
    i, j = number[graph.i], number[graph.j]
    inner = np.flatnonzero((i >= 0) & (j >= 0) & (i != j) & (i + j != 1))
    i, j, held = i[inner], j[inner], capacity[inner]
    ends = (np.concatenate([i, j]), np.concatenate([j, i]))
    size = (free.size + 2, free.size + 2)
    pipes = sparse.csr_matrix((np.concatenate([held, held]), ends), shape=size, dtype=np.int32)
    flow = maximum_flow(pipes, 0, 1).flow
    rest = (pipes - flow).tocsr()
    rest.eliminate_zeros()
    reached = breadth_first_order(rest, 0, return_predecessors=False)
    is_source = np.zeros(free.size + 2, bool)
    is_source[reached] = True
    found = np.zeros(graph.n, bool)
    found[left] = is_source[number[left]]
    return found


def _gather(
    graph: RegionEdges,
    capacity: npt.NDArray[np.int32],
    side: Nodes,
    groups: Sequence[Nodes],
) -> Sides:
    """Give parts of a side that do not hang together with its group to another, or to none."""
    import scipy.sparse as sparse
    from scipy.sparse.csgraph import connected_components

    joins = side[graph.i] == side[graph.j]
    size = (graph.n, graph.n)
    ones = np.ones(int(joins.sum()), np.int8)
    same = sparse.csr_matrix((ones, (graph.i[joins], graph.j[joins])), shape=size)
    n_parts, part = connected_components(same, directed=False)
    owner = np.full(n_parts, -1, np.int64)
    for k, group in enumerate(groups):
        owner[part[group]] = k
    loose = owner < 0
    n_moved = 0
    while True:
        i, j = part[graph.i], part[graph.j]
        crossing = np.flatnonzero((owner[i] < 0) != (owner[j] < 0))
        if crossing.size == 0:
            break
        free = np.where(owner[i] < 0, i, j)[crossing]
        taker = np.where(owner[i] < 0, owner[j], owner[i])[crossing]
        held = np.zeros((n_parts, len(groups)))
        np.add.at(held, (free, taker), capacity[crossing])
        reached = np.unique(free)
        owner[reached] = np.argmax(held[reached], axis=1)
        n_moved += int(np.isin(part, reached).sum())
    assert not (loose & (owner < 0))[part[np.concatenate(groups)]].any()
    return Sides(owner[part], n_moved)

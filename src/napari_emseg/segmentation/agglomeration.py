"""Greedy agglomeration of a region graph: the pair with the weakest wall is joined next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.segmentation.edge_queue import enqueue, new_queue, take_first
from napari_emseg.segmentation.forest import Forest, find_root
from napari_emseg.segmentation.parallel import ignore
from napari_emseg.segmentation.rag import RegionGraph

_MERGES_PER_REPORT = 100_000  # about a second

# One end of an edge: link ``2 * edge + side`` is in the list of segment `node`, and the
# edge leads to the node of ``link ^ 1``. Both nodes are 0 once the edge has vanished.
_LINK = np.dtype([("node", np.uint32), ("after", np.int32)])
_EDGE = np.dtype(
    [
        ("total", np.float64),
        ("count", np.uint32),  # 0 once it has vanished
        ("priority", np.float32),
        ("origin", np.uint32),  # of the contacts it is made of, the lowest
        ("after", np.int32),
        ("bucket", np.uint16),
    ],
    align=True,
)
_NODE = np.dtype(
    [
        ("size", np.int64),
        ("first_link", np.int32),
        ("n_links", np.int32),
        ("name", np.uint32),  # the fragment whose id the segment has
    ],
    align=True,
)


def count_reports(n_fragments: int) -> int:
    """Return how often :func:`agglomerate` reports."""
    return -(-max(n_fragments - 1, 1) // _MERGES_PER_REPORT)


def agglomerate(
    graph: RegionGraph,
    sizes_voxels: npt.NDArray[np.int64],
    report: Callable[[], None] = ignore,
    *,
    face_values: npt.NDArray[np.uint32] | None = None,
    quantile: float = 0.5,
    prior_faces: float = 0.0,
) -> Forest:
    """Join the two segments with the lowest wall, again and again, until none touch.

    A wall is the mean, or a quantile, of the face values over the whole contact
    of two segments, and exact at every step: contacts of a third segment with
    both are pooled.

    Parameters
    ----------
    graph : RegionGraph
        Face values in [0, 1].
    sizes_voxels : (F + 1,) int64
        Voxels of each fragment; the larger segment keeps its id.
    report : callable
        Called :func:`count_reports` times; what it raises ends the work.
    face_values : (E, bins) uint32, optional
        Faces of each contact by value, in bins of equal width from 0 to 1. With
        it walls are quantiles.
    quantile : float
        From 0, the weakest face, to 1; 0.5 is the median. Linear within a bin.
    prior_faces : float
        For means: every contact counts as if it had so many faces of membrane
        (1) more, so that small contacts need better evidence to join.

    Returns
    -------
    Forest
        ``height`` is the wall at which a segment ended, as a running
        maximum: cutting at T gives what stopping at the first wall above T
        would have given. ``saddle`` is the same array, and ``order`` the
        sequence. `inside` and `outside` touch where the wall was lowest.

    References
    ----------
    J. Nunez-Iglesias et al., "Machine learning of hierarchical clustering to
    segment 2D and 3D images", PLoS ONE 8, 2013,
    doi:10.1371/journal.pone.0071715, with the mean boundary as the policy.

    Examples
    --------
    >>> one, two = np.array([1, 2], np.uint32), np.array([2, 3], np.uint32)
    >>> graph = RegionGraph(one, two, np.array([2.0, 0.5]), np.array([4, 2]), n_fragments=3)
    >>> agglomerate(graph, np.array([0, 9, 5, 7])).height
    array([ inf, 0.5 , 0.25,  inf], dtype=float32)
    """
    n = graph.n_fragments + 1
    network = _network(graph, sizes_voxels, prior_faces)
    # Without bins walls are means.
    spread = np.empty((0, 0), np.uint32) if face_values is None else face_values.copy()
    if spread.size:
        _set_quantiles(network[0], spread, quantile)
    state, heap = new_queue()
    heap = _enter(network, state, heap)
    slots = _hashed(network[1], _count_slots(graph.n_edges))
    inside, outside = np.zeros(n, np.uint32), np.zeros(n, np.uint32)
    height = np.full(n, np.inf, np.float32)
    order = np.empty(max(n - 2, 0), np.uint32)
    n_merges = 0
    for _ in range(count_reports(graph.n_fragments)):
        stop = n_merges + _MERGES_PER_REPORT
        heap, slots, n_merges = _join_some(
            graph.a,
            graph.b,
            network,
            spread,
            quantile,
            prior_faces,
            state,
            heap,
            slots,
            inside,
            outside,
            height,
            order,
            n_merges,
            stop,
        )
        report()
    return Forest(inside, outside, height, height, order[:n_merges])


# Edges, links, nodes, and the nodes above each fragment (union-find). All about an edge
# lies together, since all of it is needed at once. A plain tuple, because a class of ours
# in the signature of a kernel would make its cache unreadable once the class changes.
_Network = tuple[Any, Any, Any, npt.NDArray[np.uint32]]


def _network(
    graph: RegionGraph, sizes_voxels: npt.NDArray[np.int64], prior_faces: float
) -> _Network:
    n = graph.n_fragments + 1
    edges = np.zeros(graph.n_edges, _EDGE)
    edges["total"], edges["count"] = graph.total, graph.count
    edges["priority"] = (graph.total + prior_faces) / (graph.count + prior_faces)
    edges["origin"] = np.arange(graph.n_edges)
    links = np.zeros(2 * graph.n_edges, _LINK)
    links["node"][::2], links["node"][1::2] = graph.a, graph.b
    nodes = np.zeros(n, _NODE)
    nodes["size"], nodes["name"], nodes["first_link"] = sizes_voxels, np.arange(n), -1
    return edges, links, nodes, np.arange(n, dtype=np.uint32)


def _count_slots(n_edges: int) -> int:
    return 1 << max(2 * n_edges, 1024).bit_length()


@kernel
def _enter(network: _Network, state: Any, heap: Any) -> Any:
    """Queue all edges and enter them in the lists of their nodes."""
    edges, links, nodes, _ = network
    for edge in range(edges.size):
        heap = enqueue(edges, state, heap, edge)
    for link in range(links.size):
        _add_link(links, nodes, links[link].node, link)
    return heap


@kernel
def _add_link(links: Any, nodes: Any, node: Any, link: Any) -> None:
    this = nodes[node]
    links[link].after = this.first_link
    this.first_link = link
    this.n_links += 1


@kernel
def _slot(slots: Any, links: Any, i: Any, j: Any) -> Any:
    """Slot of the edge between `i` and `j`, or the empty one where it belongs."""
    low, high = np.int64(min(i, j)), np.int64(max(i, j))
    key = low * 0x9E3779B1 + high * 0x85EBCA6B
    mask = slots.size - 1
    slot = (key ^ (key >> 17)) & mask
    while slots[slot] >= 0:
        one, two = links[2 * slots[slot]].node, links[2 * slots[slot] + 1].node
        if min(one, two) == low and max(one, two) == high:
            break
        slot = (slot + 1) & mask
    return slot


@kernel
def _hashed(links: Any, n_slots: int) -> Any:
    """Return a table of the edges that are left."""
    slots = np.full(n_slots, -1, np.int32)
    for edge in range(links.size // 2):
        one, two = links[2 * edge].node, links[2 * edge + 1].node
        if one != 0:
            slots[_slot(slots, links, one, two)] = edge
    return slots


@kernel
def _count_used(slots: Any) -> int:
    n_used = 0
    for slot in range(slots.size):
        n_used += slots[slot] >= 0
    return n_used


@kernel
def _join_some(
    a: Any,
    b: Any,
    network: _Network,
    spread: Any,
    quantile: float,
    prior_faces: float,
    state: Any,
    heap: Any,
    slots: Any,
    inside: Any,
    outside: Any,
    height: Any,
    order: Any,
    n_merges: int,
    stop: int,
) -> Any:
    """Make merges `n_merges` to `stop`, or as many as there are."""
    edges, links, _, _ = network
    highest = height[order[n_merges - 1]] if n_merges > 0 else np.float32(0)
    n_used = _count_used(slots)
    while n_merges < stop:
        edge, heap = take_first(edges, state, heap)
        if edge < 0:
            break
        highest = max(highest, edges[edge].priority)
        kept, gone, ended, near, far = _unite(a, b, network, edge)
        inside[ended], outside[ended], height[ended] = near, far, highest
        order[n_merges] = ended
        n_merges += 1
        heap, n_new = _move_links(
            network, spread, quantile, prior_faces, state, heap, slots, kept, gone
        )
        n_used += n_new
        if 4 * n_used > 3 * slots.size:
            slots = _hashed(links, slots.size)
            n_used = _count_used(slots)
    return heap, slots, n_merges


@kernel
def _unite(a: Any, b: Any, network: _Network, edge: Any) -> Any:
    """Make one segment of both ends of `edge`.

    Return the node it stands under, the other node, the fragment whose segment
    ended, and the two fragments where they touch: one in what ended, one beyond.
    """
    edges, links, nodes, above = network
    kept, gone = np.int64(links[2 * edge].node), np.int64(links[2 * edge + 1].node)
    if nodes[kept].n_links < nodes[gone].n_links:
        kept, gone = gone, kept
    near, far = a[edges[edge].origin], b[edges[edge].origin]
    _remove(edges, links, edge)
    one, two = nodes[kept], nodes[gone]
    larger, smaller = kept, gone
    if two.size > one.size or (two.size == one.size and two.name < one.name):
        larger, smaller = gone, kept
    if find_root(above, near) != smaller:
        near, far = far, near
    ended = nodes[smaller].name
    one.name = nodes[larger].name
    one.size += two.size
    above[gone] = kept
    return kept, gone, ended, near, far


@kernel
def _remove(edges: Any, links: Any, edge: Any) -> None:
    links[2 * edge].node = 0
    links[2 * edge + 1].node = 0
    edges[edge].count = 0


@kernel
def _move_links(
    network: _Network,
    spread: Any,
    quantile: float,
    prior_faces: float,
    state: Any,
    heap: Any,
    slots: Any,
    kept: int,
    gone: int,
) -> Any:
    """Give `kept` the contacts of `gone`; return the heap and how many slots were taken."""
    edges, links, nodes, _ = network
    n_new = 0
    link = np.int64(nodes[gone].first_link)
    while link >= 0:
        this = links[link]
        following = np.int64(this.after)
        if this.node != 0:
            slot = _slot(slots, links, kept, links[link ^ 1].node)
            this.node = kept
            edge = link >> 1
            if slots[slot] < 0:
                n_new += 1
                slots[slot] = edge
            else:
                slots[slot], is_new = _pool(
                    edges, links, spread, quantile, prior_faces, edge, slots[slot]
                )
                if is_new:
                    heap = enqueue(edges, state, heap, slots[slot])
            if slots[slot] == edge:
                _add_link(links, nodes, kept, link)
        link = following
    return heap, n_new


@kernel
def _pool(
    edges: Any, links: Any, spread: Any, quantile: float, prior_faces: float, one: Any, two: Any
) -> Any:
    """Make one contact of two; return which, and whether its priority is another now."""
    if edges[one].bucket < edges[two].bucket:
        one, two = two, one  # the earlier bucket is early enough for both
    gone, kept = edges[one], edges[two]
    if gone.priority < kept.priority:
        kept.origin = gone.origin
    kept.total += gone.total
    kept.count += gone.count
    _remove(edges, links, one)
    before = kept.priority
    if spread.size > 0:
        for k in range(spread.shape[1]):
            spread[two, k] += spread[one, k]
        kept.priority = _quantile(spread, two, quantile)
    else:
        kept.priority = (kept.total + prior_faces) / (kept.count + prior_faces)
    return two, kept.priority != before


@kernel
def _set_quantiles(edges: Any, spread: Any, quantile: float) -> None:
    for edge in range(edges.size):
        edges[edge].priority = _quantile(spread, edge, quantile)


@kernel
def _quantile(spread: Any, edge: Any, quantile: float) -> Any:
    n_bins = spread.shape[1]
    total = 0.0
    for k in range(n_bins):
        total += spread[edge, k]
    below = 0.0
    for k in range(n_bins):
        here = float(spread[edge, k])
        if here > 0 and below + here >= quantile * total:
            return (k + (quantile * total - below) / here) / n_bins
        below += here
    return 1.0

"""Greedy agglomeration of a region graph: the pair with the weakest wall is joined next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.segmentation.edge_queue import (
    EdgeQueue,
    drop_first,
    edge_of,
    enqueue,
    key_of,
    new_queue,
    next_key,
)
from napari_emseg.segmentation.forest import Forest, find_root
from napari_emseg.segmentation.parallel import ignore
from napari_emseg.segmentation.rag import RegionGraph

_MERGES_PER_REPORT = 100_000  # about a second


def count_reports(n_fragments: int) -> int:
    """Return how often :func:`agglomerate` reports, at most."""
    return -(-max(n_fragments - 1, 1) // _MERGES_PER_REPORT)


def agglomerate(
    graph: RegionGraph,
    sizes_voxels: npt.NDArray[np.int64],
    report: Callable[[], None] = ignore,
) -> Forest:
    """Join the two segments with the lowest mean wall, again and again, until none touch.

    The mean is over the whole contact of the two segments and exact at every
    step: contacts of a third segment with both are pooled.

    Parameters
    ----------
    graph : RegionGraph
        Face values in [0, 1].
    sizes_voxels : (F + 1,) int64
        Voxels of each fragment; the larger segment keeps its id.
    report : callable
        Called now and then; what it raises ends the work.

    Returns
    -------
    Forest
        ``height`` is the mean wall at which a segment ended, as a running
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
    inside, outside = np.zeros(n, np.uint32), np.zeros(n, np.uint32)
    height = np.full(n, np.inf, np.float32)
    order = np.empty(max(n - 2, 0), np.uint32)
    contacts, queue, heap = _start(graph.a, graph.b, graph.total, graph.count)
    clusters = _clusters(contacts, sizes_voxels)
    slots = _hashed(contacts.ends, _count_slots(graph.n_edges))
    n_merges, done = 0, -1
    while done < n_merges:
        done = n_merges
        heap, slots, n_merges = _join_some(
            graph.a,
            graph.b,
            contacts,
            clusters,
            queue,
            heap,
            slots,
            inside,
            outside,
            height,
            order,
            n_merges,
            n_merges + _MERGES_PER_REPORT,
        )
        report()
    return Forest(inside, outside, height, height, order[:n_merges])


class _Contacts(NamedTuple):
    """The edges between segments; of two that become one the other vanishes.

    A link is one end of an edge: link ``2 * edge + side`` belongs to segment
    ``ends[link]``, and the edge leads to ``ends[link ^ 1]``. A vanished edge has
    ends 0.
    """

    ends: Any  # (2 E,) uint32
    total: Any  # (E,) float64
    count: Any  # (E,) int64
    priority: Any  # (E,) float32
    origin: Any  # (E,) uint32, the lowest of the first edges that are part of it
    link_after: Any  # (2 E,) int32, links of each segment as a list


class _Clusters(NamedTuple):
    """The segments, each under the fragment that stands for it in the edges."""

    first_link: Any  # (F + 1,) int32
    n_links: Any  # (F + 1,) int32
    size: Any  # (F + 1,) int64
    name: Any  # (F + 1,) uint32, the fragment whose id the segment has
    above: Any  # (F + 1,) uint32, union-find


def _count_slots(n_edges: int) -> int:
    return 1 << max(2 * n_edges, 1024).bit_length()


@kernel
def _start(a: Any, b: Any, total: Any, count: Any) -> Any:
    n_edges = a.size
    ends = np.empty(2 * n_edges, np.uint32)
    priority = np.empty(n_edges, np.float32)
    origin = np.empty(n_edges, np.uint32)
    queue = new_queue(n_edges)
    heap = np.empty(1024, np.uint64)
    for edge in range(n_edges):
        ends[2 * edge], ends[2 * edge + 1] = a[edge], b[edge]
        priority[edge] = total[edge] / count[edge]
        origin[edge] = edge
        heap = enqueue(queue, heap, edge, priority[edge])
    link_after = np.full(2 * n_edges, -1, np.int32)
    contacts = _Contacts(ends, total.copy(), count.copy(), priority, origin, link_after)
    return contacts, queue, heap


@kernel
def _clusters(contacts: _Contacts, size: Any) -> Any:
    n = size.size
    ids = np.arange(n).astype(np.uint32)
    first_link, n_links = np.full(n, -1, np.int32), np.zeros(n, np.int32)
    clusters = _Clusters(first_link, n_links, size.copy(), ids, ids.copy())
    for link in range(contacts.ends.size):
        _add_link(contacts, clusters, contacts.ends[link], link)
    return clusters


@kernel
def _add_link(contacts: _Contacts, clusters: _Clusters, node: Any, link: Any) -> None:
    contacts.link_after[link] = clusters.first_link[node]
    clusters.first_link[node] = link
    clusters.n_links[node] += 1


@kernel
def _slot(slots: Any, ends: Any, i: Any, j: Any) -> Any:
    """Slot of the edge between `i` and `j`, or the empty one where it belongs."""
    low, high = np.int64(min(i, j)), np.int64(max(i, j))
    key = low * 0x9E3779B1 + high * 0x85EBCA6B
    mask = slots.size - 1
    slot = (key ^ (key >> 17)) & mask
    while slots[slot] >= 0:
        link = 2 * slots[slot]
        if min(ends[link], ends[link + 1]) == low and max(ends[link], ends[link + 1]) == high:
            break
        slot = (slot + 1) & mask
    return slot


@kernel
def _hashed(ends: Any, n_slots: int) -> Any:
    """Return a table of the edges that are left; its last entry is their number."""
    slots = np.full(n_slots, -1, np.int32)
    for edge in range(ends.size // 2):
        if ends[2 * edge] != 0:
            slots[_slot(slots, ends, ends[2 * edge], ends[2 * edge + 1])] = edge
    return slots


@kernel
def _join_some(
    a: Any,
    b: Any,
    contacts: _Contacts,
    clusters: _Clusters,
    queue: EdgeQueue,
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
    highest = height[order[n_merges - 1]] if n_merges > 0 else np.float32(0)
    n_used = 0
    for slot in range(slots.size):
        n_used += slots[slot] >= 0
    while n_merges < stop:
        heap = next_key(queue, heap, contacts.priority, contacts.ends)
        if queue.state[0] == 0:
            break
        key = heap[0]
        edge = edge_of(key)
        drop_first(queue, heap)
        priority = contacts.priority[edge]
        if contacts.ends[2 * edge] == 0 or key != key_of(priority, edge):
            continue
        highest = max(highest, priority)
        origin = contacts.origin[edge]
        kept, gone, ended, near, far = _unite(contacts, clusters, edge, a[origin], b[origin])
        inside[ended], outside[ended], height[ended] = near, far, highest
        order[n_merges] = ended
        n_merges += 1
        heap, n_new = _move_links(contacts, clusters, queue, heap, slots, kept, gone)
        n_used += n_new
        if 4 * n_used > 3 * slots.size:
            slots = _hashed(contacts.ends, slots.size)
            n_used = 0
            for slot in range(slots.size):
                n_used += slots[slot] >= 0
    return heap, slots, n_merges


@kernel
def _unite(contacts: _Contacts, clusters: _Clusters, edge: int, near: Any, far: Any) -> Any:
    """Make one segment of both ends of `edge`.

    Return the end that stands for it, the other, the fragment whose segment
    ended, and `near` and `far` so that `near` lies in what ended.
    """
    kept, gone = np.int64(contacts.ends[2 * edge]), np.int64(contacts.ends[2 * edge + 1])
    if clusters.n_links[kept] < clusters.n_links[gone]:
        kept, gone = gone, kept
    contacts.ends[2 * edge] = contacts.ends[2 * edge + 1] = 0
    size, name = clusters.size, clusters.name
    larger, smaller = kept, gone
    if size[gone] > size[kept] or (size[gone] == size[kept] and name[gone] < name[kept]):
        larger, smaller = gone, kept
    if find_root(clusters.above, near) != smaller:
        near, far = far, near
    ended = name[smaller]
    name[kept] = name[larger]
    size[kept] += size[gone]
    clusters.above[gone] = kept
    return kept, gone, ended, near, far


@kernel
def _move_links(
    contacts: _Contacts,
    clusters: _Clusters,
    queue: EdgeQueue,
    heap: Any,
    slots: Any,
    kept: int,
    gone: int,
) -> Any:
    """Give `kept` the contacts of `gone`; return the heap and how many slots were taken."""
    ends = contacts.ends
    n_new = 0
    link = clusters.first_link[gone]
    while link >= 0:
        following = contacts.link_after[link]
        if ends[link] != 0:
            slot = _slot(slots, ends, kept, ends[link ^ 1])
            ends[link] = kept
            edge = link >> 1
            if slots[slot] < 0:
                n_new += 1
                slots[slot] = edge
            else:
                slots[slot], heap = _pool(contacts, queue, heap, edge, slots[slot])
            if slots[slot] == edge:
                _add_link(contacts, clusters, kept, link)
        link = following
    return heap, n_new


@kernel
def _pool(contacts: _Contacts, queue: EdgeQueue, heap: Any, one: int, two: int) -> Any:
    """Make one contact of two between the same segments; return which, and the heap."""
    if queue.place[one] < queue.place[two]:  # it is in the queue early enough for both
        one, two = two, one
    ends, total, count, priority = (
        contacts.ends,
        contacts.total,
        contacts.count,
        contacts.priority,
    )
    if priority[one] < priority[two]:
        contacts.origin[two] = contacts.origin[one]
    total[two] += total[one]
    count[two] += count[one]
    ends[2 * one] = ends[2 * one + 1] = 0
    mean = np.float32(total[two] / count[two])
    if mean != priority[two]:
        priority[two] = mean
        heap = enqueue(queue, heap, two, mean)
    return two, heap

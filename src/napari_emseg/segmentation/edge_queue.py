"""A queue of edges by priority: a heap for those up next, unsorted buckets for the rest.

Most edges of a region graph vanish before their turn comes, so sorting them
would be in vain. An edge waits in a bucket no later than that of its priority
and is looked at when the bucket opens: dropped if it has vanished, put further
back if its priority has risen, and pushed onto the heap otherwise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from napari_emseg.jit import kernel
from napari_emseg.segmentation.forest import grown

_SHIFT = 15  # a bucket is an exponent and the first eight binary digits
_N_BUCKETS = (0x3F800000 >> _SHIFT) + 2
_LOW = np.uint64(0xFFFFFFFF)


class EdgeQueue(NamedTuple):
    """Where each edge waits.

    Attributes
    ----------
    place : (E,) uint16
        The bucket an edge is in; 0 when it is in the heap.
    after, first : int32
        Edges of each bucket as linked lists; -1 ends one.
    state : (2,) int64
        Size of the heap; the bucket opened last.
    """

    place: Any
    after: Any
    first: Any
    state: Any


@kernel
def new_queue(n_edges: int) -> EdgeQueue:
    """Return an empty queue for edges 0 to ``n_edges - 1``."""
    return EdgeQueue(
        np.zeros(n_edges, np.uint16),
        np.empty(n_edges, np.int32),
        np.full(_N_BUCKETS, -1, np.int32),
        np.zeros(2, np.int64),
    )


@kernel
def _bits(priority: Any) -> Any:
    return np.uint64(np.float32(priority).view(np.uint32))  # ordered like floats from 0 up


@kernel
def key_of(priority: Any, edge: Any) -> Any:
    """One number that sorts by priority, then by edge."""
    return (_bits(priority) << np.uint64(32)) | np.uint64(edge)


@kernel
def edge_of(key: Any) -> Any:
    """Edge that :func:`key_of` was given."""
    return np.int64(key & _LOW)


@kernel
def enqueue(queue: EdgeQueue, heap: Any, edge: Any, priority: Any) -> Any:
    """Queue `edge` anew after its priority changed; return the heap.

    An entry of its old priority stays in the heap, where it no longer counts.
    """
    bucket = np.int64(_bits(priority) >> np.uint64(_SHIFT)) + 1
    place = queue.place[edge]
    if place == 0 and bucket > queue.state[1]:
        queue.place[edge] = bucket
        queue.after[edge] = queue.first[bucket]
        queue.first[bucket] = edge
        return heap
    if place == 0 or bucket < place:
        return _push(queue, heap, key_of(priority, edge))
    return heap


@kernel
def next_key(queue: EdgeQueue, heap: Any, priority: Any, ends: Any) -> Any:
    """Return the heap, whose first key is the lowest of all; empty if there is none."""
    while queue.state[0] == 0 and queue.state[1] + 1 < queue.first.size:
        queue.state[1] += 1
        edge = queue.first[queue.state[1]]
        while edge >= 0:
            following = queue.after[edge]
            queue.place[edge] = 0
            if ends[2 * edge] != 0:
                heap = enqueue(queue, heap, edge, priority[edge])
            edge = following
    return heap


@kernel
def _push(queue: EdgeQueue, heap: Any, key: Any) -> Any:
    i = queue.state[0]
    if i == heap.size:
        heap = grown(heap, 2 * i)
    queue.state[0] += 1
    while i > 0:
        parent = (i - 1) >> 1
        if heap[parent] <= key:
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = key
    return heap


@kernel
def drop_first(queue: EdgeQueue, heap: Any) -> None:
    """Take the lowest key off the heap."""
    queue.state[0] -= 1
    n = queue.state[0]
    key = heap[n]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and heap[child + 1] < heap[child]:
            child += 1
        if key <= heap[child]:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = key

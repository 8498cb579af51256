"""A queue of edges by priority: a heap for those up next, unsorted buckets for the rest.

Most edges of a region graph vanish before their turn comes, so sorting them
would be in vain. An edge waits in a bucket no later than that of its priority
and is looked at when the bucket opens: dropped if it has vanished, put further
back if its priority has risen, and pushed onto the heap otherwise.

The edges are records with the fields ``priority`` (float32, 0 or more), ``count``
(0 once an edge has vanished), and, for the queue's own use, ``bucket`` (uint16)
and ``after`` (int32), both 0 at first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel

_SHIFT = 15  # a bucket is an exponent and the first eight binary digits
_N_BUCKETS = (0x3F800000 >> _SHIFT) + 2  # up to priority 1
_OPEN, _HEAPED, _FIRST = 0, 1, 2  # in `state`: bucket opened last, size of the heap, buckets
_LOW = np.uint64(0xFFFFFFFF)


def new_queue() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]:
    """Return the state and the heap of an empty queue."""
    state = np.full(_FIRST + _N_BUCKETS, -1, np.int32)
    state[:_FIRST] = 0
    return state, np.empty(1024, np.uint64)


@kernel
def _bits(priority: Any) -> Any:
    return np.uint64(np.float32(priority).view(np.uint32))  # ordered like floats from 0 up


@kernel
def _key(priority: Any, edge: Any) -> Any:
    """One number that sorts by priority, then by edge."""
    return (_bits(priority) << np.uint64(32)) | np.uint64(edge)


@kernel
def _bucket_of(key: Any) -> Any:
    return np.int64(key >> np.uint64(32 + _SHIFT)) + 1


@kernel
def enqueue(edges: Any, state: Any, heap: Any, edge: Any) -> Any:
    """Queue `edge`, anew after its priority changed; return the heap.

    An entry of its old priority stays in the heap, where it no longer counts.
    """
    this = edges[edge]
    bucket = np.int64(_bits(this.priority) >> np.uint64(_SHIFT)) + 1
    waits_in = np.int64(this.bucket)  # 0 when in the heap
    if waits_in == 0 and bucket > state[_OPEN]:
        this.bucket = bucket
        this.after = state[_FIRST + bucket]
        state[_FIRST + bucket] = edge
        return heap
    if waits_in == 0 or bucket < waits_in:
        return _push(state, heap, _key(this.priority, edge))
    return heap


@kernel
def take_first(edges: Any, state: Any, heap: Any) -> Any:
    """Return the edge of the lowest priority, -1 if none is left, and the heap."""
    while True:
        heap = _open_buckets(edges, state, heap)
        if state[_HEAPED] == 0:
            return np.int64(-1), heap
        key = heap[0]
        _drop_first(state, heap)
        edge = np.int64(key & _LOW)
        if edges[edge].count > 0 and key == _key(edges[edge].priority, edge):
            return edge, heap


@kernel
def _open_buckets(edges: Any, state: Any, heap: Any) -> Any:
    """Open one bucket after the other until the first in the heap is before all others.

    A pooled contact of lower priority than both was pushed early, past buckets
    that are not open yet.
    """
    while _FIRST + state[_OPEN] + 1 < state.size and (
        state[_HEAPED] == 0 or _bucket_of(heap[0]) > state[_OPEN]
    ):
        state[_OPEN] += 1
        edge = np.int64(state[_FIRST + state[_OPEN]])
        while edge >= 0:
            this = edges[edge]
            following = np.int64(this.after)
            this.bucket = 0
            if this.count > 0:
                heap = enqueue(edges, state, heap, edge)
            edge = following
    return heap


@kernel
def _doubled(heap: Any) -> Any:
    bigger = np.empty(2 * heap.size, np.uint64)
    for i in range(heap.size):  # a slice would compile for seconds
        bigger[i] = heap[i]
    return bigger


@kernel
def _push(state: Any, heap: Any, key: Any) -> Any:
    i = np.int64(state[_HEAPED])
    if i == heap.size:
        heap = _doubled(heap)
    state[_HEAPED] += 1
    while i > 0:
        parent = (i - 1) >> 1
        if heap[parent] <= key:
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = key
    return heap


@kernel
def _drop_first(state: Any, heap: Any) -> None:
    state[_HEAPED] -= 1
    n = np.int64(state[_HEAPED])
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

"""From the forest to a table: which segment each fragment belongs to."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_emseg.jit import kernel
from napari_emseg.segmentation.forest import find_root


@kernel
def cut_heights(outside: Any, height: Any, root_first: Any, h: Any, table: Any) -> None:
    """Give fragments the id of the deepest minimum their water reaches.

    Only minima of dynamics above `h` keep their water. `root_first` lists the
    fragments to cut, each after that to which its water goes.
    """
    for k in range(root_first.size):
        i = root_first[k]
        table[i] = i if height[i] > h else table[outside[i]]


@kernel
def list_root_first(outside: Any) -> Any:
    """List all fragments, each after its `outside`, else close to ascending."""
    listed = np.zeros(outside.size, np.bool_)
    listed[0] = True
    order, path = np.empty(outside.size - 1, np.uint32), np.empty(outside.size, np.uint32)
    n = 0
    for i in range(1, outside.size):
        n_path = 0
        j = np.uint32(i)
        while not listed[j]:
            listed[j] = True
            path[n_path] = j
            n_path += 1
            j = outside[j]
        while n_path > 0:
            n_path -= 1
            order[n] = path[n_path]
            n += 1
    return order


@kernel
def absorb_small(
    inside: Any,
    outside: Any,
    order: Any,
    size: Any,
    min_size: int,
    first: int,
    stop: int,
    table: Any,
) -> int:
    """Join each segment below `min_size` to the neighbour it is least separated from.

    `table` holds, for fragments `first` to `stop`, ids of fragments that are
    their own segment; `order` lists merges in ascending saddle. The lowest pass
    out of a segment is a merge of the forest, so one run over the merges does
    it, and two segments that are both large enough are never joined. The larger
    keeps its id. Return the number of segments that vanished.
    """
    total = size[first:stop].copy()
    total[:] = 0
    for i in range(first, stop):
        total[table[i] - first] += size[i]
    n_absorbed = 0
    for k in range(order.size):
        edge = order[k]
        a, b = find_root(table, inside[edge]), find_root(table, outside[edge])
        if a == b:
            continue
        size_a, size_b = total[a - first], total[b - first]
        if size_a >= min_size and size_b >= min_size:
            continue
        if size_a > size_b or (size_a == size_b and a < b):
            a, b = b, a
        table[a] = b
        total[b - first] = size_a + size_b
        n_absorbed += 1
    for i in range(first, stop):
        table[i] = find_root(table, i)
    return n_absorbed


@kernel
def relabel(labels: Any, table: Any, out: Any) -> None:
    """Write ``table[labels]``; both arrays C-contiguous and of one shape."""
    ids, new = labels.reshape(-1), out.reshape(-1)
    for p in range(ids.size):
        new[p] = table[ids[p]]

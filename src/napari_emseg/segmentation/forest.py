"""The minimum spanning forest of the basins: which merges matter, and at what height."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.segmentation.parallel import for_each_slab, ignore


@dataclass(frozen=True, eq=False)
class Forest:
    """How each fragment's minimum ends when the water rises.

    Where the water of two basins meets, the higher minimum ends (of equal ones
    the larger id); the merge is filed under the fragment of that minimum. The
    arrays have one entry per fragment id, entry 0 unused.

    Attributes
    ----------
    inside, outside : uint32
        The two *adjacent* fragments between which the water passes; `inside`
        lies on the side of the minimum that ends. Both 0 for a minimum that
        never ends.
    saddle : float32
        The lowest pass between them; infinite if there is none.
    height : float32
        ``saddle - minimum`` in float32: the dynamics of the minimum.
    order : uint32
        The fragments that end, in ascending order of saddle.
    """

    inside: npt.NDArray[np.uint32]
    outside: npt.NDArray[np.uint32]
    saddle: npt.NDArray[np.float32]
    height: npt.NDArray[np.float32]
    order: npt.NDArray[np.uint32]

    @property
    def n_fragments(self) -> int:
        """Number of fragments."""
        return self.inside.size - 1


@dataclass(frozen=True, eq=False)
class MergeTree:
    """Merges in ascending height; cutting at h joins all with ``height <= h``.

    Attributes
    ----------
    a, b : uint32
        The adjacent fragments that each merge joins.
    height : float32
        Ascending; merges of equal height are in order of their saddle.
    saddle : float32
        Value of the boundary map at the pass.
    n_fragments : int
        Number of fragments; without merges there are as many segments.
    """

    a: npt.NDArray[np.uint32]
    b: npt.NDArray[np.uint32]
    height: npt.NDArray[np.float32]
    saddle: npt.NDArray[np.float32]
    n_fragments: int


Edges = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.float32]]


def build_forest(edges: Edges, minimum: npt.NDArray[np.float32]) -> Forest:
    """Build the forest from saddles between adjacent fragments.

    Parameters
    ----------
    edges : a, b (uint32, a < b), saddle (float32)
        Pairs of adjacent fragments; a pair may occur more than once. Of equal
        saddles that between the smaller ids comes first, so the forest does not
        depend on the order of the edges.
    minimum : float32
        Lowest value of each fragment; entry 0 unused.

    Returns
    -------
    Forest
        By Kruskal's algorithm.
    """
    a, b, saddle = edges
    n = minimum.size
    inside, outside = np.zeros(n, np.uint32), np.zeros(n, np.uint32)
    level, height = np.full(n, np.inf, np.float32), np.full(n, np.inf, np.float32)
    order = np.empty(max(n - 2, 0), np.uint32)
    n_merges = kruskal(
        a, b, saddle, sort_keys(b, a, saddle), minimum, inside, outside, level, height, order
    )
    return Forest(inside, outside, level, height, order[:n_merges])


def collect_edges(
    height: npt.NDArray[np.uint16],
    labels: npt.NDArray[np.uint32],
    report: Callable[[], None] = ignore,
) -> Edges:
    """Find the lowest passes between adjacent labels of a section or volume.

    Of a volume only those that its forest may need; called after each slab,
    `report` may raise.
    """

    def find(first: int, stop: int) -> Edges:
        edges: Edges = find_edges(height, labels, first, stop)
        return edges if len(labels) == 1 else thinned(edges)

    return join_edges(for_each_slab(find, len(labels), report))


def join_edges(parts: list[Edges]) -> Edges:
    """Put lists of edges one after the other."""
    if len(parts) == 1:
        return parts[0]
    a, b, saddle = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return a, b, saddle


def thinned(edges: Edges) -> Edges:
    """Drop the edges that no forest needs, because others join their ends lower.

    The forest of a volume is that of the forests of its parts and what joins them.
    """
    a, b, saddle = edges
    if a.size == 0:
        return edges
    kept = find_forest_edges(a, b, sort_keys(b, a, saddle), a.min(), b.max())
    return a[kept], b[kept], saddle[kept]


def sort_keys(*keys: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Return the indices that sort by the last key, then the one before it, and so on.

    Like ``numpy.lexsort``, in linear time; keys are uint32, or float32 from 0 up,
    which are ordered like their bits.
    """
    order = np.arange(keys[0].size, dtype=np.uint32)
    for key in keys:
        order = sort_by(key.view(np.uint32), order)
    return order


def sorted_tree(forest: Forest) -> MergeTree:
    """List the merges of `forest` by height, then saddle."""
    order = forest.order[sort_keys(forest.saddle[forest.order], forest.height[forest.order])]
    return MergeTree(
        a=forest.inside[order],
        b=forest.outside[order],
        height=forest.height[order],
        saddle=forest.saddle[order],
        n_fragments=forest.n_fragments,
    )


def join(forests: list[Forest]) -> Forest:
    """Put forests side by side; the ids of each are shifted past those before it."""
    starts = np.cumsum([0] + [forest.n_fragments for forest in forests])

    def shifted(name: str) -> npt.NDArray[np.uint32]:
        parts = [np.zeros(1, np.uint32)]
        for start, forest in zip(starts, forests, strict=False):
            ids: npt.NDArray[np.uint32] = getattr(forest, name)[1:]
            parts.append(np.where(ids > 0, ids + np.uint32(start), np.uint32(0)))
        return np.concatenate(parts)

    def plain(name: str) -> npt.NDArray[np.float32]:
        none = np.array([np.inf], np.float32)
        return np.concatenate([none, *(getattr(forest, name)[1:] for forest in forests)])

    order = [f.order + np.uint32(start) for start, f in zip(starts, forests, strict=False)]
    return Forest(
        shifted("inside"),
        shifted("outside"),
        plain("saddle"),
        plain("height"),
        np.concatenate(order),
    )


@kernel
def grown(array: Any, size: int) -> Any:
    """Return `array` with room for `size` entries."""
    bigger = np.empty(size, array.dtype)
    for i in range(array.size):  # assigning a slice takes seconds to compile
        bigger[i] = array[i]
    return bigger


@kernel
def empty_table() -> Any:
    """Return a hash table of no edges: pairs of ids in one number, 0 if free, and saddles."""
    return np.zeros(1024, np.uint64), np.empty(1024, np.float32)


@kernel
def with_room(keys: Any, saddle: Any, n: int, n_more: int) -> Any:
    """Return the table of `n` edges, larger where `n_more` would crowd it."""
    if 2 * (n + n_more) <= keys.size:
        return keys, saddle
    size = keys.size
    while 2 * (n + n_more) > size:
        size *= 2
    bigger, values = np.zeros(size, np.uint64), np.empty(size, np.float32)
    for slot in range(keys.size):
        if keys[slot] != 0:
            insert_key(bigger, values, keys[slot], saddle[slot])
    return bigger, values


@kernel
def insert_edge(keys: Any, saddle: Any, i: Any, j: Any, value: Any) -> int:
    """Lower the saddle between `i` and `j`, or add the edge; return how many are new."""
    low, high = np.uint64(min(i, j)), np.uint64(max(i, j))
    return insert_key(keys, saddle, (low << np.uint64(32)) | high, value)


@kernel
def insert_key(keys: Any, saddle: Any, key: Any, value: Any) -> int:
    """Lower the saddle of `key` in a table with room, or add it; return how many are new."""
    mask = np.uint64(keys.size - 1)
    slot = ((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask
    while keys[slot] != key:
        if keys[slot] == 0:
            keys[slot] = key
            saddle[slot] = value
            return 1
        slot = (slot + np.uint64(1)) & mask
    saddle[slot] = min(saddle[slot], value)
    return 0


@kernel
def edges_of(keys: Any, saddle: Any, n: int) -> Any:
    """List the `n` edges of a table."""
    a, b, values = np.empty(n, np.uint32), np.empty(n, np.uint32), np.empty(n, np.float32)
    n = 0
    for slot in range(keys.size):
        if keys[slot] != 0:
            a[n] = keys[slot] >> np.uint64(32)
            b[n] = keys[slot] & np.uint64(0xFFFFFFFF)
            values[n] = saddle[slot]
            n += 1
    return a, b, values


@kernel
def find_edges(height: Any, labels: Any, z_start: int, z_stop: int) -> Any:
    """Find the lowest pass between adjacent labels of sections `z_start` to `z_stop`.

    The faces towards section `z_stop` count too where that section exists.
    """
    n_z, n_y, n_x = height.shape
    keys, saddle = empty_table()
    n = 0
    for z in range(z_start, z_stop):
        for y in range(n_y):
            keys, saddle = with_room(keys, saddle, n, 3 * n_x)
            for x in range(n_x):
                i = labels[z, y, x]
                value = height[z, y, x]
                if x + 1 < n_x and labels[z, y, x + 1] != i:
                    pass_value = max(value, height[z, y, x + 1])
                    n += insert_edge(keys, saddle, i, labels[z, y, x + 1], pass_value)
                if y + 1 < n_y and labels[z, y + 1, x] != i:
                    pass_value = max(value, height[z, y + 1, x])
                    n += insert_edge(keys, saddle, i, labels[z, y + 1, x], pass_value)
                if z + 1 < n_z and labels[z + 1, y, x] != i:
                    pass_value = max(value, height[z + 1, y, x])
                    n += insert_edge(keys, saddle, i, labels[z + 1, y, x], pass_value)
    return edges_of(keys, saddle, n)


@kernel
def sort_by(key: Any, order: Any) -> Any:
    """Sort the indices `order` stably by their uint32 `key`."""
    largest = np.uint32(0)
    for i in range(key.size):
        largest = max(largest, key[i])
    count = np.empty(2049, np.int64)
    for shift in (0, 11, 22):
        if largest >> shift == 0:
            break
        other = np.empty_like(order)
        count[:] = 0
        for i in range(order.size):
            count[((key[order[i]] >> shift) & 2047) + 1] += 1
        for digit in range(2048):
            count[digit + 1] += count[digit]
        for i in range(order.size):
            digit = (key[order[i]] >> shift) & 2047
            other[count[digit]] = order[i]
            count[digit] += 1
        order = other
    return order


@kernel
def find_forest_edges(a: Any, b: Any, edge_order: Any, first: int, last: int) -> Any:
    """Return the edges that join something new, between ids `first` and `last`."""
    above = np.empty(last - first + 1, np.uint32)
    for i in range(above.size):
        above[i] = i
    kept, n = np.empty(above.size, np.uint32), 0
    for k in range(edge_order.size):
        edge = edge_order[k]
        i, j = find_root(above, a[edge] - first), find_root(above, b[edge] - first)
        if i != j:
            above[max(i, j)] = min(i, j)
            kept[n] = edge
            n += 1
    return kept[:n].copy()


@kernel
def find_root(above: Any, i: int) -> int:
    """Root of `i`, halving the path on the way."""
    while above[i] != i:
        above[i] = above[above[i]]
        i = above[i]
    return i


@kernel
def kruskal(
    a: Any,
    b: Any,
    saddle: Any,
    edge_order: Any,
    minimum: Any,
    inside: Any,
    outside: Any,
    level: Any,
    height: Any,
    order: Any,
) -> int:
    """Merge along ascending saddles; fill the forest's arrays; return the merges made."""
    above = np.empty(minimum.size, np.uint32)
    for i in range(above.size):
        above[i] = i
    n_merges = 0
    for k in range(edge_order.size):
        edge = edge_order[k]
        i, j = a[edge], b[edge]
        # Roots are deepest minima: the forest must know who ends, so no union by rank.
        survivor, ends = find_root(above, i), find_root(above, j)
        if survivor == ends:
            continue
        if minimum[survivor] > minimum[ends] or (
            minimum[survivor] == minimum[ends] and survivor > ends
        ):
            survivor, ends = ends, survivor
            i, j = j, i
        above[ends] = survivor
        inside[ends] = j
        outside[ends] = i
        level[ends] = saddle[edge]
        height[ends] = saddle[edge] - minimum[ends]
        order[n_merges] = ends
        n_merges += 1
    return n_merges

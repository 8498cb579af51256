"""Edges and forests: what is dropped on the way is never missed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.segmentation.forest import (
    build_forest,
    collect_edges,
    edges_of,
    empty_table,
    insert_edge,
    join_edges,
    sort_keys,
    thinned,
    with_room,
)

FIELDS = ("inside", "outside", "saddle", "height", "order")
seeds = st.integers(0, 2**32 - 1)


def random_edges(seed: int, n_fragments: int, n_edges: int):
    """Edges with many equal saddles, between random pairs, some of them twice."""
    random = np.random.default_rng(seed)
    pairs = np.sort(random.integers(1, n_fragments + 1, (n_edges, 2)), axis=1)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]].astype(np.uint32)
    saddle = random.integers(4, 9, len(pairs)).astype(np.float32)
    minimum = random.integers(0, 4, n_fragments + 1).astype(np.float32)
    return (pairs[:, 0].copy(), pairs[:, 1].copy(), saddle), minimum


def are_equal(one, other) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


@settings(deadline=None)
@given(seeds, st.integers(2, 30), st.integers(0, 90))
def test_forest_of_thinned_parts_in_any_order_is_that_of_all_edges(seed, n_fragments, n_edges):
    edges, minimum = random_edges(seed, n_fragments, n_edges)
    whole = build_forest(edges, minimum)
    shuffled = np.random.default_rng(seed).permutation(edges[0].size)
    halves = np.array_split(shuffled, 2)
    parts = [thinned(tuple(values[half] for values in edges)) for half in halves]
    assert are_equal(build_forest(join_edges(parts), minimum), whole)
    assert sum(part[0].size for part in parts) <= 2 * (n_fragments - 1)


@settings(deadline=None)
@given(seeds, st.sampled_from([1, 5, 3000, 2**22, 2**32 - 1]))
def test_keys_are_sorted_as_numpy_does(seed, top):
    random = np.random.default_rng(seed)
    ids = random.integers(0, top, 200, np.uint32)
    values = random.integers(0, 5, 200).astype(np.float32) / 7
    values[random.integers(0, 200)] = np.inf
    assert np.array_equal(sort_keys(ids, values), np.lexsort((ids, values)))


def test_edges_of_huge_ids_are_told_apart_and_kept_at_their_lowest():
    random = np.random.default_rng(0)
    ids = random.integers(1, 2**32 - 40, 60).astype(np.uint32)
    expected: dict[tuple[int, int], float] = {}
    keys, saddle = empty_table()
    n = 0
    for _ in range(5000):
        i, j = random.choice(ids, 2, replace=False)
        value = np.float32(random.integers(0, 1000))
        keys, saddle = with_room(keys, saddle, n, 1)
        n += insert_edge(keys, saddle, i, j, value)
        pair = (int(min(i, j)), int(max(i, j)))
        expected[pair] = min(expected.get(pair, np.inf), float(value))
    a, b, values = edges_of(keys, saddle, n)
    assert dict(zip(zip(a.tolist(), b.tolist(), strict=True), values.tolist(), strict=True)) == (
        expected
    )


def test_passes_between_labels_by_hand():
    labels = np.array([[[1, 1, 2], [3, 3, 2]]], np.uint32)
    height = np.array([[[5, 4, 9], [7, 1, 6]]], np.uint16)
    a, b, saddle = collect_edges(height, labels)
    order = sort_keys(b, a)
    assert a[order].tolist() == [1, 1, 2]
    assert b[order].tolist() == [2, 3, 3]
    assert saddle[order].tolist() == [9, 4, 6]

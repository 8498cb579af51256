"""Multicuts against the best of all partitions, where these can still be gone through."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix, csr_array
from scipy.sparse.csgraph import connected_components

from napari_emseg.segmentation import build_hierarchy, group, multicut
from napari_emseg.segmentation.multicut import THRESHOLDS, partition, solve_multicut, wall_costs
from napari_emseg.segmentation.rag import RegionGraph, build_rag
from napari_emseg.volume import Volume

quick = settings(deadline=None, max_examples=40)
solvers = st.sampled_from(["greedy_additive", "kernighan_lin"])


def make_graph(seed: int, n: int) -> RegionGraph:
    """About two thirds of all pairs touch, along 1 to 5 faces."""
    random = np.random.default_rng(seed)
    a, b = np.triu_indices(n, 1)
    chosen = random.random(a.size) < 0.67
    a, b = (ids[chosen].astype(np.uint32) + 1 for ids in (a, b))
    count = random.integers(1, 6, a.size)
    return RegionGraph(a, b, count * random.random(a.size), count, n)


def all_partitions(n: int) -> Iterator[list[int]]:
    """Each partition of n things once, as restricted growth strings."""

    def grow(prefix: list[int]) -> Iterator[list[int]]:
        if len(prefix) == n:
            yield prefix
            return
        for part in range(max(prefix, default=-1) + 2):
            yield from grow([*prefix, part])

    return grow([])


def energy(graph: RegionGraph, costs: np.ndarray, table: np.ndarray) -> float:
    """Costs of the contacts cut."""
    return float(costs[table[graph.a] != table[graph.b]].sum())


@quick
@given(st.integers(0, 999), st.integers(1, 6), st.floats(0.1, 0.9))
def test_close_to_the_best_partition_and_never_better(seed, n, threshold):
    graph = make_graph(seed, n)
    costs = wall_costs(graph, threshold)
    best = min(energy(graph, costs, np.array([-1, *parts])) for parts in all_partitions(n))
    greedy, refined = (
        energy(graph, costs, solve_multicut(graph, costs, solver=solver))
        for solver in ("greedy_additive", "kernighan_lin")
    )
    all_cut = float(costs.sum())
    assert best - 1e-9 <= refined <= greedy + 1e-9 <= all_cut + 2e-9


@quick
@given(st.integers(0, 999), st.integers(1, 30), st.floats(0.1, 0.9), solvers)
def test_segments_are_connected_and_cut_costs_say_so(seed, n, threshold, solver):
    graph = make_graph(seed, n)
    table = solve_multicut(graph, wall_costs(graph, threshold), solver=solver)
    kept = table[graph.a] == table[graph.b]
    links = coo_matrix((np.ones(kept.sum()), (graph.a[kept], graph.b[kept])), (n + 1, n + 1))
    assert connected_components(links, directed=False)[0] == np.unique(table).size
    assert table[0] == 0
    assert np.array_equal(table[table], table)


def test_walls_all_below_are_joined_and_all_above_are_cut():
    graph = make_graph(0, 12)
    graph = RegionGraph(graph.a, graph.b, 0.5 * graph.count, graph.count, 12)
    for solver in ("greedy_additive", "kernighan_lin"):
        for threshold, n_segments in ((0.4, 12), (0.6, 1)):
            table = solve_multicut(graph, wall_costs(graph, threshold), solver=solver)
            assert np.unique(table[1:]).size == n_segments


def test_a_ring_with_one_strong_wall_is_not_cut_in_one_place():
    """Cutting one wall of a ring is no partition; the multicut cuts two or none."""
    a, b = np.array([1, 1, 2], np.uint32), np.array([2, 3, 3], np.uint32)
    for count, n_segments in ((1, 1), (9, 2)):
        total, counts = np.array([0.2, 0.4, 0.58 * count]), np.array([1, 1, count])
        graph = RegionGraph(a, b, total, counts, 3)
        table = solve_multicut(graph, wall_costs(graph, 0.5))
        assert np.unique(table[1:]).size == n_segments


@pytest.mark.parametrize("solver", ["greedy_additive", "kernighan_lin"])
def test_a_table_for_each_threshold_names_segments_after_the_largest(solver):
    graph = make_graph(3, 20)
    sizes = np.random.default_rng(0).integers(1, 5, 21)
    calls = []
    tables = partition(graph, sizes, solver=solver, report=lambda: calls.append(1))
    assert len(calls) == len(tables) == len(THRESHOLDS)
    for table in tables:
        for segment in np.unique(table[1:]):
            members = np.flatnonzero(table == segment)
            assert segment == members[np.argmax(sizes[members])]
    n_segments = [np.unique(table[1:]).size for table in tables]
    assert n_segments[0] > n_segments[-1]


def test_no_contacts_no_cuts():
    nothing = np.zeros(0, np.uint32)
    graph = RegionGraph(nothing, nothing, np.zeros(0), np.zeros(0, np.int64), 3)
    assert solve_multicut(graph, wall_costs(graph, 0.5)).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("grouping", ["multicut", "lifted_multicut"])
def test_too_many_fragments_are_joined_but_not_moved(
    grouping: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that is said, once; what was noticed before stays."""
    noise = np.random.default_rng(4).random((3, 12, 13)).astype(np.float32)
    boundary = Volume(noise, kind="boundary", provenance={"notes": ["earlier"]})
    hierarchy = build_hierarchy(boundary, sigma_px=0, mode="3d")
    moved = group(hierarchy, boundary, grouping=grouping)
    assert moved.fragments.provenance["notes"] == ["earlier"]
    monkeypatch.setattr(multicut, "MAX_FRAGMENTS", hierarchy.n_fragments - 1)
    monkeypatch.setattr(multicut, "MAX_THRESHOLD", 0.3)
    joined = group(hierarchy, boundary, grouping=grouping)
    earlier, note = joined.fragments.provenance["notes"]
    assert (earlier, str(hierarchy.n_fragments) in note) == ("earlier", True)
    assert "joined but not moved" in note
    n_solved = THRESHOLDS.index(0.3) + 1
    assert (joined.tables[n_solved:] == joined.tables[n_solved - 1]).all()
    assert (moved.tables[-1] != moved.tables[n_solved - 1]).any()
    monkeypatch.undo()
    if grouping == "multicut":
        greedy = group(hierarchy, boundary, grouping="greedy_additive").tables
        np.testing.assert_array_equal(joined.tables[:n_solved], greedy[:n_solved])


def test_each_greedy_segment_is_connected() -> None:
    noise = np.random.default_rng(5).random((3, 12, 13)).astype(np.float32)
    hierarchy = build_hierarchy(noise, sigma_px=0, mode="3d")
    rag = build_rag(hierarchy.fragments.read(), noise.__getitem__, hierarchy.n_fragments)
    for threshold in (0.2, 0.5, 0.8):
        table = solve_multicut(rag, wall_costs(rag, threshold), solver="greedy_additive")
        inside = table[rag.a] == table[rag.b]
        ends = rag.a[inside], rag.b[inside]
        graph = csr_array((np.ones(ends[0].size), ends), shape=(table.size,) * 2)
        n_pieces, _ = connected_components(graph, directed=False)
        assert n_pieces == np.unique(table).size

"""Lifted multicut: what is asked of the solver, and the best there is on small graphs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tests.segmentation.literal_affinities import literal_mutex_watershed

from napari_emseg.progress import Cancelled
from napari_emseg.segmentation import build_hierarchy, group
from napari_emseg.segmentation.affinities import NEAREST, affinities_from_boundary
from napari_emseg.segmentation.affinity_view import boundary_of
from napari_emseg.segmentation.lifted import (
    lifted_costs,
    lifted_multicut_tables,
    mutex_watershed_tables,
)
from napari_emseg.segmentation.long_range import choose_long_range, find_lifted_edges
from napari_emseg.segmentation.multicut import wall_costs
from napari_emseg.segmentation.rag import RegionGraph, build_rag
from napari_emseg.volume import Volume

solvers = pytest.mark.parametrize("solve", [lifted_multicut_tables, mutex_watershed_tables])


def random_graph(seed: int, n: int = 6) -> tuple[RegionGraph, RegionGraph]:
    """A ring of fragments with some chords, the other pairs lifted."""
    random = np.random.default_rng(seed)
    pairs = list(combinations(range(1, n + 1), 2))
    is_base = [j - i in (1, n - 1) or random.random() < 0.2 for i, j in pairs]

    def measured(which: list[tuple[int, int]]) -> tuple[np.ndarray, ...]:
        a, b = np.array(which, np.uint32).reshape(-1, 2).T
        count = random.integers(1, 9, a.size)
        return a, b, random.random(a.size) * count, count

    base = [pair for pair, is_one in zip(pairs, is_base, strict=True) if is_one]
    others = [pair for pair, is_one in zip(pairs, is_base, strict=True) if not is_one]
    return RegionGraph(*measured(base), n), RegionGraph(*measured(others), n)


def energy(
    graph: RegionGraph, lifted: RegionGraph, threshold: float, weight: float, table: np.ndarray
) -> float:
    costs, apart = wall_costs(graph, threshold), lifted_costs(graph, lifted, threshold, weight)
    total = costs[table[graph.a] != table[graph.b]].sum()
    return float(total + apart[table[lifted.a] != table[lifted.b]].sum())


def best_energy(graph: RegionGraph, lifted: RegionGraph, threshold: float, weight: float) -> float:
    """Try every set of edges to join; fragments may only be joined along contacts."""
    best = np.inf
    for bits in range(2**graph.n_edges):
        kept = [e for e in range(graph.n_edges) if bits >> e & 1]
        ends = (graph.a[kept], graph.b[kept])
        joined = coo_array((np.ones(len(kept)), ends), shape=(graph.n_fragments + 1,) * 2)
        table = connected_components(joined, directed=False)[1]
        best = min(best, energy(graph, lifted, threshold, weight, table))
    return best


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_almost_always_the_best_there_is(weight):
    n_best = 0
    for seed in range(12):
        graph, lifted = random_graph(seed)
        (table,) = lifted_multicut_tables(graph, lifted, [0.5], lifted_weight=weight)
        found = energy(graph, lifted, 0.5, weight, table)
        everything = np.zeros(graph.n_fragments + 1)
        nothing = np.arange(graph.n_fragments + 1)
        for other in (everything, nothing):
            assert found <= energy(graph, lifted, 0.5, weight, other) + 1e-9
        n_best += found <= best_energy(graph, lifted, 0.5, weight) + 1e-9
    assert n_best >= 11


@solvers
@pytest.mark.parametrize("seed", range(5))
def test_segments_hang_together_along_contacts(solve, seed):
    graph, lifted = random_graph(seed, n=12)
    for table in solve(graph, lifted, [0.3, 0.5, 0.8]):
        same = table[graph.a] == table[graph.b]
        ends = (graph.a[same], graph.b[same])
        joined = coo_array((np.ones(same.sum()), ends), shape=(13, 13))
        component = connected_components(joined, directed=False)[1]
        assert np.unique(np.stack([component, table]), axis=1).shape[1] == np.unique(component).size
        assert np.array_equal(table[table], table)


@solvers
def test_lower_thresholds_keep_more_apart(solve):
    graph, lifted = random_graph(1, n=20)
    counts = [np.unique(table[1:]).size for table in solve(graph, lifted, [0.02, 0.5, 0.98])]
    assert counts[0] > counts[1] > counts[2]


@pytest.mark.parametrize("seed", range(10))
def test_the_mutex_watershed_is_that_of_the_printed_algorithm(seed):
    graph, lifted = random_graph(seed, n=9)
    for threshold in (0.3, 0.5, 0.7):
        sure = 2 * threshold - graph.mean
        attractive = list(zip(graph.a.tolist(), graph.b.tolist(), sure, strict=True))
        repulsive = list(zip(lifted.a.tolist(), lifted.b.tolist(), lifted.mean, strict=True))
        (table,) = mutex_watershed_tables(graph, lifted, [threshold])
        assert table.tolist() == literal_mutex_watershed(attractive, repulsive, 10)


def test_lifted_edges_are_pairs_that_do_not_touch():
    fragments = np.array([[[1, 1, 2, 3, 3, 0, 4]]], np.uint32)
    boundary = np.zeros(fragments.shape, np.float32)
    boundary[0, 0, 2] = 0.75
    offset = (0, 0, -3)
    affinities = affinities_from_boundary(boundary, [offset], along="max").data[0]
    lifted = find_lifted_edges(fragments, 4, [(offset, affinities)])
    # x = 3 to 0 and 4 to 1 cross the wall, 6 to 3 does not; 0 is nothing.
    assert lifted.a.tolist() == [1, 3]
    assert lifted.b.tolist() == [3, 4]
    assert lifted.count.tolist() == [2, 1]
    assert lifted.mean.tolist() == pytest.approx([0.75, 0])


def test_pairs_that_touch_can_count_too():
    fragments = np.array([[[1, 1, 2, 3, 3, 0, 4]]], np.uint32)
    channel = ((0, 0, -2), np.full((1, 1, 7), 0.25, np.float32))
    apart = find_lifted_edges(fragments, 4, [channel])
    every = find_lifted_edges(fragments, 4, [channel], with_touching=True)
    # x = 3 to 1 and 6 to 4; and 2 to 0 and 4 to 2, which touch.
    assert list(zip(apart.a, apart.b, strict=True)) == [(1, 3), (3, 4)]
    assert list(zip(every.a, every.b, strict=True)) == [(1, 2), (1, 3), (2, 3), (3, 4)]
    assert every.mean.tolist() == [0.75] * 4


@pytest.mark.parametrize("grouping", ["lifted_multicut", "mutex_watershed"])
def test_two_rooms_with_nothing_between_but_a_wall_stay_two(grouping):
    rooms = np.zeros((1, 20, 31), np.float32)
    rooms[0, :, 15] = 0.9
    rooms[0, :, 7] = 0.2  # no wall to speak of
    grouped = group(build_hierarchy(rooms, sigma_px=0), rooms, grouping=grouping)
    labels = grouped.cut(0.4).view()[0, 10]
    assert labels[2] == labels[12]
    assert labels[2] != labels[25]


def test_channels_add_up():
    random = np.random.default_rng(0)
    fragments = random.integers(1, 9, (3, 6, 7)).astype(np.uint32)
    channels = [(o, random.random((3, 6, 7)).astype(np.float32)) for o in ((0, 0, -3), (0, -3, 2))]
    both = find_lifted_edges(fragments, 8, channels)
    alone = [find_lifted_edges(fragments, 8, [channel]) for channel in channels]
    assert both.count.sum() == sum(edges.count.sum() for edges in alone)
    assert both.total.sum() == pytest.approx(sum(edges.total.sum() for edges in alone))
    assert np.unique(np.stack([both.a, both.b]), axis=1).shape[1] == both.a.size


def test_no_contacts_and_no_lifted_edges():
    fragments = np.array([[[1, 1], [1, 1]]], np.uint32)
    lifted = find_lifted_edges(fragments, 1, [((0, 0, -3), np.zeros((1, 2, 2), np.float32))])
    graph = build_rag(fragments, np.zeros((1, 2, 2), np.float32), 1)
    assert lifted_multicut_tables(graph, lifted, [0.5]).tolist() == [[0, 1]]
    assert mutex_watershed_tables(graph, lifted, [0.5]).tolist() == [[0, 1]]


def test_offsets_for_sections_stay_in_them():
    assert all(dz == 0 for dz, _, _ in choose_long_range((50, 4, 4), is_section=True))
    assert any(dz == 0 for dz, _, _ in choose_long_range(None, is_section=False))
    assert any(dz <= -9 for dz, _, _ in choose_long_range((8, 8, 8), is_section=False))


@solvers
def test_stopping_stops(solve):
    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        solve(*random_graph(0), [0.5], report=stop)


@pytest.mark.parametrize("grouping", ["lifted_multicut", "mutex_watershed"])
@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_long_range_affinities_that_come_along_are_used(grouping, mode):
    wall = np.zeros((2, 12, 30), np.float32)
    wall[:, :, 10] = wall[:, :, 20] = 0.3  # three fragments that would rather be one
    offsets = (*NEAREST, (0, 0, -15))
    affinities = affinities_from_boundary(wall, offsets).data
    counts = []
    for far in (1.0, 0.0):
        affinities[3] = far
        known = Volume(affinities.copy(), kind="affinities", provenance={"offsets": offsets})
        boundary = boundary_of(known)
        grouped = group(
            build_hierarchy(boundary, sigma_px=0, mode=mode), boundary, grouping=grouping
        )
        counts.append(grouped.cut(0.5).n_segments // (2 if mode == "2d" else 1))
    assert counts[0] == 1
    assert counts[1] > 1

"""Agglomeration against the same thing done slowly: all means anew after every merge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_emseg.progress import Cancelled
from napari_emseg.segmentation import agglomeration
from napari_emseg.segmentation.agglomeration import agglomerate, count_reports
from napari_emseg.segmentation.cutting import cut_heights, list_root_first
from napari_emseg.segmentation.forest import Forest
from napari_emseg.segmentation.rag import RegionGraph

quick = settings(deadline=None, max_examples=80)
Pairs = dict[tuple[int, int], tuple[float, int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[RegionGraph, np.ndarray]:
    """Any graph, even with parts apart; few distinct values or none alike; sizes."""
    n = draw(st.integers(1, 25))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    a, b = np.triu_indices(n, 1)
    chosen = random.random(a.size) < draw(st.sampled_from([0.05, 0.2, 0.5, 1.0]))
    a, b = a[chosen] + 1, b[chosen] + 1
    count = random.integers(1, draw(st.sampled_from([2, 6, 1000])), a.size)
    levels = draw(st.sampled_from([1, 4, 2**20]))  # dyadic, so that sums are exact
    total = count * random.integers(0, levels + 1, a.size) / levels
    graph = RegionGraph(a.astype(np.uint32), b.astype(np.uint32), total, count, n)
    sizes = random.integers(1, 9, n + 1)
    return graph, sizes


def cut(forest: Forest, threshold: float) -> np.ndarray:
    table = np.zeros(forest.n_fragments + 1, np.uint32)
    order = list_root_first(forest.outside)
    cut_heights(forest.outside, forest.height, order, np.float32(threshold), table)
    return table


def pooled(graph: RegionGraph, segment_of: np.ndarray) -> Pairs:
    """Total and count between all pairs of segments that touch."""
    pairs: Pairs = {}
    for i, j, total, count in zip(graph.a, graph.b, graph.total, graph.count, strict=True):
        one, two = sorted((int(segment_of[i]), int(segment_of[j])))
        if one != two:
            before = pairs.get((one, two), (0.0, 0))
            pairs[one, two] = (before[0] + float(total), before[1] + int(count))
    return pairs


def same_partition(one: np.ndarray, two: np.ndarray) -> bool:
    pairs = np.unique(np.stack([one, two]), axis=1)
    return pairs.shape[1] == np.unique(one).size == np.unique(two).size


@quick
@given(graphs(), st.sampled_from([0.0, 3.0, 100.0]))
def test_every_merge_is_of_the_weakest_wall_there_is(case, prior):
    graph, sizes = case
    forest = agglomerate(graph, sizes, prior_faces=prior)
    segment_of = np.arange(graph.n_fragments + 1)
    edges = set(zip(graph.a.tolist(), graph.b.tolist(), strict=True))
    highest = 0.0
    for ended in forest.order.tolist():
        means = {
            pair: (total + prior) / (n + prior)
            for pair, (total, n) in pooled(graph, segment_of).items()
        }
        inside, outside = int(forest.inside[ended]), int(forest.outside[ended])
        assert (min(inside, outside), max(inside, outside)) in edges
        assert segment_of[inside] == ended
        survivor = segment_of[outside]
        mean = means[min(ended, survivor), max(ended, survivor)]
        assert mean == pytest.approx(min(means.values()), abs=1e-6)
        highest = max(highest, mean)
        assert forest.height[ended] == pytest.approx(highest, abs=1e-6)
        segment_of[segment_of == ended] = survivor
    assert pooled(graph, segment_of) == {}


@quick
@given(graphs(), st.integers(0, 16).map(lambda level: level / 16))
def test_cutting_is_stopping(case, threshold):
    """The greedy written plainly; where two walls are alike, either may fall first."""
    graph, sizes = case
    segment_of = np.arange(graph.n_fragments + 1)
    while pairs := pooled(graph, segment_of):
        means = {pair: np.float32(total / n) for pair, (total, n) in pairs.items()}
        (one, two), lowest = min(means.items(), key=lambda item: item[1])
        if lowest > threshold:
            break
        assume(list(means.values()).count(lowest) == 1)
        segment_of[segment_of == two] = one
    assert same_partition(cut(agglomerate(graph, sizes), threshold), segment_of)


@quick
@given(graphs())
def test_the_larger_segment_keeps_its_id(case):
    graph, sizes = case
    forest = agglomerate(graph, sizes)
    segment_of = np.arange(graph.n_fragments + 1)
    for ended in forest.order.tolist():
        survivor = segment_of[forest.outside[ended]]
        of_each = [sizes[1:][segment_of[1:] == i].sum() for i in (ended, survivor)]
        assert (of_each[0], -ended) < (of_each[1], -survivor)
        segment_of[segment_of == ended] = survivor


def test_a_prior_lets_the_large_contact_of_two_alike_join_first():
    one, two = np.array([1, 1], np.uint32), np.array([2, 3], np.uint32)
    graph = RegionGraph(one, two, np.array([0.4, 40.0]), np.array([2, 200]), n_fragments=3)
    sizes = np.array([0, 9, 5, 5])
    heights = agglomerate(graph, sizes, prior_faces=10).height
    assert heights[2] == pytest.approx(10.4 / 12)
    assert heights[3] == pytest.approx(50 / 210)


@st.composite
def graphs_of_faces(draw: st.DrawFn) -> tuple[RegionGraph, np.ndarray]:
    """A graph and its faces by value, in 8 bins."""
    graph, _ = draw(graphs())
    random = np.random.default_rng(draw(st.integers(0, 999)))
    counts = random.integers(0, 4, (graph.n_edges, 8)).astype(np.uint32)
    counts[np.arange(graph.n_edges), random.integers(0, 8, graph.n_edges)] += 1
    total = counts @ (np.arange(8) / 8)
    return RegionGraph(graph.a, graph.b, total, counts.sum(1, np.int64), graph.n_fragments), counts


def quantile_of(counts: np.ndarray, quantile: float) -> float:
    """Where the cumulative count, linear within each bin, reaches the quantile."""
    cumulative = np.append(0, np.cumsum(counts)) / counts.sum()
    edges = np.arange(counts.size + 1) / counts.size
    k = int(np.argmax(cumulative[1:] >= quantile))
    return float(np.interp(quantile, cumulative[k : k + 2], edges[k : k + 2]))


@quick
@given(graphs_of_faces(), st.sampled_from([0.1, 0.25, 0.5, 0.9]))
def test_every_merge_is_of_the_lowest_quantile_there_is(case, quantile):
    graph, counts = case
    sizes = np.ones(graph.n_fragments + 1, np.int64)
    forest = agglomerate(graph, sizes, face_values=counts, quantile=quantile)
    segment_of = np.arange(graph.n_fragments + 1)
    for ended in forest.order.tolist():
        pairs: dict[tuple[int, int], np.ndarray] = {}
        for i, j, row in zip(graph.a, graph.b, counts, strict=True):
            one, two = sorted((int(segment_of[i]), int(segment_of[j])))
            if one != two:
                pairs[one, two] = pairs.get((one, two), 0) + row
        walls = {pair: quantile_of(row, quantile) for pair, row in pairs.items()}
        survivor = segment_of[forest.outside[ended]]
        wall = walls[min(ended, survivor), max(ended, survivor)]
        assert wall == pytest.approx(min(walls.values()), abs=1e-6)
        assert forest.height[ended] == pytest.approx(wall, abs=1e-6)  # never falls, being between
        segment_of[segment_of == ended] = survivor


def test_a_wall_is_pooled_with_the_one_next_to_it():
    """1 and 2 join first; then 3 has a wall of (9 * 0.2 + 0.9) / 10 with both."""
    one, two = np.array([1, 1, 2], np.uint32), np.array([2, 3, 3], np.uint32)
    graph = RegionGraph(one, two, np.array([0.1, 1.8, 0.9]), np.array([1, 9, 1]), 3)
    forest = agglomerate(graph, np.array([0, 5, 5, 5]))
    assert forest.order.tolist() == [2, 3]
    assert forest.height[[2, 3]].tolist() == pytest.approx([0.1, 0.27])
    assert forest.outside[3] == 1  # where the wall is lowest


def test_a_table_of_contacts_that_fills_up_again_and_again(monkeypatch):
    random = np.random.default_rng(0)
    a, b = random.integers(1, 900, (2, 1500))
    pairs = np.unique(np.stack([np.minimum(a, b), np.maximum(a, b)])[:, a != b], axis=1)
    a, b = pairs.astype(np.uint32)
    graph = RegionGraph(a, b, random.random(a.size), np.ones(a.size, np.int64), 900)
    roomy = agglomerate(graph, np.ones(901, np.int64))
    monkeypatch.setattr(agglomeration, "_count_slots", lambda n: 1 << n.bit_length())
    tight = agglomerate(graph, np.ones(901, np.int64))
    assert np.array_equal(roomy.order, tight.order)
    assert np.array_equal(roomy.height, tight.height)
    assert (np.diff(tight.height[tight.order]) >= 0).all()


def test_in_portions_it_is_the_same_and_it_stops_when_asked(monkeypatch):
    random = np.random.default_rng(0)
    a, b = (ids.astype(np.uint32) + 1 for ids in np.triu_indices(40, 1))
    graph = RegionGraph(a, b, random.random(a.size), np.ones(a.size, np.int64), 40)
    sizes = random.integers(1, 9, 41)
    whole = agglomerate(graph, sizes)
    monkeypatch.setattr(agglomeration, "_MERGES_PER_REPORT", 7)
    calls = []
    portions = agglomerate(graph, sizes, lambda: calls.append(1))
    assert len(calls) == count_reports(40) == 6
    for name in ("inside", "outside", "height", "order"):
        assert np.array_equal(getattr(whole, name), getattr(portions, name))

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        agglomerate(graph, sizes, stop)

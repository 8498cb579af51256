"""Lifted multicut and mutex watershed of fragments: what is seen from afar has a say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.segmentation.multicut import THRESHOLDS, Solver, build_network, wall_costs
from napari_emseg.segmentation.parallel import ignore
from napari_emseg.segmentation.rag import RegionGraph

Table = npt.NDArray[np.uint32]
_OUTER_ITERATIONS = 5


def lifted_multicut_tables(
    graph: RegionGraph,
    lifted: RegionGraph,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    lifted_weight: float = 1.0,
    solver: Solver = "kernighan_lin",
    report: Callable[[], None] = ignore,
) -> npt.NDArray[np.uint32]:
    """Cut the region graph so that costs are lowest, at several thresholds.

    Contacts cost what they do in a multicut, see :func:`wall_costs`. A lifted
    edge costs likewise, but only where cutting it pays, so it can part what it
    connects and never join it. All lifted faces together weigh as much for
    each edge as those of contacts do, times `lifted_weight`.

    Parameters
    ----------
    graph : RegionGraph
        Contacts; walls in [0, 1].
    lifted : RegionGraph
        Pairs that do not touch; walls in [0, 1].
    thresholds : sequence of float
        Above 0 and below 1; more joins more, as a rule.
    lifted_weight : float
        0 gives the multicut without lifted edges.
    solver : {"greedy_additive", "kernighan_lin"}
        Greedy additive joining, or that and then Kernighan-Lin moves.
    report : callable
        Called once per threshold; what it raises ends the work.

    Returns
    -------
    (K, F + 1) uint32
        For each threshold the connected segment of each fragment: the id of its
        first one.

    References
    ----------
    M. Keuper et al., "Efficient decomposition of image and mesh graphs by lifted
    multicuts", ICCV 2015, doi:10.1109/ICCV.2015.204; T. Beier et al.,
    "Multicut brings automated neurite segmentation closer to human
    performance", Nat. Methods 14, 2017, doi:10.1038/nmeth.4151.

    Examples
    --------
    >>> ids = np.array([1, 2, 3], np.uint32)
    >>> graph = RegionGraph(ids[:2], ids[1:], np.array([0.3, 0.3]), np.array([1, 1]), 3)
    >>> apart = RegionGraph(ids[:1], ids[2:], np.array([0.999]), np.array([1]), 3)
    >>> lifted_multicut_tables(graph, apart, [0.5], lifted_weight=0.0)
    array([[0, 1, 1, 1]], dtype=uint32)
    >>> len(set(lifted_multicut_tables(graph, apart, [0.5])[0, 1:].tolist()))
    2
    """
    from bioimage_cpp.graph.lifted_multicut import (
        LiftedGreedyAdditiveMulticut,
        LiftedKernighanLinMulticut,
        LiftedMulticutObjective,
    )

    chosen = LiftedGreedyAdditiveMulticut()
    if solver == "kernighan_lin":
        chosen = LiftedKernighanLinMulticut(number_of_outer_iterations=_OUTER_ITERATIONS)

    tables = np.zeros((len(thresholds), graph.n_fragments + 1), np.uint32)
    for table, threshold in zip(tables, thresholds, strict=True):
        apart = lifted_costs(graph, lifted, threshold, lifted_weight)
        is_used = apart < 0
        objective = LiftedMulticutObjective(
            build_network(graph),
            wall_costs(graph, threshold),
            lifted_uvs=_pairs(lifted)[is_used],
            lifted_costs=apart[is_used],
        )
        table[:] = _connected(graph, np.asarray(chosen.optimize(objective)))
        report()
    return tables


def lifted_costs(
    graph: RegionGraph, lifted: RegionGraph, threshold: float, weight: float
) -> npt.NDArray[np.float64]:
    """Return what it costs to cut each lifted edge: 0 or less."""
    if graph.n_edges == 0 or lifted.n_edges == 0:
        return np.zeros(lifted.n_edges)
    scale = weight * graph.count.mean() / lifted.count.mean()
    costs: npt.NDArray[np.float64] = scale * np.minimum(wall_costs(lifted, threshold), 0)
    return costs


def mutex_watershed_tables(
    graph: RegionGraph,
    seen: RegionGraph,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    report: Callable[[], None] = ignore,
) -> npt.NDArray[np.uint32]:
    """Run the mutex watershed on fragments, at several thresholds.

    As :func:`mutex_labels` does on voxels: from the surest edge to the least
    sure one, a contact joins two segments unless they are forbidden to, and what
    is seen apart is forbidden. How sure a contact is is 1 - its mean wall, a
    long-range edge its mean wall.

    Parameters
    ----------
    graph : RegionGraph
        Contacts; walls in [0, 1].
    seen : RegionGraph
        Pairs that long-range edges connect, touching or not; walls in [0, 1].
    thresholds : sequence of float
        0.5 is the method as published; ``2 * threshold - 1`` is added to the
        sureness of contacts, so more joins more.
    report : callable
        Called once per threshold; what it raises ends the work.

    Returns
    -------
    (K, F + 1) uint32
        For each threshold the segment of each fragment: the id of its first one.

    References
    ----------
    S. Wolf et al., "The mutex watershed and its objective: efficient,
    parameter-free graph partitioning", IEEE TPAMI 43, 2021,
    doi:10.1109/TPAMI.2020.2980827.

    Examples
    --------
    >>> ids = np.array([1, 2, 3], np.uint32)
    >>> graph = RegionGraph(ids[:2], ids[1:], np.array([0.3, 0.4]), np.array([1, 1]), 3)
    >>> apart = RegionGraph(ids[:1], ids[2:], np.array([0.65]), np.array([1]), 3)
    >>> mutex_watershed_tables(graph, apart, [0.5, 0.9])
    array([[0, 1, 1, 3],
           [0, 1, 1, 1]], dtype=uint32)
    """
    from bioimage_cpp.graph.mutex_watershed import mutex_watershed_clustering

    tables = np.zeros((len(thresholds), graph.n_fragments + 1), np.uint32)
    for table, threshold in zip(tables, thresholds, strict=True):
        sureness = 2 * threshold - graph.mean
        labels = mutex_watershed_clustering(build_network(graph), sureness, _pairs(seen), seen.mean)
        table[:] = _connected(graph, np.asarray(labels))
        report()
    return tables


def _pairs(graph: RegionGraph) -> npt.NDArray[np.uint64]:
    return np.stack([graph.a, graph.b], axis=1).astype(np.uint64)


def _connected(graph: RegionGraph, labels: npt.NDArray[Any]) -> Table:
    """Name each connected piece of a segment after its first fragment."""
    from bioimage_cpp.graph import connected_components

    if graph.n_edges == 0:
        return np.arange(graph.n_fragments + 1, dtype=np.uint32)
    is_joined = labels[graph.a] == labels[graph.b]
    parts = connected_components(build_network(graph), edge_mask=is_joined)
    _, first, place = np.unique(parts, return_index=True, return_inverse=True)
    table: Table = first[place].astype(np.uint32)
    return table

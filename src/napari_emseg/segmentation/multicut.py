"""Multicut: the partition of a region graph that costs least, walls and contacts together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_emseg.segmentation.parallel import ignore
from napari_emseg.segmentation.rag import RegionGraph

Solver = Literal["greedy_additive", "kernighan_lin"]
THRESHOLDS = (0.02, *(round(0.05 * k, 2) for k in range(1, 20)), 0.98)
MAX_FRAGMENTS, MAX_THRESHOLD = 20_000, 0.8
"""More fragments at once are joined only, not moved any more, and up to this threshold."""

_CERTAIN = 1e-3  # a mean wall is never believed closer to 0 or 1


def wall_costs(graph: RegionGraph, threshold: float) -> npt.NDArray[np.float64]:
    """Return what it costs to cut each contact; negative where a cut pays.

    The log-odds of the mean wall w against the threshold T, for each face:
    ``count * (log((1 - w) / w) - log((1 - T) / T))``. So a wall below T would
    rather be joined, and a wide contact counts for more than a narrow one.

    Examples
    --------
    >>> one, two = np.array([1, 2], np.uint32), np.array([2, 3], np.uint32)
    >>> graph = RegionGraph(one, two, np.array([0.25, 1.5]), np.array([1, 2]), n_fragments=3)
    >>> wall_costs(graph, 0.5).round(2)
    array([ 1.1, -2.2])
    """
    wall = np.clip(graph.mean, _CERTAIN, 1 - _CERTAIN)
    costs: npt.NDArray[np.float64] = graph.count * (_logit(threshold) - _logit(wall))
    return costs


def solve_multicut(
    graph: RegionGraph, costs: npt.NDArray[np.float64], *, solver: Solver = "kernighan_lin"
) -> npt.NDArray[np.uint32]:
    """Partition the fragments so that the costs of the contacts cut sum up to little.

    Parameters
    ----------
    graph : RegionGraph
    costs : (E,) float64
        Of cutting each contact.
    solver : {"greedy_additive", "kernighan_lin"}
        Joining the pair with the highest summed cost as long as that is above 0;
        or that, and then moves of fragments between segments as long as they pay.
        Neither promises the best partition there is.

    Returns
    -------
    (F + 1,) uint32
        A connected segment for each fragment, named after its first fragment.

    References
    ----------
    M. Keuper et al., "Efficient decomposition of image and mesh graphs by lifted
    multicuts", ICCV 2015, doi:10.1109/ICCV.2015.204: both solvers, for costs
    without lifted edges.

    Examples
    --------
    >>> one, two = np.array([1, 2], np.uint32), np.array([2, 3], np.uint32)
    >>> graph = RegionGraph(one, two, np.array([0.25, 1.5]), np.array([1, 2]), n_fragments=3)
    >>> solve_multicut(graph, wall_costs(graph, 0.5))
    array([0, 1, 1, 3], dtype=uint32)
    """
    if graph.n_edges == 0:
        return np.arange(graph.n_fragments + 1, dtype=np.uint32)
    return _solve(graph, build_network(graph), costs, solver)


def build_network(graph: RegionGraph) -> Any:
    """Return the contacts as the library's graph, whose node 0 is alone."""
    from bioimage_cpp.graph import UndirectedGraph

    network = UndirectedGraph(graph.n_fragments + 1)
    network.insert_edges(np.stack([graph.a, graph.b], axis=1).astype(np.uint64))
    return network


def _solve(
    graph: RegionGraph, network: Any, costs: npt.NDArray[np.float64], solver: Solver
) -> npt.NDArray[np.uint32]:
    from bioimage_cpp.graph import connected_components
    from bioimage_cpp.graph.multicut import (
        ChainedMulticutSolvers,
        GreedyAdditiveMulticut,
        KernighanLinMulticut,
        MulticutObjective,
    )

    chosen = GreedyAdditiveMulticut()
    if solver == "kernighan_lin":
        chosen = ChainedMulticutSolvers([chosen, KernighanLinMulticut()])
    parts = np.asarray(chosen.optimize(MulticutObjective(network, costs)))
    if solver == "kernighan_lin":
        # What is moved last may leave a segment in two pieces.
        parts = connected_components(network, edge_mask=parts[graph.a] == parts[graph.b])
    _, first, place = np.unique(parts, return_index=True, return_inverse=True)
    table: npt.NDArray[np.uint32] = first[place].astype(np.uint32)
    return table


class Effort(NamedTuple):
    """How much of a multicut is done.

    Attributes
    ----------
    solver : {"greedy_additive", "kernighan_lin"}
    thresholds : tuple of float
        The first of ``THRESHOLDS``; those left out count as the last of these.
    notes : tuple of str
        What is not done, for people.
    """

    solver: Solver
    thresholds: tuple[float, ...]
    notes: tuple[str, ...]


def choose_effort(n_fragments: int, wanted: Solver) -> Effort:
    """Return what comes to an end in good time for so many fragments.

    The library's calls cannot be stopped. Kernighan-Lin took 1.4 s a threshold for 12,000
    fragments, 13 s for 22,000 and more than eight minutes for 61,000; greedy joining of
    these 2.5 s at a threshold of 0.8, and more than 40 s at 0.9, where nearly all is one.

    Examples
    --------
    >>> choose_effort(500, "kernighan_lin").solver, choose_effort(10**6, "kernighan_lin").solver
    ('kernighan_lin', 'greedy_additive')
    """
    if n_fragments <= MAX_FRAGMENTS:
        return Effort(wanted, THRESHOLDS, ())
    moves = "fragments are joined but not moved between segments afterwards, and "
    note = (
        f"For more than {MAX_FRAGMENTS} fragments, here {n_fragments}, a whole multicut takes too "
        f"long: {moves if wanted == 'kernighan_lin' else ''}thresholds above {MAX_THRESHOLD:g} "
        f"count as {MAX_THRESHOLD:g}. A higher floor or more smoothing gives fewer."
    )
    some = tuple(t for t in THRESHOLDS if t <= MAX_THRESHOLD)
    return Effort("greedy_additive", some, (note,))


def repeat_last(tables: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return one table for each of ``THRESHOLDS``, the last given for those beyond it."""
    rows = np.minimum(np.arange(len(THRESHOLDS)), len(tables) - 1)
    return np.asarray(tables[rows])


def partition(
    graph: RegionGraph,
    sizes_voxels: npt.NDArray[np.int64],
    *,
    solver: Solver,
    thresholds: Sequence[float] = THRESHOLDS,
    report: Callable[[], None] = ignore,
) -> npt.NDArray[np.uint32]:
    """Solve a multicut for each of some thresholds.

    Parameters
    ----------
    graph : RegionGraph
    sizes_voxels : (F + 1,) int64
        Voxels of each fragment.
    solver : {"greedy_additive", "kernighan_lin"}
    thresholds : sequence of float
    report : callable
        Called after each; what it raises ends the work.

    Returns
    -------
    (K, F + 1) uint32
        A segment has the id of its largest fragment, the first of equal ones.
    """
    by_size = np.lexsort((-np.arange(sizes_voxels.size), sizes_voxels))  # the first largest is last
    by_size = by_size[by_size > 0]
    tables = np.zeros((len(thresholds), graph.n_fragments + 1), np.uint32)
    network = build_network(graph) if graph.n_edges else None
    for k, threshold in enumerate(thresholds):
        table = np.arange(graph.n_fragments + 1, dtype=np.uint32)
        if network is not None:
            table = _solve(graph, network, wall_costs(graph, threshold), solver)
        largest = np.zeros_like(table)
        largest[table[by_size]] = by_size
        tables[k] = largest[table]
        report()
    return tables


def _logit(wall: npt.ArrayLike) -> npt.NDArray[np.float64]:
    value = np.asarray(wall, np.float64)
    logit: npt.NDArray[np.float64] = np.log(value / (1 - value))
    return logit

"""Multicut: the partition of a region graph that costs least, walls and contacts together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.segmentation.parallel import ignore
from napari_emseg.segmentation.rag import RegionGraph

Solver = Literal["greedy_additive", "kernighan_lin"]
THRESHOLDS = (0.02, *(round(0.05 * k, 2) for k in range(1, 20)), 0.98)
MAX_MOVED = 20_000
"""More fragments at once are joined only, and not moved between segments any more."""

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


def choose_solver(n_fragments: int, wanted: Solver) -> tuple[Solver, tuple[str, ...]]:
    """Return the solver that comes to an end for so many fragments, and what to say of it.

    Kernighan-Lin takes 1.4 s a threshold for 12,000 fragments, 13 s for 22,000, and more
    than eight minutes, in which nothing can stop it, for 61,000.

    Examples
    --------
    >>> choose_solver(500, "kernighan_lin")
    ('kernighan_lin', ())
    """
    if wanted == "greedy_additive" or n_fragments <= MAX_MOVED:
        return wanted, ()
    return "greedy_additive", (
        f"Of the multicut of {n_fragments} fragments only the greedy half was done: moving "
        f"fragments between segments afterwards ends in good time for up to {MAX_MOVED}. A higher "
        "floor or more smoothing gives fewer.",
    )


def partition(
    graph: RegionGraph,
    sizes_voxels: npt.NDArray[np.int64],
    *,
    solver: Solver,
    report: Callable[[], None] = ignore,
) -> npt.NDArray[np.uint32]:
    """Solve a multicut for each of ``THRESHOLDS``.

    Parameters
    ----------
    graph : RegionGraph
    sizes_voxels : (F + 1,) int64
        Voxels of each fragment.
    solver : {"greedy_additive", "kernighan_lin"}
    report : callable
        Called after each; what it raises ends the work.

    Returns
    -------
    (K, F + 1) uint32
        A segment has the id of its largest fragment, the first of equal ones.
    """
    by_size = np.lexsort((-np.arange(sizes_voxels.size), sizes_voxels))  # the first largest is last
    by_size = by_size[by_size > 0]
    tables = np.zeros((len(THRESHOLDS), graph.n_fragments + 1), np.uint32)
    network = build_network(graph) if graph.n_edges else None
    for k, threshold in enumerate(THRESHOLDS):
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

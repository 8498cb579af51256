"""The tree of mean walls against waterz and bioimage-cpp, on the same fragments.

One JSON line a claim; `ratio` is how many times faster than the peer, measured
in the same run. Seconds are of one processor, so that other work on the machine
does not count. Both peers give one threshold, the tree gives all. Then the multicut, a
threshold, against bioimage-cpp used by itself; `longest_silence_s` is the wall-clock time
between two reports of progress, at which the job can be stopped.

    python benchmarks/agglomeration.py --shape 16 512 512
    python benchmarks/agglomeration.py --shape 100 1024 1024 --map boundary.npy --noise 0.25
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from hierarchy_large import enlarge

from napari_emseg.segmentation import Hierarchy, build_hierarchy, group
from napari_emseg.segmentation.agglomeration import agglomerate
from napari_emseg.segmentation.building import FLOOR
from napari_emseg.segmentation.multicut import (
    Solver,
    choose_effort,
    partition,
    wall_costs,
)
from napari_emseg.segmentation.rag import RegionGraph, build_rag

TREE_LIMIT_S = 10.0  # 100x1024x1024


def main() -> None:
    options = parse_arguments()
    boundary = enlarge(options.map, tuple(options.shape), options.noise)
    group(build_hierarchy(boundary[:2, :64, :64], mode="3d"), boundary[:2, :64, :64])  # compile

    flood = {"sigma_px": options.sigma_px, "floor": options.floor}
    hierarchy = build_hierarchy(boundary, mode="3d", **flood)
    fragments, sizes = hierarchy.fragments.data, hierarchy.fragment_sizes_voxels
    rag, measured = clock(lambda: build_rag(fragments, boundary, hierarchy.n_fragments))
    _, joined = clock(lambda: agglomerate(rag, sizes))
    grouped = group(hierarchy, boundary)
    assert isinstance(grouped, Hierarchy)
    _, cut = clock(lambda: grouped.cut(options.threshold, 50), repeats=5)

    common = {
        "shape": options.shape,
        "fragments": hierarchy.n_fragments,
        "contacts": rag.n_edges,
        "segments": grouped.cut(options.threshold).n_segments,
    }
    report("region graph", measured, {}, common)
    peers = {}
    if not options.no_peers:
        labels, peers["bioimage_cpp"] = clock(lambda: run_bioimage_cpp(rag, common["segments"]))
        common["bioimage_cpp_segments"] = int(np.unique(labels[1:]).size)
        if find_spec("waterz"):
            labels, seconds = clock(lambda: run_waterz(boundary, fragments, options.threshold))
            common["waterz_segments"] = int(np.unique(labels).size)
            report("region graph and tree", measured + joined, {"waterz": seconds}, common)
    report("tree", joined, peers, {**common, "limit_s": TREE_LIMIT_S})
    report("one more cut", cut, peers, common)
    for wanted in () if options.no_multicut else ("greedy_additive", "kernighan_lin"):
        time_multicut(rag, sizes, wanted, common)


def time_multicut(
    rag: RegionGraph, sizes: np.ndarray, wanted: Solver, common: dict[str, Any]
) -> None:
    """All thresholds of the slider, and how long the job says nothing and cannot be stopped."""
    solver, thresholds, notes = choose_effort(rag.n_fragments, wanted)
    reports = [time.perf_counter()]
    start = time.process_time()
    partition(
        rag,
        sizes,
        solver=solver,
        thresholds=thresholds,
        report=lambda: reports.append(time.perf_counter()),
    )
    seconds = (time.process_time() - start) / len(thresholds)
    costs = [wall_costs(rag, threshold) for threshold in thresholds]
    _, peer = clock(lambda: [run_bare_multicut(rag, c, solver) for c in costs])
    values = {
        **common,
        "solver": solver,
        "all_thresholds_s": round(reports[-1] - reports[0], 2),
        "longest_silence_s": round(float(np.diff(reports).max()), 2),
        "notes": notes,
    }
    report(f"multicut, {wanted}", seconds, {"bioimage_cpp": peer / len(costs)}, values)


def run_bare_multicut(rag: RegionGraph, costs: np.ndarray, solver: Solver) -> np.ndarray:
    """Solve as the library is used by itself."""
    from bioimage_cpp.graph import UndirectedGraph
    from bioimage_cpp.graph.multicut import (
        GreedyAdditiveMulticut,
        KernighanLinMulticut,
        MulticutObjective,
    )

    graph = UndirectedGraph(rag.n_fragments + 1)
    graph.insert_edges(np.stack([rag.a, rag.b], axis=1).astype(np.uint64))
    is_greedy = solver == "greedy_additive"
    chosen = GreedyAdditiveMulticut() if is_greedy else KernighanLinMulticut()
    labels: np.ndarray = chosen.optimize(MulticutObjective(graph, costs))
    return labels


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(16, 512, 512))
    parser.add_argument(
        "--map", help="a .npy boundary map to be enlarged; by default a made-up one"
    )
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--sigma-px", type=float, default=0.5)
    parser.add_argument("--floor", type=float, default=FLOOR)
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--no-multicut", action="store_true")
    return parser.parse_args()


def run_bioimage_cpp(rag: RegionGraph, n_segments: int) -> np.ndarray:
    """Agglomerate by the mean until as many segments are left."""
    from bioimage_cpp.graph import UndirectedGraph
    from bioimage_cpp.graph.agglomeration import EdgeWeightedClusterPolicy

    graph = UndirectedGraph(rag.n_fragments + 1)
    graph.insert_edges(np.stack([rag.a, rag.b], axis=1).astype(np.uint64))
    policy = EdgeWeightedClusterPolicy(num_clusters_stop=n_segments + 1, size_regularizer=0.0)
    labels: np.ndarray = policy.optimize(graph, rag.mean, edge_sizes=rag.count.astype(np.float64))
    return labels


def run_waterz(boundary: np.ndarray, fragments: np.ndarray, threshold: float) -> np.ndarray:
    """Agglomerate by the mean affinity, 1 - the mean of the two voxels, up to the threshold."""
    import waterz

    affinities = np.ones((3, *boundary.shape), np.float32)
    for axis in range(3):
        after, before = (
            tuple(part if a == axis else slice(None) for a in range(3))
            for part in (slice(1, None), slice(None, -1))
        )
        affinities[(axis, *after)] = 1 - (boundary[after] + boundary[before]) / 2
    copy = fragments.astype(np.uint64)
    (labels,) = waterz.agglomerate(affinities, [threshold], fragments=copy)
    result: np.ndarray = labels
    return result


def clock(function: Callable[[], Any], repeats: int = 1) -> tuple[Any, float]:
    start = time.process_time()
    for _ in range(repeats):
        result = function()
    return result, (time.process_time() - start) / repeats


def report(claim: str, seconds: float, peers: dict[str, float], common: dict[str, Any]) -> None:
    ratios = {f"ratio_{name}": round(peer / seconds, 1) for name, peer in peers.items()}
    print(json.dumps({"claim": claim, "s": round(seconds, 4), **ratios, **common}), flush=True)


if __name__ == "__main__":
    main()

"""The affinity watershed and its merging, by the letter and slowly."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

NEAREST = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
Affinities = npt.NDArray[np.float32]


def grid_edges(affinities: Affinities) -> list[tuple[int, int, float]]:
    """List the voxels (flat index) of each nearest edge, and its affinity."""
    shape = affinities.shape[1:]
    edges = []
    for channel, offset in enumerate(NEAREST):
        for here in product(*(range(n) for n in shape)):
            there = tuple(np.add(here, offset))
            if min(there) >= 0:
                one, two = (int(np.ravel_multi_index(p, shape)) for p in (there, here))
                edges.append((one, two, float(affinities[(channel, *here)])))
    return edges


def steepest_edges(affinities: Affinities, low: float, high: float) -> set[tuple[int, int]]:
    """Directed edges of the steepest ascent graph."""
    low, high = float(np.float32(low)), float(np.float32(high))
    around: dict[int, list[tuple[float, int]]] = {}
    for one, two, value in grid_edges(affinities):
        if value > low:
            clipped = np.inf if value >= high else value
            around.setdefault(one, []).append((clipped, two))
            around.setdefault(two, []).append((clipped, one))
    return {
        (p, q) for p, neighbours in around.items() for v, q in neighbours if v == max(neighbours)[0]
    }


def strong_components(
    edges: set[tuple[int, int]], n: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Component of each voxel, and which components no edge leaves."""
    a, b = np.array(sorted(edges), int).reshape(-1, 2).T
    graph = coo_array((np.ones(a.size), (a, b)), shape=(n, n))
    n_components, component = connected_components(graph, connection="strong")
    is_final = np.ones(n_components, bool)
    is_final[component[a[component[a] != component[b]]]] = False
    return component, is_final


def literal_merging(
    labels: npt.NDArray[np.uint32],
    affinities: Affinities,
    size_threshold: int,
    weight: float,
    dust: int,
) -> npt.NDArray[np.int64]:
    """Size-dependent single linkage of regions; 0 is background."""
    flat = labels.reshape(-1).astype(int)
    strongest: dict[tuple[int, int], float] = {}
    for p, q, value in grid_edges(affinities):
        i, j = sorted((flat[p], flat[q]))
        if 0 < i != j:
            strongest[i, j] = max(value, strongest.get((i, j), 0.0))
    segments = {i: {i} for i in set(flat.tolist()) - {0}}
    size = np.bincount(flat)
    for (i, j), value in sorted(strongest.items(), key=lambda item: -item[1]):
        one, two = segments[i], segments[j]
        small = min(sum(size[k] for k in s) for s in (one, two)) < size_threshold
        if one is not two and small and value > np.float32(weight):
            one |= two
            for k in two:
                segments[k] = one
    result = np.zeros_like(flat)
    for p, i in enumerate(flat):
        if i and sum(size[k] for k in segments[i]) >= dust:
            result[p] = min(segments[i])
    return result.reshape(labels.shape)


def literal_mutex_watershed(
    attractive: list[tuple[int, int, float]], repulsive: list[tuple[int, int, float]], n: int
) -> list[int]:
    """Segment of each of `n` voxels, by the algorithm as it is printed."""
    segment = {i: {i} for i in range(n)}
    forbidden: set[tuple[int, int]] = set()
    edges = [(v, i, j, True) for i, j, v in attractive] + [
        (v, i, j, False) for i, j, v in repulsive
    ]
    for _, i, j, joins in sorted(edges, reverse=True):
        one, two = segment[i], segment[j]
        if one is two:
            continue
        if not joins:
            forbidden.add((i, j))
        elif not any((p in one and q in two) or (p in two and q in one) for p, q in forbidden):
            one |= two
            for k in two:
                segment[k] = one
    return [min(segment[i]) for i in range(n)]

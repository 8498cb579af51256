"""Long-range edges between fragments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from napari_emseg.segmentation.affinities import (
    LONG_RANGE,
    LONG_RANGE_ISOTROPIC,
    Map,
    Offset,
)
from napari_emseg.segmentation.parallel import ignore
from napari_emseg.segmentation.rag import RegionGraph

Labels = npt.NDArray[np.uint32]
MAX_CHANNELS = max(len(LONG_RANGE), len(LONG_RANGE_ISOTROPIC))
_CUBE = 1.5  # sections up to so many times as thick as pixels are wide count as cubes


def choose_long_range(
    voxel_size_nm: Sequence[float] | None, *, is_section: bool
) -> tuple[Offset, ...]:
    """Return the long-range offsets that suit a volume, or a section.

    Parameters
    ----------
    voxel_size_nm : (z, y, x) or None
        Not known counts as thick sections.
    is_section : bool
        Keep the offsets within a section only.

    Examples
    --------
    >>> choose_long_range((8, 8, 8), is_section=False) == LONG_RANGE_ISOTROPIC
    True
    """
    if not is_section and voxel_size_nm and voxel_size_nm[0] <= _CUBE * voxel_size_nm[2]:
        return LONG_RANGE_ISOTROPIC
    return tuple(offset for offset in LONG_RANGE if offset[0] == 0 or not is_section)


def find_lifted_edges(
    fragments: Labels,
    n_fragments: int,
    channels: Iterable[tuple[Offset, Map]],
    report: Callable[[], None] = ignore,
    *,
    with_touching: bool = False,
) -> RegionGraph:
    """Measure what long-range affinities see between fragments.

    Parameters
    ----------
    fragments : (z, y, x) uint32
        Ids 1..n_fragments; 0 is nothing.
    n_fragments : int
    channels : iterable of (offset, (z, y, x) float32)
        Affinities, one offset at a time, so that only one need be in memory.
    report : callable
        Called once per channel; what it raises ends the work.
    with_touching : bool
        Whether pairs that touch count too, or only those that do not.

    Returns
    -------
    RegionGraph
        A face is a pair of voxels, its wall 1 - their affinity.

    Examples
    --------
    >>> row = np.array([[[1, 2, 3]]], np.uint32)
    >>> seen = np.array([[[0, 0, 0.25]]], np.float32)
    >>> edges = find_lifted_edges(row, 3, [((0, 0, -2), seen)])
    >>> edges.a, edges.b, edges.total
    (array([1], dtype=uint32), array([3], dtype=uint32), array([0.75]))
    """
    from bioimage_cpp.graph import region_adjacency_graph
    from bioimage_cpp.graph.features import lifted_affinity_features, lifted_edges_from_affinities

    graph = region_adjacency_graph(fragments, number_of_threads=1)
    pairs, features = [np.empty((0, 2), np.uint64)], [np.empty((0, 2))]
    for offset, affinities in channels:
        found = lifted_edges_from_affinities(graph, fragments, [offset], number_of_threads=1)
        if with_touching:
            both = np.concatenate([found, graph.uv_ids()])
            found = both[np.lexsort((both[:, 1], both[:, 0]))]
        found = found[found[:, 0] > 0]
        values = affinities[np.newaxis]
        pairs.append(found)
        features.append(
            lifted_affinity_features(fragments, values, [offset], found, number_of_threads=1)
        )
        report()
    mean, count = np.concatenate(features).T
    is_seen = count > 0
    mean, count = mean[is_seen], count[is_seen]
    unique, place = np.unique(np.concatenate(pairs)[is_seen], axis=0, return_inverse=True)
    place, n_edges = place.reshape(-1), unique.shape[0]
    a, b = unique.astype(np.uint32).T
    return RegionGraph(
        a=a,
        b=b,
        total=np.bincount(place, (1 - mean) * count, n_edges).astype(np.float64),
        count=np.bincount(place, count, n_edges).astype(np.int64),
        n_fragments=n_fragments,
    )

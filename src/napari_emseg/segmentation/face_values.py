"""How the face values of each contact are spread, for quantiles of a wall."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.segmentation.parallel import ignore
from napari_emseg.segmentation.rag import Map, RegionGraph

N_BINS = 32
Labels = npt.NDArray[np.uint32]
_SHIFT = np.uint64(32)


def measure_face_values(
    graph: RegionGraph,
    fragments: Labels,
    section: Callable[[int], Map],
    report: Callable[[], None] = ignore,
) -> npt.NDArray[np.uint32]:
    """Count the faces of each contact by value.

    Parameters
    ----------
    graph : RegionGraph
        Of `fragments`.
    fragments : (z, y, x) uint32
    section : callable
        Returns section z of the map, (y, x) float32; asked for each once, in
        ascending order.
    report : callable
        Called once per section.

    Returns
    -------
    (E, N_BINS) uint32
        Faces in bins of equal width from 0 to 1.

    Examples
    --------
    >>> from napari_emseg.segmentation.rag import build_rag
    >>> labels = np.array([[[1, 2], [1, 2]]], np.uint32)
    >>> wall = np.array([[[0.0, 0.0], [1.0, 1.0]]], np.float32)
    >>> values = measure_face_values(build_rag(labels, wall, 2), labels, lambda z: wall[z])
    >>> values[0, 0], values[0, -1], values.sum()
    (np.uint32(1), np.uint32(1), np.uint64(2))
    """
    keys = (graph.a.astype(np.uint64) << _SHIFT) | graph.b
    counts = np.zeros(graph.n_edges * N_BINS, np.uint32)
    above: Map | None = None
    for z in range(fragments.shape[0]):
        here = section(z)
        for one, two, value in _faces(fragments, z, here, above):
            touch = (one != two) & (one > 0) & (two > 0)
            low, high = np.minimum(one, two)[touch], np.maximum(one, two)[touch]
            edge = np.searchsorted(keys, (low.astype(np.uint64) << _SHIFT) | high)
            bins = np.minimum((value[touch] * N_BINS).astype(np.int64), N_BINS - 1)
            np.add.at(counts, edge * N_BINS + bins, np.uint32(1))
        above = here
        report()
    return counts.reshape(graph.n_edges, N_BINS)


def _faces(
    fragments: Labels, z: int, here: Map, above: Map | None
) -> Iterator[tuple[Labels, Labels, npt.NDArray[Any]]]:
    """Fragments on both sides of the faces to the voxels before along z, y, x, and values."""
    labels = fragments[z]
    if above is not None:
        yield fragments[z - 1], labels, (above + here) / 2
    yield labels[:-1], labels[1:], (here[:-1] + here[1:]) / 2
    yield labels[:, :-1], labels[:, 1:], (here[:, :-1] + here[:, 1:]) / 2

"""The region graph: which fragments touch, along how many faces, and how strong the wall is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError


@dataclass(frozen=True, eq=False)
class RegionGraph:
    """Adjacent fragments and what lies between them.

    Attributes
    ----------
    a, b : (E,) uint32
        The two fragments, ``a < b``; each pair once, in ascending order.
    total : (E,) float64
        Sum of the face values of the contact.
    count : (E,) int64
        Faces of the contact, at least 1.
    n_fragments : int
        Fragments have the ids 1..n_fragments.
    """

    a: npt.NDArray[np.uint32]
    b: npt.NDArray[np.uint32]
    total: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    n_fragments: int

    @property
    def n_edges(self) -> int:
        """Number of pairs E."""
        return self.a.size

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean face value of each contact, (E,)."""
        return self.total / self.count


def build_rag(
    fragments: npt.NDArray[np.uint32], boundary: npt.NDArray[np.float32], n_fragments: int
) -> RegionGraph:
    """Measure the contacts between fragments.

    A face is shared by two voxels of different fragments; its value is the mean
    of the two voxels.

    Parameters
    ----------
    fragments : (z, y, x) uint32
        Ids 1..n_fragments; 0 is nothing and touches nothing.
    boundary : (z, y, x) float32
        The map the face values are taken from.
    n_fragments : int
        The largest id there may be.

    Returns
    -------
    RegionGraph

    Raises
    ------
    InputError
        If the shapes differ.

    Examples
    --------
    >>> wall = np.array([[[0.0, 0.25, 0.75, 0.0]]], np.float32)
    >>> rag = build_rag(np.array([[[1, 1, 2, 2]]], np.uint32), wall, n_fragments=2)
    >>> rag.a, rag.b, rag.mean
    (array([1], dtype=uint32), array([2], dtype=uint32), array([0.5]))
    """
    from bioimage_cpp.graph import region_adjacency_graph
    from bioimage_cpp.graph.features import edge_map_features

    if fragments.shape != boundary.shape:
        raise InputError(
            f"The fragments have the shape {fragments.shape} but the map {boundary.shape}; "
            "both must show the same voxels."
        )
    graph = region_adjacency_graph(fragments, number_of_threads=1)
    features = edge_map_features(graph, fragments, boundary, number_of_threads=1)
    pairs = np.asarray(graph.uv_ids())
    keep: Any = pairs[:, 0] > 0
    if not keep.all():
        pairs, features = pairs[keep], features[keep]
    count = features[:, 1].astype(np.int64)
    return RegionGraph(
        a=pairs[:, 0].astype(np.uint32),
        b=pairs[:, 1].astype(np.uint32),
        total=features[:, 0] * features[:, 1],
        count=count,
        n_fragments=n_fragments,
    )

"""Centre lines of segments in nm, with radii, as trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bioimage_cpp
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_emseg.morphometry.coarse import Factor, read_mask
from napari_emseg.morphometry.surfaces import Surface
from napari_emseg.morphometry.tiles import TILE_PX, Tiles
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import ZYX

_SCALE, _CONSTANT_NM = 1.5, 200.0
# Coarse voxels of the tiles, and of the box around them: about a second's work.
_MOST_VOXELS, _MOST_IN_BOX = 2_000_000, 32_000_000


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Centre lines of a segment: a tree for each piece.

    Attributes
    ----------
    nodes : (N, 3) float32
        Positions (z, y, x) in nm.
    edges : (E, 2) int32
        Pairs of nodes.
    radius_nm : (N,) float32
        Distance of each node from the surface.
    """

    nodes: npt.NDArray[np.float32]
    edges: npt.NDArray[np.int32]
    radius_nm: npt.NDArray[np.float32]

    @property
    def length_nm(self) -> float:
        """Length of all edges together."""
        start, stop = self.nodes[self.edges[:, 0]], self.nodes[self.edges[:, 1]]
        return float(np.linalg.norm(start - stop, axis=1).sum())


def skeleton_of(
    labels: Any,
    segment: int,
    tiles: Tiles,
    surface: Surface,
    *,
    voxel_size_nm: ZYX,
    offset_nm: ZYX = (0.0, 0.0, 0.0),
    progress: Progress = NO_PROGRESS,
) -> Skeleton:
    """Draw the centre lines of a segment.

    TEASAR (Sato et al., "TEASAR: tree-structure extraction algorithm for accurate and
    robust skeletons", 2000), by bioimage-cpp; of a large segment on coarser voxels. Radii
    are those of the surface.

    Parameters
    ----------
    labels : array-like
        (z, y, x) ids; only boxes around the tiles are read.
    segment : int
        Its id.
    tiles : (T, 3) int64
        Tiles in which it may lie, of `TileIndex.of`.
    surface : Surface
        Of the segment.
    voxel_size_nm, offset_nm : (z, y, x)
        Size of a voxel, and centre of the first.
    progress : Progress
        Called once per tile.

    Returns
    -------
    Skeleton
        Empty where there is no such segment; a segment in pieces has several trees.

    Examples
    --------
    >>> from napari_emseg.morphometry.surfaces import surface_of
    >>> from napari_emseg.morphometry.tiles import index_tiles
    >>> labels = np.zeros((9, 9, 60), np.uint8)
    >>> labels[3:6, 3:6, 5:55] = 1
    >>> tiles, size = index_tiles(labels).of([1]), (64.0, 64.0, 64.0)
    >>> surface = surface_of(labels, 1, tiles, voxel_size_nm=size)
    >>> round(skeleton_of(labels, 1, tiles, surface, voxel_size_nm=size).length_nm / 64)
    50
    """
    if not len(tiles) or not surface.n_faces:
        nothing = np.empty((0, 3), np.float32)
        return Skeleton(nothing, np.empty((0, 2), np.int32), nothing[:, 0])
    factor = _factor(tiles, voxel_size_nm)
    mask, corner = read_mask(labels, segment, tiles, factor, progress)
    size = np.array(factor) * np.array(voxel_size_nm)
    places, edges, _ = bioimage_cpp.skeleton.teasar(
        mask, spacing=tuple(size), scale=_SCALE, constant=_CONSTANT_NM
    )
    middle = (np.array(factor) - 1) / 2 * np.array(voxel_size_nm)
    nodes = places + corner * size + middle + np.array(offset_nm)
    radius, _ = cKDTree(surface.vertices).query(nodes)
    return Skeleton(nodes.astype(np.float32), edges.astype(np.int32), radius.astype(np.float32))


def parents_of(skeleton: Skeleton) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the nodes in an order in which each follows its parent, and those parents.

    Parameters
    ----------
    skeleton : Skeleton

    Returns
    -------
    order : (N,) int64
        Nodes; each tree starts at its thickest end.
    parent : (N,) int64
        Parent of each of them, a node; -1 for the first of a tree.
    """
    around: list[list[int]] = [[] for _ in range(len(skeleton.nodes))]
    for a, b in skeleton.edges.tolist():
        around[a].append(b)
        around[b].append(a)
    parent = np.full(len(around), -2, np.int64)
    order: list[int] = []
    for root in np.argsort([len(a) > 1 for a in around] - skeleton.radius_nm * 1e-9).tolist():
        waiting = [(root, -1)] if parent[root] == -2 else []
        while waiting:
            node, before = waiting.pop()
            if parent[node] != -2:
                continue
            parent[node] = before
            order.append(node)
            waiting += [(other, node) for other in around[node]]
    listed = np.array(order, np.int64)
    return listed, parent[listed]


def _factor(tiles: Tiles, voxel_size_nm: ZYX) -> Factor:
    extent = (tiles.max(axis=0) - tiles.min(axis=0) + 1) * TILE_PX
    size, factor = np.array(voxel_size_nm, float), np.ones(3, np.int64)
    while factor.min() < TILE_PX and (
        len(tiles) * TILE_PX**3 / np.prod(factor) > _MOST_VOXELS
        or np.prod(extent / factor) > _MOST_IN_BOX
    ):
        factor[int(np.argmin(np.where(factor < TILE_PX, factor * size, np.inf)))] *= 2
    return int(factor[0]), int(factor[1]), int(factor[2])

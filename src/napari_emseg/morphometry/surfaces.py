"""Closed surfaces of segments in nm, from the tiles that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.morphometry.coarse import Factor, check_factor, read_coarse
from napari_emseg.morphometry.marching import Marcher
from napari_emseg.morphometry.smoothing import smooth
from napari_emseg.morphometry.tiles import TILE_PX, Tiles
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import ZYX

_FACES_PER_TILE = 2400  # of dendrites and axons of mouse cortex, 32 nm voxels
_MOST_FACES = 4_000_000


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles around a segment.

    Attributes
    ----------
    vertices : (N, 3) float32
        Positions (z, y, x) in nm.
    faces : (M, 3) int32
        Vertices of each triangle, outward by the right-hand rule in (x, y, z).
    """

    vertices: npt.NDArray[np.float32]
    faces: npt.NDArray[np.int32]

    @property
    def n_faces(self) -> int:
        """Number of triangles."""
        return int(self.faces.shape[0])


def surface_of(
    labels: Any,
    segment: int,
    tiles: Tiles,
    *,
    voxel_size_nm: ZYX,
    offset_nm: ZYX = (0.0, 0.0, 0.0),
    factor: Factor = (1, 1, 1),
    smooth_rounds: int = 2,
    progress: Progress = NO_PROGRESS,
) -> Surface:
    """Return the surface of a segment, closed where the volume ends.

    Marching cubes (Lorensen and Cline, SIGGRAPH 1987) with a table in which voxels that
    touch along an edge only are parted, so that each edge has exactly two triangles.

    Parameters
    ----------
    labels : array-like
        (z, y, x) ids; only boxes around the tiles are read.
    segment : int
        Its id.
    tiles : (T, 3) int64
        Tiles in which it may lie, of `TileIndex.of`.
    voxel_size_nm, offset_nm : (z, y, x)
        Size of a voxel, and centre of the first.
    factor : (z, y, x)
        Voxels along the side of a coarser one, of those numbers that divide 32; one
        that holds any voxel of the segment is inside.
    smooth_rounds : int
        How often steps are smoothed; 0 leaves corners halfway between voxels.
    progress : Progress
        Called once per tile.

    Returns
    -------
    Surface
        Empty where there is no such segment.

    Raises
    ------
    InputError
        If the factor does not divide the tiles.

    Examples
    --------
    >>> from napari_emseg.morphometry.tiles import index_tiles
    >>> labels = np.zeros((5, 5, 5), np.uint8)
    >>> labels[2, 2, 2] = 7
    >>> tiles = index_tiles(labels).of([7])
    >>> surface = surface_of(labels, 7, tiles, voxel_size_nm=(40, 8, 8), smooth_rounds=0)
    >>> surface.vertices.min(axis=0), surface.n_faces
    (array([60., 12., 12.], dtype=float32), 8)
    """
    check_factor(factor)
    shape = tuple(-(-int(n) // f) for n, f in zip(labels.shape, factor, strict=True))
    marcher = Marcher(shape, tuple(TILE_PX // f for f in factor))
    claims = _claims(tiles, labels.shape)
    for k, tile in enumerate(tiles):
        inside, corner = read_coarse(labels, segment, tile, np.array(factor))
        if inside is not None:
            marcher.add(inside, corner, claims[k])
        progress.update(k + 1, len(tiles), "Making surfaces")
    vertices, faces = marcher.sew()
    vertices = smooth(vertices, faces, smooth_rounds)
    step = np.array(factor, np.float64)
    place = (vertices * step + (step - 1) / 2) * np.array(voxel_size_nm) + np.array(offset_nm)
    return Surface(place.astype(np.float32), faces)


def factor_for(n_tiles: int, voxel_size_nm: ZYX, most_faces: int = _MOST_FACES) -> Factor:
    """Return how much coarser to look at a segment so as not to get too many triangles.

    Parameters
    ----------
    n_tiles : int
        In which it lies.
    voxel_size_nm : (z, y, x)
        Coarser voxels come closer to cubes.
    most_faces : int
        About so many triangles at most.

    Returns
    -------
    (z, y, x)

    Examples
    --------
    >>> factor_for(100, (40, 8, 8)), factor_for(100, (40, 8, 8), 50_000)
    ((1, 1, 1), (1, 4, 4))
    """
    factor = np.ones(3, np.int64)
    n_faces = float(n_tiles * _FACES_PER_TILE)
    while n_faces > most_faces and factor.min() < TILE_PX:
        size = np.where(factor < TILE_PX, factor * np.array(voxel_size_nm), np.inf)
        axis = 2 - int(np.argmin(size[::-1]))
        factor[axis] *= 2
        n_faces /= 2 ** (2 / 3)
    z, y, x = (int(f) for f in factor)
    return z, y, x


def _claims(tiles: Tiles, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Say which cubes of each tile are its own: the lower ends of axes, inner ones, upper ends.

    A cube at an end touches other tiles, too. It belongs to the first of those that are
    read at all.
    """
    is_read = np.zeros([-(-int(n) // TILE_PX) + 2 for n in shape], bool)
    is_read[tuple(tiles.T + 1)] = True
    before = {
        offset: is_read[tuple((tiles + 1 + offset).T)]
        for offset in product((-1, 0, 1), repeat=3)
        if offset < (0, 0, 0)
    }
    claims = np.ones((len(tiles), 3, 3, 3), bool)
    for ends in product((0, 1, 2), repeat=3):
        touched = product(*((((-1, 0), (0,), (0, 1))[end]) for end in ends))
        for offset in touched:
            if offset < (0, 0, 0):
                claims[:, ends[0], ends[1], ends[2]] &= ~before[offset]
    return claims

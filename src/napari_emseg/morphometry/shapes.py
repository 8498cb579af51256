"""Surfaces and skeletons of the segments of one volume, by their ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.morphometry.simplifying import simplify
from napari_emseg.morphometry.skeletons import Skeleton, skeleton_of
from napari_emseg.morphometry.surfaces import Surface, factor_for, surface_of
from napari_emseg.morphometry.tiles import Tiles, index_tiles
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import ZYX, Volume

QUICK_FACES = 100_000


@dataclass(frozen=True, eq=False)
class Shapes:
    """Where the shapes of segments come from.

    Attributes
    ----------
    labels : array-like
        (z, y, x) ids, read in boxes around the segments.
    tiles_of : callable
        Tiles in which a segment can lie.
    voxel_size_nm, offset_nm : (z, y, x)
        Size of a voxel, and centre of the first.
    ids : sequence of int
        Segments there are, where that is known; the largest first.

    Examples
    --------
    >>> labels = Volume(np.full((3, 4, 5), 8), kind="labels", voxel_size_nm=(40, 4, 4))
    >>> find_shapes(labels).surface(8).vertices.max(axis=0).round()
    array([102.,  14.,  18.], dtype=float32)
    """

    labels: Any
    tiles_of: Callable[[int], Tiles]
    voxel_size_nm: ZYX
    offset_nm: ZYX = (0.0, 0.0, 0.0)
    ids: Sequence[int] = ()

    def surface(
        self,
        segment: int,
        *,
        most_faces: int | None = None,
        progress: Progress = NO_PROGRESS,
    ) -> Surface:
        """Return the surface of a segment, from all its voxels.

        Parameters
        ----------
        segment : int
        most_faces : int, optional
            About so many triangles at most; all there are, by default.
        progress : Progress

        Returns
        -------
        Surface
        """
        tiles = self.tiles_of(segment)
        factor = factor_for(len(tiles), self.voxel_size_nm)
        surface = self._surface(segment, tiles, factor, progress)
        return surface if most_faces is None else simplify(surface, most_faces, progress=progress)

    def quick_surface(
        self, segment: int, *, most_faces: int = QUICK_FACES, progress: Progress = NO_PROGRESS
    ) -> Surface:
        """Return the surface of a segment from coarser voxels: a first look, a little too thick.

        Parameters
        ----------
        segment : int
        most_faces : int
            About so many triangles at most.
        progress : Progress

        Returns
        -------
        Surface
        """
        tiles = self.tiles_of(segment)
        factor = factor_for(len(tiles), self.voxel_size_nm, most_faces)
        return self._surface(segment, tiles, factor, progress)

    def skeleton(
        self, segment: int, *, surface: Surface | None = None, progress: Progress = NO_PROGRESS
    ) -> Skeleton:
        """Return the centre lines of a segment.

        Parameters
        ----------
        segment : int
        surface : Surface, optional
            Its surface, where that is at hand.
        progress : Progress

        Returns
        -------
        Skeleton
        """
        return skeleton_of(
            self.labels,
            segment,
            self.tiles_of(segment),
            self.surface(segment, progress=progress) if surface is None else surface,
            voxel_size_nm=self.voxel_size_nm,
            offset_nm=self.offset_nm,
            progress=progress,
        )

    def _surface(self, segment: int, tiles: Tiles, factor: Any, progress: Progress) -> Surface:
        return surface_of(
            self.labels,
            segment,
            tiles,
            voxel_size_nm=self.voxel_size_nm,
            offset_nm=self.offset_nm,
            factor=factor,
            progress=progress,
        )


def find_shapes(labels: Volume, *, progress: Progress = NO_PROGRESS) -> Shapes:
    """Look through labels once, for the shapes of their segments.

    Parameters
    ----------
    labels : Volume
        Of known voxel size.
    progress : Progress
        Called once per row of tiles.

    Returns
    -------
    Shapes

    Raises
    ------
    InputError
        If the voxel size is not known.
    """
    if labels.voxel_size_nm is None:
        raise InputError(
            f"The voxel size of {labels.name or 'the labels'} is not known, and shapes need it: "
            "say it first."
        )
    index = index_tiles(labels.data, progress=progress)
    ids = index.ids[np.argsort(-index.n_voxels, kind="stable")].tolist()
    return Shapes(
        labels.data,
        lambda segment: index.of([segment]),
        labels.voxel_size_nm,
        labels.offset_nm,
        ids,
    )

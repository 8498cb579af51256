"""In which tiles of a volume ids lie, so that a sparse neuron is found without reading it all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.progress import NO_PROGRESS, Progress

TILE_PX = 32
Tiles = npt.NDArray[np.int64]
Box = tuple[slice, slice, slice]


class TileIndex:
    """Which tiles hold each id.

    Parameters
    ----------
    shape : (z, y, x)
        Voxels of the volume.
    ids : (N,) array
        Ids but 0, one for each tile it lies in.
    tiles : (N,) int64
        Those tiles, numbered in C order.
    n_voxels : (N,) int64
        Voxels of the id in the tile.

    Examples
    --------
    >>> labels = np.zeros((40, 3, 70), np.uint64)
    >>> labels[33, :, 60:] = 2**40
    >>> index_tiles(labels).of([2**40])
    array([[1, 0, 1],
           [1, 0, 2]])
    """

    def __init__(
        self, shape: tuple[int, ...], ids: npt.NDArray[Any], tiles: Tiles, n_voxels: Tiles
    ) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.grid = tuple(-(-n // TILE_PX) for n in self.shape)
        order = np.argsort(ids, kind="stable")
        self._ids, starts = np.unique(ids[order], return_index=True)
        self._starts = np.append(starts, ids.size)
        self._tiles = tiles[order]
        summed = np.append(0, np.cumsum(n_voxels[order]))
        self.n_voxels: Tiles = np.diff(summed[self._starts])
        self._edited = np.empty(0, np.int64)

    @property
    def ids(self) -> npt.NDArray[Any]:
        """All ids but 0, ascending."""
        return self._ids

    def note(self, box: Box) -> None:
        """Take note that voxels in a box were edited: any id may be there now."""
        self._edited = np.union1d(self._edited, self._in(box))

    def noting(self, box: Box) -> TileIndex:
        """Return the index as it is after an edit in a box."""
        copy = TileIndex.__new__(TileIndex)
        copy.__dict__.update(self.__dict__)
        copy.note(box)
        return copy

    def of(self, ids: Iterable[int], box: Box | None = None) -> Tiles:
        """Return the tiles in which ids can lie.

        Parameters
        ----------
        ids : iterable of int
        box : box, optional
            Outside of which they are not known to lie.

        Returns
        -------
        (T, 3) int64
            Tiles (z, y, x), in C order.
        """
        last = np.iinfo(self._ids.dtype).max
        wanted = np.array([i for i in ids if 0 < i <= last], self._ids.dtype)
        if not wanted.size:
            return np.empty((0, 3), np.int64)
        parts = [self._edited if box is None else np.intersect1d(self._edited, self._in(box))]
        at = np.searchsorted(self._ids, wanted)
        for k, i in zip(at.tolist(), wanted.tolist(), strict=True):
            if k < self._ids.size and self._ids[k] == i:
                parts.append(self._tiles[self._starts[k] : self._starts[k + 1]])
        numbers = np.unique(np.concatenate(parts))
        return np.stack(np.unravel_index(numbers, self.grid), axis=1).astype(np.int64)

    def _in(self, box: Box) -> Tiles:
        axes = [np.arange(s.start // TILE_PX, (s.stop - 1) // TILE_PX + 1) for s in box]
        numbers: Tiles = np.ravel_multi_index(np.ix_(*axes), self.grid).ravel().astype(np.int64)
        return numbers


def index_tiles(labels: Any, *, progress: Progress = NO_PROGRESS) -> TileIndex:
    """Look through a volume once.

    Parameters
    ----------
    labels : array-like
        (z, y, x) ids of any whole type; read in slabs of 32 sections.
    progress : Progress
        Called once per row of tiles.

    Returns
    -------
    TileIndex
    """
    shape = tuple(int(n) for n in labels.shape)
    grid = tuple(-(-n // TILE_PX) for n in shape)
    dtype = np.dtype(np.uint8 if np.dtype(labels.dtype) == bool else labels.dtype)
    found: list[tuple[npt.NDArray[Any], Tiles, Tiles]] = []
    for z in range(grid[0]):
        slab = np.asarray(labels[z * TILE_PX : (z + 1) * TILE_PX]).astype(dtype, copy=False)
        for y in range(grid[1]):
            row = slab[:, y * TILE_PX : (y + 1) * TILE_PX]
            for x in range(grid[2]):
                ids, n_voxels = _count(row[:, :, x * TILE_PX : (x + 1) * TILE_PX])
                tile = (z * grid[1] + y) * grid[2] + x
                found.append((ids, np.full(ids.size, tile, np.int64), n_voxels))
            progress.update(z * grid[1] + y + 1, grid[0] * grid[1], "Finding segments")
    ids, tiles, n_voxels = (np.concatenate(part) for part in zip(*found, strict=True))
    return TileIndex(shape, ids, tiles, n_voxels)


def _count(tile: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Tiles]:
    """Return the ids of a tile but 0, and how many voxels each has."""
    flat = tile.ravel()
    is_first = np.ones(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=is_first[1:])
    starts = np.flatnonzero(is_first)
    lengths = np.diff(starts, append=flat.size)
    ids, which = np.unique(flat[starts], return_inverse=True)
    n_voxels = np.bincount(which, lengths).astype(np.int64)
    return ids[ids > 0], n_voxels[ids > 0]

"""A segment in voxels that are as coarse as one likes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.jit import kernel
from napari_emseg.morphometry.tiles import TILE_PX, Tiles
from napari_emseg.progress import NO_PROGRESS, Progress

Factor = tuple[int, int, int]


def check_factor(factor: Factor) -> None:
    """Make sure that coarse voxels fit into the tiles.

    Raises
    ------
    InputError
        If they do not.
    """
    if any(f < 1 or TILE_PX % f for f in factor):
        raise InputError(f"Shapes can be coarser by 1, 2, 4 ... {TILE_PX}, not by {factor}.")


def read_coarse(
    labels: Any, segment: int, tile: npt.NDArray[np.int64], factor: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8] | None, npt.NDArray[np.int64]]:
    """Read a tile and one coarse voxel around it.

    Parameters
    ----------
    labels : array-like
        (z, y, x) ids.
    segment : int
    tile : (3,) int64
    factor : (3,) int64
        Voxels along the side of a coarse one.

    Returns
    -------
    inside : (z, y, x) uint8 or None
        1 where a coarse voxel holds any of the segment; None where none does.
    corner : (3,) int64
        Where the first coarse voxel lies in the volume, -1 being before the first.
    """
    n = TILE_PX // factor
    corner = tile * n - 1
    start = np.maximum(corner * factor, 0)
    stop = np.minimum((corner + n + 2) * factor, labels.shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    block = np.asarray(labels[z, y, x])
    if block.dtype == bool:
        block = block.view(np.uint8)
    inside = np.zeros(tuple(n + 2), np.uint8)
    first = start - corner * factor
    n_inside = _occupy(block, block.dtype.type(segment), factor, first, inside)
    return (inside if n_inside else None), corner


def read_mask(
    labels: Any,
    segment: int,
    tiles: Tiles,
    factor: Factor,
    progress: Progress = NO_PROGRESS,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return a segment as a mask over the bounding box of its tiles.

    Parameters
    ----------
    labels : array-like
        (z, y, x) ids.
    segment : int
    tiles : (T, 3) int64
        In which it may lie; at least one.
    factor : (z, y, x)
        Voxels along the side of a coarse one.
    progress : Progress
        Called once per tile.

    Returns
    -------
    mask : (z, y, x) uint8
    corner : (3,) int64
        Where its first coarse voxel lies.
    """
    n = TILE_PX // np.array(factor)
    low, high = tiles.min(axis=0), tiles.max(axis=0) + 1
    mask = np.zeros(tuple((high - low) * n), np.uint8)
    for k, tile in enumerate(tiles):
        inside, _ = read_coarse(labels, segment, tile, np.array(factor))
        if inside is not None:
            z, y, x = (slice(int(a), int(a + m)) for a, m in zip((tile - low) * n, n, strict=True))
            mask[z, y, x] = inside[1:-1, 1:-1, 1:-1]
        progress.update(k + 1, len(tiles), "Reading the segment")
    return mask, low * n


@kernel
def _occupy(block: Any, segment: Any, factor: Any, first: Any, inside: Any) -> int:
    """Mark the coarse voxels of `inside` that hold a voxel of the segment; return how many.

    Voxel (0, 0, 0) of `block` lies at voxel `first` of the fine voxels of `inside`.
    """
    n_inside = 0
    for z in range(block.shape[0]):
        i = (z + first[0]) // factor[0]
        for y in range(block.shape[1]):
            j = (y + first[1]) // factor[1]
            for x in range(block.shape[2]):
                if block[z, y, x] == segment:
                    k = (x + first[2]) // factor[2]
                    n_inside += 1 - inside[i, j, k]
                    inside[i, j, k] = 1
    return n_inside

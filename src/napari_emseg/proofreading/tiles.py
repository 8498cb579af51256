"""Small squares of corrected voxels: as they are while in use, packed when they are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.proofreading.runs import Ids

# Neurites are thin: tiles much larger than their cross-section would mostly hold copies.
TILE_PX = 64
_MOST_IDS = 256


@dataclass(frozen=True, eq=False, slots=True)
class PackedTile:
    """A tile in which few fragments lie, a quarter of the size.

    Attributes
    ----------
    fragments : (n,) uint32
        Those there are.
    which : (y, x) uint8
        Which of them each pixel is.
    """

    fragments: Ids
    which: npt.NDArray[np.uint8]

    @property
    def nbytes(self) -> int:
        """Its memory."""
        return self.fragments.nbytes + self.which.nbytes


Tile = Ids | PackedTile


def pack(ids: Ids) -> Tile:
    """Return a tile packed, or as it is where it holds too many fragments.

    Examples
    --------
    >>> packed = pack(np.array([[7, 7], [9, 7]], np.uint32))
    >>> packed.nbytes, unpack(packed)
    (12, array([[7, 7],
           [9, 7]], dtype=uint32))
    """
    which = np.empty(ids.shape, np.uint8)
    found = np.empty(_MOST_IDS, np.uint32)
    n = _index(ids, which, found)
    return ids if n < 0 else PackedTile(found[:n].copy(), which)


def unpack(tile: Tile) -> Ids:
    """Return the ids of a tile, (y, x)."""
    return tile.fragments[tile.which] if isinstance(tile, PackedTile) else tile


@kernel
def _index(ids: Any, which: Any, found: Any) -> Any:
    """Fill in which of the ids found each pixel is; return how many there are, -1 if too many."""
    n, k = 0, 0
    for y in range(ids.shape[0]):
        for x in range(ids.shape[1]):
            i = ids[y, x]
            if n == 0 or found[k] != i:
                k = 0
                while k < n and found[k] != i:
                    k += 1
                if k == found.size:
                    return -1
                if k == n:
                    found[n] = i
                    n += 1
            which[y, x] = k
    return n

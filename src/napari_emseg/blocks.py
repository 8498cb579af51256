"""Cutting a volume into blocks with a halo: pure geometry, no data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Block:
    """One block of a volume and its surroundings.

    Attributes
    ----------
    inner : tuple of slice
        The voxels this block is responsible for; inner blocks tile the volume.
    outer : tuple of slice
        `inner` grown by the halo and clipped to the volume.
    inner_in_outer : tuple of slice
        `inner` in the coordinates of `outer`.
    """

    inner: tuple[slice, ...]
    outer: tuple[slice, ...]
    inner_in_outer: tuple[slice, ...]


def iter_blocks(
    shape: Sequence[int], block_shape: Sequence[int], halo: Sequence[int]
) -> Iterator[Block]:
    """Tile `shape` with blocks, last axis fastest.

    Parameters
    ----------
    shape, block_shape, halo : sequence of int
        Sizes in voxels along each axis (ZYX or YX). The last block along an
        axis is smaller where the size is no multiple of the block.

    Yields
    ------
    Block

    Examples
    --------
    >>> [b.outer for b in iter_blocks((5,), (3,), (1,))]
    [(slice(0, 4, None),), (slice(2, 5, None),)]
    """
    starts = [range(0, size, step) for size, step in zip(shape, block_shape, strict=True)]
    for corner in product(*starts):
        inner, outer, local = [], [], []
        for start, size, step, margin in zip(corner, shape, block_shape, halo, strict=True):
            stop = min(start + step, size)
            low, high = max(0, start - margin), min(size, stop + margin)
            inner.append(slice(start, stop))
            outer.append(slice(low, high))
            local.append(slice(start - low, stop - low))
        yield Block(tuple(inner), tuple(outer), tuple(local))

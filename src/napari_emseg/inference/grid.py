"""Overlapping blocks of a volume for a 3D network: pure geometry.

Where a block can bring along all that the network sees around it, blocks need not
overlap in what they give, and the result is that of the whole volume at once. That
field grows with each pooling, so that for deep networks most of a block would be
surroundings. What they see far away matters little, though: there a block brings
the nearest surroundings only, and neighbours are blended where they meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import add

import numpy as np
import numpy.typing as npt

from napari_emseg.inference.sections import FloatArray
from napari_emseg.inference.tiling import round_up
from napari_emseg.networks.base import Network

Sizes = tuple[int, int, int]

_RIM = (4, 16, 16)
"""Mirror image around the volume, which keeps the effects of padding away."""
_NEAR_PX = (48, 32, 24, 16)
"""Surroundings of a block that cannot bring all the network sees: what memory allows.

Measured with a 3D U-Net of 3 levels, whose field is 47 voxels wide, on FIB-SEM: beside
the map of one block, 24 and 16 voxels give mean differences of 0.0001 and 0.0005, at
most 0.008 and 0.036, where the map itself changes by 0.09 from voxel to voxel.
"""
_NEAR_SECTIONS = 10
"""At least so many sections, however much thicker than pixels they are."""
_SMALLEST_SHARE = 0.2
"""Of a block, what has to be new."""
_SMALLEST_BLOCK = (1, 16, 16)


@dataclass(frozen=True)
class Span:
    """A block along one axis.

    Attributes
    ----------
    outer : slice
        What the network is given, counted from the rim's first voxel.
    used : slice
        What of the volume it has a share in.
    used_in_outer : slice
        `used`, counted from the start of `outer`.
    weight : float32 array, or None
        The share at each voxel of `used`; None: all of it is this block's.
    """

    outer: slice
    used: slice
    used_in_outer: slice
    weight: FloatArray | None


@dataclass(frozen=True)
class Grid:
    """How a volume is cut; all sizes are (z, y, x) in voxels.

    Attributes
    ----------
    shape : tuple of int
        Of the volume.
    block : tuple of int
        Distance from block to block.
    halo : tuple of int
        What each block brings along on each side.
    overlap : tuple of int
        How far it has a share beyond its end; 0 where the halo is all the network sees.
    rim : tuple of int
        Mirror image around the volume.
    multiple : tuple of int
        What starts and ends of blocks are multiples of.
    """

    shape: Sizes
    block: Sizes
    halo: Sizes
    overlap: Sizes
    rim: Sizes
    multiple: Sizes

    @property
    def voxels(self) -> int:
        """How many voxels the largest block has with its halo."""
        sizes = zip(self.shape, self.block, self.halo, self.rim, self.multiple, strict=True)
        return math.prod(
            min(round_up(n, m) + 2 * rim, b + 2 * round_up(halo, m)) for n, b, halo, rim, m in sizes
        )

    @property
    def new_share(self) -> float:
        """What share of a block is not halo."""
        return math.prod(map(min, self.block, self.shape)) / self.voxels

    @property
    def is_whole(self) -> bool:
        """Whether there is only one block."""
        return all(b >= n for b, n in zip(self.block, self.shape, strict=True))

    def spans(self, axis: int) -> list[Span]:
        """Return the blocks along an axis."""
        size, block, overlap = self.shape[axis], self.block[axis], self.overlap[axis]
        starts = range(0, size, block)
        return [
            self._span(axis, max(0, start - overlap), min(size, start + block + overlap), start)
            for start in starts
        ]

    def _span(self, axis: int, first: int, last: int, start: int) -> Span:
        rim, multiple = self.rim[axis], self.multiple[axis]
        reach = self.halo[axis] - self.overlap[axis]
        total = round_up(self.shape[axis], multiple) + 2 * rim
        low = max(0, first + rim - reach) // multiple * multiple
        high = min(total, round_up(last + rim + reach, multiple))
        local = slice(first + rim - low, last + rim - low)
        return Span(
            slice(low, high), slice(first, last), local, self._weight(axis, first, last, start)
        )

    def _weight(self, axis: int, first: int, last: int, start: int) -> FloatArray | None:
        size, overlap = self.shape[axis], self.overlap[axis]
        stop = start + self.block[axis]
        if not overlap or (start == 0 and stop >= size):
            return None
        at = np.arange(first, last) + 0.5
        weight = np.ones(last - first, np.float32)
        if start > 0:
            weight *= _ramp((at - start) / overlap)
        if stop < size:
            weight *= _ramp((stop - at) / overlap)
        return weight


def mirrored_index(positions: Sequence[int], size: int) -> list[int]:
    """Return which voxel is seen at positions before and beyond the first and last.

    Examples
    --------
    >>> mirrored_index([-2, -1, 0, 1, 2, 3], 3)
    [2, 1, 0, 1, 2, 1]
    """
    period = max(2 * size - 2, 1)
    return [min(at % period, -at % period) if size > 1 else 0 for at in positions]


def plan_grid(
    shape: Sizes,
    network: Network,
    *,
    most_voxels: int,
    largest: Sizes | None = None,
    turned: bool = False,
) -> Grid | None:
    """Cut a volume into the blocks that a network is best run on.

    Parameters
    ----------
    shape : (z, y, x)
        Size of the volume.
    network : Network
        A 3D one.
    most_voxels : int
        Largest block with its halo that fits into memory.
    largest : (z, y, x), optional
        Blocks are at most of this size.
    turned : bool
        Whether affinities are averaged over orientations: each then moves by its
        offset, so that much more is needed around a block.

    Returns
    -------
    Grid or None
        None where not even the smallest block has so few voxels.
    """
    multiple = (network.size_multiple_sections, *(network.size_multiple_px,) * 2)
    offsets = network.offsets if turned else ()
    shift = [max((abs(offset[axis]) for offset in offsets), default=0) for axis in range(3)]
    field = _each(lambda size: size // 2, network.receptive_field_px)
    rim = _each(lambda r, s, m: round_up(max(r, s), m), _RIM, shift, multiple)
    start = shape if largest is None else _each(min, shape, largest)
    fitted = None
    for near in (field, *(_near(field, reach_px) for reach_px in _NEAR_PX)):
        # neighbours blend over a quarter of what is brought along, the rest is given up
        overlap = _each(lambda n, f: 0 if n == f else n // 4, near, field)
        grid = Grid(shape, start, _each(add, near, shift), overlap, rim, multiple)
        fitted = _fit(grid, most_voxels)
        if fitted is not None and (fitted.new_share >= _SMALLEST_SHARE or fitted.is_whole):
            return fitted
    return fitted


def _near(field: Sizes, reach_px: int) -> Sizes:
    """Return the nearest part of what a network sees, as wide along Z as in the section."""
    z, y, x = field
    sections = max(_NEAR_SECTIONS, round(reach_px * z / max(y, 1)))
    return (min(z, sections), min(y, reach_px), min(x, reach_px))


def _fit(grid: Grid, most_voxels: int) -> Grid | None:
    """Halve the block until memory suffices, where it is largest beside its halo."""
    smallest = _each(round_up, _SMALLEST_BLOCK, grid.multiple)
    wanted = grid.overlap
    block = grid.block
    while True:
        counts = _each(lambda n, b: -(-n // b), grid.shape, block)
        even = _each(lambda n, c, m: round_up(-(-n // c), m), grid.shape, counts, grid.multiple)
        overlap = _each(lambda o, b: min(o, b // 2), wanted, even)
        grid = replace(grid, block=even, overlap=overlap)
        if grid.voxels <= most_voxels:
            return grid
        ratios = [
            b / (2 * h + 1) if b > s else 0.0
            for b, h, s in zip(block, grid.halo, smallest, strict=True)
        ]
        if not any(ratios):
            return None
        sizes = list(block)
        axis = ratios.index(max(ratios))
        sizes[axis] = max(smallest[axis], -(-sizes[axis] // 2))
        block = _each(int, sizes)


def _each(function: Callable[..., int], *sizes: Iterable[int]) -> Sizes:
    """Apply a function to what belongs to each axis."""
    z, y, x = map(function, *sizes)
    return (z, y, x)


def _ramp(t: npt.NDArray[np.float64]) -> FloatArray:
    """Rise smoothly from 0 at -1 to 1 at 1; with its mirror image it sums to 1."""
    t = t.clip(-1, 1)
    return (0.5 + 0.75 * t - 0.25 * t**3).astype(np.float32)

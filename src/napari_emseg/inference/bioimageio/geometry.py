"""Tiles of the sizes that the network of a package takes: pure geometry.

All tiles are of one size. They start where the first one does but for multiples of the
step, since a network that pools gives another output when its input starts one voxel
later; each gives what lies further from its border than the halo, so that together they
give what the network would give for the volume as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from napari_emseg.errors import InputError
from napari_emseg.inference.grid import Grid, Span
from napari_emseg.inference.tiling import round_up
from napari_emseg.networks.bioimageio_model import SPACE, PackageModel, Sizes

Sizes3 = tuple[int, int, int]


@dataclass(frozen=True)
class Axis:
    """What a network needs along an axis.

    Attributes
    ----------
    sizes : Sizes
        Of its input.
    margin : int
        The output begins so many voxels later than the input.
    halo : int
        What of the output is spoilt by its border, on each side.

    Examples
    --------
    >>> axis = Axis(Sizes(16, 8), margin=0, halo=4)
    >>> axis.lead, axis.tile_for(20), axis.gain(32)
    (8, 40, 16)
    """

    sizes: Sizes
    margin: int = 0
    halo: int = 0

    @property
    def step(self) -> int:
        """Where tiles may start: at multiples of this."""
        return self.sizes.step or 1

    @property
    def lead(self) -> int:
        """How far before what it gives a tile starts."""
        return round_up(self.margin + self.halo, self.step)

    def gain(self, tile: int) -> int:
        """Return how much a tile gives, 0 or less for too small a tile."""
        return (tile - self.lead - self.margin - self.halo) // self.step * self.step

    def tile_for(self, wanted: int) -> int:
        """Return the tile that gives at least so much, or the only one there is."""
        return self.sizes.at_least(
            round_up(wanted, self.step) + self.lead + self.margin + self.halo
        )


@dataclass(frozen=True)
class TileGrid(Grid):
    """How a volume is cut into tiles of one size; all sizes are (z, y, x) in voxels.

    Attributes
    ----------
    axes : tuple of Axis
        What the network needs.
    tile : tuple of int
        Size of what it is given.
    """

    axes: tuple[Axis, Axis, Axis]
    tile: Sizes3

    @property
    def voxels(self) -> int:
        """How many voxels a tile has."""
        return math.prod(self.tile)

    def spans(self, axis: int) -> list[Span]:
        """Return the tiles along an axis."""
        size, block, rim = self.shape[axis], self.block[axis], self.rim[axis]
        first = rim - self.axes[axis].margin
        return [
            Span(
                slice(start, start + self.tile[axis]),
                slice(start, min(start + block, size)),
                slice(first, first + min(block, size - start)),
                None,
            )
            for start in range(0, size, block)
        ]


def axes_of(model: PackageModel) -> tuple[Axis, Axis, Axis]:
    """Return what the network of a package needs along z, y and x."""
    found = []
    for letter in SPACE:
        if letter in model.input.sizes:
            shrink = model.output.shrink.get(letter, 0)
            sizes, halo = model.input.sizes[letter], model.output.halo.get(letter, 0)
            found.append(Axis(sizes, shrink // 2, halo))
        else:  # neighbouring sections come as channels, and the middle one is predicted
            found.append(Axis(Sizes(model.in_sections), model.in_sections // 2))
    z, y, x = found
    return (z, y, x)


def plan_tiles(
    shape: Sizes3,
    axes: tuple[Axis, Axis, Axis],
    *,
    most_voxels: int,
    largest: Sizes3 | None = None,
    shift: Sequence[int] = (0, 0, 0),
    square: bool = False,
) -> TileGrid | None:
    """Cut a volume into tiles, as large as memory allows.

    Parameters
    ----------
    shape : (z, y, x)
        Size of the volume.
    axes : tuple of Axis
        What the network needs.
    most_voxels : int
        Largest tile that fits into memory.
    largest : (z, y, x), optional
        Tiles give at most so much.
    shift : (z, y, x)
        How much further the halo has to reach.
    square : bool
        Whether tiles have to be as long along y as along x.

    Returns
    -------
    TileGrid or None
        None where not even the smallest tile has so few voxels.

    Raises
    ------
    InputError
        If the halo leaves nothing of the largest tile that the network takes.
    """
    z, y, x = (
        Axis(axis.sizes, axis.margin, axis.halo + far)
        for axis, far in zip(axes, shift, strict=True)
    )
    wider = (z, y, x)
    wanted = list(shape if largest is None else map(min, shape, largest))
    while True:
        grid = _with_blocks(shape, wider, wanted)
        grid = _squared(grid) if square else grid
        if grid.voxels <= most_voxels:
            return grid
        smaller = [_less(one, tile) for one, tile in zip(wider, grid.tile, strict=True)]
        ratios = [
            0.0 if less is None else tile / (2 * one.halo + 1)
            for less, tile, one in zip(smaller, grid.tile, wider, strict=True)
        ]
        place = ratios.index(max(ratios))
        less = smaller[place]
        if less is None:
            return None
        for axis in (1, 2) if square and place else (place,):
            wanted[axis] = less


def _less(axis: Axis, tile: int) -> int | None:
    """Return about half of what a tile gives, where a smaller one is possible."""
    half = max(axis.gain(tile) // 2 // axis.step, 1) * axis.step
    return half if axis.tile_for(half) < tile else None


def _with_blocks(shape: Sizes3, axes: Sequence[Axis], wanted: Sequence[int]) -> TileGrid:
    tiles, blocks = [], []
    for size, axis, most in zip(shape, axes, wanted, strict=True):
        tile = axis.tile_for(max(most, 1))
        gain = axis.gain(tile)
        if gain < 1:
            raise InputError(
                f"The package is damaged: of tiles of {tile} voxels, its halo of {axis.halo} "
                "leaves nothing."
            )
        if not axis.sizes.step or gain >= size:
            tiles.append(tile)
            blocks.append(max(gain, 1))
            continue
        # so many tiles as are needed, none larger than that takes
        count = -(-size // gain)
        even = round_up(-(-size // count), axis.step)
        tiles.append(axis.tile_for(even))
        blocks.append(even)
    z, y, x = tiles
    block_z, block_y, block_x = blocks
    return TileGrid(
        shape,
        (block_z, block_y, block_x),
        halo=(axes[0].halo, axes[1].halo, axes[2].halo),
        overlap=(0, 0, 0),
        rim=(axes[0].lead, axes[1].lead, axes[2].lead),
        multiple=(axes[0].step, axes[1].step, axes[2].step),
        axes=(axes[0], axes[1], axes[2]),
        tile=(z, y, x),
    )


def _squared(grid: TileGrid) -> TileGrid:
    z, y, x = grid.tile
    side = max(y, x)
    blocks = [max(axis.gain(side), 1) for axis in grid.axes[1:]]
    return replace(grid, tile=(z, side, side), block=(grid.block[0], blocks[0], blocks[1]))


def has_square_tiles(inputs: Mapping[str, Sizes]) -> bool:
    """Tell whether one side of a section has to be as long as the other.

    Raises
    ------
    InputError
        If a side has to be longer than another by a constant, or as long as z.
    """
    for letter, sizes in inputs.items():
        if not sizes.like:
            continue
        other = inputs.get(sizes.like)
        is_same = other is not None and (other.least, other.step) == (sizes.least, sizes.step)
        if "z" in (letter, sizes.like) or not is_same:
            raise InputError(
                f"The package asks for images whose side {letter} depends on {sizes.like} in a way "
                "that is not known here."
            )
        return True
    return False

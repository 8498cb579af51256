"""Blocks with a halo whose results do not depend on how a section is cut.

A network that pools gives another output when its input starts one pixel later,
and one that pads gives another near the rim of its input. So a section gets one
rim of its own, whose size is a multiple of the pooling; blocks start and stop on
multiples of it and reach as far as the network sees, or to the rim.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from napari_emseg.blocks import Block, iter_blocks
from napari_emseg.inference.sections import FloatArray
from napari_emseg.networks.base import Network

_RIM_PX = 16


class SectionTiling:
    """How a section is cut into blocks for a network.

    A network without padding is given as much of a mirror image around the section
    as it needs, one with padding a rim that keeps the effects of padding away.

    Parameters
    ----------
    network : Network
        Or anything that has its sizes.
    shape_px : (y, x)
        Size of the section.
    """

    def __init__(self, network: Network, shape_px: tuple[int, ...]) -> None:
        self.shape_px = shape_px
        self._multiple_px = network.size_multiple_px
        self._margin_px = network.margin_px
        self._remainder_px = network.valid_remainder_px if network.margin_px else 0
        self._reach_px = [field // 2 for field in network.receptive_field_px[1:]]
        self._rim_px = network.margin_px or round_up(_RIM_PX, self._multiple_px)

    @property
    def rimmed_shape_px(self) -> tuple[int, ...]:
        """Size of the section with its rim."""
        return tuple(self._fill_up(size + 2 * self._rim_px) for size in self.shape_px)

    def add_rim(self, section: FloatArray) -> FloatArray:
        """Extend (channels, Y, X) by reflection on all sides."""
        widths = [
            (self._rim_px, rimmed - size - self._rim_px)
            for size, rimmed in zip(self.shape_px, self.rimmed_shape_px, strict=True)
        ]
        return np.pad(section, [(0, 0), *widths], mode="reflect")

    def iter_blocks(self, block_shape_px: tuple[int, ...]) -> Iterator[Block]:
        """Cut the section into blocks.

        Parameters
        ----------
        block_shape_px : (y, x)
            Size of the blocks' inner part.

        Yields
        ------
        Block
            ``inner`` counts from the section's first pixel, ``outer`` from the rim's,
            ``inner_in_outer`` from the first of what the network gives for ``outer``.
        """
        for block in iter_blocks(self.shape_px, block_shape_px, (0, 0)):
            outer, local = [], []
            for inner, rimmed, reach in zip(
                block.inner, self.rimmed_shape_px, self._reach_px, strict=True
            ):
                start, stop = inner.start + self._rim_px, inner.stop + self._rim_px
                low = max(0, start - reach) // self._multiple_px * self._multiple_px
                high = min(rimmed, self._fill_up(stop + reach))
                first = start - low - self._margin_px
                outer.append(slice(low, high))
                local.append(slice(first, first + stop - start))
            yield Block(block.inner, tuple(outer), tuple(local))

    def _fill_up(self, size_px: int) -> int:
        return size_px + (self._remainder_px - size_px) % self._multiple_px


def choose_block_shape(
    shape_px: tuple[int, ...],
    receptive_field_px: tuple[int, int],
    memory_bytes_per_px: int,
    budget_bytes: int,
) -> tuple[int, int]:
    """Return the largest block, whole section if possible, that fits into memory.

    Examples
    --------
    >>> choose_block_shape((512, 512), (217, 217), 448, 2**30)
    (512, 512)
    >>> choose_block_shape((4096, 4096), (217, 217), 448, 2**30)
    (1024, 1024)
    """
    y, x = (int(n) for n in shape_px)
    halo_y, halo_x = receptive_field_px
    while (y + halo_y) * (x + halo_x) * memory_bytes_per_px > budget_bytes and max(y, x) > 64:
        y, x = halve_block((y, x))
    return y, x


def halve_block(block_shape_px: tuple[int, ...]) -> tuple[int, int]:
    """Return a block of half the size along its longer side.

    Examples
    --------
    >>> halve_block((300, 301))
    (300, 151)
    """
    y, x = block_shape_px
    return (-(-y // 2), x) if y > x else (y, -(-x // 2))


def round_up(value: int, multiple: int) -> int:
    """Return the next multiple that is not less than `value`."""
    return -(-value // multiple) * multiple

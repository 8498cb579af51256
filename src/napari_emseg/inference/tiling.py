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

_RIM_PX = 16


def add_rim(sections: FloatArray, multiple_px: int) -> FloatArray:
    """Extend (channels, Y, X) by reflection to multiples of `multiple_px`.

    Examples
    --------
    >>> add_rim(np.zeros((1, 100, 40), np.float32), 16).shape
    (1, 144, 80)
    """
    rim = _round_up(_RIM_PX, multiple_px)
    after = [rim + -size % multiple_px for size in sections.shape[1:]]
    return np.pad(sections, [(0, 0), (rim, after[0]), (rim, after[1])], mode="reflect")


def iter_section_blocks(
    shape_px: tuple[int, ...],
    block_shape_px: tuple[int, int],
    receptive_field_px: tuple[int, int],
    multiple_px: int,
) -> Iterator[Block]:
    """Cut a section into blocks.

    Parameters
    ----------
    shape_px : (y, x)
        Size of the section without its rim.
    block_shape_px : (y, x)
        Size of the blocks' inner part.
    receptive_field_px : (y, x)
        What the network sees around a pixel.
    multiple_px : int
        What starts and stops must be multiples of.

    Yields
    ------
    Block
        ``inner`` counts from the section's first pixel, ``outer`` from the rim's.
    """
    rim = _round_up(_RIM_PX, multiple_px)
    halo = [field // 2 for field in receptive_field_px]
    for block in iter_blocks(shape_px, block_shape_px, (0, 0)):
        outer, local = [], []
        for inner, size, reach in zip(block.inner, shape_px, halo, strict=True):
            start, stop = inner.start + rim, inner.stop + rim
            low = max(0, start - reach) // multiple_px * multiple_px
            high = min(_round_up(size, multiple_px) + 2 * rim, _round_up(stop + reach, multiple_px))
            outer.append(slice(low, high))
            local.append(slice(start - low, stop - low))
        yield Block(block.inner, tuple(outer), tuple(local))


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


def halve_block(block_shape_px: tuple[int, int]) -> tuple[int, int]:
    """Return a block of half the size along its longer side.

    Examples
    --------
    >>> halve_block((300, 301))
    (300, 151)
    """
    y, x = block_shape_px
    return (-(-y // 2), x) if y > x else (y, -(-x // 2))


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple

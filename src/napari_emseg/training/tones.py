"""Mean and deviation of sections, by which patches are standardised as in prediction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.inference.sections import standardise
from napari_emseg.training.stacks import HeldStack, Stack, Values

_TILE_PX = 256
_TILES = 4
"""Along each axis of a section that is too large to be read whole."""


class Tones:
    """Mean and 1 / standard deviation of the sections of a stack, each found once.

    Parameters
    ----------
    stack : Stack
        A section larger than 1024 x 1024 pixels that is read from a file is
        judged by 16 tiles of 256 x 256, spread evenly.
    name : str
        For messages.

    Examples
    --------
    >>> from napari_emseg.training.stacks import SECTIONS, HeldStack
    >>> array = np.array([[[1, 3]], [[7, 7]]], np.uint8)
    >>> tones = Tones(HeldStack(0, 2, (1, 2), SECTIONS, array, 0), "raw")
    >>> tones.of([0]), tones.is_blank(1)
    ((array([2.], dtype=float32), array([1.], dtype=float32)), True)
    """

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack = stack
        self._name = name
        self._found: dict[int, tuple[float, float]] = {}

    def of(
        self, sections: Sequence[int]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return mean and 1 / standard deviation of each section; 0 for a blank one."""
        found = [self._of_one(int(z)) for z in sections]
        mean, scale = np.array(found, np.float32).reshape(-1, 2).T
        return np.ascontiguousarray(mean), np.ascontiguousarray(scale)

    def is_blank(self, section: int) -> bool:
        """Whether all pixels of the section are equal."""
        return self._of_one(section)[1] == 0

    def _of_one(self, z: int) -> tuple[float, float]:
        if z not in self._found:
            self._found[z] = self._measure(z)
        return self._found[z]

    def _measure(self, z: int) -> tuple[float, float]:
        values = np.concatenate([tile.ravel() for tile in _read_tiles(self._stack, z)])
        if values.min() == values.max():
            return float(values[0]), 0.0
        mean = values.mean(dtype=np.float64)
        deviation = values.std(dtype=np.float64)
        if not 0 < deviation < np.inf:
            try:
                standardise(values[None])
            except InputError as error:
                raise InputError(f"Section {z} of {self._name} {error}") from None
        return float(mean), float(1 / deviation)


def _read_tiles(stack: Stack, z: int) -> list[Values]:
    is_held = isinstance(stack, HeldStack)
    y_spans, x_spans = (_spans(size, all_of_it=is_held) for size in stack.shape[1:])
    tiles = []
    for y, x in product(y_spans, x_spans):
        block, origin = stack.block((z, y.start, x.start), (z + 1, y.stop, x.stop))
        z0, y0, x0 = origin.tolist()
        tile = block[z - z0, y.start - y0 : y.stop - y0, x.start - x0 : x.stop - x0]
        tiles.append(tile)
    return tiles


def _spans(size: int, *, all_of_it: bool) -> list[range]:
    """Return where the tiles lie along an axis."""
    if all_of_it or size <= _TILES * _TILE_PX:
        return [range(size)]
    starts = np.linspace(0, size - _TILE_PX, _TILES).astype(int).tolist()
    return [range(start, start + _TILE_PX) for start in starts]

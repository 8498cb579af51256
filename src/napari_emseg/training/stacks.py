"""What patches are read from: volumes in memory or in files, their axes in any order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
Order = tuple[int, int, int]
SECTIONS: Order = (0, 1, 2)
"""The order of axes in which the first one counts the sections of the volume."""


@dataclass(frozen=True)
class Stack(ABC):
    """Some neighbouring sections of a volume, sliced along any axis.

    Attributes
    ----------
    start, stop : int
        The sections of the volume, the last not included.
    size_px : (y, x)
        Of its sections.
    order : (int, int, int)
        Which axes of the volume the axes of the stack are: the first counts
        slices, the others lie in them.
    """

    start: int
    stop: int
    size_px: tuple[int, int]
    order: Order

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size in voxels, in the order of the stack."""
        size = (self.stop - self.start, *self.size_px)
        return size[self.order[0]], size[self.order[1]], size[self.order[2]]

    @abstractmethod
    def block(self, low: Sequence[int], high: Sequence[int]) -> tuple[Values, Values]:
        """Return an array that holds what is from `low` up to `high`, and where it starts.

        Parameters
        ----------
        low, high : sequence of int
            Inside of the stack, in its order; `high` is not included.

        Returns
        -------
        array, three axes
            What was asked for or more; not to be written to.
        int64 array, (3,)
            Where in the stack its first voxel is.
        """

    def _box(self, low: Sequence[int], high: Sequence[int]) -> tuple[slice, slice, slice]:
        """Return what is from `low` up to `high`, in the axes of the volume."""
        box = [slice(0)] * 3
        for axis, first, last in zip(self.order, low, high, strict=True):
            shift = self.start if axis == 0 else 0
            box[axis] = slice(int(shift + first), int(shift + last))
        return box[0], box[1], box[2]

    def narrowed(self, start: int, stop: int) -> Self:
        """Keep the sections of the volume from `start` up to `stop`."""
        return replace(self, start=start, stop=stop)

    def turned(self, order: Order) -> Self:
        """Give the axes of the volume another order."""
        return replace(self, order=order)


@dataclass(frozen=True)
class HeldStack(Stack):
    """A stack in memory.

    Attributes
    ----------
    array : array, (Z, Y, X)
    base : int
        The section of the volume with which `array` starts.
    """

    array: Values
    base: int

    def block(self, low: Sequence[int], high: Sequence[int]) -> tuple[Values, Values]:
        part = self.array[self.start - self.base : self.stop - self.base]
        return part.transpose(self.order), np.zeros(3, np.int64)


@dataclass(frozen=True)
class SparseStack(Stack):
    """Some sections of a stack in memory; the others are 0 and take no room.

    Attributes
    ----------
    sections : mapping
        By their number in the volume, (Y, X) each; at least one.
    """

    sections: Mapping[int, Values]

    def block(self, low: Sequence[int], high: Sequence[int]) -> tuple[Values, Values]:
        z, y, x = self._box(low, high)
        dtype = next(iter(self.sections.values())).dtype
        block = np.zeros((z.stop - z.start, y.stop - y.start, x.stop - x.start), dtype)
        for at, section in self.sections.items():
            if z.start <= at < z.stop:
                block[at - z.start] = section[y, x]
        return np.ascontiguousarray(block.transpose(self.order)), np.array(low, np.int64)


@dataclass(frozen=True)
class ReadStack(Stack):
    """A stack in a file, of which each block is read when it is needed.

    Attributes
    ----------
    data : array-like
        The whole volume, ZYX.
    holds_ids : bool
        Whether its values are ids or classes, else grey values.
    """

    data: Any
    holds_ids: bool

    def block(self, low: Sequence[int], high: Sequence[int]) -> tuple[Values, Values]:
        values = np.asarray(self.data[self._box(low, high)]).transpose(self.order)
        values = as_ids(values) if self.holds_ids else as_grey(values)
        return np.ascontiguousarray(values), np.array(low, np.int64)


def as_ids(values: Values) -> Values:
    """Look at whole numbers as unsigned ones of their size: equal stays equal, 0 stays 0."""
    return values.view(f"u{values.dtype.itemsize}")


def as_grey(values: Values) -> Values:
    """Return grey values as uint8, uint16 or float32, which look-ups are compiled for."""
    if values.dtype == bool:
        return values.view(np.uint8)
    if values.dtype in (np.uint8, np.uint16):
        return values
    return values.astype(np.float32, copy=False)

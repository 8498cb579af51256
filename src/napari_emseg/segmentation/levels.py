"""Boundary values in 16 bits, the resolution at which everything is flooded."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# Multiples of 1/255 (8-bit maps) and of 1/256 are whole levels, so both stay exact.
TOP = 255 * 256

Levels = npt.NDArray[np.uint16]


def to_levels(values: npt.NDArray[Any]) -> Levels:
    """Round values in [0, 1] to whole levels, of which 65280 make 1.

    Examples
    --------
    >>> to_levels(np.array([0, 1 / 255, 0.5, 1]))
    array([    0,   256, 32640, 65280], dtype=uint16)
    """
    return np.rint(values * np.float64(TOP)).astype(np.uint16)


def from_levels(levels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the values in [0, 1] that `levels` stand for, rounded correctly to float32."""
    return levels.astype(np.float32) / np.float32(TOP)


class LevelMap:
    """A map held as 16-bit levels that reads as float32 in [0, 1]; read-only.

    Parameters
    ----------
    levels : uint16
        Of any shape.

    Examples
    --------
    >>> boundary = LevelMap(np.array([[[0, 16320, 65280]]], np.uint16))
    >>> boundary[0], boundary.dtype
    (array([[0.  , 0.25, 1.  ]], dtype=float32), dtype('float32'))
    """

    dtype = np.dtype(np.float32)

    def __init__(self, levels: Levels) -> None:
        self.levels = levels

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis in voxels."""
        return self.levels.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.levels.ndim

    @property
    def size(self) -> int:
        """Number of voxels."""
        return self.levels.size

    def min(self) -> float:
        """Return the lowest value."""
        return float(from_levels(self.levels.min()))

    def max(self) -> float:
        """Return the highest value."""
        return float(from_levels(self.levels.max()))

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, key: Any) -> Any:
        return from_levels(self.levels[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("the values have to be computed, so they cannot be had uncopied")
        values = from_levels(self.levels)
        return values if dtype is None else values.astype(dtype, copy=False)


def levels_of(values: LevelMap | npt.NDArray[Any]) -> Levels:
    """Return the levels of a map, however it is held."""
    return values.levels if isinstance(values, LevelMap) else to_levels(values)

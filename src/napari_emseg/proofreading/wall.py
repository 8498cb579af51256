"""The boundary map as whole levels, so that sums over faces are exact in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.segmentation.levels import TOP
from napari_emseg.volume import Volume

Heights = npt.NDArray[np.float32]


class Wall:
    """Reads a boundary map in levels 0..TOP; without a map all levels are 0.

    Sums of these whole numbers are exact in float64, so that contacts which follow
    an edit and its undo are again the same to the last bit.

    Parameters
    ----------
    boundary : Volume or None
    shape : (z, y, x)
        What it must have.

    Raises
    ------
    InputError
        If the shape is another.

    Examples
    --------
    >>> wall = Wall(Volume(np.array([[[0, 255]]], np.uint8), kind="boundary"), (1, 1, 2))
    >>> wall.levels((0,)), wall.values((0,))
    (array([[    0., 65280.]], dtype=float32), array([[0., 1.]], dtype=float32))
    """

    def __init__(self, boundary: Volume | None, shape: tuple[int, ...]) -> None:
        if boundary is not None and boundary.shape != tuple(shape):
            raise InputError(
                f"The boundary map has the shape {boundary.shape} but the fragments have "
                f"{tuple(shape)}; both must show the same voxels."
            )
        self.boundary = boundary
        self._shape = shape

    @property
    def is_known(self) -> bool:
        """Whether there is a map."""
        return self.boundary is not None

    def levels(self, key: Any) -> Heights:
        """Return the levels at a place, float32 whole numbers."""
        if self.boundary is None:
            empty = np.broadcast_to(np.float32(0), self._shape)[key]
            return np.ascontiguousarray(empty)
        values = self.boundary.read(key)
        if values.dtype == np.uint8:
            return values.astype(np.float32) * np.float32(256)
        finite = np.nan_to_num(values.astype(np.float32), nan=1.0)
        rounded: Heights = np.rint(np.clip(finite, 0, 1) * np.float32(TOP))
        return rounded

    def values(self, key: Any) -> Heights:
        """Return the map at a place, in [0, 1]."""
        scaled: Heights = self.levels(key) / np.float32(TOP)
        return scaled

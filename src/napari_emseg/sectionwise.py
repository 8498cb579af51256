"""A volume that is computed section by section, when it is looked at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt


class SectionwiseArray(ABC):
    """Read-only array-like (z, y, x): indexing it computes the sections it needs.

    napari takes it as the data of a layer and reads one section at a time.

    Parameters
    ----------
    shape : (z, y, x)
        Size in voxels.
    dtype : dtype-like
        Type of the values.

    Examples
    --------
    >>> class Depth(SectionwiseArray):
    ...     def section(self, z):
    ...         return np.full(self.shape[1:], z, self.dtype)
    >>> Depth((3, 1, 2), np.uint8)[1:, 0]
    array([[1, 1],
           [2, 2]], dtype=uint8)
    """

    ndim = 3

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype)

    @abstractmethod
    def section(self, z: int) -> npt.NDArray[Any]:
        """Return section `z`, which is in range: (y, x)."""

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        first, *rest = key if isinstance(key, tuple) and key else (key,)
        if first is Ellipsis or first is None or getattr(first, "ndim", 1) > 1:
            return np.asarray(self)[key]
        if isinstance(first, int | np.integer):
            return self.section(range(self.shape[0])[int(first)])[tuple(rest)]
        chosen = np.arange(self.shape[0])[first]
        if any(not isinstance(index, slice | int | np.integer) for index in rest):
            return np.asarray(self)[key]
        stack = np.empty((chosen.size, *self.shape[1:]), self.dtype)
        for index, z in enumerate(chosen):
            stack[index] = self.section(int(z))
        return stack[(slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("the sections have to be computed, so they cannot be had uncopied")
        values: npt.NDArray[Any] = self[:]
        return values if dtype is None else values.astype(dtype, copy=False)

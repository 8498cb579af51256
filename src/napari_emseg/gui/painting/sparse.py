"""Paint on a stack of any size: only sections that are painted on take memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.sectionwise import SectionwiseArray

_LARGE_VOXELS = 2**30


class SparsePainting(SectionwiseArray):
    """Array-like (z, y, x) of integers that can be read and written as napari's brush does.

    Examples
    --------
    >>> paint = SparsePainting((4_000, 16_384, 16_384), np.uint8)
    >>> paint[3:4, 10:12, 20:30] = 1
    >>> paint.painted_sections, int(paint[3].sum()), paint[7, 5, 5].item()
    ((3,), 20, 0)
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        super().__init__(shape, dtype)
        self._painted: dict[int, npt.NDArray[Any]] = {}

    @property
    def painted_sections(self) -> tuple[int, ...]:
        """The sections in which anything is painted."""
        painted = list(self._painted.items())  # a brush may add one meanwhile
        return tuple(sorted(z for z, section in painted if section.any()))

    def section(self, z: int) -> npt.NDArray[Any]:
        """Return a section; one that is not painted on is a blank of its own."""
        found = self._painted.get(z)
        return np.zeros(self.shape[1:], self.dtype) if found is None else found

    def __getitem__(self, key: Any) -> Any:
        places = _places(key)
        if places is not None:
            found = np.zeros(places[0].shape, self.dtype)
            for z in np.unique(places[0]).tolist():
                here = places[0] == z
                found[here] = self.section(z)[tuple(axis[here] for axis in places[1:])]
            return found
        first, rest = _split(key)
        if isinstance(first, slice):  # of each section only what is asked for
            chosen = range(*first.indices(self.shape[0]))
            size = np.empty(self.shape[1:], self.dtype)[rest].shape
            stack = np.empty((len(chosen), *size), self.dtype)
            for index, z in enumerate(chosen):
                stack[index] = self.section(z)[rest]
            return stack
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        places = _places(key)
        if places is not None:
            values = np.broadcast_to(value, places[0].shape)
            for z in np.unique(places[0]).tolist():
                here = places[0] == z
                self._writable(z)[tuple(axis[here] for axis in places[1:])] = values[here]
            return
        first, rest = _split(key)
        if not isinstance(first, slice):
            self._writable(range(self.shape[0])[int(first)])[rest] = value
            return
        chosen = range(*first.indices(self.shape[0]))
        for index, z in enumerate(chosen):
            section = self._writable(z)
            size = (len(chosen), *np.shape(section[rest]))
            section[rest] = np.broadcast_to(value, size)[index]

    def _writable(self, z: int) -> npt.NDArray[Any]:
        found = self._painted.get(z)
        if found is None:
            found = self._painted[z] = np.zeros(self.shape[1:], self.dtype)
        return found


def make_blank(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
    """Return blank voxels to paint on: an array, or for a large stack one without its blanks."""
    if len(shape) == 3 and np.prod(shape, dtype=float) > _LARGE_VOXELS:
        return SparsePainting(shape, dtype)
    return np.zeros(shape, dtype)


def _split(key: Any) -> tuple[Any, tuple[Any, ...]]:
    first, *rest = key if isinstance(key, tuple) and key else (key,)
    return first, tuple(rest)


def _places(key: Any) -> tuple[npt.NDArray[np.intp], ...] | None:
    """Return three arrays of indices, if the key is such; None for slices and numbers."""
    if not isinstance(key, tuple) or len(key) != 3:
        return None
    if not all(isinstance(axis, np.ndarray) for axis in key):
        return None
    return tuple(np.broadcast_arrays(*key))

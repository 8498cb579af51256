"""The door: stacks of ids or grey values come in, sections go out, misfits are named in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.volume import Volume

MAX_SLAB_BYTES = 256 * 2**20


def as_stack(data: Any, noun: str) -> Any:
    """Return something with ``shape`` ZYX, ``dtype`` and ``__getitem__``.

    Raises
    ------
    InputError
        If there are not two or three axes; `noun` says what of.
    """
    stack = data.data if isinstance(data, Volume) else data
    if not hasattr(stack, "shape") or not hasattr(stack, "dtype"):
        stack = np.asarray(stack)
    if len(stack.shape) == 2:
        stack = np.asarray(stack)[np.newaxis]
    if len(stack.shape) != 3 or 0 in stack.shape:
        raise InputError(f"{_upper(noun)} has shape {tuple(stack.shape)}; z, y, x are needed.")
    if np.dtype(stack.dtype).kind not in "buif":
        raise InputError(f"{_upper(noun)} holds values of type {stack.dtype}; numbers are needed.")
    return _Slabs(stack, depth) if (depth := _chunk_depth(stack)) > 1 else stack


def read_section(stack: Any, z: int) -> npt.NDArray[Any]:
    """Return section z (YX) as a numpy array."""
    return np.asarray(stack[z])


class _Slabs:
    """Sections of a chunked array, with each chunk read once when they are read in order."""

    def __init__(self, stack: Any, depth: int) -> None:
        self.shape, self.dtype = tuple(stack.shape), np.dtype(stack.dtype)
        self._stack, self._depth = stack, depth
        self._first = -1
        self._slab = np.zeros(0, self.dtype)

    def __getitem__(self, z: int) -> npt.NDArray[Any]:
        first = z - z % self._depth
        if first != self._first:
            self._slab = np.asarray(self._stack[first : first + self._depth])
            self._first = first
        return np.asarray(self._slab[z - first])


def _chunk_depth(stack: Any) -> int:
    chunks = getattr(stack, "chunks", None)  # zarr, h5py: sizes; dask: sizes of every chunk
    if not chunks:
        return 1
    section_bytes: int = int(np.prod(stack.shape[1:])) * np.dtype(stack.dtype).itemsize
    depth = int(np.max(chunks[0]))
    return min(depth, max(1, MAX_SLAB_BYTES // section_bytes))


def check_ids(stack: Any, sections: tuple[int, ...], noun: str) -> None:
    """Refuse a stack that cannot be one of ids; only the middle one of `sections` is read.

    Raises
    ------
    InputError
        If it holds decimal numbers or looks like a raw image.
    """
    dtype = np.dtype(stack.dtype)
    if dtype.kind == "f":
        raise InputError(
            f"The {noun} holds decimal numbers ({dtype}) where whole ids are needed; "
            "a boundary map must be segmented first."
        )
    section = read_section(stack, sections[len(sections) // 2])
    if dtype.kind in "iu" and dtype.itemsize <= 2 and _is_grey(section):
        raise InputError(
            f"The {noun} looks like a raw grey image, not like object ids; choose another layer "
            "or file."
        )


def _is_grey(section: npt.NDArray[Any]) -> bool:
    """Whether neighbours mostly differ and values are many: noise, not objects."""
    if section.size < 1024 or section.shape[1] < 2:
        return False
    changes = np.mean(section[:, 1:] != section[:, :-1])
    return bool(changes > 0.5) and np.unique(section).size > 32


def read_ids(stack: Any, z: int, noun: str) -> npt.NDArray[Any]:
    """Return the ids of section z (YX).

    Raises
    ------
    InputError
        If one of them is negative.
    """
    section = read_section(stack, z)
    if section.dtype.kind == "i" and section.size and section.min() < 0:
        raise InputError(
            f"The {noun} holds negative ids in section {z}; write 0 where there is no object."
        )
    return section


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]

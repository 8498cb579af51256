"""Telling objects that hold large arrays to other processes without copying them each time."""

from __future__ import annotations

import io
import math
import multiprocessing
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_LARGE_BYTES = 64 * 1024


class CannotShare(Exception):
    """An object cannot be told to another process."""


@dataclass(frozen=True)
class SharedArray:
    """An array in memory that processes share, with a name nowhere: it goes when they end.

    It can be given to a process only while that is being started.
    """

    buffer: Any
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def like(cls, array: npt.NDArray[Any]) -> SharedArray:
        """Make one of the shape and type of `array`, of zeros."""
        nbytes = max(1, math.prod(array.shape) * array.dtype.itemsize)
        buffer = multiprocessing.get_context("spawn").RawArray("B", nbytes)
        return cls(buffer, array.shape, array.dtype.str)

    def array(self) -> npt.NDArray[Any]:
        """Look at it."""
        count = math.prod(self.shape)
        return np.frombuffer(self.buffer, self.dtype, count).reshape(self.shape)


@dataclass(frozen=True)
class MappedArray:
    """An array in a file that each process maps into its memory."""

    path: str
    offset: int
    shape: tuple[int, ...]
    dtype: str

    def array(self) -> npt.NDArray[Any]:
        """Look at it."""
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


@dataclass(frozen=True)
class Packed:
    """An object without its large arrays, and these."""

    content: bytes
    arrays: tuple[SharedArray | MappedArray, ...]


class _Packer(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, memory_bytes: int) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self.left_bytes = memory_bytes
        self.arrays: list[SharedArray | MappedArray] = []
        self._known: dict[int, int] = {}
        self._kept: list[npt.NDArray[Any]] = []  # so that no id is given away again

    def persistent_id(self, obj: Any) -> int | None:
        if not isinstance(obj, np.ndarray) or obj.nbytes < _LARGE_BYTES or obj.dtype.hasobject:
            return None
        if id(obj) not in self._known:
            self._known[id(obj)] = len(self.arrays)
            self._kept.append(obj)
            self.arrays.append(self._share(obj))
        return self._known[id(obj)]

    def _share(self, array: npt.NDArray[Any]) -> SharedArray | MappedArray:
        if mapped := _find_file(array):
            return mapped
        self.left_bytes -= array.nbytes
        if self.left_bytes < 0:
            raise CannotShare("The arrays in memory are too large to be copied.")
        shared = SharedArray.like(array)
        shared.array()[...] = array
        return shared


def _find_file(array: npt.NDArray[Any]) -> MappedArray | None:
    """Tell in which file an array lies, if it is one mapped into memory without gaps."""
    base: Any = array
    while isinstance(base, np.memmap) and isinstance(base.base, np.memmap):
        base = base.base
    if not isinstance(base, np.memmap) or base.filename is None or base.mode == "c":
        return None
    if not array.flags.c_contiguous:
        return None
    offset = base.offset + array.ctypes.data - base.ctypes.data
    return MappedArray(str(base.filename), offset, array.shape, array.dtype.str)


class _Unpacker(pickle.Unpickler):
    def __init__(self, packed: Packed) -> None:
        super().__init__(io.BytesIO(packed.content))
        self._arrays = [array.array() for array in packed.arrays]

    def persistent_load(self, pid: Any) -> Any:
        return self._arrays[pid]


def pack(obj: Any, memory_bytes: int) -> Packed:
    """Prepare an object for other processes, its large arrays in shared memory.

    Raises
    ------
    CannotShare
        If the arrays are larger than `memory_bytes`, or something cannot be pickled.
    """
    stream = io.BytesIO()
    packer = _Packer(stream, memory_bytes)
    try:
        packer.dump(obj)
    except CannotShare:
        raise
    except Exception as error:  # each library has its own way to say that it cannot be pickled
        raise CannotShare(str(error)) from error
    return Packed(stream.getvalue(), tuple(packer.arrays))


def unpack(packed: Packed) -> Any:
    """Return the object, in the process that was given it."""
    return _Unpacker(packed).load()

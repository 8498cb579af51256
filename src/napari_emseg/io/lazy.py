"""Arrays that read from their file only what is asked for.

They differ from the libraries' own arrays in three ways that matter to everyone
downstream: values come in the machine's byte order (torch and numba take no
other), every kind of index works, and a damaged file raises
:class:`~napari_emseg.errors.InputError` naming the file and the section.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError

Box = tuple[slice, ...]
Values = npt.NDArray[Any]


class LazyArray(ABC):
    """Array-like whose voxels are read when indexed.

    Parameters
    ----------
    shape : sequence of int
        Size along each axis.
    dtype : dtype-like
        Of the voxels as stored; they are given out in native byte order.
    source : str
        The file, for messages.
    section_axis : int
        The axis that counts sections, for messages.
    """

    def __init__(
        self, shape: Sequence[int], dtype: npt.DTypeLike, *, source: str, section_axis: int = 0
    ) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.source = source
        self.section_axis = section_axis

    @abstractmethod
    def _read(self, box: Box) -> Values:
        """Return the voxels in `box`: one slice an axis, filled out, step 1."""

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shape} {self.dtype} of {self.source}>"

    def __getitem__(self, key: Any) -> Any:
        box, rest = split_key(key, self.shape)
        return self.read_box(box)[rest]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Values:
        if copy is False:
            raise ValueError("The voxels are in a file, so an array of them is always a copy.")
        values = self.read_box(tuple(slice(0, n) for n in self.shape))
        return values if dtype is None else values.astype(dtype, copy=False)

    def read_box(self, box: Box) -> Values:
        """Return the voxels in `box`, which has one filled-out slice of step 1 an axis.

        Raises
        ------
        InputError
            If the file is gone, damaged or incomplete.
        """
        try:
            return np.asarray(self._read(box)).astype(self.dtype, copy=False)
        except (InputError, MemoryError):
            raise
        except FileNotFoundError as error:
            raise InputError(
                f"{self.source} is no longer there; put it back or open it again."
            ) from error
        except Exception as error:
            raise InputError(
                f"Cannot read {self._sections(box)} of {self.source}: the file is damaged "
                "or incomplete; get a fresh copy of it."
            ) from error

    def _sections(self, box: Box) -> str:
        along = box[self.section_axis]
        if along.stop - along.start <= 1:
            return f"section {along.start}"
        return f"sections {along.start} to {along.stop - 1}"


def split_key(key: Any, shape: Sequence[int]) -> tuple[Box, Any]:
    """Split an index into the box to read and the index into that box.

    Parameters
    ----------
    key : index
        Integers, slices, an ellipsis, arrays of integers or booleans along one axis.
    shape : sequence of int
        Of the array indexed.

    Returns
    -------
    box : tuple of slice
        Smallest box that holds all that is asked for; one slice an axis, step 1.
    rest : tuple
        ``array[box][rest]`` equals ``array[key]``.

    Raises
    ------
    IndexError
        If the index does not fit the shape, as numpy would say.

    Examples
    --------
    >>> split_key((-1, slice(None, None, 2)), (3, 5))
    ((slice(2, 3, None), slice(0, 5, None)), (0, slice(0, 5, 2)))
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    given = sum(1 for part in parts if part is not Ellipsis)
    if given > len(shape):
        raise IndexError(f"too many indices: the array has {len(shape)} axes, not {given}")
    fill = [slice(None)] * (len(shape) - given)
    ellipses = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    at = ellipses[0] if ellipses else len(parts)
    parts[at : at + 1] = fill
    pairs = [_split_axis(part, size) for part, size in zip(parts, shape, strict=True)]
    return tuple(box for box, _ in pairs), tuple(rest for _, rest in pairs)


def _split_axis(part: Any, size: int) -> tuple[slice, Any]:
    if isinstance(part, slice):
        positions = range(size)[part]
        if len(positions) == 0:
            return slice(0, 0), slice(None)
        low, high = min(positions[0], positions[-1]), max(positions[0], positions[-1]) + 1
        if positions.step > 0:
            return slice(low, high), slice(0, high - low, positions.step)
        return slice(low, high), slice(None, None, positions.step)
    if np.ndim(part) == 0:
        index = range(size)[int(part)]
        return slice(index, index + 1), 0
    indices = np.asarray(part)
    if indices.dtype == bool:
        if indices.shape != (size,):
            raise IndexError(f"boolean index of shape {indices.shape} for an axis of {size}")
        indices = np.flatnonzero(indices)
    if indices.size == 0:
        return slice(0, 0), indices.astype(np.intp)
    if indices.min() < -size or indices.max() >= size:
        raise IndexError(f"index out of bounds for axis of size {size}")
    indices = np.where(indices < 0, indices + size, indices)
    low = int(indices.min())
    return slice(low, int(indices.max()) + 1), indices - low


class StoredArray(LazyArray):
    """An open array of another library that only takes boxes (memory map, Zarr)."""

    def __init__(self, array: Any, *, source: str, section_axis: int = 0) -> None:
        super().__init__(array.shape, array.dtype, source=source, section_axis=section_axis)
        self.array = array

    def _read(self, box: Box) -> Values:
        return np.asarray(self.array[box])


class PlaneArray(LazyArray):
    """Planes (YX) read one by one by a function, the last few kept in memory.

    Parameters
    ----------
    shape, dtype, source, section_axis
        As for `LazyArray`; the last two axes are the plane.
    read_plane : callable
        Takes the plane's number (leading axes in C order), gives its YX values.
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: npt.DTypeLike,
        read_plane: Callable[[int], Values],
        *,
        source: str,
        section_axis: int = 0,
    ) -> None:
        super().__init__(shape, dtype, source=source, section_axis=section_axis)
        self._read_plane = read_plane
        self._cache = _RecentPlanes()

    def _read(self, box: Box) -> Values:
        leading, plane_box = box[:-2], box[-2:]
        values = np.empty([part.stop - part.start for part in box], self.dtype)
        for local in np.ndindex(*values.shape[:-2]):
            at = [part.start + i for part, i in zip(leading, local, strict=True)]
            number = int(np.ravel_multi_index(at, self.shape[:-2])) if at else 0
            values[local] = self._plane(number)[plane_box]
        return values

    def _plane(self, number: int) -> Values:
        plane = self._cache.get(number)
        if plane is None:
            plane = self._read_plane(number)
            if plane.shape != self.shape[-2:]:
                raise ValueError(f"plane {number} has shape {plane.shape}")
            self._cache.put(number, plane)
        return plane


class _RecentPlanes:
    """The planes used last, up to a number of bytes; safe to use from many threads."""

    def __init__(self, max_bytes: int = 64 * 2**20) -> None:
        self._planes: OrderedDict[int, Values] = OrderedDict()
        self._lock = threading.Lock()
        self._max_bytes = max_bytes

    def get(self, number: int) -> Values | None:
        with self._lock:
            if number in self._planes:
                self._planes.move_to_end(number)
            return self._planes.get(number)

    def put(self, number: int, plane: Values) -> None:
        with self._lock:
            self._planes[number] = plane
            while len(self._planes) * plane.nbytes > self._max_bytes and len(self._planes) > 1:
                self._planes.popitem(last=False)


class AxesView(LazyArray):
    """Another array with axes picked and ordered anew; axes left out are read at 0.

    Parameters
    ----------
    array : array-like
        The array looked at.
    axes : sequence of int or None
        For each axis of the view the axis of `array`, None for a new one of length 1.
    """

    def __init__(self, array: Any, axes: Sequence[int | None], *, source: str) -> None:
        shape = [1 if axis is None else array.shape[axis] for axis in axes]
        super().__init__(shape, array.dtype, source=source, section_axis=len(axes) - 3)
        self.array = array
        self.axes = tuple(axes)

    def _read(self, box: Box) -> Values:
        inner = [slice(0, 1)] * len(self.array.shape)
        for axis, part in zip(self.axes, box, strict=True):
            if axis is not None:
                inner[axis] = part
        values = np.asarray(self.array[tuple(inner)])
        kept = [axis for axis in self.axes if axis is not None]
        left_out = [axis for axis in range(values.ndim) if axis not in kept]
        values = values.transpose(left_out + kept)
        values = values.reshape(values.shape[len(left_out) :])
        for at, axis in enumerate(self.axes):
            if axis is None:
                # An empty box along a new axis must stay empty.
                values = np.expand_dims(values, at)[(slice(None),) * at + (box[at],)]
        return values


class PickView(LazyArray):
    """One of the arrays that lie along an axis, such as a channel.

    Parameters
    ----------
    array : LazyArray
        The array looked at.
    axis, index : int
        The axis left out, and where on it.
    """

    def __init__(self, array: LazyArray, axis: int, index: int) -> None:
        shape = array.shape[:axis] + array.shape[axis + 1 :]
        super().__init__(
            shape, array.dtype, source=array.source, section_axis=max(0, len(shape) - 3)
        )
        self.array = array
        self.axis = axis
        self.index = index

    def _read(self, box: Box) -> Values:
        here = slice(self.index, self.index + 1)
        inner = (*box[: self.axis], here, *box[self.axis :])
        return self.array.read_box(inner).squeeze(self.axis)


class MapArray(LazyArray):
    """A boundary map brought to 1 = membrane while it is read.

    Parameters
    ----------
    array : array-like
        Float in [0, 1], uint8 or bool; or anything else together with `top`.
    flip : bool
        Whether membrane is low in `array`.
    top : float, optional
        The value that means 1; the view is then ``float32(array / top)``.
    """

    def __init__(self, array: Any, *, flip: bool, source: str, top: float | None = None) -> None:
        dtype = np.dtype(array.dtype) if top is None else np.dtype(np.float32)
        super().__init__(array.shape, dtype, source=source, section_axis=len(array.shape) - 3)
        self.array = array
        self.flip = flip
        self.top = top

    def of(self, array: Any) -> MapArray:
        """Return another array seen the same way."""
        return MapArray(array, flip=self.flip, top=self.top, source=self.source)

    def _read(self, box: Box) -> Values:
        values = np.asarray(self.array[box])
        if self.top is not None:
            values = values.astype(np.float32) / np.float32(self.top)
        if not self.flip:
            return values
        if values.dtype == bool:
            return ~values
        top = 255 if values.dtype.kind == "u" else values.dtype.type(1)
        return np.asarray(top - values).astype(values.dtype, copy=False)

"""The one data type that travels between steps: an array that knows its geometry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError

Kind = Literal["raw", "boundary", "affinities", "fragments", "labels"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ZYX = tuple[float, float, float]


@runtime_checkable
class ArrayLike(Protocol):
    """What a volume needs of its data: numpy, zarr, dask, memory-mapped TIFF."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class Volume:
    """An EM volume or something derived from one.

    Attributes
    ----------
    data : array-like
        Axes ZYX, or CZYX for affinities. Anything with ``shape``, ``dtype`` and
        ``__getitem__``; read through :meth:`read`.
    kind : {"raw", "boundary", "affinities", "fragments", "labels"}
        ``boundary``: 1 = membrane, 0 = inside; float in [0, 1], or uint8
        meaning value / 255. ``fragments`` and ``labels``: integer ids, 0 = none.
    voxel_size_nm : (z, y, x) in nm, or None
        None means *not known*; it is never guessed.
    offset_nm : (z, y, x) in nm
        Position of the first voxel's centre.
    name : str
        For people: what the layer or the report is called.
    provenance : mapping
        How this volume came to be; plain values that JSON can hold.

    Raises
    ------
    InputError
        If the number of axes, the dtype or the voxel size does not fit.

    Examples
    --------
    >>> raw = Volume(np.zeros((2, 3, 4), np.uint8), voxel_size_nm=(50, 4, 4))
    >>> raw.derive(np.zeros((2, 3, 4), np.float32), kind="boundary").voxel_size_nm
    (50.0, 4.0, 4.0)
    """

    data: Any
    kind: Kind = "raw"
    voxel_size_nm: ZYX | None = None
    offset_nm: ZYX = (0.0, 0.0, 0.0)
    name: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"'{self.kind}' is no kind of volume; choose one of {KINDS}.")
        _check_axes(self)
        _check_dtype(self)
        if self.voxel_size_nm is not None:
            object.__setattr__(self, "voxel_size_nm", check_voxel_size(self.voxel_size_nm))
        object.__setattr__(self, "offset_nm", check_offset(self.offset_nm))
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis in voxels: ZYX, or CZYX for affinities."""
        return tuple(int(n) for n in self.data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels as stored."""
        dtype: np.dtype[Any] = np.dtype(self.data.dtype)
        return dtype

    @property
    def is_label(self) -> bool:
        """Whether the voxels are ids, which must never be interpolated."""
        return self.kind in ("fragments", "labels")

    def read(self, key: Any = ...) -> npt.NDArray[Any]:
        """Return the voxels at `key` as a numpy array (everything by default)."""
        return np.asarray(self.data[key])

    def derive(self, data: Any, *, kind: Kind, name: str = "", **provenance: Any) -> Volume:
        """Make a volume on the same grid, keeping geometry and history.

        Parameters
        ----------
        data : array-like
            Same ZYX shape as this volume.
        kind : str
            What the new voxels are.
        name : str, optional
            Its name; by default this volume's.
        **provenance
            Added to this volume's provenance.
        """
        return Volume(
            data,
            kind=kind,
            voxel_size_nm=self.voxel_size_nm,
            offset_nm=self.offset_nm,
            name=name or self.name,
            provenance={**self.provenance, **provenance},
        )


def check_voxel_size(value: Any) -> ZYX:
    """Return three positive lengths in nm (z, y, x).

    Raises
    ------
    InputError
        If `value` is anything else.

    Examples
    --------
    >>> check_voxel_size([50, 4, 4])
    (50.0, 4.0, 4.0)
    """
    size = _three_floats(value, "voxel size")
    if min(size) <= 0:
        raise InputError(f"A voxel size must be positive in nm, not {size}.")
    return size


def check_offset(value: Any) -> ZYX:
    """Return three finite numbers in nm (z, y, x).

    Raises
    ------
    InputError
        If `value` is anything else.
    """
    return _three_floats(value, "offset")


def _check_axes(volume: Volume) -> None:
    shape = volume.shape
    wanted = 4 if volume.kind == "affinities" else 3
    if len(shape) != wanted:
        axes = "channel, z, y, x" if wanted == 4 else "z, y, x"
        hint = ""
        if len(shape) == 2:
            hint = " A single section needs a first axis of length 1."
        elif len(shape) == 4 and shape[-1] in (3, 4):
            hint = " It looks like a colour image: convert it to grey first."
        raise InputError(
            f"{volume.name or 'The data'} has shape {shape}; "
            f"a {volume.kind} volume needs {wanted} axes ({axes}).{hint}"
        )
    if 0 in shape:
        raise InputError(f"{volume.name or 'The data'} has shape {shape}, so it holds no voxels.")


def _check_dtype(volume: Volume) -> None:
    kind, dtype = volume.kind, volume.dtype
    what = volume.name or "The data"
    if dtype.kind not in "buif":
        raise InputError(f"{what} holds values of type {dtype}; grey values or ids are needed.")
    if volume.is_label and dtype.kind == "f":
        raise InputError(f"{what} holds decimal numbers ({dtype}) where {kind} needs whole ids.")
    if kind in ("boundary", "affinities") and not (dtype.kind == "f" or dtype in (np.uint8, bool)):
        raise InputError(
            f"{what} has type {dtype}; a {kind} map is float in [0, 1] or uint8 (value / 255)."
        )


def _three_floats(value: Any, noun: str) -> ZYX:
    try:
        z, y, x = (float(v) for v in value)
    except (TypeError, ValueError):
        raise InputError(f"A {noun} is three numbers in nm (z, y, x), not {value!r}.") from None
    if not np.isfinite([z, y, x]).all():
        raise InputError(f"A {noun} must be finite, not {(z, y, x)}.")
    return (z, y, x)

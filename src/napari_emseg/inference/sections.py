"""Reading raw sections one at a time and bringing them to what a network expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.volume import Volume

FloatArray = npt.NDArray[np.float32]
_LARGEST_RATIO = 1.5
_ABSURD_RATIO = 10


def standardise(section: npt.NDArray[Any]) -> FloatArray | None:
    """Bring a section to zero mean and unit variance.

    Parameters
    ----------
    section : (Y, X) array of any number type

    Returns
    -------
    (Y, X) float32 or None
        None for a blank section, where all pixels are equal.

    Raises
    ------
    InputError
        If a pixel is NaN or infinite, or so large or small that squares are.

    Examples
    --------
    >>> standardise(np.array([[1, 3]], np.uint8))
    array([[-1.,  1.]], dtype=float32)
    """
    low, high = section.min(), section.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(
            "holds values that are not numbers (NaN or infinite); replace them, for instance by 0."
        )
    if low == high:
        return None
    wide = np.float64 if section.dtype.itemsize > 4 else np.float32
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        deviation = np.subtract(section, section.mean(dtype=np.float64), dtype=wide)
        scale = np.sqrt(np.square(deviation, dtype=np.float64).mean())
    if not 0 < scale < np.inf:
        raise InputError(
            f"has values from {low:.3g} to {high:.3g}, beyond what can be computed with; rescale "
            "them, for instance to 8 bit."
        )
    standard: FloatArray = (deviation / scale).astype(np.float32)
    return standard


def check_raw(raw: Any) -> Volume:
    """Return `raw` as a volume of grey values.

    Raises
    ------
    InputError
        If it has the wrong axes, or holds labels or a boundary map.
    """
    volume = raw if isinstance(raw, Volume) else Volume(raw)
    what = volume.name or "The input"
    if volume.kind != "raw":
        raise InputError(f"{what} is a {volume.kind} volume; prediction needs the raw images.")
    if volume.dtype.kind in "iu" and volume.dtype.itemsize >= 4:
        raise InputError(
            f"{what} looks like labels ({volume.dtype} whole numbers); prediction needs the raw "
            "images. If these are grey values, convert them to uint16 first."
        )
    return volume


def voxel_size_ratio(
    data_nm: tuple[float, ...] | None, model_nm: tuple[float, ...] | None
) -> tuple[float, float] | None:
    """Return data / model pixel size along y and x where that is far from 1.

    Parameters
    ----------
    data_nm, model_nm : (z, y, x) in nm, or None when unknown

    Returns
    -------
    (y, x) or None
        None where a size is unknown or both agree within a factor of 1.5.

    Examples
    --------
    >>> voxel_size_ratio((50, 8, 8), (50, 4, 4))
    (2.0, 2.0)
    """
    if data_nm is None or model_nm is None:
        return None
    y, x = (data / model for data, model in zip(data_nm[1:], model_nm[1:], strict=True))
    if all(1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO for ratio in (y, x)):
        return None
    return y, x


class Reader(Protocol):
    """Gives a network its input for a section."""

    @property
    def full_shape_px(self) -> tuple[int, ...]:
        """Size of the raw sections, (y, x)."""

    def read(self, z: int) -> FloatArray | None:
        """Return the (channels, Y, X) input for section `z`, or None if it is blank."""


class SectionReader:
    """Gives the input of the network for a section, reading each section once.

    That is, as long as sections are asked for in order.

    Parameters
    ----------
    raw : Volume
        Grey values, ZYX.
    in_sections : int
        Neighbouring sections the network sees; at the ends of the stack the
        outermost section is repeated, and so is the middle one for a blank one.
    ratio : (y, x) or None
        Data / model pixel size to resample by.
    """

    def __init__(self, raw: Volume, in_sections: int, ratio: tuple[float, float] | None) -> None:
        self._raw = raw
        self._reach = in_sections // 2
        self._ratio = ratio
        self._cache: dict[int, FloatArray | None] = {}
        self._is_blank: dict[int, bool] = {}
        self.n_sections = raw.shape[0]
        self.full_shape_px = raw.shape[1:]
        self.shape_px = _resampled_shape(raw, ratio) if ratio else self.full_shape_px
        self.is_resampling = ratio is not None
        self.blank: set[int] = set()

    def read(self, z: int) -> FloatArray | None:
        """Return the (channels, Y, X) input for section `z`, or None if it is blank."""
        found = self._read_all(self.neighbours(z))
        middle = self._cache[z]
        if middle is None:
            self.blank.add(z)
            return None
        return np.stack([middle if section is None else section for section in found])

    def beside(self, in_sections: int) -> SectionReader:
        """Return a reader of the same sections for a network that sees another number."""
        return SectionReader(self._raw, in_sections, self._ratio)

    def neighbours(self, z: int) -> list[int]:
        """Return the sections seen for section `z`, in order."""
        last = self.n_sections - 1
        return [min(max(z + d, 0), last) for d in range(-self._reach, self._reach + 1)]

    def read_stack(self, sections: Sequence[int]) -> FloatArray:
        """Return sections (Z, Y, X) for a 3D network, blank ones as zeros."""
        nothing = np.zeros(self.shape_px, np.float32)
        found = self._read_all(sections)
        return np.stack([nothing if section is None else section for section in found])

    def is_blank(self, z: int) -> bool:
        """Tell whether section `z` holds one grey value only."""
        if z not in self._is_blank:
            self._is_blank[z] = self._standardised(z) is None
        return self._is_blank[z]

    def _read_all(self, sections: Sequence[int]) -> list[FloatArray | None]:
        self._cache = {z: section for z, section in self._cache.items() if z in sections}
        for z in sections:
            if z not in self._cache:
                self._cache[z] = section = self._standardised(z)
                self._is_blank[z] = section is None
        return [self._cache[z] for z in sections]

    def _standardised(self, z: int) -> FloatArray | None:
        what = f"Section {z} of {self._raw.name or 'the input'}"
        try:
            section = self._raw.read(z)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{what} cannot be read: {error}.") from error
        if section.dtype == bool:
            section = section.astype(np.uint8)
        try:
            # noise shrinks with the pixels, so the network's unit is set after resampling
            if self.is_resampling and np.isfinite(section).all():
                section = resize(section.astype(np.float32), self.shape_px)
            return standardise(section)
        except InputError as error:
            raise InputError(f"{what} {error}") from None


def resize(image: FloatArray, shape_px: tuple[int, ...]) -> FloatArray:
    """Resample a (Y, X) image, bilinear, smoothed first where it shrinks."""
    import torch
    from torch.nn.functional import interpolate

    tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    resized: FloatArray = interpolate(
        tensor, size=shape_px, mode="bilinear", align_corners=False, antialias=True
    )[0, 0].numpy()
    return resized


def _resampled_shape(raw: Volume, ratio: tuple[float, float]) -> tuple[int, ...]:
    if max(*ratio, 1 / min(ratio)) > _ABSURD_RATIO:
        raise InputError(
            f"The voxel size of {raw.name or 'the input'} (z, y, x: {raw.voxel_size_nm} nm) is "
            f"{ratio[0]:.3g} times the model's; correct it, or predict without resampling."
        )
    return tuple(max(1, round(n * r)) for n, r in zip(raw.shape[1:], ratio, strict=True))

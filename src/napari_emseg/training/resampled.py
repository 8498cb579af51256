"""Training pairs on another grid: the pixel size that a model was trained at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.inference.sections import resize, voxel_size_ratio
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.training.pairs import LARGEST_ANISOTROPY, TrainingPair, is_blank
from napari_emseg.training.targets import membrane_target
from napari_emseg.volume import ZYX, Volume

Values = npt.NDArray[Any]
Size = tuple[int, int]

_ABSURD_RATIO = 10


def at_voxel_size(
    pair: TrainingPair, voxel_size_nm: ZYX | None, *, progress: Progress = NO_PROGRESS
) -> TrainingPair:
    """Bring a pair to the pixel size of the model that training starts from.

    Only within sections and only where prediction would do so too: where a pixel
    size is more than 1.5 times the other. Ids and paint stay what they are, membranes
    stay two-valued and closed. Sections that are not trained on are resampled when
    they are read.

    Parameters
    ----------
    pair : TrainingPair
    voxel_size_nm : (z, y, x) in nm, or None
        Of the model; where it or that of the data is unknown, the pair is left as it is.
    progress : Progress
        Told after each section.

    Raises
    ------
    InputError
        If one size is more than 10 times the other.

    Examples
    --------
    >>> raw = Volume(np.zeros((2, 31, 40), np.uint8), voxel_size_nm=(50, 8, 8))
    >>> labels = Volume(np.ones((2, 31, 40), np.uint8), kind="labels")
    >>> finer = at_voxel_size(TrainingPair(raw, labels, "labels", (0, 1)), (50, 4, 4))
    >>> finer.raw.shape, finer.raw.voxel_size_nm
    ((2, 62, 80), (50.0, 4.0, 4.0))
    """
    ratio = voxel_size_ratio(pair.raw.voxel_size_nm, voxel_size_nm)
    if ratio is None or pair.raw.voxel_size_nm is None or voxel_size_nm is None:
        return pair
    _check_ratio(pair, ratio)
    height, width = (max(1, round(n * r)) for n, r in zip(pair.raw.shape[1:], ratio, strict=True))
    pixel_nm = (pair.raw.voxel_size_nm[0], *voxel_size_nm[1:])
    resampled = _resample(pair, (height, width), pixel_nm)
    volumes = [v for v in (resampled.raw, resampled.labels, resampled.ignore) if v is not None]
    sections = sorted({*pair.train_sections, *pair.validation_sections})
    for done, z in enumerate(sections):
        for volume in volumes:
            volume.data.prepare(z)
        progress.update(done + 1, len(sections), f"resampling {pair.name}")
    return resampled


def on_grid_of(
    pairs: Sequence[TrainingPair], model: ModelInfo, *, progress: Progress = NO_PROGRESS
) -> list[TrainingPair]:
    """Bring pairs to the pixel size of a model; not for affinities, whose offsets count voxels."""
    if model.target != "boundary":
        return list(pairs)
    return [at_voxel_size(pair, model.voxel_size_nm, progress=progress) for pair in pairs]


def _check_ratio(pair: TrainingPair, ratio: tuple[float, float]) -> None:
    if max(*ratio, 1 / min(ratio)) > _ABSURD_RATIO:
        raise InputError(
            f"{pair.name}: its voxel size (z, y, x: {pair.raw.voxel_size_nm} nm) is "
            f"{ratio[0]:.3g} times that of the model to start from; correct it, or start from "
            "another model or from nothing."
        )


def _resample(pair: TrainingPair, size: Size, pixel_nm: ZYX) -> TrainingPair:
    def on_grid(volume: Volume, convert: Callable[[Values], Values], dtype: Any) -> Volume:
        data = _Resampled(volume, size, convert, np.dtype(dtype))
        return replace(volume, data=data, voxel_size_nm=pixel_nm)

    nearest = partial(_nearest, size=size)
    is_drawn = pair.labels_kind == "membranes"
    draw = partial(_membranes, size=size, invert=pair.invert)
    return replace(
        pair,
        raw=_grey_on_grid(pair.raw, on_grid, size),
        labels=on_grid(pair.labels, draw, np.uint8)
        if is_drawn
        else on_grid(pair.labels, nearest, pair.labels.dtype),
        invert=False if is_drawn else pair.invert,
        ignore=pair.ignore and on_grid(pair.ignore, nearest, pair.ignore.dtype),
        maps=pair.maps and _grey_on_grid(pair.maps, on_grid, size),
        axes=pair.axes if max(pixel_nm) <= LARGEST_ANISOTROPY * min(pixel_nm) else "z",
    )


def _grey_on_grid(volume: Volume, on_grid: Callable[..., Volume], size: Size) -> Volume:
    whole = volume.dtype.kind in "iu"
    dtype = volume.dtype if whole else np.dtype(np.float32)
    return on_grid(volume, partial(_grey, size=size, dtype=dtype), dtype)


class _Resampled:
    """Sections of a volume on another grid; those prepared are kept."""

    def __init__(
        self,
        volume: Volume,
        size: Size,
        convert: Callable[[Values], Values],
        dtype: np.dtype[Any],
    ) -> None:
        self.shape = (volume.shape[0], *size)
        self.dtype = dtype
        self._volume = volume
        self._convert = convert
        self._kept: dict[int, Values] = {}

    def prepare(self, z: int) -> None:
        """Resample a section, once, and keep it."""
        if z < self.shape[0]:
            self._kept[z] = self._section(z)

    def __getitem__(self, key: Any) -> Values:
        z, *in_plane = key if isinstance(key, tuple) else (key,)
        if z is Ellipsis:
            z, in_plane = slice(None), []
        if not isinstance(z, slice):
            section: Values = self._section(int(z))[tuple(in_plane)]
            return section
        sections = [self._section(at)[tuple(in_plane)] for at in range(*z.indices(self.shape[0]))]
        return np.stack(sections) if sections else np.zeros((0, *self.shape[1:]), self.dtype)

    def _section(self, z: int) -> Values:
        z %= self.shape[0]
        return self._kept[z] if z in self._kept else self._convert(self._volume.read(z))


def _grey(section: Values, *, size: Size, dtype: np.dtype[Any]) -> Values:
    grey: Values = resize(section.astype(np.float32), size)
    if dtype.kind == "f":
        return grey
    limits = np.iinfo(dtype)
    return np.clip(np.rint(grey), limits.min, limits.max).astype(dtype)


def _nearest(section: Values, *, size: Size) -> Values:
    """Take for each pixel the one that lies under its middle."""
    y, x = (
        np.minimum(((np.arange(new) + 0.5) * (old / new)).astype(np.int64), old - 1)
        for old, new in zip(section.shape, size, strict=True)
    )
    return section[np.ix_(y, x)]


def _membranes(section: Values, *, size: Size, invert: bool | None) -> Values:
    """Return 255 where there is membrane, 0 elsewhere.

    Where pixels grow, one that touches any membrane is membrane: thin ones stay closed.
    """
    if is_blank(section):
        return np.zeros(size, np.uint8)
    drawn = membrane_target(section, invert=invert)
    for axis, new in enumerate(size):
        old = drawn.shape[axis]
        if new < old:
            starts = (np.arange(new) * old) // new
            drawn = np.maximum.reduceat(drawn, starts, axis=axis)
    return _nearest(drawn, size=size) * np.uint8(255)

"""Making an OME-Zarr 0.5 image with a pyramid of in-plane halves, some sections at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.io.source import describe_volume
from napari_emseg.volume import ZYX, Volume

_CHUNK_PX = 512
_CHUNK_BYTES = 2**20
_MAX_CHUNK_SECTIONS = 16
_PYRAMID_PX = 1024


class ZarrImage:
    """The arrays of an image, full resolution first.

    Parameters
    ----------
    group : zarr.Group
        Holds them under the names 0, 1, ...
    volume : Volume
        What the image is of; its voxels are not read.
    """

    def __init__(self, group: Any, volume: Volume) -> None:
        self._group = group
        self._halve = _halve_ids if volume.is_label or volume.dtype == bool else _halve_values
        self._levels = [group[str(n)] for n, _ in enumerate(_level_shapes(volume.shape))]
        self.chunk_sections = chunk_sections(volume)

    @property
    def data(self) -> Any:
        """The array of full resolution."""
        return self._levels[0]

    def write(self, start: int, values: npt.NDArray[Any]) -> None:
        """Write sections ([C,] Z, Y, X) from section `start` on, to every level."""
        sections = (..., slice(start, start + values.shape[-3]), slice(None), slice(None))
        for number, level in enumerate(self._levels):
            values = self._halve(values) if number else values
            level[sections] = values

    def flush(self, start: int) -> None:
        """Make sure that the sections stored together with `start` are on the disk."""
        for level in self._levels:
            folder = Path(level.store.root) / level.path / "c"
            number = str(start // self.chunk_sections)
            for file in folder.glob("/".join(["*"] * (level.ndim - 3) + [number, "*", "*"])):
                with file.open("rb+") as stream:
                    os.fsync(stream.fileno())

    def describe(self, volume: Volume, **attributes: Any) -> None:
        """Write what is known of the image; `attributes` are put beside it."""
        self._group.attrs.put({**_attributes(volume), **attributes})


def open_image(volume: Volume, path: Path) -> ZarrImage:
    """Open an image that :func:`create_image` made of the same volume, to write on."""
    import zarr

    return ZarrImage(zarr.open_group(path, mode="r+"), volume)


def create_image(volume: Volume, path: Path, **attributes: Any) -> ZarrImage:
    """Make the arrays of an image, still empty.

    Parameters
    ----------
    volume : Volume
        Its shape, type and description are used, not its voxels.
    path : Path
        A folder that does not exist, or an empty one.
    **attributes
        Put beside the description.
    """
    import zarr

    group = zarr.create_group(path, zarr_format=3, attributes={**_attributes(volume), **attributes})
    for number, shape in enumerate(_level_shapes(volume.shape)):
        chunks = (chunk_sections(volume), *(min(_CHUNK_PX, n) for n in shape[-2:]))
        group.create_array(
            str(number),
            shape=shape,
            dtype=volume.dtype.newbyteorder("="),
            chunks=(*(1,) * (len(shape) - 3), *chunks),
            dimension_names=list("czyx"[-len(shape) :]),
        )
    return ZarrImage(group, volume)


def _attributes(volume: Volume) -> dict[str, Any]:
    n_levels = len(list(_level_shapes(volume.shape)))
    return {
        "ome": _ome_attributes(volume, n_levels),
        "emseg": json.loads(describe_volume(volume)),
    }


def chunk_sections(volume: Volume) -> int:
    """Return how many sections are stored together."""
    height, width = (min(_CHUNK_PX, n) for n in volume.shape[-2:])
    fitting = _CHUNK_BYTES // (height * width * volume.dtype.itemsize)
    return min(max(1, fitting), _MAX_CHUNK_SECTIONS, volume.shape[-3])


def _level_shapes(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    yield shape
    while max(shape[-2:]) > _PYRAMID_PX:
        shape = (*shape[:-2], *(-(-n // 2) for n in shape[-2:]))
        yield shape


def _ome_attributes(volume: Volume, n_levels: int) -> dict[str, Any]:
    size: ZYX = volume.voxel_size_nm or (1.0, 1.0, 1.0)
    axes: list[dict[str, str]] = [{"name": name, "type": "space"} for name in "zyx"]
    if volume.voxel_size_nm is not None:
        axes = [axis | {"unit": "nanometer"} for axis in axes]
    is_channelled = len(volume.shape) == 4
    if is_channelled:
        axes.insert(0, {"name": "c", "type": "channel"})
    datasets = []
    for level in range(n_levels):
        factors = (1, 2**level, 2**level)
        scale = [f * s for f, s in zip(factors, size, strict=True)]
        # The centre of a coarse voxel lies between the centres of those it stands for.
        shift = [at + (a - b) / 2 for at, a, b in zip(volume.offset_nm, scale, size, strict=True)]
        transformations = [
            {"type": "scale", "scale": [1.0] * is_channelled + scale},
            {"type": "translation", "translation": [0.0] * is_channelled + shift},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    ome: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [{"name": volume.name, "axes": axes, "datasets": datasets}],
    }
    if volume.is_label:
        ome["image-label"] = {"version": "0.5"}
    return ome


def _corners(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """Return the four voxels of each 2x2 square, the last row and column repeated."""
    odd = [(0, 0)] * (values.ndim - 2) + [(0, n % 2) for n in values.shape[-2:]]
    values = np.pad(values, odd, mode="edge")
    return tuple(values[..., y::2, x::2] for y in (0, 1) for x in (0, 1))


def _halve_values(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    mean = np.mean(_corners(values), axis=0, dtype=np.float64)
    return (np.rint(mean) if values.dtype.kind in "ui" else mean).astype(values.dtype)


def _halve_ids(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give each 2x2 square the id most frequent in it, the first where they tie."""
    a, b, c, d = _corners(values)
    a_wins = (a == b) | (a == c) | (a == d)
    return np.where(
        a_wins | ((b != c) & (b != d) & (c != d)), a, np.where((b == c) | (b == d), b, c)
    )

"""HDF5 files: any dataset, with the attributes CREMI uses.

``resolution`` and ``offset`` are z, y, x in nm. The file is opened for each read
and closed again, so it never stays locked for other programs.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write
from napari_emseg.io.conventions import (
    NAMES_OF_KIND,
    find_kind,
    pick_membrane_channel,
    read_axistags,
    read_offsets,
    read_size,
)
from napari_emseg.io.create_h5 import create_h5
from napari_emseg.io.inside import choose_array, guess_axes, may_be_volume, name_some, three_numbers
from napari_emseg.io.lazy import Box, LazyArray, PickView
from napari_emseg.io.source import Source, check_replaced, describe_volume, parse_ours
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Kind, Volume

# From 1.8 (2008) on, attributes may have any length.
_VERSIONS = ("v108", "v110")
_CHUNK = (1, 256, 256)

# HDF5 itself takes one thread at a time; opening and reading must not be torn apart.
_lock = threading.Lock()


class H5Array(LazyArray):
    """A dataset of an HDF5 file that is opened for each read."""

    def __init__(self, file: Path, dataset: Any) -> None:
        super().__init__(
            dataset.shape,
            dataset.dtype,
            source=f"{file}:{dataset.name}",
            section_axis=max(0, dataset.ndim - 3),
        )
        self.file = file
        self.dataset = dataset.name

    def _read(self, box: Box) -> npt.NDArray[Any]:
        import h5py

        with _lock, h5py.File(self.file, "r") as h5:
            return np.asarray(h5[self.dataset][box])


def read_h5(path: Path, inside: str = "") -> Source:
    """Read a dataset of an HDF5 file.

    Parameters
    ----------
    path : Path
        The file.
    inside : str
        The dataset; by default the only one that can be a volume, or one with a
        usual name such as ``volumes/raw``. A number after it picks a channel.

    Returns
    -------
    Source
        Lazy.

    Raises
    ------
    InputError
        If the file is damaged, or there is no such dataset, or several and none has a
        usual name; the message lists them.
    """
    with _open(path) as h5:
        dataset, channel, notes = _find(path, h5, inside)
        return _source(path, dataset, channel, notes)


def find_in_h5(path: Path, kind: Kind) -> str:
    """Return which of several datasets has a usual name for a kind of volume.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What is wanted.

    Returns
    -------
    str
        Empty where there is none of such a name, or a single dataset.
    """
    with _open(path) as h5:
        names = _volumes_in(h5)
    if len(names) < 2:
        return ""
    return next((name for name in NAMES_OF_KIND[kind] if name in names), "")


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a file for reading and say in words why it cannot be read."""
    import h5py

    try:
        with _lock, h5py.File(path, "r") as h5:
            yield h5
    except InputError:
        raise
    except PermissionError:
        raise InputError(
            f"Reading {path} is not permitted; ask its owner for read rights."
        ) from None
    except BlockingIOError:
        raise InputError(
            f"{path} is being written by another program; wait until it has closed it."
        ) from None
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is no readable HDF5 file; get a fresh copy of it or export it anew."
        ) from error


def _find(path: Path, h5: Any, inside: str) -> tuple[Any, int | None, list[str]]:
    """Return a dataset, which of its channels is named, and what else there is."""
    import h5py

    if inside and isinstance(h5.get(inside), h5py.Dataset):
        return h5[inside], None, []
    parent, _, last = inside.rpartition("/")
    if last.isdecimal() and isinstance(h5.get(parent or "/"), h5py.Dataset):
        return h5[parent], int(last), []
    name, notes = choose_array(_volumes_in(h5), inside, file=str(path), joint=":/")
    return h5[name], None, notes


def _volumes_in(h5: Any) -> list[str]:
    """Names of the datasets that can be a volume: numbers, with two axes or more."""
    import h5py

    names: list[str] = []

    def look(name: str, item: Any) -> None:
        is_array = isinstance(item, h5py.Dataset)
        if is_array and item.dtype.kind in "buif" and may_be_volume(item.shape):
            names.append(name)

    h5.visititems(look)
    return names


def _source(path: Path, dataset: Any, channel: int | None, notes: list[str]) -> Source:
    if dataset.shape is None or dataset.dtype.kind not in "buif":
        raise InputError(
            f"{path}:{dataset.name} holds {dataset.dtype} and no grey values or ids; "
            "choose another dataset."
        )
    attributes = dataset.attrs
    axes = _axes(dataset)
    data: LazyArray = H5Array(path, dataset)
    kind = find_kind(dataset.name, dataset.dtype, axes, dataset.shape)
    if read_axistags(attributes, dataset.ndim) and _n_channels(axes, dataset) > 1:
        kind = "boundary"
        if channel is None:
            channel, note = pick_membrane_channel(_sample_channels(dataset, axes), data.source)
            notes = [*notes, note]
    offsets = read_offsets(attributes, _n_channels(axes, dataset)) if "C" in axes else ()
    kind = "affinities" if offsets and kind is None else kind
    if channel is not None:
        data, axes = _take_channel(data, axes, channel)
        kind, offsets = None if kind == "affinities" else kind, ()
    return Source(
        data=data,
        axes=axes,
        format="HDF5",
        size_nm=read_size(attributes),
        offset_nm=three_numbers(attributes.get("offset")) or (0.0, 0.0, 0.0),
        ours=parse_ours(attributes.get("emseg")),
        kind=kind,
        notes=tuple(notes),
        offsets=offsets,
    )


def _n_channels(axes: str, array: Any) -> int:
    return int(array.shape[axes.index("C")]) if "C" in axes else 1


def _sample_channels(dataset: Any, axes: str) -> npt.NDArray[Any]:
    """Read all channels of the middle section."""
    key: list[slice | int] = [slice(None)] * dataset.ndim
    for axis in {*axes} - {*"CYX"}:
        key[axes.index(axis)] = dataset.shape[axes.index(axis)] // 2
    left = [axis for axis in axes if axis in "CYX"]
    return np.moveaxis(np.asarray(dataset[tuple(key)]), left.index("C"), 0)


def _take_channel(data: LazyArray, axes: str, channel: int) -> tuple[LazyArray, str]:
    n_channels = _n_channels(axes, data)
    if channel >= n_channels:
        raise InputError(
            f"{data.source} has no channel {channel}; its channels are 0 to {n_channels - 1}."
        )
    if "C" not in axes:
        return data, axes
    return PickView(data, axes.index("C"), channel), axes.replace("C", "")


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _axes(dataset: Any) -> str:
    if tagged := read_axistags(dataset.attrs, dataset.ndim):
        return tagged
    # Not by `dataset.dims`, which ends the process where that attribute is damaged.
    labels = "".join(
        _text(label)[:1].upper() for label in dataset.attrs.get("DIMENSION_LABELS", ())
    )
    if len(labels) == dataset.ndim and len(set(labels)) == dataset.ndim and {*"YX"} <= {*labels}:
        return labels
    return guess_axes(dataset.shape)


def write_h5(
    volume: Volume, path: Path, inside: str = "", *, progress: Progress = NO_PROGRESS
) -> None:
    """Write a volume as a compressed, chunked dataset with CREMI's attributes.

    A writer: `napari_emseg.io.volumes.save_volume` says what the parameters are. The
    dataset is called `inside`, by default after the kind of the volume; what else the
    file holds is kept.

    Raises
    ------
    InputError
        If the disk is full or not writable, or as `check_h5`; what was there before
        stays.
    """
    check_h5(path, inside, volume.kind)
    name = inside or volume.kind
    with atomic_write(path) as temporary, _extended(path, temporary, name) as h5:
        dataset = h5.create_dataset(
            name,
            shape=volume.shape,
            dtype=volume.dtype,
            chunks=(1,) * (len(volume.shape) - 3)
            + tuple(min(a, b) for a, b in zip(_CHUNK, volume.shape[-3:], strict=True)),
            compression="gzip",
            compression_opts=4,
            shuffle=True,
        )
        for label, dimension in zip("CZYX"[-len(volume.shape) :], dataset.dims, strict=True):
            dimension.label = label.lower()
        if volume.voxel_size_nm is not None:
            dataset.attrs["resolution"] = volume.voxel_size_nm
        dataset.attrs["offset"] = volume.offset_nm
        dataset.attrs["unit"] = "nm"
        dataset.attrs["emseg"] = describe_volume(volume)
        n_sections = volume.shape[-3]
        for z in range(n_sections):
            progress.update(z, n_sections, "Writing sections")
            dataset[..., z, :, :] = volume.read((..., z, slice(None), slice(None)))
        progress.update(n_sections, n_sections, "Writing sections")


@contextmanager
def _extended(path: Path, temporary: Path, name: str) -> Iterator[Any]:
    """Open a copy of what is at `path`, if anything, in which `name` is free.

    The file is copied as it is: HDF5 cannot copy all that a file may hold one by
    one, links that lead nowhere and references between datasets among it.
    """
    is_there = path.exists()
    if is_there:
        with _lock:
            shutil.copyfile(path, temporary)
    with create_h5(temporary, extend=is_there, libver=_VERSIONS) as h5:
        if name in h5:
            del h5[name]  # what is written next takes its space
        yield h5


def check_h5(path: Path, inside: str, kind: Kind) -> None:
    """Make sure that writing a dataset loses nothing but an earlier result of its kind.

    Parameters
    ----------
    path : Path
        The file.
    inside : str
        Name of the dataset; by default `kind`.
    kind : str
        Kind of the volume to write.

    Raises
    ------
    InputError
        If the file is no HDF5, or the name belongs to a group that holds something, to a
        link, to a dataset that we did not write or to one of another kind.
    """
    import h5py

    if not path.exists():
        return
    if not h5py.is_hdf5(path):
        raise InputError(f"{path} is no HDF5 file to add to; remove it or choose another name.")
    name = inside or kind
    with _open(path) as h5:
        _check_parents(path, h5, name)
        if isinstance(h5.get(name, getlink=True), h5py.SoftLink | h5py.ExternalLink):
            raise InputError(f"{path}:/{name} is a link to something else; choose another name.")
        item = h5.get(name)
        if isinstance(item, h5py.Group) and len(item):
            lost = name_some([f"{name}/{key}" for key in sorted(item)])
            raise InputError(
                f"{path} holds {lost}, which would be lost; choose a name inside it, "
                f"such as {path}:/{name}/{kind}."
            )
        if isinstance(item, h5py.Dataset):
            check_replaced(f"{path}:/{name}", parse_ours(item.attrs.get("emseg")), kind)


def _check_parents(path: Path, h5: Any, name: str) -> None:
    import h5py

    parts = name.split("/")
    for depth in range(1, len(parts)):
        parent = "/".join(parts[:depth])
        if isinstance(h5.get(parent, getlink=True), h5py.ExternalLink):
            raise InputError(f"{path}:/{parent} is a link to another file; choose another name.")
        if isinstance(h5.get(parent), h5py.Dataset):
            raise InputError(
                f"{path}:/{parent} is a dataset, which nothing can be put into; "
                "choose a name outside it."
            )

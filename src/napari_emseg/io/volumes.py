"""Opening, saving and describing volumes of any format we know."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import check_file_place, check_place
from napari_emseg.io.axes import to_zyx
from napari_emseg.io.kinds import guess_kind
from napari_emseg.io.lazy import MapArray
from napari_emseg.io.location import check_exists, is_zarr, split_location, stem_of, suffix_of
from napari_emseg.io.polarity import to_boundary
from napari_emseg.io.sections import has_images
from napari_emseg.io.source import Source
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.registry import resolve
from napari_emseg.volume import ZYX, Kind, Volume

READERS = {
    ".tif": "napari_emseg.io.tiff:read_tiff",
    ".tiff": "napari_emseg.io.tiff:read_tiff",
    ".ome.tif": "napari_emseg.io.tiff:read_tiff",
    ".ome.tiff": "napari_emseg.io.tiff:read_tiff",
    ".btf": "napari_emseg.io.tiff:read_tiff",
    ".h5": "napari_emseg.io.h5:read_h5",
    ".hdf5": "napari_emseg.io.h5:read_h5",
    ".hdf": "napari_emseg.io.h5:read_h5",
    ".zarr": "napari_emseg.io.zarr:read_zarr",
    ".ome.zarr": "napari_emseg.io.zarr:read_zarr",
    ".png": "napari_emseg.io.sections:read_image",
    ".jpg": "napari_emseg.io.sections:read_image",
    ".jpeg": "napari_emseg.io.sections:read_image",
    ".bmp": "napari_emseg.io.sections:read_image",
}
WRITERS = {
    ".tif": "napari_emseg.io.tiff:write_tiff",
    ".tiff": "napari_emseg.io.tiff:write_tiff",
    ".ome.tif": "napari_emseg.io.tiff:write_tiff",
    ".ome.tiff": "napari_emseg.io.tiff:write_tiff",
    ".h5": "napari_emseg.io.h5:write_h5",
    ".hdf5": "napari_emseg.io.h5:write_h5",
    ".hdf": "napari_emseg.io.h5:write_h5",
    ".zarr": "napari_emseg.io.zarr:write_zarr",
    ".ome.zarr": "napari_emseg.io.zarr:write_zarr",
}
# Formats with names inside, where writing could lose more than a file of that name.
_CHECKS = {
    ".h5": "napari_emseg.io.h5:check_h5",
    ".hdf5": "napari_emseg.io.h5:check_h5",
    ".hdf": "napari_emseg.io.h5:check_h5",
    ".zarr": "napari_emseg.io.zarr:check_zarr",
    ".ome.zarr": "napari_emseg.io.zarr:check_zarr",
}
# Formats with names inside, where the kind wanted tells which is meant.
_FINDERS = {
    ".h5": "napari_emseg.io.h5:find_in_h5",
    ".hdf5": "napari_emseg.io.h5:find_in_h5",
    ".hdf": "napari_emseg.io.h5:find_in_h5",
}

_FOLDER_READER = "napari_emseg.io.sections:read_sections"
_SAMPLE_PX = 512


def open_volume(
    path: str | os.PathLike[str],
    *,
    voxel_size_nm: Sequence[float] | None = None,
    kind: Kind | None = None,
    invert: bool | None = None,
) -> Volume:
    """Open a volume from a file or folder, reading voxels only when they are used.

    Parameters
    ----------
    path : path-like
        A TIFF, HDF5 or image file, a folder of section images, or a Zarr store;
        ``"file.h5:/dataset"`` and ``"store.zarr/array"`` name an array inside.
    voxel_size_nm : (z, y, x) in nm, optional
        Used instead of what the file says.
    kind : str, optional
        What the voxels are; by default what the file says, else a guess from a small
        sample (see `guess_kind`).
    invert : bool, optional
        For a boundary map or membrane drawing: whether to swap 0 and 1. By default it
        is swapped where most of it is near the top, as cells are, unless we wrote it.

    Returns
    -------
    Volume
        ZYX, or CZYX for affinities. ``provenance["notes"]`` has one sentence for
        everything noticed or changed, ``provenance["source"]`` the path.

    Raises
    ------
    InputError
        If there is no such file, or it is damaged or not a grey volume.

    Examples
    --------
    >>> import tempfile, napari_emseg
    >>> path = Path(tempfile.mkdtemp()) / "raw.tif"
    >>> raw = Volume(np.zeros((2, 3, 4), np.uint8), voxel_size_nm=(50, 4, 4))
    >>> _ = napari_emseg.save_volume(raw, path)
    >>> napari_emseg.open_volume(path).voxel_size_nm
    (50.0, 4.0, 4.0)
    """
    file, inside = split_location(path)
    inside = inside or _find_inside(file, kind)
    return _to_volume(
        _read_source(file, inside),
        file,
        inside,
        voxel_size_nm=voxel_size_nm,
        kind=kind,
        invert=invert,
    )


def open_pyramid(
    path: str | os.PathLike[str],
    *,
    voxel_size_nm: Sequence[float] | None = None,
    kind: Kind | None = None,
    invert: bool | None = None,
) -> list[Volume]:
    """Open a volume at every resolution the file has, for showing it.

    Parameters
    ----------
    path, voxel_size_nm, kind, invert
        As for `open_volume`.

    Returns
    -------
    list of Volume
        Full resolution, which is what `open_volume` gives, then coarser ones; one
        volume alone for files without a pyramid.

    Raises
    ------
    InputError
        As `open_volume`.
    """
    file, inside = split_location(path)
    inside = inside or _find_inside(file, kind)
    source = _read_source(file, inside)
    full = _to_volume(source, file, inside, voxel_size_nm=voxel_size_nm, kind=kind, invert=invert)
    levels = [full]
    for coarser in source.coarser:
        data = to_zyx(coarser, full.kind, _where(file, inside), [])
        if isinstance(full.data, MapArray):
            data = full.data.of(data)
        size: Any = coarser.size_nm
        offset = coarser.offset_nm
        if voxel_size_nm is not None or None in size:
            size, offset = _coarser_grid(full, data.shape)
        levels.append(replace(full, data=data, voxel_size_nm=size, offset_nm=offset))
    return levels


def _coarser_grid(full: Volume, shape: Sequence[int]) -> tuple[ZYX | None, ZYX]:
    """Voxel size and offset where only the shapes tell how much coarser a level is."""
    if full.voxel_size_nm is None:
        return None, full.offset_nm
    # Sizes are rounded up or down when halved, so 2100 may have become 525 or 526.
    factors = (
        2.0 ** round(math.log2(fine / coarse))
        for fine, coarse in zip(full.shape[-3:], shape[-3:], strict=True)
    )
    size = [step * factor for step, factor in zip(full.voxel_size_nm, factors, strict=True)]
    offset = [
        at + (coarse - fine) / 2
        for at, coarse, fine in zip(full.offset_nm, size, full.voxel_size_nm, strict=True)
    ]
    return (size[0], size[1], size[2]), (offset[0], offset[1], offset[2])


def _where(file: Path, inside: str) -> str:
    return f"{file}:/{inside}" if inside else str(file)


def _to_volume(
    source: Source,
    file: Path,
    inside: str,
    *,
    voxel_size_nm: Sequence[float] | None,
    kind: Kind | None,
    invert: bool | None,
) -> Volume:
    where = _where(file, inside)
    notes = list(source.notes)
    ours = source.ours
    told: Any = kind or ours.get("kind") or source.kind
    n_axes = len(source.data.shape)
    if n_axes < 2:
        noun = "axis" if n_axes == 1 else "axes"
        raise InputError(f"{where} has {n_axes} {noun}; choose a stack of sections.")
    data = to_zyx(source, told, where, notes)
    if 0 in data.shape:
        raise InputError(f"{where} has shape {tuple(data.shape)}, so it holds no voxels.")
    if np.dtype(data.dtype).kind not in "buif":
        raise InputError(
            f"{where} holds values of type {data.dtype}; grey values or ids are needed."
        )
    sample = None
    if told is None:
        sample = take_sample(data)
        told = guess_kind(sample)
        if told != "raw":
            what = {"boundary": "a boundary map"}.get(told, told)
            notes.append(f"The file does not say what it holds; it looks like {what}.")
    if told == "boundary":
        is_known = ours.get("kind") == "boundary"
        if not is_known or invert is not None:
            sample = take_sample(data) if sample is None else sample
            data = to_boundary(data, sample, invert, where, notes)
    elif invert:
        raise InputError(f"Only boundary maps can be inverted, and {where} is {told}.")
    return Volume(
        data,
        kind=told,
        voxel_size_nm=_voxel_size(source, voxel_size_nm, notes),
        offset_nm=ours.get("offset_nm", source.offset_nm),
        name=ours.get("name") or _name(file, inside),
        provenance=_provenance(source, where, notes, told),
    )


def save_volume(
    volume: Volume, path: str | os.PathLike[str], *, progress: Progress = NO_PROGRESS
) -> Path:
    """Write a volume with its voxel size, offset, kind, name and provenance.

    Parameters
    ----------
    volume : Volume
        Read section by section, so it may be larger than memory.
    path : path-like
        The suffix chooses the format (see `WRITERS`); ``"file.h5:/name"`` adds to or
        replaces in a file what has that name.
    progress : Progress
        Told after each section; when it stops the job, what was there before stays.

    Returns
    -------
    Path
        The file or store written.

    Raises
    ------
    InputError
        If the disk is full, or as `check_writable`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> ids = Volume(np.ones((2, 3, 4), np.uint32), kind="labels", voxel_size_nm=(50, 4, 4))
    >>> with TemporaryDirectory() as folder:
    ...     open_volume(save_volume(ids, f"{folder}/labels.tif")).voxel_size_nm
    (50.0, 4.0, 4.0)
    """
    file, inside = split_location(path)
    check_writable(path, volume.kind)
    resolve(WRITERS, suffix_of(file), "format")(volume, file, inside, progress=progress)
    return file


def check_writable(path: str | os.PathLike[str], kind: Kind) -> None:
    """Make sure, before a long computation, that `save_volume` can write its result.

    Parameters
    ----------
    path : path-like
        As for `save_volume`.
    kind : str
        Kind of the volume to write.

    Raises
    ------
    InputError
        If the suffix is unknown, the folder is missing or not writable, or something
        else than an earlier volume of that kind would be lost inside a file.

    Examples
    --------
    >>> check_writable("result.tif", "labels")
    """
    file, inside = split_location(path)
    suffix = suffix_of(file)
    if suffix not in WRITERS:
        raise InputError(f"Cannot write {file}: {_unknown_suffix(suffix, WRITERS)}")
    if suffix in _CHECKS:
        check_place(file)
        resolve(_CHECKS, suffix, "format")(file, inside, kind)
    else:
        check_file_place(file)


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Tell what a file holds, reading no more of it than a small sample.

    Parameters
    ----------
    path : path-like
        As for `open_volume`.

    Returns
    -------
    dict
        ``path, format, name, kind, shape, dtype, voxel_size_nm`` (null where the file
        does not tell), ``offset_nm, notes``; all values fit for JSON.

    Raises
    ------
    InputError
        As `open_volume`.
    """
    volume = open_volume(path)
    return {
        "path": os.fspath(path),
        "format": volume.provenance["format"],
        "name": volume.name,
        "kind": volume.kind,
        "shape": list(volume.shape),
        "dtype": str(volume.dtype),
        "voxel_size_nm": volume.voxel_size_nm and list(volume.voxel_size_nm),
        "offset_nm": list(volume.offset_nm),
        "notes": list(volume.provenance["notes"]),
    }


def can_open(path: str | os.PathLike[str]) -> bool:
    """Whether `open_volume` would try this path; looks at names only.

    Parameters
    ----------
    path : path-like
        A file or folder.

    Examples
    --------
    >>> can_open("stack.tif"), can_open("notes.txt")
    (True, False)
    """
    try:
        file, _ = split_location(path)
    except InputError:
        return False
    if file.is_dir():
        return suffix_of(file) in READERS or is_zarr(file) or has_images(file)
    return suffix_of(file) in READERS


def take_sample(data: Any) -> npt.NDArray[Any]:
    """Read the middle of the first, middle and last section of a (C)ZYX array.

    Parameters
    ----------
    data : array-like
        Its last three axes are ZYX.

    Returns
    -------
    ndarray, (..., up to 3, up to 512, up to 512)
    """
    n_sections, height, width = data.shape[-3:]
    top, left = max(0, (height - _SAMPLE_PX) // 2), max(0, (width - _SAMPLE_PX) // 2)
    rows, columns = slice(top, top + _SAMPLE_PX), slice(left, left + _SAMPLE_PX)
    picked = sorted({0, n_sections // 2, n_sections - 1})
    return np.stack([np.asarray(data[..., z, rows, columns]) for z in picked], axis=-3)


def _read_source(file: Path, inside: str) -> Source:
    check_exists(file)
    suffix = suffix_of(file)
    if file.is_dir() and is_zarr(file):
        suffix = ".zarr"
    elif file.is_dir() and not suffix.endswith(".zarr"):
        read: Callable[[Path, str], Source] = resolve({"": _FOLDER_READER}, "", "format")
        return read(file, inside)
    if suffix not in READERS:
        raise InputError(f"Cannot open {file}: {_unknown_suffix(suffix, READERS)}")
    read = resolve(READERS, suffix, "format")
    return read(file, inside)


def _find_inside(file: Path, kind: Kind | None) -> str:
    """Return which array of a file with several is meant, where its name tells."""
    if kind is None or suffix_of(file) not in _FINDERS or not file.is_file():
        return ""
    name: str = resolve(_FINDERS, suffix_of(file), "format")(file, kind)
    return name


def _unknown_suffix(suffix: str, known: dict[str, str]) -> str:
    what = f"'{suffix}' is an unknown suffix" if suffix else "its name has no suffix"
    return f"{what}; convert it or rename it to one of {', '.join(known)}."


def _voxel_size(source: Source, given: Sequence[float] | None, notes: list[str]) -> Any:
    if given is not None:
        return given
    exact = source.ours.get("voxel_size_nm")
    if exact is not None:
        return exact
    if None not in source.size_nm:
        return source.size_nm
    known = {axis: step for axis, step in zip("zyx", source.size_nm, strict=True) if step}
    if known:
        told = " and ".join(f"{axis} {step:g} nm" for axis, step in known.items())
        notes.append(f"The file gives only part of the voxel size: {told}.")
    return None


def _name(file: Path, inside: str) -> str:
    stem = stem_of(file)
    return f"{stem} {inside.rpartition('/')[2]}" if inside else stem


def _provenance(source: Source, where: str, notes: list[str], kind: str) -> dict[str, Any]:
    written = dict(source.ours.get("provenance", {}))
    if kind == "affinities" and source.offsets:
        written.setdefault("offsets", [list(offset) for offset in source.offsets])
    fresh = {"source": where, "format": source.format, "notes": notes}
    # What the file tells of its own source and notes is about an earlier file.
    earlier = {key: written.pop(key) for key in (*fresh, "origin") if key in written}
    return {**written, **fresh, **({"origin": earlier} if earlier else {})}

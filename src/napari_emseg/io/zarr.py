"""Zarr stores, version 2 and 3, and OME-Zarr.

OME-Zarr 0.5 (https://ngff.openmicroscopy.org/0.5) is written, with the exact
geometry, kind and provenance in the attribute ``emseg`` beside ``ome``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write
from napari_emseg.io.conventions import read_offsets
from napari_emseg.io.inside import choose_array, guess_axes, may_be_volume, name_some, three_numbers
from napari_emseg.io.lazy import StoredArray
from napari_emseg.io.location import is_zarr
from napari_emseg.io.source import UNKNOWN, Source, check_ours, check_replaced
from napari_emseg.io.units import to_nm
from napari_emseg.io.zarr_image import create_image
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Kind, Volume

_EARLY_AXES = "TCZYX"
_METADATA = {"zarr.json", ".zgroup", ".zattrs", ".zmetadata"}


def read_zarr(path: Path, inside: str = "") -> Source:
    """Read an array or an OME-Zarr image of a Zarr store.

    Parameters
    ----------
    path : Path
        The store, a folder.
    inside : str
        The array or group in it; by default the image of the store, the only array, or
        one with a usual name such as ``volumes/raw``.

    Returns
    -------
    Source
        Lazy; full resolution, with the coarser levels in ``coarser``.

    Raises
    ------
    InputError
        If the store is damaged, or there is no such array, or several and none has a
        usual name; the message lists them.
    """
    import zarr

    where = path / inside
    if not is_zarr(where) and not is_zarr(path):
        raise InputError(f"{path} holds no Zarr array; choose the folder of the store itself.")
    try:
        if not is_zarr(where):
            names = _arrays_in(zarr.open_group(path, mode="r"))
            inside, notes = choose_array(names, inside, file=str(path), joint="/")
            return _array_source(path / inside, notes)
        node = zarr.open(where, mode="r")
        if isinstance(node, zarr.Array):
            return _array_source(where, [])
        return _group_source(where, node)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # damaged metadata may lead anywhere
        raise InputError(
            f"{where} is a damaged Zarr store; get a fresh copy of it or export it anew."
        ) from error


def _group_source(where: Path, group: Any) -> Source:
    ome = _ome(group.attrs)
    if ome.get("multiscales"):
        return _image_source(where, group, [])
    if "plate" in ome:
        raise InputError(f"{where} is a plate of many images; open one of the images inside it.")
    images, arrays = _volumes_in(group)
    name, notes = choose_array(
        sorted(images + arrays),
        "",
        file=str(where),
        joint="/",
        fallback=min(images, key=lambda image: (image.count("/"), image), default=""),
    )
    if name in images:
        return _image_source(where / name, group[name], notes)
    return _array_source(where / name, notes)


def _volumes_in(group: Any) -> tuple[list[str], list[str]]:
    """Names of the images and of the arrays outside them; labels in images are left out."""
    import zarr

    members = dict(group.members(max_depth=None))
    every = [
        name
        for name, node in members.items()
        if isinstance(node, zarr.Group) and _ome(node.attrs).get("multiscales")
    ]

    def is_outside(name: str) -> bool:
        return not any(name.startswith(f"{image}/") for image in every)

    arrays = [name for name, node in members.items() if _may_be_opened(node)]
    return [*filter(is_outside, every)], [*filter(is_outside, arrays)]


def _arrays_in(group: Any) -> list[str]:
    return sorted(name for name, node in group.members(max_depth=None) if _may_be_opened(node))


def _may_be_opened(node: Any) -> bool:
    import zarr

    return (
        isinstance(node, zarr.Array)
        and np.dtype(node.dtype).kind in "buif"
        and may_be_volume(node.shape)
    )


def _array_source(where: Path, notes: list[str]) -> Source:
    import zarr

    level = _as_level(where)
    if level is not None:
        return level
    array = zarr.open_array(where, mode="r")
    attributes = array.attrs
    size = three_numbers(attributes.get("resolution", attributes.get("voxel_size")))
    axes = _named_axes(array) or guess_axes(array.shape)
    offsets = _offsets(attributes, axes, array)
    return Source(
        data=_lazy(array, where, axes),
        axes=axes,
        format=f"Zarr {array.metadata.zarr_format}",
        size_nm=size if size is not None and min(size) > 0 else UNKNOWN,
        offset_nm=three_numbers(attributes.get("offset")) or (0.0, 0.0, 0.0),
        ours=check_ours(attributes.get("emseg")),
        kind="affinities" if offsets else None,
        notes=tuple(notes),
        offsets=offsets,
    )


def _offsets(attributes: Any, axes: str, array: Any) -> tuple[tuple[int, int, int], ...]:
    return read_offsets(attributes, array.shape[axes.index("C")]) if "C" in axes else ()


def _as_level(where: Path) -> Source | None:
    """Read an array as a level of the OME-Zarr image around it, if there is one."""
    import zarr

    if not is_zarr(where.parent):
        return None
    parent = zarr.open(where.parent, mode="r")
    if isinstance(parent, zarr.Array):
        return None
    for multiscale in _ome(parent.attrs).get("multiscales", []):
        for dataset in multiscale["datasets"]:
            if dataset["path"] == where.name:
                return _level_source(where.parent, parent, multiscale, dataset)
    return None


def _image_source(where: Path, group: Any, notes: list[str]) -> Source:
    multiscales = _ome(group.attrs)["multiscales"]
    if len(multiscales) > 1:
        notes.append(f"The first of {len(multiscales)} images was opened.")
    levels = [
        _level_source(where, group, multiscales[0], dataset)
        for dataset in multiscales[0]["datasets"]
    ]
    first = levels[0]
    offsets = _offsets(group.attrs, first.axes, first.data)
    return Source(
        data=first.data,
        axes=first.axes,
        format=first.format,
        size_nm=first.size_nm,
        offset_nm=first.offset_nm,
        ours=check_ours(group.attrs.get("emseg")),
        kind=first.kind or ("affinities" if offsets else None),
        notes=(*first.notes, *notes),
        offsets=offsets,
        coarser=tuple(levels[1:]),
    )


def _level_source(
    where: Path, group: Any, multiscale: Mapping[str, Any], dataset: Mapping[str, Any]
) -> Source:
    array = group[dataset["path"]]
    axes = multiscale.get("axes") or list(_EARLY_AXES[-array.ndim :].lower())
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in axes]
    letters = "".join(_letter(axis) for axis in axes)
    scale, shift = np.ones(array.ndim), np.zeros(array.ndim)
    for owner in (dataset, multiscale):
        for step in owner.get("coordinateTransformations", []):
            factor, summand = step.get("scale", 1.0), step.get("translation", 0.0)
            scale, shift = scale * factor, shift * factor + summand
    units = dict(zip(letters, (axis.get("unit") for axis in axes), strict=True))
    by_axis = dict(zip(letters, zip(scale, shift, strict=True), strict=True))
    size, offset = zip(*(_in_nm(by_axis.get(a), units.get(a)) for a in "ZYX"), strict=True)
    notes = []
    if None in size and any(step != 1 for step, _ in by_axis.values()):
        notes.append("The file gives its voxel size without a unit, so it is not used.")
    ome = _ome(group.attrs)
    version = ome.get("version") or multiscale.get("version") or "0.1"
    return Source(
        data=_lazy(array, where / dataset["path"], letters),
        axes=letters,
        format=f"OME-Zarr {version}",
        size_nm=size,
        offset_nm=(offset[0] or 0.0, offset[1] or 0.0, offset[2] or 0.0),
        kind="labels" if "image-label" in ome else None,
        notes=tuple(notes),
    )


def _letter(axis: Mapping[str, Any]) -> str:
    by_type = {"channel": "C", "time": "T"}
    return str(by_type.get(axis.get("type", ""), axis["name"][:1].upper()))


def _in_nm(step: tuple[float, float] | None, unit: str | None) -> tuple[float | None, float | None]:
    scale, shift = step or (None, None)
    return to_nm(scale, unit) or None, to_nm(shift, unit)


def _ome(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the OME metadata: under "ome" since 0.5, among the attributes before."""
    ome = attributes.get("ome", attributes)
    return ome if isinstance(ome, Mapping) else {}


def _named_axes(array: Any) -> str:
    """Return the axes from dimension names (Zarr 3) or xarray's attribute."""
    names = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.get("_ARRAY_DIMENSIONS") or array.attrs.get("axis_names") or ()
    letters = "".join(str(name).rstrip("^")[:1].upper() for name in names if name)
    fits = len(letters) == array.ndim == len(set(letters)) and {*"YX"} <= {*letters}
    return letters if fits else ""


def _lazy(array: Any, where: Path, axes: str) -> StoredArray:
    return StoredArray(array, source=str(where), section_axis=max(0, axes.find("Z")))


def write_zarr(
    volume: Volume, path: Path, inside: str = "", *, progress: Progress = NO_PROGRESS
) -> None:
    """Write a volume as an OME-Zarr 0.5 image with a pyramid of in-plane halves.

    A writer: `napari_emseg.io.volumes.save_volume` says what the parameters are. With
    `inside` the image is put into a group of that name, and what else the store holds
    is kept.

    Raises
    ------
    InputError
        If the disk is full or not writable, or as `check_zarr`; what was there before
        stays.
    """
    check_zarr(path, inside, volume.kind)
    if inside and path.exists():
        _make_groups(path, inside)
        with atomic_write(path / inside) as temporary:
            _write_image(volume, temporary, progress)
        return
    with atomic_write(path) as temporary:
        if inside:
            _make_groups(temporary, inside)
        _write_image(volume, temporary / inside, progress)


def check_zarr(path: Path, inside: str, kind: Kind) -> None:
    """Make sure that writing an image loses nothing but an earlier image.

    Parameters
    ----------
    path : Path
        The store.
    inside : str
        Name of a group in it.
    kind : str
        Kind of the volume to write.

    Raises
    ------
    InputError
        If there is something that is no Zarr 3 store, or the name lies in an array, or
        belongs to a group that holds something else, to an array or image that we did
        not write or to an image of another kind.
    """
    import zarr

    if _is_free(path):
        return
    if not is_zarr(path):
        raise InputError(f"{path} is no Zarr store to replace; choose another name.")
    try:
        node = zarr.open(path, mode="r")
        if inside and node.metadata.zarr_format != 3:
            raise InputError(f"{path} is Zarr 2 and we write Zarr 3; save to a store of its own.")
        _check_target(path, inside, node, kind)
    except InputError:
        raise
    except Exception as error:  # damaged metadata may lead anywhere
        raise InputError(f"{path} is a damaged Zarr store; choose another name.") from error


def _check_target(path: Path, inside: str, node: Any, kind: Kind) -> None:
    import zarr

    for name in filter(None, inside.split("/")):
        if isinstance(node, zarr.Array):
            raise InputError(
                f"{path} is an array, which nothing can be put into; choose a name outside it."
            )
        path, node = path / name, node.get(name)
        if node is None:
            if not _is_free(path):
                raise InputError(f"{path} is no part of the Zarr store; choose another name.")
            return
    names = _lost_with(path, node)
    if names:
        raise InputError(
            f"{path} holds {name_some(names)}, which would be lost; save to a name inside it, "
            f"such as {path / kind}."
        )
    if isinstance(node, zarr.Array) or len(node):
        check_replaced(str(path), check_ours(node.attrs.get("emseg")), kind)


def _is_free(path: Path) -> bool:
    """Whether nothing is lost when a folder is made at `path`."""
    return not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir()))


def _lost_with(path: Path, node: Any) -> list[str]:
    """Names of what the folder of a group holds besides the levels of its image."""
    import zarr

    if isinstance(node, zarr.Array):
        return []
    levels = {
        dataset["path"].partition("/")[0]
        for multiscale in _ome(node.attrs).get("multiscales", [])
        for dataset in multiscale["datasets"]
    }
    # Files of the user's count too, which Zarr knows nothing of.
    return sorted({item.name for item in path.iterdir()} - levels - _METADATA)


def _make_groups(store: Path, inside: str) -> None:
    import zarr

    group = zarr.open_group(store, mode="a", zarr_format=3)
    if "/" in inside:
        group.require_group(inside.rpartition("/")[0])


def _write_image(volume: Volume, path: Path, progress: Progress) -> None:
    image = create_image(volume, path)
    n_sections = volume.shape[-3]
    for start in range(0, n_sections, image.chunk_sections):
        progress.update(start, n_sections, "Writing sections")
        stop = min(start + image.chunk_sections, n_sections)
        image.write(start, volume.read((..., slice(start, stop), slice(None), slice(None))))
    progress.update(n_sections, n_sections, "Writing sections")

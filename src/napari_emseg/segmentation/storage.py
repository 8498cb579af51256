"""Volumes and forests inside an HDF5 group, as part of a session file."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.segmentation.forest import Forest
from napari_emseg.segmentation.levels import TOP, Levels, to_levels
from napari_emseg.volume import Volume

FORMAT = "napari-emseg hierarchy 1"


def write_array(group: Any, name: str, array: Any) -> None:
    """Store an array with checksums, volumes compressed section by section."""
    if not array.size:
        group.create_dataset(name, data=array)
        return
    options = {}
    if array.ndim == 3:
        options = {"chunks": (1, *array.shape[1:]), "compression": "lzf", "shuffle": True}
    group.create_dataset(name, data=array, fletcher32=True, **options)


def write_volume(group: Any, name: str, volume: Volume) -> None:
    """Store the voxels, the geometry and the history of a volume."""
    write_array(group, name, volume.read())
    facts = {
        "kind": volume.kind,
        "voxel_size_nm": volume.voxel_size_nm,
        "offset_nm": volume.offset_nm,
        "name": volume.name,
        "provenance": dict(volume.provenance),
    }
    group[name].attrs["volume"] = json.dumps(facts, default=str)


def read_volume(group: Any, name: str) -> Volume:
    """Read what :func:`write_volume` stored."""
    return Volume(group[name][...], **json.loads(group[name].attrs["volume"]))


def read_levels(group: Any, name: str) -> Levels:
    """Read a map stored as levels, or as the values they stand for."""
    stored = group[name][...]
    if not 0 <= stored.min() <= stored.max() <= (TOP if stored.dtype == np.uint16 else 1):
        raise ValueError(f"{name} has values beyond its range")
    return stored if stored.dtype == np.uint16 else to_levels(stored)


def write_forest(group: Any, forest: Forest) -> None:
    """Store the arrays of a forest."""
    for field in fields(forest):
        write_array(group, field.name, getattr(forest, field.name))


def read_forest(group: Any) -> Forest:
    """Read what :func:`write_forest` stored."""
    return Forest(**{field.name: group[field.name][...] for field in fields(Forest)})


def check_format(group: Any) -> None:
    """Refuse a group that holds something else."""
    if group.attrs.get("format") != FORMAT:
        raise InputError(
            f"{group.file.filename} holds no hierarchy that this version can read; "
            "build it again from the boundary map."
        )

"""Referring to a file from a session file, and finding it again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.io.lazy import LazyArray
from napari_emseg.session.model import Reference
from napari_emseg.steps.fingerprint import fingerprint, has_changed
from napari_emseg.volume import Volume


def reopen(
    reference: Reference | None, relative: str, target: Path, notes: list[str]
) -> Volume | None:
    """Open a referenced file where it was, else where it is relative to the session file."""
    if reference is None or reference.path is None:
        raise ValueError("a reference to no file")
    name = os.path.basename(relative)
    candidates = [reference.path, str(target.parent / relative), str(target.parent / name)]
    for candidate in candidates:
        if not _exists(candidate):
            continue
        try:
            volume = _open(candidate, reference)
        except InputError as error:
            notes.append(f"{candidate} could not be opened: {error}")
            continue
        if has_changed(reference.fingerprint, fingerprint(volume)):
            notes.append(f"{candidate} has changed since the session was saved.")
        if candidate != reference.path:
            notes.append(f"{name} was no longer at {reference.path}; found it at {candidate}.")
        return volume
    notes.append(f"{name} is no longer at {reference.path}: open it again to predict or compare.")
    return None


def _open(path: str, reference: Reference) -> Volume:
    """Open a file as it was read before: drawn membranes may have been read as a map."""
    from napari_emseg.io import open_volume

    volume = open_volume(path, voxel_size_nm=reference.voxel_size_nm, kind=reference.kind)
    if reference.kind != "raw" or not has_changed(reference.fingerprint, fingerprint(volume)):
        return volume
    try:
        as_map = open_volume(path, voxel_size_nm=reference.voxel_size_nm, kind="boundary")
        is_map = not has_changed(reference.fingerprint, fingerprint(as_map))
    except InputError:
        is_map = False
    return as_map if is_map else volume


def is_as_in_file(reference: Reference, volume: Volume | None) -> bool:
    """Whether `reference` finds the same voxels again; those in memory may have been painted."""
    if reference.path is None or not _exists(reference.path):
        return False
    if volume is None or isinstance(volume.data, LazyArray):
        return True
    return isinstance(volume.data, np.memmap) and _is_same_as_file(reference, volume)


def _is_same_as_file(reference: Reference, volume: Volume) -> bool:
    """Compare all voxels: a file mapped into memory can be painted over there."""
    from napari_emseg.io import open_volume

    assert reference.path is not None
    try:
        fresh = open_volume(reference.path, kind=reference.kind)
    except InputError:
        return False
    return fresh.shape == volume.shape and all(
        np.array_equal(fresh.read(z), volume.read(z)) for z in range(volume.shape[0])
    )


def _exists(path: str) -> bool:
    return _file_part(path).exists()


def _file_part(path: str) -> Path:
    """Return the file of "file.h5:/dataset" or the nearest existing parent of "x.zarr/sub"."""
    whole = Path(path)
    if whole.exists():
        return whole
    head, colon, _ = path.rpartition(":")
    return Path(head) if colon and len(head) > 1 else whole


def relative_path(path: str, target: Path) -> str:
    """Return `path` as seen from the folder of `target`."""
    try:
        return os.path.relpath(path, target.absolute().parent)
    except ValueError:  # another drive on Windows
        return os.path.basename(path)

"""Everything needed to go on another day, in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from napari_emseg import __version__
from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write
from napari_emseg.io.create_h5 import create_h5
from napari_emseg.io.lazy import LazyArray
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.session.model import Reference, Session
from napari_emseg.steps.fingerprint import fingerprint, has_changed
from napari_emseg.steps.params import explain
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    import h5py

    from napari_emseg.segmentation import Hierarchy

FILE_SUFFIX = ".emseg"
FILE_VERSION = 1


@dataclass(frozen=True)
class SavedSession:
    """What :func:`load_session` gives back.

    Attributes
    ----------
    session : Session
    raw, boundary, labels, ground_truth : Volume or None
    hierarchy : Hierarchy or None
    segment_of : ndarray or None
        uint32, length F+1: the segmentation as a table over the fragments.
    other_labels : tuple of Volume
        Labels that were open besides.
    done_sections : ndarray or None
        bool, one a section, where `boundary` is unfinished.
    notes : tuple of str
        What the user should know: a moved or changed file.
    """

    session: Session
    raw: Volume | None = None
    boundary: Volume | None = None
    labels: Volume | None = None
    ground_truth: Volume | None = None
    hierarchy: Hierarchy | None = None
    segment_of: npt.NDArray[np.uint32] | None = None
    other_labels: tuple[Volume, ...] = ()
    done_sections: npt.NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()


def save_session(
    path: str | os.PathLike[str],
    session: Session,
    *,
    raw: Volume | None = None,
    boundary: Volume | None = None,
    labels: Volume | None = None,
    ground_truth: Volume | None = None,
    hierarchy: Hierarchy | None = None,
    segment_of: npt.NDArray[np.uint32] | None = None,
    other_labels: Sequence[Volume] = (),
    done_sections: npt.NDArray[np.bool_] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Path:
    """Write everything needed to go on another day into one file.

    Volumes are stored in the file. Of `raw` and `ground_truth` only the path is
    kept while their voxels are still read from a file of their own: voxels in
    memory may have been painted. The old file stays until the new one is complete.

    Parameters
    ----------
    path : path-like
        The suffix ``.emseg`` is added if it is missing.
    session : Session
    raw, boundary, labels, ground_truth : Volume, optional
        What is open.
    hierarchy : Hierarchy, optional
        So that the sliders answer at once tomorrow.
    segment_of : ndarray, optional
        uint32, length F+1: the present segmentation.
    other_labels : sequence of Volume, optional
        Labels that are open besides.
    done_sections : ndarray, optional
        bool, one a section: which of an unfinished `boundary` are predicted.
    progress : Progress, optional
        Told the sections written.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If it cannot be written there.
    """
    target = Path(path)
    if target.suffix != FILE_SUFFIX:
        target = target.with_name(target.name + FILE_SUFFIX)
    volumes = {"raw": raw, "boundary": boundary, "labels": labels, "ground_truth": ground_truth}
    referenced = {
        role: reference
        for role in ("raw", "ground_truth")
        if (reference := getattr(session, role)) and _is_as_in_file(reference, volumes[role])
    }
    with atomic_write(target) as temporary, create_h5(temporary) as file:
        file.attrs["format"] = "emseg session"
        file.attrs["version"] = FILE_VERSION
        file.attrs["napari_emseg"] = __version__
        file["session"] = session.model_dump_json()
        file["relative_paths"] = json.dumps(
            {r: _relative(ref.path, target) for r, ref in referenced.items()}
        )
        for role, volume in volumes.items():
            if volume is not None and role not in referenced:
                _write_volume(file.create_group(role), volume, progress, role)
        for number, volume in enumerate(other_labels):
            _write_volume(file.create_group(f"other_labels/{number}"), volume, progress, "labels")
        if done_sections is not None:
            file["done_sections"] = np.asarray(done_sections, bool)
        if hierarchy is not None:
            hierarchy.write(file.create_group("hierarchy"))
        if segment_of is not None:
            file.create_dataset("segment_of", data=np.asarray(segment_of, np.uint32))
    return target


def load_session(path: str | os.PathLike[str]) -> SavedSession:
    """Read what :func:`save_session` wrote.

    A raw file that moved together with the session file is found again; one
    that cannot be found is said in `notes`, and everything else is restored.

    Raises
    ------
    InputError
        If there is no such file, or it is damaged or no session.
    """
    import h5py

    target = Path(path)
    if not target.is_file():
        raise InputError(f"There is no session file {target}.")
    try:
        with h5py.File(target, "r") as file:
            return _read_session(file, target)
    except InputError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{target} cannot be read as a session: it is damaged or of another format."
        ) from error


def _read_session(file: h5py.File, target: Path) -> SavedSession:
    if file.attrs.get("format") != "emseg session":
        raise InputError(f"{target} is no session file.")
    if int(file.attrs["version"]) > FILE_VERSION:
        raise InputError(
            f"{target} was written by a newer napari-emseg ({file.attrs['napari_emseg']}): "
            f"update this one ({__version__}) to open it."
        )
    try:
        session = Session.model_validate_json(file["session"][()])
    except ValidationError as error:
        raise InputError(f"{target} holds no usable session: {explain(error, Session)}") from None
    relative_paths = json.loads(file["relative_paths"][()])
    volumes: dict[str, Volume | None] = {}
    notes: list[str] = []
    for role in ("raw", "boundary", "labels", "ground_truth"):
        if role in file:
            volumes[role] = _read_volume(file[role])
        elif role in relative_paths:
            reference: Reference = getattr(session, role)
            volumes[role] = _reopen(reference, relative_paths[role], target, notes)
            if (found := volumes[role]) is not None:
                path = str(found.provenance.get("source", reference.path))
                setattr(session, role, reference.model_copy(update={"path": path}))
    hierarchy = None
    if "hierarchy" in file:
        from napari_emseg.segmentation import Hierarchy

        hierarchy = Hierarchy.read(file["hierarchy"])
    table = np.asarray(file["segment_of"], np.uint32) if "segment_of" in file else None
    others = file.get("other_labels", {})
    done = np.asarray(file["done_sections"], bool) if "done_sections" in file else None
    boundary = volumes.get("boundary")
    if done is not None and (boundary is None or done.shape != boundary.shape[:1]):
        raise ValueError("done_sections does not fit the boundary map")
    return SavedSession(
        session=session,
        hierarchy=hierarchy,
        segment_of=table,
        other_labels=tuple(_read_volume(others[number]) for number in sorted(others, key=int)),
        done_sections=done,
        notes=tuple(notes),
        **volumes,
    )


def _reopen(reference: Reference, relative: str, target: Path, notes: list[str]) -> Volume | None:
    """Open a referenced file where it was, else where it is relative to the session file."""
    from napari_emseg.io import open_volume

    assert reference.path is not None
    name = os.path.basename(relative)
    candidates = [reference.path, str(target.parent / relative), str(target.parent / name)]
    for candidate in candidates:
        if not _exists(candidate):
            continue
        try:
            volume = open_volume(
                candidate, voxel_size_nm=reference.voxel_size_nm, kind=reference.kind
            )
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


def _is_as_in_file(reference: Reference, volume: Volume | None) -> bool:
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


def _relative(path: str, target: Path) -> str:
    try:
        return os.path.relpath(path, target.absolute().parent)
    except ValueError:  # another drive on Windows
        return os.path.basename(path)


def _write_volume(group: h5py.Group, volume: Volume, progress: Progress, role: str) -> None:
    depth = volume.shape[0]
    group["about"] = json.dumps(
        {
            "kind": volume.kind,
            "voxel_size_nm": volume.voxel_size_nm,
            "offset_nm": volume.offset_nm,
            "name": volume.name,
            "provenance": dict(volume.provenance),
        }
    )
    chunks = (1, *(min(n, 512) for n in volume.shape[1:]))
    data = group.create_dataset(
        "data",
        shape=volume.shape,
        dtype=volume.dtype,
        chunks=chunks,
        compression="gzip",
        compression_opts=1,
        shuffle=True,
        fletcher32=True,
    )
    for z in range(depth):
        data[z] = volume.read(z)
        progress.update(z + 1, depth, f"Saving {role.replace('_', ' ')}")


def _read_volume(group: h5py.Group) -> Volume:
    return Volume(np.asarray(group["data"]), **json.loads(group["about"][()]))

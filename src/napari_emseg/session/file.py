"""Everything needed to go on another day, in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from napari_emseg import __version__
from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write
from napari_emseg.io.create_h5 import create_h5
from napari_emseg.io.source import describe_volume
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.session.model import Session
from napari_emseg.session.references import is_as_in_file, relative_path, reopen
from napari_emseg.steps.params import explain
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    import h5py

    from napari_emseg.segmentation import Cuttable

FILE_SUFFIX = ".emseg"
FILE_VERSION = 1
ROLES = ("raw", "boundary", "labels", "ground_truth")


@dataclass(frozen=True)
class SavedSession:
    """What :func:`load_session` gives back.

    Attributes
    ----------
    session : Session
    raw, boundary, labels, ground_truth : Volume or None
    hierarchy : Hierarchy, Partitions or None
    fragments : Volume or None
        Where they are not those of the hierarchy: of a proofreading.
    segment_of : ndarray or None
        uint32, length F+1: the segmentation as a table over the fragments.
    other_labels : tuple of Volume
        Labels that were open besides.
    done_sections : ndarray or None
        bool, one a section, where `boundary` is unfinished.
    notes : tuple of str
        What the user should know: a moved or changed file.
    roles : frozenset of str, or None
        Which of "raw", "boundary", "labels", "ground_truth" had a volume when the
        session was saved: a role missing here had none, while a role here whose
        volume is None could not be found again. None where an older version saved.
    proofreading : mapping or None
        A proofreading that was under way; see :func:`proofreads.unpack_folder`.
    """

    session: Session
    raw: Volume | None = None
    boundary: Volume | None = None
    labels: Volume | None = None
    ground_truth: Volume | None = None
    hierarchy: Cuttable | None = None
    segment_of: npt.NDArray[np.uint32] | None = None
    other_labels: tuple[Volume, ...] = ()
    done_sections: npt.NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()
    roles: frozenset[str] | None = None
    fragments: Volume | None = None
    proofreading: Mapping[str, Any] | None = None


def save_session(
    path: str | os.PathLike[str],
    session: Session,
    *,
    raw: Volume | None = None,
    boundary: Volume | None = None,
    labels: Volume | None = None,
    ground_truth: Volume | None = None,
    hierarchy: Cuttable | None = None,
    segment_of: npt.NDArray[np.uint32] | None = None,
    other_labels: Sequence[Volume] = (),
    done_sections: npt.NDArray[np.bool_] | None = None,
    fragments: Volume | None = None,
    proofreading: Mapping[str, Any] | None = None,
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
    hierarchy : Hierarchy or Partitions, optional
        So that the sliders answer at once tomorrow.
    segment_of : ndarray, optional
        uint32, length F+1: the present segmentation.
    other_labels : sequence of Volume, optional
        Labels that are open besides.
    done_sections : ndarray, optional
        bool, one a section: which of an unfinished `boundary` are predicted.
    fragments : Volume, optional
        Over which `segment_of` is, where that is no hierarchy.
    proofreading : mapping, optional
        What :func:`proofreads.pack_folder` read.
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
        if (reference := getattr(session, role)) and is_as_in_file(reference, volumes[role])
    }
    # From HDF5 1.10 (2016) on there are checksums on what is not voxels, too.
    versions = ("v110", "v110")
    with atomic_write(target) as temporary, create_h5(temporary, libver=versions) as file:
        file.attrs["format"] = "emseg session"
        file.attrs["version"] = FILE_VERSION
        file.attrs["napari_emseg"] = __version__
        file["session"] = session.model_dump_json()
        file["relative_paths"] = json.dumps(
            {r: relative_path(ref.path, target) for r, ref in referenced.items()}
        )
        there = {role for role, volume in volumes.items() if volume is not None}
        file["roles"] = json.dumps(sorted(there | referenced.keys()))
        for role, volume in volumes.items():
            if volume is not None and role not in referenced:
                _write_volume(file.create_group(role), volume, progress, role)
        for number, volume in enumerate(other_labels):
            _write_volume(file.create_group(f"other_labels/{number}"), volume, progress, "labels")
        if done_sections is not None:
            file["done_sections"] = np.asarray(done_sections, bool)
        if fragments is not None:
            _write_volume(file.create_group("fragments"), fragments, progress, "fragments")
        if proofreading is not None:
            _write_packed(file.create_group("proofreading"), proofreading)
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
    except MemoryError:
        raise InputError(
            f"{target} needs more memory than there is: close other programs, or it is damaged."
        ) from None
    except Exception as error:  # a damaged file may lead anywhere
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
    relative_paths = dict(json.loads(file["relative_paths"][()]))
    volumes: dict[str, Volume | None] = {}
    notes: list[str] = []
    for role in ROLES:
        if role in file:
            volumes[role] = _read_volume(file[role])
        elif role in relative_paths:
            reference = getattr(session, role)
            volumes[role] = reopen(reference, relative_paths[role], target, notes)
            if (found := volumes[role]) is not None:
                path = str(found.provenance.get("source", reference.path))
                setattr(session, role, reference.model_copy(update={"path": path}))
    hierarchy = None
    if "hierarchy" in file:
        from napari_emseg.segmentation.partitions import read_grouped

        hierarchy = read_grouped(file["hierarchy"])
    fragments = _read_volume(file["fragments"]) if "fragments" in file else None
    table = _read_table(file, None if fragments is not None else hierarchy)
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
        roles=_read_roles(file),
        fragments=fragments,
        proofreading=_read_packed(file),
        **volumes,
    )


def _read_table(file: h5py.File, hierarchy: Cuttable | None) -> npt.NDArray[np.uint32] | None:
    if "segment_of" not in file:
        return None
    table = np.asarray(file["segment_of"])
    n_ids = table.size if hierarchy is None else hierarchy.n_fragments + 1
    if table.dtype != np.uint32 or table.shape != (n_ids,) or table[0] != 0:
        raise ValueError("segment_of does not fit the fragments")
    return table


def _write_packed(group: h5py.Group, packed: Mapping[str, Any]) -> None:
    for name, content in packed.items():
        as_bytes = content if isinstance(content, bytes) else str(content).encode()
        group.create_dataset(name, data=np.frombuffer(as_bytes, np.uint8), fletcher32=True)


def _read_packed(file: h5py.File) -> dict[str, Any] | None:
    if "proofreading" not in file:
        return None
    held = {name: np.asarray(data).tobytes() for name, data in file["proofreading"].items()}
    return {**held, "place": held["place"].decode()}


def _read_roles(file: h5py.File) -> frozenset[str] | None:
    if "roles" not in file:
        return None
    roles = frozenset(json.loads(file["roles"][()]))
    if not roles <= {*ROLES}:
        raise ValueError("roles that there are not")
    return roles


def _write_volume(group: h5py.Group, volume: Volume, progress: Progress, role: str) -> None:
    depth = volume.shape[0]
    group["about"] = describe_volume(volume)
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
    about = json.loads(group["about"][()])
    return Volume(np.asarray(group["data"]), **{**about, "name": str(about["name"])})

"""Files as the public challenges want them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write, check_place
from napari_emseg.io.create_h5 import create_h5
from napari_emseg.io.location import suffix_of
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.registry import resolve
from napari_emseg.volume import Kind, Volume

CHALLENGES: dict[str, str] = {
    "isbi2012": "napari_emseg.io.submissions:ISBI2012",
    "snemi3d": "napari_emseg.io.submissions:SNEMI3D",
    "cremi": "napari_emseg.io.submissions:CREMI",
}
MAX_16_BIT = 65_535
_TIFF = (".tif", ".tiff")
_HDF5 = (".hdf", ".h5", ".hdf5")


@dataclass(frozen=True)
class Challenge:
    """What a challenge takes.

    Attributes
    ----------
    title : str
        For people.
    kinds : tuple of str
        What can be submitted.
    suffixes : tuple of str
        Names a file may have.
    write : callable
        ``write(volume, path, progress)``.
    """

    title: str
    kinds: tuple[Kind, ...]
    suffixes: tuple[str, ...]
    write: Any


def get_challenge(name: str) -> Challenge:
    """Return a challenge by its name in `CHALLENGES`.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    challenge: Challenge = resolve(CHALLENGES, name, "challenge")
    return challenge


def write_submission(
    volume: Volume,
    path: str | os.PathLike[str],
    *,
    challenge: str,
    progress: Progress = NO_PROGRESS,
) -> Path:
    """Write a result as a challenge wants it.

    Parameters
    ----------
    volume : Volume
        A boundary map or labels for "isbi2012", labels for the others; read section
        by section.
    path : path-like
        ``.tif``, for CREMI ``.hdf``. What was there is replaced when the new file is
        complete.
    challenge : str
        Key of `CHALLENGES`: "isbi2012": 32-bit float TIFF stack, 1 = cell interior
        (labels: 0 on lines one pixel wide between two ids). "snemi3d": 16-bit TIFF
        stack of ids; larger ids are numbered anew, the largest segment first. "cremi":
        HDF5 with ``/volumes/labels/neuron_ids`` (uint64), its resolution and offset in nm.
    progress : Progress
        Told after each section.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If the challenge is unknown, takes no such volume or no file of that name, if
        there are more ids than 16 bits hold, or the voxel size is needed and not known.

    References
    ----------
    Arganda-Carreras et al. 2015, doi:10.3389/fnana.2015.00142; SNEMI3D,
    brainiac2.mit.edu/SNEMI3D; CREMI file format 0.2, cremi.org/data.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> ids = Volume(np.full((1, 2, 2), 90_000, np.uint32), kind="labels")
    >>> with TemporaryDirectory() as folder:
    ...     file = write_submission(ids, f"{folder}/test.tif", challenge="snemi3d")
    ...     file.name
    'test.tif'
    """
    wanted = get_challenge(challenge)
    check_submission(path, challenge)
    if volume.kind not in wanted.kinds:
        raise InputError(
            f"{wanted.title} takes {' or '.join(wanted.kinds)}, but "
            f"{volume.name or 'the volume'} is {volume.kind}."
        )
    target = Path(os.path.expanduser(os.fspath(path)))
    wanted.write(volume, target, progress)
    return target


def check_submission(path: str | os.PathLike[str], challenge: str) -> None:
    """Make sure, before a long computation, that a submission can be written.

    Parameters
    ----------
    path, challenge
        As for :func:`write_submission`.

    Raises
    ------
    InputError
        If the challenge is unknown, the name has the wrong suffix or the folder is missing.

    Examples
    --------
    >>> check_submission("labels.tif", "snemi3d")
    """
    wanted = get_challenge(challenge)
    target = Path(os.path.expanduser(os.fspath(path)))
    if suffix_of(target) not in wanted.suffixes:
        raise InputError(
            f"{wanted.title} takes files named {' or '.join(wanted.suffixes)}, not {target.name}."
        )
    check_place(target)
    if target.is_dir():
        raise InputError(f"Cannot write {target}: a folder has that name; choose another name.")


def _write_isbi(volume: Volume, path: Path, progress: Progress) -> None:
    _write_stack(path, volume, np.dtype(np.float32), _interior(volume), progress)


def _interior(volume: Volume) -> Iterator[npt.NDArray[np.float32]]:
    """Sections with 1 inside the cells and 0 on membranes."""
    for z in range(volume.shape[0]):
        section = volume.read(z)
        if volume.kind == "labels":
            yield _inside_of_labels(section)
            continue
        p = section.astype(np.float32)
        if section.dtype == np.uint8:
            p /= np.float32(255)
        yield 1 - p


def _inside_of_labels(labels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    inside = labels != 0
    inside[:, :-1] &= labels[:, :-1] == labels[:, 1:]
    inside[:-1] &= labels[:-1] == labels[1:]
    white: npt.NDArray[np.float32] = inside.astype(np.float32)
    return white


def _write_snemi(volume: Volume, path: Path, progress: Progress) -> None:
    ids, counts = _count_ids(volume)
    table = None if ids.size == 0 or ids[-1] <= MAX_16_BIT else _by_size(ids, counts)

    def sections() -> Iterator[npt.NDArray[np.uint16]]:
        for z in range(volume.shape[0]):
            section = volume.read(z)
            if table is not None:
                section = np.where(section > 0, table[np.searchsorted(ids, section)], 0)
            yield section.astype(np.uint16)

    _write_stack(path, volume, np.dtype(np.uint16), sections(), progress)


def _count_ids(volume: Volume) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the ids but 0 in ascending order, and their voxels."""
    ids, counts = np.zeros(0, volume.dtype), np.zeros(0, np.int64)
    for z in range(volume.shape[0]):
        more, more_counts = np.unique(volume.read(z), return_counts=True)
        _refuse_negative(more.min(initial=0), volume, z)
        ids, place = np.unique(np.concatenate([ids, more]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([counts, more_counts])).astype(np.int64)
    return (ids[1:], counts[1:]) if ids.size and ids[0] == 0 else (ids, counts)


def _refuse_negative(lowest: Any, volume: Volume, z: int) -> None:
    if lowest < 0:
        raise InputError(
            f"{volume.name or 'The labels'} hold the negative id {lowest} in section {z}; "
            "ids must be 0 or more."
        )


def _by_size(ids: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint16]:
    """Return for each id its rank by size, from 1, and a last entry for what is no id."""
    if ids.size > MAX_16_BIT:
        raise InputError(
            f"There are {ids.size} segments, but SNEMI3D's 16 bits hold {MAX_16_BIT}; "
            "segment with a larger minimum size."
        )
    table = np.zeros(ids.size + 1, np.uint16)
    table[np.argsort(-counts, kind="stable")] = np.arange(1, ids.size + 1)
    return table


def _write_stack(
    path: Path,
    volume: Volume,
    dtype: np.dtype[Any],
    sections: Iterator[npt.NDArray[Any]],
    progress: Progress,
) -> None:
    """Write sections as a plain TIFF stack without compression, which every reader knows."""
    import tifffile

    n_z = volume.shape[0]
    with atomic_write(path) as temporary, tifffile.TiffWriter(temporary) as writer:
        for z, section in enumerate(sections):
            progress.update(z, n_z, "Writing the submission")
            writer.write(
                np.ascontiguousarray(section, dtype),
                photometric="minisblack",
                contiguous=True,
                metadata=None,
            )
        progress.update(n_z, n_z, "Writing the submission")


def _write_cremi(volume: Volume, path: Path, progress: Progress) -> None:
    if volume.voxel_size_nm is None:
        raise InputError(
            "A CREMI file tells the size of its voxels, and that of "
            f"{volume.name or 'this volume'} is not known; give it (40 4 4 nm for CREMI)."
        )
    n_z, n_y, n_x = volume.shape
    with atomic_write(path) as temporary, create_h5(temporary) as h5:
        h5.attrs["file_format"] = "0.2"
        dataset = h5.create_dataset(
            "volumes/labels/neuron_ids",
            shape=volume.shape,
            dtype=np.uint64,
            chunks=(1, min(256, n_y), min(256, n_x)),
            compression="gzip",
        )
        dataset.attrs["resolution"] = volume.voxel_size_nm
        if volume.offset_nm != (0.0, 0.0, 0.0):
            dataset.attrs["offset"] = volume.offset_nm
        for z in range(n_z):
            progress.update(z, n_z, "Writing the submission")
            section = volume.read(z)
            _refuse_negative(section.min(initial=0), volume, z)
            dataset[z] = section.astype(np.uint64)
        progress.update(n_z, n_z, "Writing the submission")


ISBI2012 = Challenge("ISBI 2012", ("boundary", "labels"), _TIFF, _write_isbi)
SNEMI3D = Challenge("SNEMI3D", ("labels",), _TIFF, _write_snemi)
CREMI = Challenge("CREMI", ("labels",), _HDF5, _write_cremi)

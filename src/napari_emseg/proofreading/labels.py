"""Labels that came without fragments, as a segmentation of one fragment a segment."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation import Segmentation
from napari_emseg.volume import Volume

# A table of so many entries is small beside the volume; larger ids are numbered anew.
_LARGEST_OWN = 2**24
_LARGEST_ID = 2**32 - 1


class CompactIds:
    """Labels with huge ids, read as the ranks of the ids from 1; nothing is copied.

    Parameters
    ----------
    labels : array-like
        (z, y, x) ids.
    ids : (F,) array
        Those there are but 0, ascending.

    Examples
    --------
    >>> CompactIds(np.array([[[0, 70, 10**12]]]), np.array([70, 10**12]))[0]
    array([[0, 1, 2]], dtype=uint32)
    """

    dtype = np.dtype(np.uint32)
    ndim = 3

    def __init__(self, labels: Any, ids: npt.NDArray[Any]) -> None:
        self._labels = labels
        self._ids = ids

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis in voxels."""
        return tuple(int(n) for n in self._labels.shape)

    def __getitem__(self, key: Any) -> Any:
        found = np.asarray(self._labels[key])
        flat = found.ravel()
        starts = _run_starts(flat)
        ranks = np.searchsorted(self._ids, flat[starts]).astype(np.uint32) + np.uint32(1)
        ranks[flat[starts] == 0] = 0
        lengths = np.diff(np.append(starts, flat.size))
        return np.repeat(ranks, lengths).reshape(found.shape)


def as_segmentation(labels: Volume, *, progress: Progress = NO_PROGRESS) -> Segmentation:
    """Take each id of some labels as one fragment, which is a segment of that id.

    Parameters
    ----------
    labels : Volume
        (z, y, x) ids; not copied.
    progress : Progress
        Called once per section.

    Returns
    -------
    Segmentation
        Ids stay those of the labels; only ones past 32 bits are numbered anew, which
        its provenance tells.

    Raises
    ------
    InputError
        If there are negative ids.

    Examples
    --------
    >>> segmentation = as_segmentation(Volume(np.array([[[0, 7, 9]]]), kind="labels"))
    >>> segmentation.view()[0], segmentation.n_segments
    (array([[0, 7, 9]], dtype=uint32), 2)
    """
    ids = _find_ids(labels, progress)
    largest = int(ids[-1]) if ids.size else 0
    if largest <= _LARGEST_OWN:
        table = np.zeros(largest + 1, np.uint32)
        table[ids] = ids
        return Segmentation(labels.derive(labels.data, kind="fragments"), table)
    compact = CompactIds(labels.data, ids)
    if largest <= _LARGEST_ID:
        return Segmentation(
            labels.derive(compact, kind="fragments"), np.append(0, ids).astype(np.uint32)
        )
    notes = [
        *(labels.provenance.get("notes") or ()),
        f"Ids up to {largest} are too large to edit: the segments are numbered anew, from 1.",
    ]
    fragments = labels.derive(compact, kind="fragments", notes=notes)
    return Segmentation(fragments, np.arange(ids.size + 1, dtype=np.uint32))


def _find_ids(labels: Volume, progress: Progress) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = np.empty(0, np.int64)
    depth = labels.shape[0]
    for z in range(depth):
        flat = labels.read(z).ravel()
        listed = np.unique(flat[_run_starts(flat)])
        if listed[0] < 0:
            raise InputError(
                f"{labels.name or 'The labels'} hold the id {listed[0]} in section {z}: ids must "
                "not be negative, 0 is background."
            )
        found = np.union1d(found.astype(listed.dtype), listed[listed > 0])
        progress.update(z + 1, depth, "Finding segments")
    return found


def _run_starts(flat: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    is_first = np.ones(flat.size, bool)
    is_first[1:] = flat[1:] != flat[:-1]
    return np.flatnonzero(is_first)

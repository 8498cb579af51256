"""Labels as a table over given fragments, which are cut where a label ends inside one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.proofreading.labels import as_segmentation
from napari_emseg.segmentation import Segmentation
from napari_emseg.volume import Volume

Keys = npt.NDArray[np.uint64]
_HALF = np.uint64(32)


def lay_over(
    labels: Volume, fragments: Volume, *, progress: Progress = NO_PROGRESS
) -> Segmentation:
    """Return the segmentation over fragments whose labels are exactly the given ones.

    Parameters
    ----------
    labels : Volume
        (z, y, x) ids, from wherever: painted over, cleaned up, of another program.
    fragments : Volume
        (z, y, x) ids of the same shape; not written.
    progress : Progress
        Called once per section and pass.

    Returns
    -------
    Segmentation
        Over `fragments` themselves where each lies in one label, else over the parts
        into which the labels cut them. The geometry is that of the labels.

    Raises
    ------
    InputError
        If the shapes differ.

    Examples
    --------
    >>> labels = Volume(np.array([[[7, 7, 7, 9]]]), kind="labels")
    >>> fragments = Volume(np.array([[[1, 1, 2, 2]]], np.uint32), kind="fragments")
    >>> made = lay_over(labels, fragments)
    >>> made.fragments.read(0), made.segment_of
    (array([[1, 1, 2, 3]], dtype=uint32), array([0, 7, 7, 9], dtype=uint32))
    """
    if labels.shape != fragments.shape:
        raise InputError(
            f"The labels have {labels.shape} voxels (z, y, x), the fragments {fragments.shape}."
        )
    own = as_segmentation(labels, progress=progress)
    view, depth = own.view(), labels.shape[0]
    found: Keys = np.empty(0, np.uint64)
    for z in range(depth):
        keys, _ = _runs(view[z], fragments.read(z))
        found = np.union1d(found, keys)
        progress.update(z + 1, depth, "Comparing labels and fragments")
    fragment_of, label_of = (found >> _HALF), (found & np.uint64(2**32 - 1)).astype(np.uint32)
    is_whole = np.unique(fragment_of).size == found.size
    is_covered = not label_of[fragment_of == 0].any()
    if is_whole and is_covered:
        table = np.zeros(int(fragment_of.max()) + 1, np.uint32)
        table[fragment_of.astype(np.int64)] = label_of
        return Segmentation(labels.derive(fragments.data, kind="fragments"), table)
    parts = found[label_of > 0]
    data = np.empty(labels.shape, np.uint32)
    for z in range(depth):
        data[z] = _rank(view[z], fragments.read(z), parts)
        progress.update(z + 1, depth, "Cutting fragments at labels")
    table = np.append(0, label_of[label_of > 0]).astype(np.uint32)
    return Segmentation(labels.derive(data, kind="fragments"), table)


def _runs(labels: Any, fragments: Any) -> tuple[Keys, npt.NDArray[np.int64]]:
    """Return fragment and label of each run of voxels, and the lengths of the runs."""
    keys = (np.asarray(fragments).astype(np.uint64) << _HALF) | labels.astype(np.uint64)
    flat = keys.ravel()
    is_first = np.ones(flat.size, bool)
    is_first[1:] = flat[1:] != flat[:-1]
    starts = np.flatnonzero(is_first)
    return flat[starts], np.diff(np.append(starts, flat.size))


def _rank(labels: Any, fragments: Any, parts: Keys) -> npt.NDArray[np.uint32]:
    keys, lengths = _runs(labels, fragments)
    ranks = np.searchsorted(parts, keys).astype(np.uint32) + np.uint32(1)
    ranks[(keys & np.uint64(2**32 - 1)) == 0] = 0
    return np.repeat(ranks, lengths).reshape(labels.shape)

"""How large fragments are, where they lie and which touch: measured once, section by section."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.parallel import Steps, map_threads
from napari_emseg.volume import Volume

Keys = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]
_SHIFT = np.uint64(32)


@dataclass(frozen=True, eq=False)
class Adjacency:
    """Extent and contacts of fragments.

    Attributes
    ----------
    a, b : (E,) uint32
        Fragments that share a voxel face, ``a < b``, each pair once; 0 is nothing, and
        touches too.
    faces : (E,) int64
        How many faces they share.
    size, first, last : (F + 1,) int64
        Voxels, first and last section; of a fragment without voxels 0, the largest
        number and -1.
    at_rim : (F + 1,) bool
        Whether it is at the border of the volume, in "2d" at that of the section.
    """

    a: npt.NDArray[np.uint32]
    b: npt.NDArray[np.uint32]
    faces: Counts
    size: Counts
    first: Counts
    last: Counts
    at_rim: npt.NDArray[np.bool_]


def measure_adjacency(
    fragments: Volume, *, mode: Literal["2d", "3d"] = "3d", progress: Progress = NO_PROGRESS
) -> Adjacency:
    """Run over all voxel faces between different fragments.

    Parameters
    ----------
    fragments : Volume
        (z, y, x) ids, read section by section.
    mode : {"2d", "3d"}
        Whether sections touch each other.
    progress : Progress
        Called once per section.

    Returns
    -------
    Adjacency

    Raises
    ------
    InputError
        If ids are negative or larger than there are voxels, so that tables over them
        would be absurd.

    Examples
    --------
    >>> ids = Volume(np.array([[[1, 1, 2], [1, 1, 2]]], np.uint32), kind="fragments")
    >>> found = measure_adjacency(ids)
    >>> found.a, found.b, found.faces, found.size
    (array([1], dtype=uint32), array([2], dtype=uint32), array([2]), array([0, 4, 2]))
    """
    n_z = fragments.shape[0]

    def measure(z: int) -> tuple[Keys, Counts, int, Counts, npt.NDArray[Any]]:
        section = fragments.read(z)
        _check_ids(section, fragments)
        above = fragments.read(z - 1) if mode == "3d" and z > 0 else None
        keys, counts = _contacts(section, above)
        lowest = int(section.min())
        size = np.bincount((section - section.dtype.type(lowest)).ravel())
        is_cap = mode == "3d" and z in (0, n_z - 1)
        rim = section if is_cap else _rim(section)
        return keys, counts, lowest, size, np.unique(rim)

    steps = Steps(progress, n_z)
    parts = map_threads(measure, n_z, partial(steps.finish_one, "Measuring contacts"))
    n = max(lowest + size.size for _, _, lowest, size, _ in parts)
    size, at_rim = np.zeros(n, np.int64), np.zeros(n, bool)
    first, last = np.full(n, np.iinfo(np.int64).max), np.full(n, -1, np.int64)
    for z, (_, _, lowest, voxels, rim) in enumerate(parts):
        here = lowest + np.flatnonzero(voxels)
        size[lowest : lowest + voxels.size] += voxels
        first[here] = np.minimum(first[here], z)
        last[here] = z
        at_rim[rim] = True
    keys, faces = _sum_equal([p[0] for p in parts], [p[1] for p in parts])
    a, b = (keys >> _SHIFT).astype(np.uint32), keys.astype(np.uint32)
    return Adjacency(a, b, faces, size, first, last, at_rim)


def _check_ids(section: npt.NDArray[Any], fragments: Volume) -> None:
    n_voxels = int(np.prod(fragments.shape))
    lowest, highest = int(section.min()), int(section.max())
    if lowest < 0 or highest > n_voxels:
        raise InputError(
            f"{fragments.name or 'The fragments'} have ids from {lowest} to {highest}, but only "
            f"{n_voxels} voxels; number them from 1 on first."
        )


def _contacts(section: npt.NDArray[Any], above: npt.NDArray[Any] | None) -> tuple[Keys, Counts]:
    """Pairs of ids that share faces in a section or with the one above, as keys, and how many."""
    sides = [(section[:, :-1], section[:, 1:]), (section[:-1], section[1:])]
    if above is not None:
        sides.append((above, section))
    found = []
    for one, two in sides:
        differ = one != two
        p, q = one[differ].astype(np.uint64), two[differ].astype(np.uint64)
        found.append((np.minimum(p, q) << _SHIFT) | np.maximum(p, q))
    keys, counts = np.unique(np.concatenate(found), return_counts=True)
    return keys, counts.astype(np.int64)


def _sum_equal(keys: list[Keys], counts: list[Counts]) -> tuple[Keys, Counts]:
    pairs, place = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.bincount(place, np.concatenate(counts), pairs.size)
    return pairs, total.astype(np.int64)


def _rim(section: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([section[0], section[-1], section[:, 0], section[:, -1]])

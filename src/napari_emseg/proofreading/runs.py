"""Voxels that change their fragment, as runs along x."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.uint32]
Box = tuple[slice, slice, slice]
Triple = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class VoxelRuns:
    """Runs of voxels with one old and one new fragment each.

    Attributes
    ----------
    origin, shape : (z, y, x)
        Bounding box of the changed voxels.
    start : (R,) int64
        First voxel of each run in the box, in C order; ascending. A run ends with its row.
    length : (R,) int64
        Voxels of each run.
    old, new : (R,) uint32
        Fragment before and after.

    Examples
    --------
    >>> old = np.array([[[1, 1, 1, 2]]], np.uint32)
    >>> runs = find_runs((5, 0, 0), old, np.array([[[1, 3, 3, 3]]], np.uint32))
    >>> runs.origin, runs.start, runs.length, runs.old
    ((5, 0, 1), array([0, 2]), array([2, 1]), array([1, 2], dtype=uint32))
    """

    origin: Triple
    shape: Triple
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    old: Ids
    new: Ids

    @property
    def n_voxels(self) -> int:
        """Number of changed voxels."""
        return int(self.length.sum())

    @property
    def box(self) -> Box:
        """Where the changed voxels lie in the volume."""
        z, y, x = (slice(o, o + n) for o, n in zip(self.origin, self.shape, strict=True))
        return z, y, x

    def inverse(self) -> VoxelRuns:
        """Return the runs that take the change back."""
        return replace(self, old=self.new, new=self.old)

    def check(self, shape: Triple) -> None:
        """Make sure that all runs lie in their box, and that in a volume of `shape`.

        Raises
        ------
        ValueError
            If they do not, as in a damaged log.
        """
        ends = self.start + self.length
        is_inside = all(
            o >= 0 and n > 0 and o + n <= m
            for o, n, m in zip(self.origin, self.shape, shape, strict=True)
        )
        n_box = self.shape[0] * self.shape[1] * self.shape[2]
        is_ordered = bool((self.length > 0).all() and (ends[:-1] <= self.start[1:]).all())
        if is_inside:  # each run ends with its row
            is_ordered &= bool((self.start % self.shape[2] + self.length <= self.shape[2]).all())
        if not (is_inside and is_ordered and self.start[0] >= 0 and ends[-1] <= n_box):
            raise ValueError("its voxels lie outside the volume")

    def sections(self) -> Iterator[tuple[int, npt.NDArray[np.int64], Ids, Ids]]:
        """Yield section, voxels within the section of the box (C order), old and new ids."""
        n_plane = self.shape[1] * self.shape[2]
        first = np.searchsorted(self.start, np.arange(self.shape[0] + 1) * n_plane)
        for z in range(self.shape[0]):
            part = slice(first[z], first[z + 1])
            if part.start == part.stop:
                continue
            length = self.length[part]
            inside = spread(self.start[part] - z * n_plane, length)
            old, new = np.repeat(self.old[part], length), np.repeat(self.new[part], length)
            yield self.origin[0] + z, inside, old, new

    def write(self, box: npt.NDArray[Any]) -> None:
        """Write the new ids into an array of the shape of the box."""
        box.reshape(-1)[spread(self.start, self.length)] = np.repeat(self.new, self.length)


def find_runs(origin: Triple, old: Ids, new: Ids) -> VoxelRuns | None:
    """Compare two boxes of fragments at `origin`; None where they are equal.

    Parameters
    ----------
    origin : (z, y, x)
        First voxel of both boxes in the volume.
    old, new : (z, y, x) uint32

    Returns
    -------
    VoxelRuns or None
    """
    differs = old != new
    if not differs.any():
        return None
    part = _tight(differs)
    old, new, differs = old[part], new[part], differs[part]
    place = np.flatnonzero(differs)
    before, after = old[differs], new[differs]
    is_first = np.ones(place.size, bool)
    is_first[1:] = (
        (np.diff(place) != 1)
        | (place[1:] % old.shape[2] == 0)
        | (before[1:] != before[:-1])
        | (after[1:] != after[:-1])
    )
    first = np.flatnonzero(is_first)
    z, y, x = (o + s.start for o, s in zip(origin, part, strict=True))
    return VoxelRuns(
        origin=(z, y, x),
        shape=(old.shape[0], old.shape[1], old.shape[2]),
        start=place[first],
        length=np.diff(np.append(first, place.size)),
        old=before[first],
        new=after[first],
    )


def spread(start: npt.NDArray[np.int64], length: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """List all numbers of runs.

    Examples
    --------
    >>> spread(np.array([3, 9]), np.array([2, 1]))
    array([3, 4, 9])
    """
    ends = np.cumsum(length)
    shift = np.repeat(start - (ends - length), length)
    listed: npt.NDArray[np.int64] = shift + np.arange(shift.size)
    return listed


def _tight(mask: npt.NDArray[np.bool_]) -> Box:
    parts = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        inside = np.flatnonzero(mask.any(axis=others))
        parts.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return parts[0], parts[1], parts[2]


def join_runs(parts: Sequence[VoxelRuns]) -> VoxelRuns | None:
    """Put changes of different voxels together; None where there are none.

    Parameters
    ----------
    parts : sequence of VoxelRuns
        No voxel in two of them.

    Returns
    -------
    VoxelRuns or None
    """
    if not parts:
        return None
    low = np.min([p.origin for p in parts], axis=0)
    high = np.max([np.add(p.origin, p.shape) for p in parts], axis=0)
    shape = tuple(int(n) for n in high - low)
    starts = []
    for part in parts:
        place = np.stack(np.unravel_index(part.start, part.shape))
        moved = place + np.subtract(part.origin, low)[:, None]
        starts.append(np.ravel_multi_index(tuple(moved), shape).astype(np.int64))
    start = np.concatenate(starts)
    order = np.argsort(start, kind="stable")
    z, y, x = (int(n) for n in low)
    return VoxelRuns(
        origin=(z, y, x),
        shape=(shape[0], shape[1], shape[2]),
        start=start[order],
        length=np.concatenate([p.length for p in parts])[order],
        old=np.concatenate([p.old for p in parts])[order],
        new=np.concatenate([p.new for p in parts])[order],
    )

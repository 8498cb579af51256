"""How large fragments are and where they lie, section by section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.proofreading.runs import Ids, VoxelRuns

_SHIFT = np.uint64(32)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Profiles:
    """Voxels of owners (fragments, or segments) in each section they are in.

    Attributes
    ----------
    owner : (R,) uint32
        Ascending, and ascending sections for each.
    section : (R,) int64
    area : (R,) float64
        Voxels.
    place : (R, 2) float64
        Sum of their y and x; all whole numbers, so that an undo gives back the same bits.
    """

    owner: Ids
    section: npt.NDArray[np.int64]
    area: Floats
    place: Floats

    def of_segments(self, segment_of: Ids) -> Profiles:
        """Return the profiles of segments."""
        segments = segment_of[self.owner]
        there = np.flatnonzero(segments)
        return _summed(segments[there], self.section[there], self.area[there], self.place[there])


def no_profiles() -> Profiles:
    """Return the profiles of nothing."""
    return Profiles(np.empty(0, np.uint32), np.empty(0, np.int64), np.empty(0), np.empty((0, 2)))


def add_profiles(*parts: Profiles) -> Profiles:
    """Add profiles section by section; where nothing is left, the section is dropped.

    Parameters
    ----------
    *parts : Profiles

    Returns
    -------
    Profiles
    """
    return _summed(
        np.concatenate([p.owner for p in parts]),
        np.concatenate([p.section for p in parts]),
        np.concatenate([p.area for p in parts]),
        np.concatenate([p.place for p in parts]),
    )


class ProfileMeter:
    """Measures fragments as sections are shown to it, one after the other.

    Parameters
    ----------
    n_fragments : int

    Examples
    --------
    >>> meter = ProfileMeter(2)
    >>> meter.look(0, np.array([[1, 1, 0]], np.uint32))
    >>> meter.look(1, np.array([[2, 1, 2]], np.uint32))
    >>> found = meter.profiles()
    >>> found.owner, found.section, found.area, found.place[:, 1]
    (array([1, 1, 2], dtype=uint32), array([0, 1, 1]), array([2., 1., 2.]), array([1., 1., 2.]))
    """

    def __init__(self, n_fragments: int) -> None:
        self._sums = np.zeros((n_fragments + 1, 3))
        self._parts: list[Profiles] = []

    def look(self, z: int, section: Ids) -> None:
        """Measure a section, (y, x) ids."""
        ids = np.empty(min(section.size, len(self._sums)), np.uint32)
        n = _add_section(section, self._sums, ids)
        ids = np.sort(ids[:n])
        sums = self._sums[ids]
        self._sums[ids] = 0
        self._parts.append(Profiles(ids, np.full(n, z, np.int64), sums[:, 0], sums[:, 1:]))

    def profiles(self) -> Profiles:
        """Return what was measured."""
        return add_profiles(*self._parts) if self._parts else no_profiles()


def profiles_of_change(runs: VoxelRuns) -> Profiles:
    """Return how a change of voxels changes profiles; areas lost are negative."""
    z, y, x = (
        part + first
        for part, first in zip(np.unravel_index(runs.start, runs.shape), runs.origin, strict=True)
    )
    length = runs.length.astype(np.float64)
    place = np.stack([y * length, x * length + length * (length - 1) / 2], axis=1)
    owner = np.concatenate([runs.old, runs.new])
    there = np.flatnonzero(owner)
    return _summed(
        owner[there],
        np.concatenate([z, z])[there].astype(np.int64),
        np.concatenate([-length, length])[there],
        np.concatenate([-place, place])[there],
    )


class ProfileBook:
    """Profiles as measured, and what edits changed since.

    Parameters
    ----------
    measured : Profiles
    """

    def __init__(self, measured: Profiles) -> None:
        self._measured = measured
        self._changes = no_profiles()

    def change(self, runs: VoxelRuns) -> None:
        """Follow voxels to their new fragments."""
        self._changes = add_profiles(self._changes, profiles_of_change(runs))

    @property
    def change_bytes(self) -> int:
        """Memory of the changes."""
        rows = self._changes
        return sum(part.nbytes for part in (rows.owner, rows.section, rows.area, rows.place))

    @property
    def summed(self) -> Callable[[], Profiles]:
        """What returns all profiles as they are now, later and in any thread."""
        measured, changes = self._measured, self._changes
        return lambda: add_profiles(measured, changes) if changes.owner.size else measured


def _summed(owner: Ids, section: npt.NDArray[np.int64], area: Floats, place: Floats) -> Profiles:
    if owner.size == 0:
        return no_profiles()
    keys = (owner.astype(np.uint64) << _SHIFT) | section.astype(np.uint64)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    area = np.add.reduceat(area[order], first)
    place = np.add.reduceat(place[order], first)
    left = np.flatnonzero((area != 0) | place.any(axis=1))
    rows = order[first[left]]
    return Profiles(owner[rows], section[rows], area[left], place[left])


@kernel
def _add_section(section: Any, sums: Any, ids: Any) -> Any:
    """Add areas, y and x of all ids but 0; list those there are, return how many."""
    n_y, n_x = section.shape
    n = 0
    for y in range(n_y):
        for x in range(n_x):
            i = section[y, x]
            if i == 0:
                continue
            if sums[i, 0] == 0:
                ids[n] = i
                n += 1
            sums[i, 0] += 1
            sums[i, 1] += y
            sums[i, 2] += x
    return n

"""What guidance looks at: a state as it was at one moment, for another thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.proofreading.contacts import Edges
from napari_emseg.proofreading.patched import PatchedFragments
from napari_emseg.proofreading.profiles import Profiles
from napari_emseg.proofreading.runs import Ids, Triple
from napari_emseg.proofreading.state import State

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_SHIFT = np.uint64(32)


@dataclass(frozen=True, eq=False)
class Survey:
    """A state at one moment; edits made later leave it alone.

    Segments go by their rank among all ids here, 0 being nothing: tables of them stay short,
    however large the ids are.

    Attributes
    ----------
    ids : (n,) uint32
        The id of each segment, ascending.
    segment_of : (F + 1,) uint32
        Rank of each fragment's segment.
    size : (F + 1,) int64
        Voxels of each fragment.
    low, high : (F + 1, 3) int32
        First and last voxel of its box.
    contacts, sections : callable
        Return the contacts of all fragments, and the profiles.
    fragments : PatchedFragments
    closed : (n,) int64
        Ranks of segments not to be asked about: done, or set aside. Ascending.
    decided : (n, 2) uint32
        Fragments at whose contact was decided; the lower one first.
    """

    ids: Ids
    segment_of: Ids
    size: Ints
    low: npt.NDArray[np.int32]
    high: npt.NDArray[np.int32]
    contacts: Callable[[], Edges]
    sections: Callable[[], Profiles]
    fragments: PatchedFragments
    closed: Ints
    decided: Ids

    @cached_property
    def edges(self) -> Edges:
        """Contacts of fragments."""
        return self.contacts()

    @cached_property
    def profiles(self) -> Profiles:
        """Segments section by section."""
        return self.sections().of_segments(self.segment_of)

    @property
    def shape(self) -> Triple:
        """Of the volume, (z, y, x)."""
        return self.fragments.shape

    @cached_property
    def segment_size(self) -> Ints:
        """Voxels of each segment; 0 of those closed and of nothing."""
        sizes = np.bincount(self.segment_of, self.size, self.ids.size).astype(np.int64)
        sizes[0] = 0
        return sizes

    @cached_property
    def n_voxels(self) -> int:
        """Voxels of all segments."""
        return int(self.segment_size.sum())

    @cached_property
    def is_closed(self) -> Mask:
        """Whether each segment is not to be asked about; nothing is not, either."""
        closed = np.zeros(self.segment_size.size, bool)
        closed[0] = True
        closed[self.closed] = True
        return closed

    @cached_property
    def box_low(self) -> npt.NDArray[np.int32]:
        """First voxel of the box of each segment, (n, 3)."""
        low = np.full((self.segment_size.size, 3), np.iinfo(np.int32).max, np.int32)
        there = self.size > 0
        for axis in range(3):
            np.minimum.at(low[:, axis], self.segment_of[there], self.low[there, axis])
        return low

    @cached_property
    def box_high(self) -> npt.NDArray[np.int32]:
        """Last voxel of the box of each segment, (n, 3)."""
        high = np.full((self.segment_size.size, 3), -1, np.int32)
        there = self.size > 0
        for axis in range(3):
            np.maximum.at(high[:, axis], self.segment_of[there], self.high[there, axis])
        return high

    @cached_property
    def ends_inside(self) -> Mask:
        """Whether each segment touches no border of the volume, as a neurite should."""
        last = np.array(self.shape) - 1
        inside: Mask = np.all((self.box_low > 0) & (self.box_high < last), axis=1)
        return inside


def take_survey(
    state: State, decided: Sequence[tuple[int, int]] = (), *, progress: Progress = NO_PROGRESS
) -> Survey:
    """Copy what guidance needs of a state; milliseconds, once contacts were measured.

    Parameters
    ----------
    state : State
        May be edited by another thread.
    decided : sequence of (int, int)
        Pairs of fragments at whose contact was decided.
    progress : Progress

    Returns
    -------
    Survey
    """
    state.measure_contacts(progress=progress)
    pairs = np.sort(np.array(decided, np.uint32).reshape(-1, 2), axis=1)
    with state.lock:
        n = state.next_fragment
        ids = np.unique(np.append(state.segment_of, np.uint32(0)))
        closed = np.array(sorted(state.done | state.set_aside), np.uint32)
        return Survey(
            ids=ids,
            segment_of=np.searchsorted(ids, state.segment_of).astype(np.uint32),
            size=state.extents.size[:n].copy(),
            low=state.extents.low[:n].copy(),
            high=state.extents.high[:n].copy(),
            contacts=state.contacts.summed,
            sections=state.profiles.summed,
            fragments=state.fragments.snapshot(),
            closed=np.searchsorted(ids, closed[np.isin(closed, ids)]),
            decided=pairs,
        )


def pair_keys(one: Ids, two: Ids) -> npt.NDArray[np.uint64]:
    """Return one number for each pair, the same in either order."""
    low, high = np.minimum(one, two), np.maximum(one, two)
    keys: npt.NDArray[np.uint64] = (low.astype(np.uint64) << _SHIFT) | high
    return keys

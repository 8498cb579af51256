"""Which fragments a segment consists of, kept up to date edit by edit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from napari_emseg.proofreading.runs import Ids

_END = 2**32


class Members:
    """Fragments of each segment.

    One sort of the table serves all segments nobody has edited; those that were
    have a list of their own.

    Parameters
    ----------
    segment_of : (F + 1,) uint32
        Entry 0 is nothing.

    Examples
    --------
    >>> members = Members(np.array([0, 7, 9, 7], np.uint32))
    >>> members.of(7)
    array([1, 3], dtype=uint32)
    >>> members.move(np.array([3], np.uint32), np.array([7]), np.array([9]))
    >>> members.of(9)
    array([2, 3], dtype=uint32)
    """

    def __init__(self, segment_of: Ids) -> None:
        order = np.argsort(segment_of, kind="stable").astype(np.uint32)
        listed = segment_of[order]
        n_nothing = int(np.searchsorted(listed, 1))
        self._order, listed = order[n_nothing:], listed[n_nothing:]
        self._segments, starts = np.unique(listed, return_index=True)
        self._starts = np.append(starts, listed.size)
        self._edited: dict[int, Ids] = {}

    def of(self, segment: int) -> Ids:
        """Return the fragments of a segment, ascending; none where there is no such segment."""
        if segment in self._edited:
            return self._edited[segment]
        if not 0 <= segment < _END:
            return np.empty(0, np.uint32)
        # of the same type, or all segments would be converted
        k = int(np.searchsorted(self._segments, np.uint32(segment)))
        if k == self._segments.size or self._segments[k] != segment:
            return np.empty(0, np.uint32)
        return self._order[self._starts[k] : self._starts[k + 1]]

    def __contains__(self, segment: int) -> bool:
        return self.of(segment).size > 0

    def __iter__(self) -> Iterator[int]:
        """Go through the segments there are, ascending."""
        gone = {s for s, ids in self._edited.items() if ids.size == 0}
        made = {s for s, ids in self._edited.items() if ids.size > 0}
        return iter(sorted(({*self._segments.tolist()} | made) - gone))

    def move(self, fragments: Ids, before: Ids, after: Ids) -> None:
        """Note that ascending `fragments` go from one segment to another; 0 is none."""
        before, after = (np.broadcast_to(ids, fragments.shape) for ids in (before, after))
        for segment in np.unique(before).tolist():
            if segment:
                leaving = fragments[before == segment]
                self._edited[segment] = _without(self.of(segment), leaving)
        for segment in np.unique(after).tolist():
            if segment:
                coming = fragments[after == segment]
                there = self.of(segment)
                self._edited[segment] = np.insert(there, np.searchsorted(there, coming), coming)


def _without(ids: Ids, leaving: Ids) -> Ids:
    return np.delete(ids, np.searchsorted(ids, leaving))

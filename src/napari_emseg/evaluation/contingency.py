"""How many voxels each segment shares with each ground-truth object, sparsely."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]
Pairs = tuple[Ids, Ids, Counts]

COLLAPSE_ABOVE = 1 << 16


@dataclass(frozen=True, eq=False)
class Contingency:
    """Sparse contingency table of a segmentation and a ground truth.

    Only voxels where the ground truth is not 0 are counted. Row k says that
    `count[k]` voxels have id `segment[k]` in the segmentation and `truth[k]` in
    the ground truth; rows are sorted by (segment, truth) and unique.

    Attributes
    ----------
    segment, truth : ndarray of uint64, shape (pairs,)
    count : ndarray of int64, shape (pairs,)
        In voxels, all positive.
    """

    segment: Ids
    truth: Ids
    count: Counts

    @property
    def n_voxels(self) -> int:
        """Number of voxels counted: those of the ground-truth foreground."""
        return int(self.count.sum())

    @cached_property
    def segment_ids(self) -> Ids:
        """Ids of the segments, ascending."""
        return self.segment[self._first_of_segment]

    @cached_property
    def segment_sizes(self) -> Counts:
        """Foreground voxels of each segment, in ascending order of id."""
        if not self.count.size:
            return self.count
        return np.add.reduceat(self.count, self._first_of_segment)

    @property
    def truth_sizes(self) -> Counts:
        """Voxels of each ground-truth object, in ascending order of id."""
        return self._objects[0]

    @property
    def segment_size_of_pair(self) -> Counts:
        """Foreground voxels of the segment of each pair."""
        n_pairs = np.diff(self._first_of_segment, append=self.segment.size)
        return np.repeat(self.segment_sizes, n_pairs)

    @property
    def truth_size_of_pair(self) -> Counts:
        """Voxels of the ground-truth object of each pair."""
        sizes, places = self._objects
        return sizes[places]

    @property
    def object_of_pair(self) -> npt.NDArray[np.intp]:
        """Index of the ground-truth object of each pair, in ascending order of id."""
        return self._objects[1]

    @cached_property
    def _first_of_segment(self) -> npt.NDArray[np.intp]:
        # Rows are sorted by segment, so that no sorting is needed to tell segments apart.
        is_first = np.ones(self.segment.size, bool)
        np.not_equal(self.segment[1:], self.segment[:-1], out=is_first[1:])
        return np.flatnonzero(is_first)

    @cached_property
    def _objects(self) -> tuple[Counts, npt.NDArray[np.intp]]:
        unique, places = np.unique(self.truth, return_inverse=True)
        sizes = np.zeros(unique.size, np.int64)
        np.add.at(sizes, places, self.count)
        return sizes, places


class ContingencyBuilder:
    """Counts pairs of ids section by section.

    Memory stays linear in the number of distinct pairs: what the sections add
    is collapsed whenever it outgrows the table.

    Parameters
    ----------
    ids_per_section : bool
        Whether an id names another object in each section; then ids are numbered
        anew as they come, 0 apart.

    Examples
    --------
    >>> builder = ContingencyBuilder()
    >>> builder.add(np.array([[1, 1, 2]]), np.array([[7, 7, 0]]))
    >>> table = builder.build()
    >>> table.segment, table.truth, table.count
    (array([1], dtype=uint64), array([7], dtype=uint64), array([2]))
    """

    def __init__(self, *, ids_per_section: bool = False) -> None:
        self._ids_per_section = ids_per_section
        self._last_ids = (0, 0)
        self._table: Pairs = _no_pairs()
        self._pending: list[Pairs] = []
        self._n_pending = 0

    def add(self, segmentation: npt.NDArray[np.integer], truth: npt.NDArray[np.integer]) -> None:
        """Count the voxels of one section (two arrays of ids of one shape)."""
        pairs = _count_runs(segmentation.ravel(), truth.ravel())
        if self._ids_per_section:
            pairs = self._tell_apart(pairs)
        self._pending.append(pairs)
        self._n_pending += pairs[0].size
        if self._n_pending > max(self._table[0].size, COLLAPSE_ABOVE):
            self._collapse()

    def build(self) -> Contingency:
        """Return the table of everything added so far."""
        self._collapse()
        return Contingency(*self._table)

    def _tell_apart(self, pairs: Pairs) -> Pairs:
        segment, last_segment = _number_anew(pairs[0], self._last_ids[0])
        truth, last_truth = _number_anew(pairs[1], self._last_ids[1])
        self._last_ids = (last_segment, last_truth)
        return segment, truth, pairs[2]

    def _collapse(self) -> None:
        parts = [self._table, *self._pending]
        segment, truth, count = (np.concatenate(column) for column in zip(*parts, strict=True))
        self._table = _sum_equal(segment, truth, count)
        self._pending, self._n_pending = [], 0


def _no_pairs() -> Pairs:
    return np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.int64)


def _number_anew(ids: Ids, last: int) -> tuple[Ids, int]:
    """Give ids numbers from `last` + 1 on, in ascending order; 0 stays 0. Return the last too."""
    unique, places = np.unique(ids, return_inverse=True)
    has_zero = int(unique.size > 0 and unique[0] == 0)
    numbers = np.arange(unique.size, dtype=np.uint64) + np.uint64(last + 1 - has_zero)
    numbers[:has_zero] = 0
    return numbers[places], last + unique.size - has_zero


def _count_runs(segment: npt.NDArray[np.integer], truth: npt.NDArray[np.integer]) -> Pairs:
    # A section is long runs of one pair: sorting runs is much cheaper than sorting voxels.
    if segment.size == 0:
        return _no_pairs()
    is_start = np.ones(segment.size, bool)
    np.not_equal(segment[1:], segment[:-1], out=is_start[1:])
    is_start[1:] |= truth[1:] != truth[:-1]
    start = np.flatnonzero(is_start)
    length = np.diff(start, append=segment.size)
    start_truth = truth[start]
    inside = start_truth != 0
    return _sum_equal(
        segment[start[inside]].astype(np.uint64),
        start_truth[inside].astype(np.uint64),
        length[inside].astype(np.int64),
    )


def _sum_equal(segment: Ids, truth: Ids, count: Counts) -> Pairs:
    if segment.size == 0:
        return _no_pairs()
    order = np.lexsort((truth, segment))
    segment, truth, count = segment[order], truth[order], count[order]
    is_first = np.ones(segment.size, bool)
    is_first[1:] = (segment[1:] != segment[:-1]) | (truth[1:] != truth[:-1])
    first = np.flatnonzero(is_first)
    return segment[first], truth[first], np.add.reduceat(count, first)

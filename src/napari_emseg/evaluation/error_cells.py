"""The overlaps of segments with true objects, and which of them are split or merge errors.

A *cell* is what one segment shares with one true object. The object that a segment
shares most with owns it. A cell in an object that does not own the segment is a merge
error: the segment reaches into a second object. A cell in the owner is a split error
unless it is the largest such cell of its object: the object is cut into pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation.contingency import Contingency, Counts, Ids

Ints = npt.NDArray[np.int64]
CellMap = npt.NDArray[np.int32]

RIGHT, SPLIT, MERGE = np.uint8(0), np.uint8(1), np.uint8(2)
NO_CELL = -1


@dataclass(frozen=True, eq=False)
class Cells:
    """All cells of a comparison, in order of section (where those are apart), segment, object.

    Attributes
    ----------
    sections : tuple of int
        The sections compared, ascending.
    starts : ndarray of int64
        First cell of each section, then the number of cells, where an id names
        another object in each section; else 0 and the number of cells.
    segment, truth : ndarray of uint64, shape (cells,)
        Ids as they are in the stacks.
    count : ndarray of int64, shape (cells,)
        Voxels.
    segment_index, truth_index : ndarray of int64, shape (cells,)
        Numbers of the segment and of the object, from 0 on, each its own in each
        section where those are apart.
    """

    sections: tuple[int, ...]
    starts: Ints
    segment: Ids
    truth: Ids
    count: Counts
    segment_index: Ints
    truth_index: Ints

    @classmethod
    def of(cls, sections: tuple[int, ...], tables: list[Contingency], *, are_apart: bool) -> Cells:
        """Put the tables of `sections` together; `are_apart`: each section has its own ids."""
        parts = tables if are_apart else [pool(tables)]
        segment_index, truth_index = [], []
        n_segments = n_objects = 0
        for table in parts:
            segments, place = np.unique(table.segment, return_inverse=True)
            segment_index.append(place + n_segments)
            truth_index.append(table.object_of_pair + n_objects)
            n_segments += segments.size
            n_objects += table.truth_sizes.size
        return cls(
            sections,
            np.cumsum([0, *(table.count.size for table in parts)]),
            np.concatenate([table.segment for table in parts]),
            np.concatenate([table.truth for table in parts]),
            np.concatenate([table.count for table in parts]),
            np.concatenate(segment_index).astype(np.int64),
            np.concatenate(truth_index).astype(np.int64),
        )

    @property
    def are_apart(self) -> bool:
        """Whether an id names another object in each section."""
        return self.starts.size == len(self.sections) + 1 and len(self.sections) > 1

    def part_of_section(self, z: int) -> slice:
        """Return where the cells that section `z` can hold are."""
        k = self.sections.index(z) if self.starts.size > 2 else 0
        return slice(int(self.starts[k]), int(self.starts[k + 1]))


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is wrong with each cell.

    Attributes
    ----------
    kind : ndarray of uint8, shape (cells,)
        RIGHT, SPLIT or MERGE. Voxels without a segment (id 0) are neither.
    home : ndarray of int64, shape (cells,)
        The cell it should be one with (SPLIT) or apart from (MERGE): the largest of
        its object, or the one of its segment in the owner.
    """

    kind: npt.NDArray[np.uint8]
    home: Ints


def judge(cells: Cells) -> Verdict:
    """Tell right cells from split and merge errors."""
    in_owner = _largest_of_group(cells.segment_index, cells.count)
    owner_cell = _per_group(cells.segment_index, in_owner)[cells.segment_index]
    is_segment = cells.segment != 0
    in_owner &= is_segment
    main = _largest_of_group(cells.truth_index, np.where(in_owner, cells.count, -1)) & in_owner
    kind = np.full(cells.count.size, RIGHT)
    kind[is_segment & ~in_owner] = MERGE
    kind[in_owner & ~main] = SPLIT
    main_cell = _per_group(cells.truth_index, main)[cells.truth_index]
    home = np.where(kind == MERGE, owner_cell, np.where(kind == SPLIT, main_cell, NO_CELL))
    return Verdict(kind, home)


class CellFinder:
    """Finds the cell of every voxel of a section.

    Examples
    --------
    >>> table = Contingency(np.array([5, 5]), np.array([1, 2]), np.array([2, 1]))
    >>> cells = Cells.of((0,), [table], are_apart=False)
    >>> CellFinder(cells).map_section(0, np.array([[5, 5, 5, 5]]), np.array([[1, 1, 2, 0]]))
    array([[ 0,  0,  1, -1]], dtype=int32)
    """

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._slice = slice(0, 0)
        self._segments = self._truths = np.zeros(0, np.uint64)
        self._keys = np.zeros(0, np.int64)

    def map_section(
        self, z: int, segmentation: npt.NDArray[Any], truth: npt.NDArray[Any]
    ) -> CellMap:
        """Return the number of each voxel's cell; -1 where there is no ground truth.

        Parameters
        ----------
        z : int
            One of the sections compared.
        segmentation, truth : ndarray, shape (y, x)
            Ids of that section.
        """
        self._turn_to(z)
        start = _run_starts(segmentation.ravel(), truth.ravel())
        cell = self._find(
            segmentation.ravel()[start].astype(np.uint64), truth.ravel()[start].astype(np.uint64)
        )
        length = np.diff(start, append=truth.size)
        return np.repeat(cell, length).reshape(truth.shape)

    def _turn_to(self, z: int) -> None:
        part = self._cells.part_of_section(z)
        if part == self._slice:
            return
        segment, truth = self._cells.segment[part], self._cells.truth[part]
        self._slice = part
        self._segments, segment_rank = np.unique(segment, return_inverse=True)
        self._truths, truth_rank = np.unique(truth, return_inverse=True)
        self._keys = segment_rank * self._truths.size + truth_rank  # ascending, as cells are

    def _find(self, segment: Ids, truth: Ids) -> CellMap:
        cell = np.full(segment.size, NO_CELL, np.int32)
        if self._keys.size == 0:
            return cell
        a = np.minimum(np.searchsorted(self._segments, segment), self._segments.size - 1)
        b = np.minimum(np.searchsorted(self._truths, truth), self._truths.size - 1)
        key = a * self._truths.size + b
        at = np.minimum(np.searchsorted(self._keys, key), self._keys.size - 1)
        known = (
            (self._segments[a] == segment) & (self._truths[b] == truth) & (self._keys[at] == key)
        )
        cell[known] = at[known] + self._slice.start
        return cell


def pool(tables: list[Contingency]) -> Contingency:
    """Add up the tables of sections whose ids mean the same objects."""
    segment = np.concatenate([table.segment for table in tables])
    truth = np.concatenate([table.truth for table in tables])
    count = np.concatenate([table.count for table in tables])
    order = np.lexsort((truth, segment))
    segment, truth = segment[order], truth[order]
    first = _run_starts(segment, truth)
    if first.size == 0:
        return Contingency(segment, truth, count)
    return Contingency(segment[first], truth[first], np.add.reduceat(count[order], first))


def _run_starts(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    is_start = np.ones(one.size, bool)
    np.not_equal(one[1:], one[:-1], out=is_start[1:])
    is_start[1:] |= other[1:] != other[:-1]
    return np.flatnonzero(is_start)


def _largest_of_group(group: Ints, size: Ints) -> npt.NDArray[np.bool_]:
    """Mark the largest member of each group; of equal ones the first."""
    order = np.lexsort((np.arange(size.size), -size, group))
    is_first = np.ones(size.size, bool)
    is_first[1:] = np.diff(group[order]) != 0
    largest = np.zeros(size.size, bool)
    largest[order[is_first]] = True
    return largest


def _per_group(group: Ints, is_chosen: npt.NDArray[np.bool_]) -> Ints:
    """Return the chosen member of each group, NO_CELL where there is none."""
    chosen = np.full(int(group.max(initial=-1)) + 1, NO_CELL, np.int64)
    where = np.flatnonzero(is_chosen)
    chosen[group[where]] = where
    return chosen

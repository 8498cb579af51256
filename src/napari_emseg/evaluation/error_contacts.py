"""Where the two sides of each error meet, and which errors are mere border shifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation.error_cells import (
    MERGE,
    RIGHT,
    SPLIT,
    CellMap,
    Cells,
    Ints,
    Verdict,
)


@dataclass(frozen=True, eq=False)
class _Faces:
    """Pairs of neighbouring voxels: one in a wrong cell (part), one in its other side (home)."""

    part: Ints
    home: Ints
    part_at: Ints
    home_at: Ints

    def take(self, chosen: npt.NDArray[np.bool_]) -> _Faces:
        return _Faces(
            self.part[chosen], self.home[chosen], self.part_at[chosen], self.home_at[chosen]
        )


class ContactFinder:
    """Runs over the sections, in order, and keeps the best contact of each wrong cell.

    A piece of a split object is to be joined to the largest piece that it touches; a
    part merged into a segment touches the part that owns the segment. Gaps in the
    ground truth (membranes) are bridged: a voxel there counts for the nearest cell.

    Parameters
    ----------
    cells, verdict
        What to look for.
    min_width_px : int
        A cell is thick if a square of this side fits into it in some section.

    Attributes
    ----------
    home : ndarray of int64, shape (cells,)
        As in :class:`Verdict`, the touching piece of a split where there is one.
    n_faces : ndarray of int64, shape (cells,)
        Voxel faces of the contact in the section where it is largest; 0 without one.
    part_at, home_at : ndarray of int64, shape (cells, 3)
        (z, y, x) of two voxels on either side near the middle of that contact; where
        there is none, a voxel inside each.
    is_thick : ndarray of bool, shape (cells,)
    """

    def __init__(self, cells: Cells, verdict: Verdict, *, min_width_px: int) -> None:
        n = cells.count.size
        self.home = verdict.home.copy()
        self.n_faces = np.zeros(n, np.int64)
        self.part_at, self.home_at = np.zeros((n, 3), np.int64), np.zeros((n, 3), np.int64)
        self.is_thick = np.zeros(n, bool)
        self._cells, self._kind = cells, verdict.kind
        self._is_segment = cells.segment != 0
        self._min_width_px = min_width_px
        self._inside, self._longest = np.zeros((n, 3), np.int64), np.zeros(n, np.int64)
        self._before: tuple[int, CellMap, Ints] | None = None

    def add(self, z: int, cell_map: CellMap) -> None:
        """Look at section `z`, given the cell of each voxel (-1: none)."""
        from napari_emseg.evaluation.error_kernels import mark_thick

        self._note_insides(z, cell_map)
        mark_thick(cell_map, self._min_width_px, self.is_thick)
        filled, source = self._bridge_gaps(cell_map)
        n = filled.size
        here = np.arange(n).reshape(filled.shape)
        maps = [(filled[:, :-1], filled[:, 1:], here[:, :-1], here[:, 1:])]
        maps.append((filled[:-1], filled[1:], here[:-1], here[1:]))
        sources = source
        below = z
        if self._before is not None and self._before[0] == z - 1 and not self._cells.are_apart:
            below, previous, previous_source = self._before
            maps.append((previous, filled, here + n, here))
            sources = np.concatenate([source, previous_source])
        faces = [self._wrong_faces(*pair) for pair in maps]
        joined = _Faces(*(np.concatenate([getattr(f, k) for f in faces]) for k in _FIELDS))
        self._keep_best(joined, sources, filled.shape, (z, below))
        self._before = (z, filled, source)

    def finish(self) -> None:
        """Give errors whose sides do not touch a place inside each."""
        lonely = np.flatnonzero((self._kind != RIGHT) & (self.n_faces == 0))
        self.part_at[lonely] = self._inside[lonely]
        self.home_at[lonely] = self._inside[self.home[lonely]]

    def _note_insides(self, z: int, cell_map: CellMap) -> None:
        """Remember the middle of the longest row of voxels in each cell."""
        flat = cell_map.ravel()
        edge = np.flatnonzero(np.diff(flat)) + 1
        start = np.concatenate([[0], edge])
        length = np.diff(start, append=flat.size)
        cell = flat[start]
        order = np.lexsort((-length, cell))
        order = order[(np.diff(cell[order], prepend=-2) != 0) & (cell[order] >= 0)]
        order = order[length[order] > self._longest[cell[order]]]
        cell, at = cell[order], start[order] + length[order] // 2
        self._longest[cell] = length[order]
        self._inside[cell] = _positions(at, cell_map.shape, z)

    def _bridge_gaps(self, cell_map: CellMap) -> tuple[CellMap, Ints]:
        """Fill voxels without a cell from the nearest that has one; return whence, too."""
        from napari_emseg.evaluation.error_kernels import bridge_gaps

        source = np.arange(cell_map.size)
        is_gap = (cell_map < 0) | ~self._is_segment[cell_map]
        if not is_gap.any():
            return cell_map, source
        filled = np.empty_like(cell_map)
        bridge_gaps(cell_map, is_gap, filled, source)
        return filled, source

    def _wrong_faces(self, one: CellMap, other: CellMap, one_at: Ints, other_at: Ints) -> _Faces:
        """Pick the faces at which an error could be mended."""
        differs = (one != other) & (one >= 0) & (other >= 0)
        a, b = one[differs].astype(np.int64), other[differs].astype(np.int64)
        at, bt = one_at[differs], other_at[differs]
        cells, kind, home = self._cells, self._kind, self.home
        same_truth = cells.truth_index[a] == cells.truth_index[b]
        may_join = same_truth & self._may_join(a) & self._may_join(b)
        a_is_smaller = self._is_smaller(a, b)
        a_is_part = np.where(may_join, a_is_smaller, (kind[a] == MERGE) & (home[a] == b))
        b_is_part = np.where(may_join, ~a_is_smaller, (kind[b] == MERGE) & (home[b] == a))
        first, second = _Faces(a, b, at, bt), _Faces(b, a, bt, at)
        parts = first.take(a_is_part), second.take(b_is_part & ~a_is_part)
        return _Faces(*(np.concatenate([getattr(f, k) for f in parts]) for k in _FIELDS))

    def _may_join(self, cell: Ints) -> npt.NDArray[np.bool_]:
        return np.asarray((self._kind[cell] != MERGE) & self._is_segment[cell])

    def _is_smaller(self, a: Ints, b: Ints) -> npt.NDArray[np.bool_]:
        size = self._cells.count
        return np.asarray((size[a] < size[b]) | ((size[a] == size[b]) & (a > b)))

    def _keep_best(
        self, faces: _Faces, sources: Ints, shape: tuple[int, ...], sections: tuple[int, int]
    ) -> None:
        """Update each part with its contact in this section, if it is the best so far."""
        if faces.part.size == 0:
            return
        pair = faces.part * self._cells.count.size + faces.home
        group = np.unique(pair, return_inverse=True)[1]
        n_faces = np.bincount(group)
        middle = _middle_of_each(group, n_faces, faces.part_at, shape)
        part, home = faces.part[middle], faces.home[middle]
        order = np.lexsort((home, -self._cells.count[home], part))  # the largest home first
        order = order[np.diff(part[order], prepend=-1) != 0]
        part, home, middle = part[order], home[order], middle[order]
        n_faces = n_faces[order]
        old = self.home[part]
        is_first = self.n_faces[part] == 0
        is_new = (self._kind[part] == SPLIT) & ~is_first & self._is_smaller(old, home)
        is_better = (home == old) & (n_faces > self.n_faces[part])
        chosen = is_new | is_first | is_better
        part, home, middle = part[chosen], home[chosen], middle[chosen]
        self.home[part], self.n_faces[part] = home, n_faces[chosen]
        self.part_at[part] = _place(faces.part_at[middle], sources, shape, sections)
        self.home_at[part] = _place(faces.home_at[middle], sources, shape, sections)


_FIELDS = ("part", "home", "part_at", "home_at")


def _middle_of_each(group: Ints, n_faces: Ints, at: Ints, shape: tuple[int, ...]) -> Ints:
    """Return, for each group of faces, the one nearest to their mean."""
    plane = shape[0] * shape[1]
    y, x = np.divmod(at % plane, shape[1])
    mean_y = np.bincount(group, y) / n_faces
    mean_x = np.bincount(group, x) / n_faces
    distance = (y - mean_y[group]) ** 2 + (x - mean_x[group]) ** 2
    order = np.lexsort((distance, group))
    return np.asarray(order[np.diff(group[order], prepend=-1) != 0])


def _place(at: Ints, sources: Ints, shape: tuple[int, ...], sections: tuple[int, int]) -> Ints:
    """Turn flat places, those of the section below numbered on, into (z, y, x)."""
    plane = shape[0] * shape[1]
    positions = _positions(sources[at], shape, sections[0])
    positions[at >= plane, 0] = sections[1]
    return positions


def _positions(at: Ints, shape: tuple[int, ...], z: int) -> Ints:
    y, x = np.divmod(at, shape[1])
    return np.stack([np.full(at.size, z), y, x], axis=1).astype(np.int64)

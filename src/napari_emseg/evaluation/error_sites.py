"""Split and merge errors as places to walk to, the costliest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation.error_cells import MERGE, SPLIT, CellFinder, Cells, Verdict, judge
from napari_emseg.evaluation.error_contacts import ContactFinder
from napari_emseg.evaluation.pairs import GroundTruthKind, open_pair
from napari_emseg.evaluation.section_scores import SectionScores, count_sections
from napari_emseg.progress import NO_PROGRESS, Progress

ErrorKind = Literal["split", "merge"]
Position = tuple[int, int, int]
Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class ErrorSite:
    """One split or merge error: what one edit would mend.

    Attributes
    ----------
    kind : {"split", "merge"}
        split: one true object lies in two segments. merge: one segment reaches from
        one true object into a second.
    segments : tuple of int
        split: the segment to be joined, and the one to join it to. merge: the one
        segment to be cut.
    objects : tuple of int
        split: the one true object. merge: the object reached into, and the one that
        most of the segment lies in.
    n_voxels : int
        Size of the smaller side: the piece to be joined or the part to be cut off.
    gain_v_rand, gain_voi : float
        How much V_rand would rise, and VOI (bits) fall, if exactly this were mended:
        the two segments joined, or the part made a segment of its own. Negative
        where two segments that are merged with others would be joined.
    position, other_position : tuple of int
        (z, y, x), voxels inside the smaller and the other side near their contact.
    n_faces : int
        Voxel faces of the contact in that section; 0 if the sides do not touch.
    cells : tuple of int
        Both sides as cells, see :mod:`napari_emseg.evaluation.error_cells`.
    """

    kind: ErrorKind
    segments: tuple[int, ...]
    objects: tuple[int, ...]
    n_voxels: int
    gain_v_rand: float
    gain_voi: float
    position: Position
    other_position: Position
    n_faces: int
    cells: tuple[int, int]

    @property
    def section(self) -> int:
        """The section to look at."""
        return self.position[0]


@dataclass(frozen=True, eq=False)
class Errors:
    """The errors of a segmentation.

    Attributes
    ----------
    sites : tuple of ErrorSite
        In descending order of `gain_v_rand`; at most as many as asked for.
    n_split, n_merge : int
        How many there are in all.
    n_border_shifts : int
        Parts left out because they are too thin to be more than a border elsewhere.
    v_rand, voi : float
        The scores of the whole.
    sections : SectionScores
        Of each section by itself.
    cells, kind
        The cells compared and what each is: RIGHT, SPLIT or MERGE (not a border shift).
    """

    sites: tuple[ErrorSite, ...]
    n_split: int
    n_merge: int
    n_border_shifts: int
    v_rand: float
    voi: float
    sections: SectionScores
    cells: Cells
    kind: npt.NDArray[np.uint8]

    def share_of_loss(self, site: ErrorSite) -> float:
        """Return which share of the V_rand lost (1 - V_rand) mending `site` brings back."""
        lost = 1.0 - self.v_rand
        return site.gain_v_rand / lost if lost > 0 else 0.0


def find_errors(
    segmentation: Any,
    ground_truth: Any,
    *,
    ground_truth_kind: GroundTruthKind = "labels",
    sections: Iterable[int] | None = None,
    invert: bool | None = None,
    limit: int = 500,
    min_width_px: int = 5,
    progress: Progress = NO_PROGRESS,
) -> Errors:
    """List split and merge errors, the costliest first.

    Goes twice over the sections, one at a time, and keeps nothing of their size. The
    gains are exact: equal to the difference that :func:`evaluate` finds when the
    voxels are changed.

    Parameters
    ----------
    segmentation, ground_truth, ground_truth_kind, sections, invert
        As in :func:`napari_emseg.evaluation.evaluate`.
    limit : int
        List at most so many errors.
    min_width_px : int
        A part that a segment has in a foreign object is an error only if a square of
        this side fits into it; thinner ones are shifts of a border.
    progress : Progress
        Told after each section, in both passes.

    Returns
    -------
    Errors

    Raises
    ------
    InputError
        As :func:`napari_emseg.evaluation.evaluate`.

    Examples
    --------
    >>> truth = np.repeat(np.array([[1] * 8 + [2] * 8]), 8, axis=0)[np.newaxis]
    >>> errors = find_errors(np.ones_like(truth), truth)
    >>> site = errors.sites[0]
    >>> site.kind, site.segments, site.objects, site.n_voxels, round(errors.share_of_loss(site), 6)
    ('merge', (1,), (2, 1), 64, 1.0)
    """
    pair = open_pair(
        segmentation,
        ground_truth,
        kind=ground_truth_kind,
        average="stack",
        sections=sections,
        invert=invert,
    )
    halves = _Halves(progress, len(pair.sections))
    tables = count_sections(pair, halves)
    are_apart = pair.ids_per_section
    cells = Cells.of(pair.sections, tables, are_apart=are_apart)
    verdict = judge(cells)
    contacts = ContactFinder(cells, verdict, min_width_px=min_width_px)
    finder = CellFinder(cells)
    halves.begin_second()
    messages = "Looking for errors"
    for z, (ids, truth) in zip(pair.sections, pair.read(halves, messages), strict=True):
        contacts.add(z, finder.map_section(z, ids, truth))
    contacts.finish()
    return _collect(cells, verdict, contacts, SectionScores.of(pair.sections, tables), limit)


class _Halves:
    """Shows two passes over the sections as one progress."""

    def __init__(self, progress: Progress, n_sections: int) -> None:
        self._progress, self._n_sections, self._before = progress, n_sections, 0

    def begin_second(self) -> None:
        self._before = self._n_sections

    def update(self, done: int, total: int, message: str = "") -> None:
        self._progress.update(self._before + done, 2 * self._n_sections, message)


def _collect(
    cells: Cells, verdict: Verdict, contacts: ContactFinder, sections: SectionScores, limit: int
) -> Errors:
    kind = verdict.kind.copy()
    is_shift = (kind == MERGE) & ~contacts.is_thick
    kind[is_shift] = 0
    gains = _Gains(cells)
    splits, merges = np.flatnonzero(kind == SPLIT), np.flatnonzero(kind == MERGE)
    # The exact gain of a split takes looking at two segments; a bound finds those worth it.
    bound = cells.count[splits] * cells.count[contacts.home[splits]]
    splits = splits[np.argsort(-bound, kind="stable")[: 4 * limit]]
    found = [*gains.of_merges(merges), *gains.of_splits(splits, contacts.home)]
    found.sort(key=lambda entry: (-entry[1], entry[0]))
    sites = tuple(_site(cells, kind, contacts, *entry) for entry in found[:limit])
    return Errors(
        sites=sites,
        n_split=int(np.count_nonzero(kind == SPLIT)),
        n_merge=merges.size,
        n_border_shifts=int(np.count_nonzero(is_shift)),
        v_rand=gains.v_rand,
        voi=gains.voi,
        sections=sections,
        cells=cells,
        kind=kind,
    )


def _site(
    cells: Cells,
    kind: npt.NDArray[np.uint8],
    contacts: ContactFinder,
    cell: int,
    gain_v_rand: float,
    gain_voi: float,
) -> ErrorSite:
    home = int(contacts.home[cell])
    segments = (int(cells.segment[cell]), int(cells.segment[home]))
    objects = (int(cells.truth[cell]), int(cells.truth[home]))
    is_split = kind[cell] == SPLIT
    z, y, x = (int(v) for v in contacts.part_at[cell])
    other_z, other_y, other_x = (int(v) for v in contacts.home_at[cell])
    return ErrorSite(
        kind="split" if is_split else "merge",
        segments=segments if is_split else segments[:1],
        objects=objects[:1] if is_split else objects,
        n_voxels=int(cells.count[cell]),
        gain_v_rand=gain_v_rand,
        gain_voi=gain_voi,
        position=(z, y, x),
        other_position=(other_z, other_y, other_x),
        n_faces=int(contacts.n_faces[cell]),
        cells=(cell, home),
    )


class _Gains:
    """What mending one error does to the scores, exactly, from sums over the cells.

    With p the cells, s the segments, t the objects: V_rand = 2 P / (S + T) of sums of
    squares, and VOI = 2 H(S,T) - H(S) - H(T). Cutting off a part changes s only, joining
    two segments changes s, and p where both lie in one object.
    """

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        counts = cells.count.astype(np.float64)
        self._size = np.bincount(cells.segment_index, counts)
        objects = np.bincount(cells.truth_index, counts)
        is_segment = cells.segment != 0
        singles = counts[~is_segment].sum()
        sizes = np.bincount(cells.segment_index[is_segment], counts[is_segment])
        self._joint = float(np.dot(counts[is_segment], counts[is_segment]) + singles)
        self._rest = float(np.dot(sizes, sizes) + singles + np.dot(objects, objects))
        self._n = float(counts.sum())
        self.v_rand = 2 * self._joint / self._rest
        # Voxels without a segment are one label in all sections.
        labels = np.append(sizes, singles)
        overlap = _x_log_x(counts).sum()
        self.voi = float(_x_log_x(objects).sum() + _x_log_x(labels).sum() - 2 * overlap) / self._n
        self._start = np.searchsorted(cells.segment_index, np.arange(self._size.size + 1))

    def of_merges(self, part: npt.NDArray[np.int64]) -> list[tuple[int, float, float]]:
        """Gains of cutting each part off its segment: (cell, of V_rand, of VOI)."""
        p = self._cells.count[part].astype(np.float64)
        s = self._size[self._cells.segment_index[part]]
        v_rand = 2 * self._joint / (self._rest - 2 * p * (s - p)) - self.v_rand
        voi = (_x_log_x(s) - _x_log_x(p) - _x_log_x(s - p)) / self._n
        return list(zip(part.tolist(), v_rand.tolist(), voi.tolist(), strict=True))

    def of_splits(
        self, part: npt.NDArray[np.int64], home: npt.NDArray[np.int64]
    ) -> list[tuple[int, float, float]]:
        """Gains of joining the segments of each part and its home: (cell, of V_rand, of VOI)."""
        return [(int(cell), *self._join(int(cell), int(home[cell]))) for cell in part]

    def _join(self, cell: int, other: int) -> tuple[float, float]:
        index = self._cells.segment_index
        a, b = int(index[cell]), int(index[other])
        one, two = self._in_same_objects(a, b)
        sizes = self._size[[a, b]]
        joint, rest = 2 * float(np.dot(one, two)), 2 * float(sizes[0] * sizes[1])
        v_rand = 2 * (self._joint + joint) / (self._rest + rest) - self.v_rand
        overlap = _joining_adds(one, two).sum()
        voi = float(2 * overlap - _joining_adds(sizes[:1], sizes[1:]).sum()) / self._n
        return v_rand, voi

    def _in_same_objects(self, a: int, b: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Voxels of segments `a` and `b` in the objects that both lie in."""
        one, two = (slice(self._start[s], self._start[s + 1]) for s in (a, b))
        truth, count = self._cells.truth_index, self._cells.count
        _, i, j = np.intersect1d(truth[one], truth[two], assume_unique=True, return_indices=True)
        return count[one][i].astype(np.float64), count[two][j].astype(np.float64)


def _x_log_x(x: Floats) -> Floats:
    return np.asarray(x * np.log2(np.maximum(x, 1.0)))


def _joining_adds(one: Floats, two: Floats) -> Floats:
    return _x_log_x(one + two) - _x_log_x(one) - _x_log_x(two)

"""Scores at every height of a merge tree, from one walk up the tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.evaluation.contingency import Contingency, ContingencyBuilder
from napari_emseg.evaluation.metrics import LOWER_IS_BETTER
from napari_emseg.evaluation.oracle import score_oracle
from napari_emseg.evaluation.pairs import (
    Average,
    GroundTruthKind,
    StackPair,
    empty_truth,
    open_pair,
)
from napari_emseg.progress import NO_PROGRESS, Progress

Floats = npt.NDArray[np.float64]
Heights = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

MAX_VOXELS = 3_000_000_000  # its square still fits 64 bits, so that sums of squares are exact


class TreeLike(Protocol):
    """Merges between fragments: ids and the height at which they join."""

    @property
    def a(self) -> npt.NDArray[Any]: ...
    @property
    def b(self) -> npt.NDArray[Any]: ...
    @property
    def height(self) -> npt.NDArray[Any]: ...


class HierarchyLike(Protocol):
    """Fragments (ids 1..F, 0 = none) and the tree that merges them."""

    @property
    def fragments(self) -> Any: ...
    @property
    def tree(self) -> Any: ...


class PartitionsLike(Protocol):
    """Fragments and, for each of K ranges of the threshold, the segment of each fragment."""

    @property
    def fragments(self) -> Any: ...
    @property
    def tables(self) -> Any: ...
    @property
    def starts(self) -> Any: ...


@dataclass(frozen=True, eq=False)
class ScoreCurve:
    """Scores of all cuts of a hierarchy.

    Entry k holds for every cut height from `h[k]` up to, not including, `h[k + 1]`.

    Attributes
    ----------
    h : ndarray, shape (n,)
        0 (no merge, all fragments), then each distinct merge height, ascending,
        in the type of the tree's heights.
    v_rand, v_rand_split, v_rand_merge : ndarray of float64, shape (n,)
    v_info, v_info_split, v_info_merge : ndarray of float64, shape (n,)
    voi_split, voi_merge : ndarray of float64, shape (n,)
        In bits.
    notes : tuple of str
        What was assumed about the ground truth, for people.
    best_possible : mapping of str to float
        Every score, ``voi`` and ``adapted_rand_error`` of the fragments joined as the
        ground truth says, which no cut can do better than but by luck; see
        :func:`napari_emseg.evaluation.oracle.score_oracle`.
    """

    h: Heights
    v_rand: Floats
    v_rand_split: Floats
    v_rand_merge: Floats
    v_info: Floats
    v_info_split: Floats
    v_info_merge: Floats
    voi_split: Floats
    voi_merge: Floats
    notes: tuple[str, ...] = ()
    best_possible: Mapping[str, float] = field(default_factory=dict)

    @property
    def voi(self) -> Floats:
        """Variation of information, split + merge, in bits."""
        return self.voi_split + self.voi_merge

    def values(self, metric: str) -> Floats:
        """Return a score at every height.

        Parameters
        ----------
        metric : str
            A field, or ``voi`` (split + merge), or ``adapted_rand_error``.

        Raises
        ------
        InputError
            If the curve has no such score.
        """
        if metric == "voi":
            return self.voi
        if metric == "adapted_rand_error":
            return 1.0 - self.v_rand
        if metric not in SCORE_NAMES:
            known = ", ".join([*SCORE_NAMES, "voi", "adapted_rand_error"])
            raise InputError(f"There is no score curve of '{metric}'; choose one of: {known}.")
        return np.asarray(getattr(self, metric))

    def best(self, metric: str = "v_rand") -> tuple[float, float]:
        """Return the best cut height for a metric, and the score there.

        The best score is held on an interval of heights; the height returned is
        near its middle, and the shortest decimal there, so that rounding cannot
        leave the interval. Of several best intervals the widest counts; where the
        best is to merge everything, the height is that of the last merge.

        Parameters
        ----------
        metric : str
            As in :meth:`values`; errors and VOI are minimised.

        Returns
        -------
        h, value : float
        """
        values = self.values(metric)
        best = values.min() if metric in LOWER_IS_BETTER else values.max()
        low, high = _widest_run(values == best, self.h)
        if high is None:
            return float(low), float(best)
        return _short_decimal_between(low, high), float(best)

    def at(self, h: float) -> dict[str, float]:
        """Return all scores of the cut at `h` (0 or more).

        Raises
        ------
        InputError
            If `h` is negative or not a number.
        """
        # Rounded as the heights are, so that this is the cut that `Hierarchy.cut(h)` makes.
        k = int(np.searchsorted(self.h, self.h.dtype.type(h), side="right")) - 1
        if k < 0 or not h >= 0:
            raise InputError(f"h must be 0 or more, not {h}.")
        return {name: float(getattr(self, name)[k]) for name in SCORE_NAMES}

    def thin(self, n_points: int) -> ScoreCurve:
        """Return at most `n_points` points (3 or more) of the curve, for a plot.

        They are spread evenly over the range of `h`; the first, the last and the
        best V_rand are among them.
        """
        if self.h.size <= n_points:
            return self
        grid = np.linspace(self.h[0], self.h[-1], n_points - 1, dtype=self.h.dtype)
        chosen = np.searchsorted(self.h, grid, side="right") - 1
        chosen = np.unique(np.append(chosen, np.argmax(self.v_rand)))
        kept: dict[str, Any] = {name: getattr(self, name)[chosen] for name in ("h", *SCORE_NAMES)}
        return replace(self, **kept)


_NOT_SCORES = ("h", "notes", "best_possible")
SCORE_NAMES = tuple(f.name for f in fields(ScoreCurve) if f.name not in _NOT_SCORES)


def score_curve(
    hierarchy: HierarchyLike | PartitionsLike,
    ground_truth: Any,
    *,
    ground_truth_kind: GroundTruthKind = "labels",
    average: Average = "stack",
    sections: Iterable[int] | None = None,
    invert: bool | None = None,
    progress: Progress = NO_PROGRESS,
) -> ScoreCurve:
    """Score every cut of a hierarchy at once, exactly.

    Equal to :func:`evaluate` of ``hierarchy.cut(h)`` at every `h`; small segments
    are not joined (minimum size 0). Takes one pass over the voxels and one walk up
    the tree.

    Parameters
    ----------
    hierarchy : Hierarchy or Partitions
        Anything with ``fragments`` (ids 1..F) and ``tree.a``, ``tree.b``, ``tree.height``; or,
        instead of a tree, ``tables`` (K, F + 1) and the thresholds (K,) at which each
        ``starts`` to hold.
    ground_truth : Volume or array-like, shape of the fragments
    ground_truth_kind, average, sections, invert
        As in :func:`evaluate`.
    progress : Progress
        Told after each section.

    Returns
    -------
    ScoreCurve

    Raises
    ------
    InputError
        As :func:`evaluate`.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> tree = SimpleNamespace(a=np.array([1, 2]), b=np.array([2, 3]), height=np.array([0.1, 0.5]))
    >>> hierarchy = SimpleNamespace(fragments=np.array([[[1, 2, 3]]]), tree=tree)
    >>> curve = score_curve(hierarchy, np.array([[[4, 4, 9]]]))
    >>> curve.h, curve.v_rand_split
    (array([0. , 0.1, 0.5]), array([0.6, 1. , 1. ]))
    >>> curve.best("v_rand")
    (0.3, 1.0)
    """
    pair = open_pair(
        hierarchy.fragments,
        ground_truth,
        kind=ground_truth_kind,
        average=average,
        sections=sections,
        invert=invert,
    )
    tables = _tables(pair, progress)
    entries = _collect([tables] if average == "stack" else [[table] for table in tables])
    h, scores = _score_all(entries, hierarchy)
    columns = dict(zip(SCORE_NAMES, np.ascontiguousarray(scores.T), strict=True))
    best = _best_possible(tables, pair)
    return ScoreCurve(h=h, notes=pair.notes(tables), best_possible=best, **columns)


def _score_all(
    entries: _Entries, hierarchy: HierarchyLike | PartitionsLike
) -> tuple[Heights, Floats]:
    """Return where the scores change and the scores from there on, (n, 8)."""
    tree = getattr(hierarchy, "tree", None)
    if tree is not None:
        return _climb(entries, tree.a, tree.b, np.asarray(tree.height))
    partitions: Any = hierarchy
    rows = []
    for table in partitions.tables:
        fragments = np.arange(1, table.size)
        _, scores = _climb(entries, fragments, table[1:], np.ones(fragments.size, np.float32))
        rows.append(scores[-1])
    return np.asarray(partitions.starts), np.stack(rows)


def _climb(
    entries: _Entries, a: npt.NDArray[Any], b: npt.NDArray[Any], height: Heights
) -> tuple[Heights, Floats]:
    """Return the distinct heights, 0 first, and the scores of the cut at each, (n, 8)."""
    from napari_emseg.evaluation.tree_walk import link_entries, order_leaves, walk

    order = np.argsort(height, kind="stable")
    h, rank = np.unique(np.append(height.dtype.type(0), height[order]), return_inverse=True)
    a, b = np.asarray(a, np.int64)[order], np.asarray(b, np.int64)[order]
    n_fragments = int(max(a.max(initial=0), b.max(initial=0), entries.fragment.max(initial=0)))
    never = h.size
    place, gap = order_leaves(n_fragments, a, b, rank[1:], never)

    by_place = np.argsort(place[entries.fragment], kind="stable")
    entries = entries.take(by_place)
    previous, link = link_entries(
        place[entries.fragment], entries.column, gap, entries.n_columns, never
    )
    linked = np.flatnonzero(link < never)
    linked = linked[np.argsort(link[linked], kind="stable")]
    scores = walk(
        previous,
        link,
        linked,
        entries.voxels,
        entries.margin,
        entries.group,
        entries.truth_square,
        entries.truth_log,
        entries.zero_square,
        entries.zero_log,
        entries.n_voxels,
        h.size,
    )
    return h, scores


def _best_possible(tables: list[Contingency], pair: StackPair) -> dict[str, float]:
    groups = [tables] if pair.average == "stack" else [[table] for table in tables]
    scores = [score_oracle(group, are_apart=pair.ids_per_section) for group in groups]
    means = {name: float(np.mean([s[name] for s in scores])) for name in scores[0]}
    return {**means, "adapted_rand_error": 1.0 - means["v_rand"]}


@dataclass(frozen=True, eq=False)
class _Entries:
    """Overlaps of fragments with objects, and whole fragments, as columns of one sparse matrix.

    A group is what is scored by itself: the stack or one section. Sections whose ids
    mean different objects have columns of their own even within a group.
    """

    fragment: Ints
    column: Ints
    voxels: Ints
    margin: Ints
    group: Ints
    n_columns: int
    truth_square: Ints
    truth_log: Floats
    zero_square: Ints
    zero_log: Floats
    n_voxels: Ints

    def take(self, order: npt.NDArray[np.intp]) -> _Entries:
        per_entry = ("fragment", "column", "voxels", "margin", "group")
        taken: dict[str, Any] = {name: getattr(self, name)[order] for name in per_entry}
        return replace(self, **taken)


def _collect(groups: list[list[Contingency]]) -> _Entries:
    sums = [_GroupSums.of(tables) for tables in groups]
    if max(s.n_voxels for s in sums) > MAX_VOXELS:
        raise InputError(
            f"A score curve counts at most {MAX_VOXELS:,} voxels of ground truth; choose fewer "
            "sections."
        )
    rows: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []
    n_columns = 0
    for group, tables in enumerate(groups):
        for table in tables:
            fragments = np.unique(table.segment)
            overlap = _rows(table.segment, n_columns + table.object_of_pair, table.count, 0, group)
            n_columns += table.truth_sizes.size
            column = np.full(fragments.size, n_columns)
            n_columns += 1
            rows += [overlap, _rows(fragments, column, table.segment_sizes, 1, group)]
    fragment, column, voxels, margin, group_of = (
        np.concatenate(parts) for parts in zip(*rows, strict=True)
    )
    inside = fragment != 0
    return _Entries(
        fragment[inside],
        column[inside],
        voxels[inside],
        margin[inside],
        group_of[inside],
        n_columns,
        np.array([s.truth_square for s in sums], np.int64),
        np.array([s.truth_log for s in sums]),
        np.array([s.zero_square for s in sums], np.int64),
        np.array([s.zero_log for s in sums]),
        np.array([s.n_voxels for s in sums], np.int64),
    )


@dataclass(frozen=True)
class _GroupSums:
    """What stays the same at every height: sums over true objects, and over fragment 0."""

    n_voxels: int
    truth_square: int
    truth_log: float
    zero_square: tuple[int, int, int]
    zero_log: tuple[float, float]

    @classmethod
    def of(cls, tables: list[Contingency]) -> _GroupSums:
        truth = np.concatenate([table.truth_sizes for table in tables])
        overlap = np.concatenate([table.count[table.segment == 0] for table in tables])
        n_zeros = int(overlap.sum())  # one label in all sections, as in `evaluate`
        return cls(
            int(truth.sum()),
            int(np.dot(truth, truth)),
            _sum_x_log2_x(truth),
            (int(np.dot(overlap, overlap)), n_zeros**2, n_zeros),
            (_sum_x_log2_x(overlap), _sum_x_log2_x(np.array([n_zeros])[: int(n_zeros > 0)])),
        )


def _tables(pair: StackPair, progress: Progress) -> list[Contingency]:
    """Tables of the sections, or one of the stack where ids run through it and it is pooled."""
    is_one = pair.average == "stack" and not pair.ids_per_section
    tables = []
    builder = ContingencyBuilder()
    for fragments, truth in pair.read(progress):
        builder.add(fragments, truth)
        if not is_one:
            tables.append(builder.build())
            builder = ContingencyBuilder()
    if is_one:
        tables.append(builder.build())
    tables = [table for table in tables if table.n_voxels]
    if not tables:
        raise empty_truth()
    return tables


def _rows(
    fragment: npt.NDArray[Any], column: npt.NDArray[Any], voxels: Ints, margin: int, group: int
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    return (
        fragment.astype(np.int64),
        column.astype(np.int64),
        voxels,
        np.full(voxels.size, margin, np.int64),
        np.full(voxels.size, group, np.int64),
    )


def _sum_x_log2_x(counts: Ints) -> float:
    return float(np.dot(counts, np.log2(counts))) if counts.size else 0.0


def _widest_run(
    is_best: npt.NDArray[np.bool_], h: Heights
) -> tuple[np.floating[Any], np.floating[Any] | None]:
    """Start and end of the widest interval of h on which `is_best`; end None at the top."""
    edges = np.flatnonzero(np.diff(is_best.astype(np.int8), prepend=0, append=0))
    starts, stops = edges[::2], edges[1::2]
    if stops[-1] == h.size:
        # Above the last merge nothing changes any more: an interval without end has no width.
        widths = [*(h[stops[:-1]] - h[starts[:-1]]), h[-1] - h[starts[-1]]]
    else:
        widths = list(h[stops] - h[starts])
    widest = int(np.argmax(widths))
    stop = stops[widest]
    return h[starts[widest]], (h[stop] if stop < h.size else None)


def _short_decimal_between(low: np.floating[Any], high: np.floating[Any]) -> float:
    """Return the shortest decimal in the middle half of [low, high), even after rounding."""
    middle, quarter = (float(low) + float(high)) / 2, (float(high) - float(low)) / 4
    for digits in range(1, 17):
        candidate = round(middle, digits)
        if abs(candidate - middle) <= quarter and low <= type(low)(candidate) < high:
            return candidate
    return float(low)

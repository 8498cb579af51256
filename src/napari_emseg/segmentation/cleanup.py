"""Tidying a segmentation up: holes, segments of too few sections, specks. By its table only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.adjacency import Adjacency, measure_adjacency
from napari_emseg.segmentation.segmentation import Segmentation, Table

Fate = Literal["join", "drop"]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CleanupReport:
    """What :func:`cleanup` did, in segments.

    Attributes
    ----------
    holes, short, small : int
        How many were filled, touched too few sections, were too small.
    """

    holes: int = 0
    short: int = 0
    small: int = 0

    def describe(self) -> str:
        """Return one line for people.

        Examples
        --------
        >>> CleanupReport(holes=2, small=1).describe()
        '2 holes filled, 1 too small'
        """
        parts = [
            (self.holes, "holes filled"),
            (self.short, "in too few sections"),
            (self.small, "too small"),
        ]
        return ", ".join(f"{n} {what}" for n, what in parts if n) or "nothing to clean up"


def cleanup(
    segmentation: Segmentation,
    *,
    fill_holes: bool = False,
    max_hole_voxels: int | None = None,
    min_sections: int = 1,
    min_size_voxels: int = 0,
    fate: Fate = "join",
    mode: Literal["2d", "3d"] | None = None,
    adjacency: Adjacency | None = None,
    progress: Progress = NO_PROGRESS,
) -> tuple[Segmentation, CleanupReport]:
    """Fill holes and take away segments too short or too small.

    No voxel is touched: the fragments stay, the table is another one.

    Parameters
    ----------
    segmentation : Segmentation
        Fragments and table.
    fill_holes : bool
        Join each segment that has a single neighbour, and is not at the border of the
        volume (in "2d": of the section), to that neighbour. Again and again, so that
        holes in holes are filled too.
    max_hole_voxels : int, optional
        Only holes of at most this size; a small process may truly lie within a large one.
    min_sections : int
        Segments that reach through fewer sections go; in "2d" there is nothing to do.
    min_size_voxels : int
        Segments of fewer voxels go.
    fate : {"join", "drop"}
        What becomes of short and small segments: they join the neighbour with which they
        share most voxel faces, or become 0. One without neighbours stays where it cannot join.
    mode : {"2d", "3d"}, optional
        Whether each section is by itself; by default as the segmentation was made.
    adjacency : Adjacency, optional
        From :func:`~napari_emseg.segmentation.adjacency.measure_adjacency`, to clean up
        again and again without measuring again.
    progress : Progress
        Called once per section while measuring.

    Returns
    -------
    cleaned : Segmentation
        On the same fragments. A segment keeps its id, one that joins takes the other's.
    report : CleanupReport

    Raises
    ------
    InputError
        If a number is negative or the fate unknown.

    Examples
    --------
    >>> ids = np.array([[[1, 1, 1, 1], [1, 2, 1, 3], [1, 1, 1, 3]]], np.uint32)
    >>> from napari_emseg.volume import Volume
    >>> raw = Segmentation(Volume(ids, kind="fragments"), np.arange(4, dtype=np.uint32))
    >>> cleaned, report = cleanup(raw, fill_holes=True, mode="2d")
    >>> cleaned.segment_of, report.describe()
    (array([0, 1, 1, 3], dtype=uint32), '1 holes filled')
    """
    _check(min_sections, min_size_voxels, max_hole_voxels, fate)
    if mode is None:
        mode = "3d" if segmentation.cut is None else segmentation.cut.hierarchy.mode
    if adjacency is None:
        adjacency = measure_adjacency(segmentation.fragments, mode=mode, progress=progress)
    graph = SegmentGraph.of(adjacency, segmentation.segment_of)
    n_holes = n_short = n_small = 0
    if fill_holes:
        graph, n_holes = _fill(graph, max_hole_voxels)
    # What runs through the whole volume is never too short.
    min_sections = min(min_sections, segmentation.fragments.shape[0])
    if min_sections > 1 and mode == "3d":
        graph, n_short = _remove(
            graph, lambda segments: segments.last - segments.first + 1 < min_sections, fate
        )
    if min_size_voxels > 1:
        graph, n_small = _remove(graph, lambda segments: segments.size < min_size_voxels, fate)
    history = {
        "fill_holes": fill_holes,
        "max_hole_voxels": max_hole_voxels,
        "min_sections": min_sections,
        "min_size_voxels": min_size_voxels,
        "fate": fate,
        "segments": graph.n_segments,
    }
    return _assemble(segmentation, graph, history), CleanupReport(n_holes, n_short, n_small)


def _check(min_sections: int, min_size: int, max_hole: int | None, fate: str) -> None:
    for value, noun in (
        (min_sections, "sections"),
        (min_size, "voxels"),
        (max_hole or 0, "voxels"),
    ):
        if value < 0:
            raise InputError(f"A number of {noun} cannot be negative, as {value} is.")
    if fate not in get_args(Fate):
        raise InputError(f"Segments can {' or '.join(get_args(Fate))}, not '{fate}'.")


def _assemble(
    segmentation: Segmentation, graph: SegmentGraph, history: dict[str, Any]
) -> Segmentation:
    fragments = segmentation.fragments
    if segmentation.cut is not None:
        history = {**history, "h": segmentation.cut.h}
    return Segmentation(
        fragments.derive(fragments.data, kind=fragments.kind, cleanup=history), graph.table()
    )


@dataclass(frozen=True, eq=False)
class SegmentGraph:
    """Segments, numbered 0 (none) to S, their extent, and how they touch.

    Attributes
    ----------
    segment_of : (F + 1,) intp
        Number of each fragment's segment.
    ids : (S + 1,) uint32
        Id of each segment; 0 first.
    a, b, faces : (E,) intp and int64
        Pairs of segments that touch, ``a < b``, and along how many voxel faces.
    size, first, last : (S + 1,) int64
        Voxels, first and last section.
    at_rim : (S + 1,) bool
        Whether it is at the border.
    """

    segment_of: npt.NDArray[np.intp]
    ids: npt.NDArray[np.uint32]
    a: npt.NDArray[np.intp]
    b: npt.NDArray[np.intp]
    faces: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    at_rim: Mask

    @classmethod
    def of(cls, adjacency: Adjacency, table: Table) -> SegmentGraph:
        """Make the graph of the segments of a table."""
        # Fragments without voxels would only add segments without neighbours.
        there = np.where(adjacency.size > 0, table, 0)
        there[0] = 0
        ids, number = np.unique(np.append(there, 0), return_inverse=True)
        fragments = cls(
            segment_of=np.arange(table.size),
            ids=np.arange(table.size, dtype=np.uint32),
            a=adjacency.a.astype(np.intp),
            b=adjacency.b.astype(np.intp),
            faces=adjacency.faces,
            size=adjacency.size,
            first=adjacency.first,
            last=adjacency.last,
            at_rim=adjacency.at_rim,
        )
        return replace(fragments._grouped(number[:-1], ids.size), ids=ids.astype(np.uint32))

    @property
    def n_segments(self) -> int:
        """Number of segments S."""
        return self.ids.size - 1

    def table(self) -> Table:
        """Return the id of each fragment's segment."""
        return self.ids[self.segment_of]

    def count_neighbours(self) -> npt.NDArray[np.int64]:
        """Count the neighbours of each segment, 0 (no segment) as one."""
        both = np.concatenate([self.a, self.b])
        return np.bincount(both, minlength=self.ids.size)

    def best_neighbour(self) -> npt.NDArray[np.intp]:
        """Return the segment with which each shares most faces; 0 where there is none."""
        here, there = np.concatenate([self.a, self.b]), np.concatenate([self.b, self.a])
        faces = np.concatenate([self.faces, self.faces])
        is_segment = (there > 0) & (here > 0)
        here, there, faces = here[is_segment], there[is_segment], faces[is_segment]
        order = np.lexsort((-there, faces, here))  # of several best the smallest number is last
        best = np.zeros(self.ids.size, np.intp)
        best[here[order]] = there[order]
        return best

    def joined(self, target: npt.NDArray[np.intp]) -> SegmentGraph:
        """Join each segment to its target (itself: it stays); 0 drops it."""
        root = _find_roots(target, self.size)
        kept, number = np.unique(np.append(root, 0), return_inverse=True)
        return replace(self._grouped(number[:-1], kept.size), ids=self.ids[kept])

    def _grouped(self, number: npt.NDArray[np.intp], n_groups: int) -> SegmentGraph:
        """Make one segment of all of equal `number`; its ids are still to be told."""
        one, two = number[self.a], number[self.b]
        is_contact = one != two
        low, high = np.minimum(one, two)[is_contact], np.maximum(one, two)[is_contact]
        pairs, place = np.unique(low * n_groups + high, return_inverse=True)
        faces = np.bincount(place, self.faces[is_contact], pairs.size).astype(np.int64)
        size = np.bincount(number, self.size, n_groups).astype(np.int64)
        first = np.full(n_groups, np.iinfo(np.int64).max)
        last = np.full(n_groups, -1, np.int64)
        np.minimum.at(first, number, self.first)
        np.maximum.at(last, number, self.last)
        at_rim = np.bincount(number, self.at_rim, n_groups) > 0
        return SegmentGraph(
            segment_of=number[self.segment_of],
            ids=np.arange(n_groups, dtype=np.uint32),
            a=pairs // n_groups,
            b=pairs % n_groups,
            faces=faces,
            size=size,
            first=first,
            last=last,
            at_rim=at_rim,
        )


def _find_roots(target: npt.NDArray[np.intp], size: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Follow targets to their end; of segments that point at each other the largest is the end."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = target.size
    links = coo_array((np.ones(n, bool), (np.arange(n), target)), shape=(n, n))
    n_groups, group = connected_components(links, directed=False)
    root = np.zeros(n_groups, np.intp)
    by_size = np.lexsort((-np.arange(n), size))
    root[group[by_size]] = by_size
    stays = np.flatnonzero(target == np.arange(n))
    root[group[stays]] = stays
    roots: npt.NDArray[np.intp] = root[group]
    return roots


def _fill(graph: SegmentGraph, max_voxels: int | None) -> tuple[SegmentGraph, int]:
    n_before = graph.n_segments
    while True:
        is_hole = (graph.count_neighbours() == 1) & ~graph.at_rim
        is_hole[0] = False
        if max_voxels is not None:
            is_hole &= graph.size <= max_voxels
        target = np.where(is_hole, graph.best_neighbour(), 0)
        is_hole &= target > 0  # surrounded by no segment: no hole of one
        if not is_hole.any():
            return graph, n_before - graph.n_segments
        graph = graph.joined(np.where(is_hole, target, np.arange(target.size)))


def _remove(
    graph: SegmentGraph, is_unwanted: Callable[[SegmentGraph], Mask], fate: Fate
) -> tuple[SegmentGraph, int]:
    n_before = graph.n_segments
    while True:
        unwanted = is_unwanted(graph)
        unwanted[0] = False
        target = np.zeros(graph.ids.size, np.intp)
        if fate == "join":
            target = graph.best_neighbour()
            unwanted &= target > 0
        if not unwanted.any():
            return graph, n_before - graph.n_segments
        graph = graph.joined(np.where(unwanted, target, np.arange(target.size)))

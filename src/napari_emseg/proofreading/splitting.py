"""Splits: by points on both sides, or by a line across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.proofreading.contacts import Edges, box_around, measure_change
from napari_emseg.proofreading.cutting import FragmentCut, cut_fragment
from napari_emseg.proofreading.edit import (
    Edit,
    check_segments,
    count,
    fragments_at,
    moved,
    place_in,
    refuse_done,
)
from napari_emseg.proofreading.graph_cut import RegionEdges, cut_graph
from napari_emseg.proofreading.lines import sides_of_line
from napari_emseg.proofreading.runs import Ids, Triple, VoxelRuns, join_runs
from napari_emseg.proofreading.state import State

Points = npt.NDArray[np.int64]
_TOLD = 8  # fragments of a side of which a voxel is kept in the log


def split_by_points(
    state: State,
    groups: Sequence[Sequence[Sequence[float]]],
    segment: int | None = None,
    *,
    sides: Sequence[Ids] = (),
) -> Edit:
    """Split a segment between groups of points, in any sections.

    Fragments go to the groups by a minimum cut; a fragment with points of several
    groups is cut itself. The largest part keeps the id.

    Parameters
    ----------
    state : State
    groups : sequence of sequence of (z, y, x)
        Voxels on the segment; two groups or more.
    segment : int, optional
        By default that of the first point.
    sides : sequence of (n,) uint32, optional
        Fragments known to be of each group, beside those under the points.

    Returns
    -------
    Edit

    Raises
    ------
    InputError
        If a point is not on the segment, two groups share one, or the segment is marked
        as done.
    """
    points = [np.rint(np.asarray(group, float)).astype(np.int64).reshape(-1, 3) for group in groups]
    if len(points) < 2 or not all(len(group) for group in points):
        raise InputError("A split needs points on both sides: set one on the other side, too.")
    if segment is None:
        z, y, x = points[0][0].tolist()
        segment = state.segment_at((z, y, x))
    (segment,) = check_segments(state, [segment])
    refuse_done(state, [segment])
    under = [fragments_at(state, group) for group in points]
    _check_points(state, segment, points, under)
    edit = _split(state, segment, points, under, sides)
    positions = tuple(tuple((z, y, x) for z, y, x in group.tolist()) for group in points)
    if sides:  # what was asked about is told by more points, for another segmentation
        arguments = {**edit.arguments, "n_points": [len(group) for group in positions]}
        told = [_places_of(state, segment, side) for side in sides]
        positions = tuple((*group, *more) for group, more in zip(positions, told, strict=True))
        edit = replace(edit, arguments=arguments)
    return replace(edit, operation="split", positions=positions)


def _places_of(state: State, segment: int, side: Ids) -> tuple[Triple, ...]:
    """Return a voxel in each of the largest fragments of one side."""
    ids = np.intersect1d(side, state.members.of(segment))
    largest = ids[np.argsort(-state.extents.size[ids], kind="stable")[:_TOLD]]
    return tuple(place_in(state, int(fragment)) for fragment in largest)


def split_by_line(
    state: State, section: int, line: Sequence[tuple[float, float]], segment: int | None = None
) -> Edit:
    """Split a segment along a line drawn across it in one section.

    What lies on both sides of the line there is certain; the other sections follow as
    by points.

    Parameters
    ----------
    state : State
    section : int
    line : sequence of (y, x)
        Corners of the line in voxels, from outside the segment to outside.
    segment : int, optional
        By default the one most of the line runs through.

    Returns
    -------
    Edit

    Raises
    ------
    InputError
        If the line does not separate the segment in that section, or the segment is
        marked as done.
    """
    if not 0 <= section < state.fragments.shape[0]:
        raise InputError(f"There is no section {section}.")
    labels = state.segment_of[state.fragments[section]]
    if segment is None:
        segment = _crossed(labels, line)
    (segment,) = check_segments(state, [segment])
    refuse_done(state, [segment])
    sides = sides_of_line(labels == segment, line)
    if any(side.size == 0 for side in sides):
        raise InputError(
            f"The line does not separate segment {segment} in section {section}: draw it right "
            "across, from outside to outside."
        )
    points = [np.insert(side, 0, section, axis=1) for side in sides]
    edit = _split(state, segment, points, [fragments_at(state, group) for group in points])
    corners = tuple((section, round(y), round(x)) for y, x in line)
    return replace(edit, operation="split_by_line", positions=(corners,))


def _split(
    state: State,
    segment: int,
    points: list[Points],
    under: list[Ids],
    sides: Sequence[Ids] = (),
) -> Edit:
    plan, members = _cut_shared(state, points, under), state.members.of(segment)
    for k, fragments in enumerate(sides):
        for fragment in np.intersect1d(fragments, members).tolist():
            plan.group_of.setdefault(fragment, k)
    ids = np.sort(np.concatenate([members, plan.new_ids]))
    side, notes = _share_out(state, plan, ids, len(points))
    return _describe(state, segment, ids, side, plan, len(points), notes)


@dataclass
class _Plan:
    """The fragments that are cut, and what that changes."""

    cuts: list[FragmentCut] = field(default_factory=list)
    group_of: dict[int, int] = field(default_factory=dict)
    size_of: dict[int, int] = field(default_factory=dict)
    first_id: int = 0

    @property
    def new_ids(self) -> Ids:
        listed = [f for f in self.group_of if f >= self.first_id]
        return np.array(sorted(listed), np.uint32)

    @property
    def runs(self) -> VoxelRuns | None:
        return join_runs([runs for cut in self.cuts if (runs := cut.runs) is not None])


def _check_points(state: State, segment: int, points: list[Points], under: list[Ids]) -> None:
    seen: dict[tuple[int, ...], int] = {}
    for k, (group, fragments) in enumerate(zip(points, under, strict=True)):
        for point, there in zip(group.tolist(), state.segment_of[fragments].tolist(), strict=True):
            place = tuple(point)
            if there != segment:
                where = f"on segment {there}" if there else "on no segment"
                raise InputError(f"The point {place} is {where}, not on segment {segment}.")
            if seen.setdefault(place, k) != k:
                raise InputError(f"The point {place} is in two groups: take it out of one.")


def _cut_shared(state: State, points: list[Points], under: list[Ids]) -> _Plan:
    """Cut the fragments with points of several groups."""
    plan = _Plan(first_id=state.next_fragment)
    groups_of: dict[int, set[int]] = {}
    for k, fragments in enumerate(under):
        for fragment in np.unique(fragments).tolist():
            groups_of.setdefault(fragment, set()).add(k)
    next_id = plan.first_id
    for fragment, groups in sorted(groups_of.items()):
        if len(groups) == 1:
            plan.group_of[fragment] = next(iter(groups))
            continue
        cut = cut_fragment(state, fragment, points, next_id)
        next_id += len(cut.group_of) - 1
        plan.cuts.append(cut)
        plan.group_of.update(cut.group_of)
        plan.size_of.update(cut.size_of)
    return plan


def _share_out(
    state: State, plan: _Plan, ids: Ids, n_groups: int
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the group of each fragment, and what is to be said of it."""
    known = np.array(sorted(plan.group_of), np.uint32)
    groups = [
        np.searchsorted(ids, known[[plan.group_of[int(f)] == k for f in known]])
        for k in range(n_groups)
    ]
    if known.size == ids.size:
        side = np.array([plan.group_of[int(f)] for f in ids], np.int64)
        return side, _tell_loose(0, 0, sum(cut.n_loose for cut in plan.cuts))
    edges = state.contacts.within(ids, _changes(state, plan))
    graph = RegionEdges(
        n=ids.size,
        i=np.searchsorted(ids, edges.a),
        j=np.searchsorted(ids, edges.b),
        count=edges.count,
        wall=edges.mean,
    )
    sides = cut_graph(graph, groups)
    side = sides.side.copy()
    n_apart = _send_to_nearest(state, ids, side)
    return side, _tell_loose(sides.n_moved, n_apart, sum(cut.n_loose for cut in plan.cuts))


def _changes(state: State, plan: _Plan) -> Edges | None:
    """Return how the cuts change contacts, all at once: fragments cut may touch."""
    runs = plan.runs
    if runs is None:
        return None
    box = box_around(runs, state.fragments.shape)
    old: Ids = state.fragments[box]
    new = old.copy()
    inner = tuple(
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(runs.box, box, strict=True)
    )
    changed = new[inner].copy()
    runs.write(changed)
    new[inner] = changed
    return measure_change(old, new, state.wall, box)


def _send_to_nearest(state: State, ids: Ids, side: npt.NDArray[np.int64]) -> int:
    """Give fragments that touch no side to that of the nearest fragment; return how many."""
    from scipy.spatial import cKDTree

    apart = np.flatnonzero(side < 0)
    if apart.size == 0:
        return 0
    placed = np.flatnonzero((side >= 0) & (ids < state.next_fragment))
    extents, known = state.extents, ids[ids < state.next_fragment]
    middle = (extents.low[known].astype(float) + extents.high[known]) / 2 * state.voxel_size_nm
    where = np.zeros((ids.size, 3))
    where[np.searchsorted(ids, known)] = middle
    _, nearest = cKDTree(where[placed]).query(where[apart])
    side[apart] = side[placed[nearest]]
    return int(apart.size)


def _tell_loose(n_moved: int, n_apart: int, n_parts: int) -> list[str]:
    notes = []
    if n_moved:
        notes.append(f"{count(n_moved, 'loose fragment')} went to the side touched most.")
    if n_apart + n_parts:
        parts = count(n_apart + n_parts, "separate part")
        notes.append(f"{parts}, touching neither side, went to the nearer one.")
    return notes


def _describe(
    state: State,
    segment: int,
    ids: Ids,
    side: npt.NDArray[np.int64],
    plan: _Plan,
    n_groups: int,
    notes: list[str],
) -> Edit:
    sizes = _sizes(state, ids, plan)
    totals = np.bincount(side, sizes, n_groups).astype(np.int64)
    kept = int(np.argmax(totals))
    segments = np.full(n_groups, segment, np.int64)
    others = np.array([k for k in range(n_groups) if k != kept])
    segments[others] = state.next_segment + np.arange(others.size)
    before = np.where(ids < plan.first_id, segment, 0)
    after = segments[side]
    changed = np.flatnonzero(before != after)
    told = ", ".join(
        f"{segments[k]} ({count(int(totals[k]), 'voxel')})" for k in np.argsort(-totals)
    )
    return Edit(
        operation="split",
        delta=moved(ids[changed], before[changed], after[changed], voxels=plan.runs),
        words=" ".join([f"Split segment {segment} into {told}.", *notes]),
        before=(segment,),
        after=tuple(int(s) for s in segments),
    )


def _sizes(state: State, ids: Ids, plan: _Plan) -> npt.NDArray[np.int64]:
    sizes = np.zeros(ids.size, np.int64)
    is_old = ids < plan.first_id
    sizes[is_old] = state.extents.size[ids[is_old]]
    for fragment, size in plan.size_of.items():
        sizes[np.searchsorted(ids, fragment)] = size
    return sizes


def _crossed(labels: Ids, line: Sequence[tuple[float, float]]) -> int:
    """Return the segment under most of the line."""
    from napari_emseg.proofreading.lines import pixels_of_line

    rows, columns = pixels_of_line(line, labels.shape)
    under = labels[rows, columns]
    found, counts = np.unique(under[under > 0], return_counts=True)
    if found.size == 0:
        raise InputError("The line runs across no segment: draw it over one.")
    return int(found[np.argmax(counts)])

"""Edits of the table: merge, absorb, detach, delete, and what is noted of segments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.proofreading.delta import Delta, Flag, FlagChange
from napari_emseg.proofreading.edit import (
    Edit,
    check_segments,
    count,
    moved,
    place_in,
    place_of,
    refuse_done,
)
from napari_emseg.proofreading.runs import Ids, Triple
from napari_emseg.proofreading.state import State


def merge(
    state: State, segments: Sequence[int], *, positions: Sequence[Triple] | None = None
) -> Edit:
    """Join segments; the largest keeps its id.

    Parameters
    ----------
    state : State
    segments : sequence of int
        Two or more.
    positions : sequence of (z, y, x), optional
        A voxel of each, where it was clicked; otherwise one is chosen.

    Returns
    -------
    Edit

    Raises
    ------
    InputError
        If there are fewer than two, one is not there, or one is marked as done.
    """
    joined = check_segments(state, segments)
    if len(joined) < 2:
        raise InputError("A merge needs two different segments: click another one, too.")
    refuse_done(state, joined)
    sizes = {s: state.size(s) for s in joined}
    kept = min(joined, key=lambda s: (-sizes[s], s))
    others = [s for s in joined if s != kept]
    parts = [state.members.of(s) for s in others]
    places = positions or [place_of(state, s) for s in joined]
    words = f"Merged {_listed(others)} into {kept}."
    if state.has_contacts and not _touch(state, [state.members.of(kept), *parts]):
        words += " They do not touch, so the segment has separate parts."
    return Edit(
        operation="merge",
        delta=moved(
            np.concatenate(parts),
            np.repeat(others, [p.size for p in parts]),
            kept,
            flags=_pass_name(state, others, kept),
        ),
        words=words,
        positions=tuple((p,) for p in places),
        before=joined,
        after=(kept,),
    )


def absorb(
    state: State,
    fragments: Sequence[int],
    segment: int,
    *,
    positions: Sequence[Triple] | None = None,
) -> Edit:
    """Give fragments to a segment, whatever they belonged to.

    Parameters
    ----------
    state : State
    fragments : sequence of int
    segment : int
        That receives them.
    positions : sequence of (z, y, x), optional
        A voxel of each fragment, where it was clicked.

    Returns
    -------
    Edit

    Raises
    ------
    InputError
        If there is no such fragment or segment, all are in it, or one is marked as done.
    """
    (target,) = check_segments(state, [segment])
    ids = _check_fragments(state, fragments)
    ids = ids[state.segment_of[ids] != target]
    if ids.size == 0:
        raise InputError(f"That is part of segment {target} already.")
    before = state.segment_of[ids]
    losing = tuple(int(s) for s in np.unique(before) if s)
    refuse_done(state, [target, *losing])
    places = positions or [place_in(state, int(f)) for f in ids]
    return Edit(
        operation="absorb",
        delta=moved(ids, before, target),
        words=f"Gave {count(ids.size, 'fragment')} to segment {target}.",
        positions=(tuple(places), (place_of(state, target),)),
        before=(*losing, target),
        after=(*(s for s in losing if state.members.of(s).size > (before == s).sum()), target),
    )


def detach(
    state: State, fragments: Sequence[int], *, positions: Sequence[Triple] | None = None
) -> Edit:
    """Make fragments a segment of their own.

    Parameters
    ----------
    state : State
    fragments : sequence of int
    positions : sequence of (z, y, x), optional
        A voxel of each fragment, where it was clicked.

    Returns
    -------
    Edit

    Raises
    ------
    InputError
        If there is no such fragment, they are a whole segment already, or one is marked
        as done.
    """
    ids = _check_fragments(state, fragments)
    before = state.segment_of[ids]
    losing = tuple(int(s) for s in np.unique(before) if s)
    refuse_done(state, losing)
    if len(losing) == 1 and state.members.of(losing[0]).size == ids.size:
        raise InputError(f"That is all of segment {losing[0]} already: nothing to detach.")
    new = state.next_segment
    places = positions or [place_in(state, int(f)) for f in ids]
    left = tuple(s for s in losing if state.members.of(s).size > (before == s).sum())
    return Edit(
        operation="detach",
        delta=moved(ids, before, new),
        words=f"Detached {count(ids.size, 'fragment')} as segment {new}.",
        positions=(tuple(places),),
        before=losing,
        after=(*left, new),
    )


def delete(state: State, segments: Sequence[int]) -> Edit:
    """Make segments background.

    Parameters
    ----------
    state : State
    segments : sequence of int

    Returns
    -------
    Edit

    Raises
    ------
    InputError
        If one is not there or is marked as done.
    """
    gone = check_segments(state, segments)
    refuse_done(state, gone)
    parts = [state.members.of(s) for s in gone]
    return Edit(
        operation="delete",
        delta=moved(np.concatenate(parts), np.repeat(gone, [p.size for p in parts]), 0),
        words=f"Deleted {_listed(gone)}.",
        positions=tuple((place_of(state, s),) for s in gone),
        arguments={"sizes": [state.size(s) for s in gone]},
        before=gone,
    )


def rename(state: State, segment: int, name: str) -> Edit:
    """Give a segment a name; an empty one takes it away.

    Parameters
    ----------
    state : State
    segment : int
    name : str

    Returns
    -------
    Edit

    Raises
    ------
    InputError
        If there is no such segment, or it has that name.
    """
    name = " ".join(name.split())
    words = f"Named segment {segment} {name!r}." if name else f"Segment {segment} has no name now."
    return _note(state, [segment], "name", name, operation="rename", words=words)


def set_aside(state: State, segments: Sequence[int], is_aside: bool = True) -> Edit:
    """Put segments aside, or take them back.

    Parameters
    ----------
    state : State
    segments : sequence of int
    is_aside : bool

    Returns
    -------
    Edit

    Raises
    ------
    InputError
        If one is not there, or nothing would change.
    """
    words = f"{'Put aside' if is_aside else 'Took back'} {_listed(segments)}."
    return _note(state, segments, "set_aside", is_aside, operation="set_aside", words=words)


def mark_done(state: State, segments: Sequence[int], is_done: bool = True) -> Edit:
    """Lock segments that are finished, or unlock them.

    Parameters
    ----------
    state : State
    segments : sequence of int
    is_done : bool

    Returns
    -------
    Edit

    Raises
    ------
    InputError
        If one is not there, or nothing would change.
    """
    words = f"{'Locked' if is_done else 'Unlocked'} {_listed(segments)}."
    return _note(state, segments, "done", is_done, operation="mark_done", words=words)


def keep(state: State, fragments: Sequence[int]) -> Edit:
    """Note that two fragments that touch are as they should be, so that nobody asks again.

    Parameters
    ----------
    state : State
    fragments : sequence of int
        Two.

    Returns
    -------
    Edit
        That changes nothing.

    Raises
    ------
    InputError
        If they are not two fragments.
    """
    ids = _check_fragments(state, fragments)
    if ids.size != 2:
        raise InputError("Two fragments that touch are needed to note that they are right.")
    one, two = ids.tolist()
    segments = tuple(dict.fromkeys(int(s) for s in state.segment_of[ids]))
    apart = f"{_listed(segments)} apart" if len(segments) > 1 else f"{_listed(segments)} together"
    return Edit(
        operation="keep",
        delta=Delta(),
        words=f"Kept {apart}.",
        positions=((place_in(state, one),), (place_in(state, two),)),
        arguments={"fragments": [one, two]},
        before=segments,
        after=segments,
    )


def _note(
    state: State,
    segments: Sequence[int],
    flag: Flag,
    value: bool | str,
    *,
    operation: str,
    words: str,
) -> Edit:
    noted = check_segments(state, segments)
    changes = [(s, state.flag(s, flag)) for s in noted]
    flags = tuple(FlagChange(s, flag, before, value) for s, before in changes if before != value)
    if not flags:
        raise InputError(f"Nothing to change: it is so already for {_listed(noted)}.")
    return Edit(
        operation=operation,
        delta=Delta(flags=flags),
        words=words,
        positions=tuple((place_of(state, s),) for s in noted),
        arguments={"value": value, "sizes": [state.size(s) for s in noted]},
        before=noted,
        after=noted,
    )


def _pass_name(state: State, others: Sequence[int], kept: int) -> tuple[FlagChange, ...]:
    """Keep a name through a merge into a segment that has none."""
    names = [state.names[s] for s in others if s in state.names]
    if not names or kept in state.names:
        return ()
    return (FlagChange(kept, "name", "", names[0]),)


def _touch(state: State, parts: Sequence[Ids]) -> bool:
    """Whether parts that are each in one piece are so together."""
    import scipy.sparse as sparse
    from scipy.sparse.csgraph import connected_components

    ids = np.sort(np.concatenate(parts))
    owner = np.empty(ids.size, np.int64)
    for k, part in enumerate(parts):
        owner[np.searchsorted(ids, part)] = k
    edges = state.contacts.within(ids)
    ends = [owner[np.searchsorted(ids, side)] for side in (edges.a, edges.b)]
    graph = sparse.coo_matrix((np.ones(edges.a.size), ends), shape=(len(parts), len(parts)))
    return int(connected_components(graph, directed=False)[0]) == 1


def _check_fragments(state: State, fragments: Sequence[int]) -> Ids:
    ids = np.unique(np.asarray(fragments, np.int64))
    if ids.size == 0:
        raise InputError("No fragment was chosen: click one.")
    if ids[0] <= 0 or ids[-1] >= state.next_fragment or (state.extents.size[ids] == 0).any():
        raise InputError("There is no fragment at that place: choose one beside it.")
    return ids.astype(np.uint32)


def _listed(segments: Sequence[int]) -> str:
    ids = [str(s) for s in segments]
    if len(ids) > 5:
        return f"{len(ids)} segments"
    noun = "segment" if len(ids) == 1 else "segments"
    return f"{noun} {', '.join(ids[:-1])} and {ids[-1]}" if len(ids) > 1 else f"{noun} {ids[0]}"

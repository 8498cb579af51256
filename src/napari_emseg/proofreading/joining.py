"""Two people's edits of the same segmentation put together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.proofreading.carrying import (
    Carried,
    NeedlessError,
    NotCarried,
    lasting_entries,
    n_common,
    not_carried,
)
from napari_emseg.proofreading.delta import Delta, FlagChange
from napari_emseg.proofreading.edit import Edit, moved, refuse_done
from napari_emseg.proofreading.entries import item_of, positions_of
from napari_emseg.proofreading.log import check_header, read_log
from napari_emseg.proofreading.operations import merge
from napari_emseg.proofreading.preview import Preview
from napari_emseg.proofreading.proofreader import Proofreader
from napari_emseg.proofreading.runs import Ids, VoxelRuns
from napari_emseg.proofreading.state import State
from napari_emseg.segmentation import Segmentation
from napari_emseg.volume import Volume

Entry = Mapping[str, Any]
_PARTING = ("split", "split_by_line", "detach", "delete")


def join_logs(
    one: str | os.PathLike[str],
    two: str | os.PathLike[str],
    segmentation: Segmentation | Volume,
    *,
    boundary: Volume | None = None,
    new_log: str | os.PathLike[str] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Carried:
    """Put the edits of two logs of the same segmentation together, in the order of time.

    What both did before they parted counts once. An edit conflicts where the other
    person has meanwhile split, joined or painted what it starts from; it is listed and
    not made.

    Parameters
    ----------
    one, two : path-like
        Only read.
    segmentation : Segmentation or Volume
        That both started from.
    boundary : Volume, optional
    new_log : path-like, optional
        Where the edits of both are kept.
    progress : Progress
        Called once per edit.

    Returns
    -------
    Carried

    Raises
    ------
    InputError
        If a log cannot be read or is of other fragments.
    """
    editor = Proofreader(segmentation, boundary=boundary, log=new_log, progress=progress)
    people = []
    for path in (one, two):
        found = read_log(path)
        check_header(found, editor.header())
        start = State(editor.state.volume, editor.state.segment_of)
        people.append(_Person(start, lasting_entries(found.entries)))
    n_shared = n_common(people[0].entries, people[1].entries)
    lost: list[NotCarried] = []
    n_needless = 0
    turns = _turns(people, n_shared)
    for k, (who, entry) in enumerate(turns):
        try:
            edit = _make(editor, people[who], entry)
            if k >= n_shared:
                people[1 - who].cut_by_other |= _cut_fragments(edit)
        except NeedlessError:
            n_needless += 1
        except InputError as error:
            lost.append(not_carried(entry, str(error), positions_of(entry, editor.state)))
        people[who].follow(entry, editor.state)
        if k < n_shared:
            people[1].follow(entry, editor.state)
            people[1].fragment_in = dict(people[0].fragment_in)
        progress.update(k + 1, len(turns), "Joining edits")
    return Carried(editor, len(turns) - n_needless - len(lost), n_needless, tuple(lost))


@dataclass
class _Person:
    """One person's segmentation while their edits are gone through.

    Ids they gave away have others in the joined one.
    """

    state: State
    entries: list[Entry]
    fragment_in: dict[int, int] = field(default_factory=dict)
    cut_by_other: set[int] = field(default_factory=set)

    def follow(self, entry: Entry, joined: State) -> None:
        """Make an edit in their own segmentation."""
        self.state.apply(item_of(entry, None, joined).delta)

    def fragments(self, ids: Ids) -> Ids:
        """Return fragments by their ids in the joined segmentation."""
        if not self.fragment_in:
            return ids
        return np.array([self.fragment_in.get(int(f), int(f)) for f in ids], np.uint32)


def _turns(people: Sequence[_Person], n_shared: int) -> list[tuple[int, Entry]]:
    """Return who makes which edit, in the order of time; each person's own order is kept."""
    turns = [(0, entry) for entry in people[0].entries[:n_shared]]
    later: list[tuple[str, int, Entry]] = []
    for who, person in enumerate(people):
        latest = ""  # a clock may have been set back
        for entry in person.entries[n_shared:]:
            latest = max(latest, str(entry["time"]))
            later.append((latest, who, entry))
    return [*turns, *((who, entry) for _, who, entry in sorted(later, key=lambda turn: turn[:2]))]


def _make(editor: Proofreader, person: _Person, entry: Entry) -> Edit:
    """Make a person's edit in the joined segmentation.

    Raises
    ------
    InputError
        If it conflicts.
    NeedlessError
        If it is so already.
    """
    item = item_of(entry, None, editor.state)
    state = editor.state
    parts = _parted(entry, item.before)
    here = {s: _counterpart(state, person, s, whole=s in parts) for s in item.before}
    if entry["operation"] == "merge":
        segments = list(dict.fromkeys(here.values()))
        if len(segments) == 1:
            raise NeedlessError
        edit = merge(state, segments)
    else:
        refuse_done(state, [] if not item.delta.fragments.size else list(here.values()))
        edit = _translate(state, person, item.delta, here, entry)
    try:
        state.check(edit.delta)
    except ValueError as error:
        raise InputError(f"The other person has meanwhile changed that: {error}.") from error
    places = tuple(tuple(group) for group in positions_of(entry, state))
    arguments = dict(entry["arguments"])
    if "fragments" in arguments:
        arguments["fragments"] = [person.fragment_in.get(f, f) for f in arguments["fragments"]]
    edit = replace(edit, positions=places, arguments=arguments)
    stamp = (str(entry["who"]), str(entry["time"]))
    preview = Preview(state, edit, editor.version)
    editor.commit(preview, seconds=float(entry["seconds"]), stamp=stamp)
    return edit


def _cut_fragments(edit: Edit) -> set[int]:
    """Return the fragments of which a split took voxels."""
    voxels = edit.delta.voxels
    if voxels is None or not edit.operation.startswith("split"):
        return set()
    return {*np.unique(voxels.old).tolist()}


def _parted(entry: Entry, segments: tuple[int, ...]) -> tuple[int, ...]:
    """Return the segments an edit takes something from, which must be as the person saw them."""
    if entry["operation"] == "absorb":
        return segments[:-1]
    return segments if entry["operation"] in _PARTING else ()


def _counterpart(state: State, person: _Person, segment: int, *, whole: bool) -> int:
    """Return the segment that holds all of a person's segment now.

    Raises
    ------
    InputError
        If the other person has split it, or joined something to it where it has to be
        the same.
    """
    own = person.fragments(person.state.members.of(segment))
    found = np.unique(state.segment_of[own[own < state.next_fragment]])
    if found.size != 1 or found[0] == 0 or not person.cut_by_other.isdisjoint(own.tolist()):
        raise InputError(f"The other person has meanwhile split or deleted segment {segment}.")
    if whole and state.members.of(int(found[0])).size != own.size:
        raise InputError(f"The other person has meanwhile joined segment {segment} to another.")
    return int(found[0])


def _translate(
    state: State, person: _Person, delta: Delta, here: dict[int, int], entry: Entry
) -> Edit:
    """Return a person's edit with the ids of the joined segmentation."""
    new_segments = [s for s in np.unique(delta.after).tolist() if s and s not in here]
    targets = dict(here)
    targets |= {s: state.next_segment + k for k, s in enumerate(new_segments)}
    made = delta.fragments[delta.fragments >= person.state.next_fragment].tolist()
    ids = {int(f): state.next_fragment + k for k, f in enumerate(made)}
    voxels = None
    if delta.voxels is not None:
        voxels = _translate_runs(state, person, delta.voxels, ids)
    before = np.broadcast_to(delta.before, delta.fragments.shape)
    after = np.broadcast_to(delta.after, delta.fragments.shape)
    fragments = np.array(
        [ids.get(f, person.fragment_in.get(f, f)) for f in delta.fragments.tolist()], np.uint32
    )
    flags = tuple(
        FlagChange(targets[c.segment], c.flag, state.flag(targets[c.segment], c.flag), c.after)
        for c in delta.flags
    )
    is_flag = entry["operation"] != "keep"
    if (
        is_flag
        and not fragments.size
        and voxels is None
        and all(c.before == c.after for c in flags)
    ):
        raise NeedlessError
    person.fragment_in |= ids
    return Edit(
        operation=str(entry["operation"]),
        delta=moved(
            fragments,
            np.array([targets.get(s, 0) for s in before.tolist()], np.uint32),
            np.array([targets.get(s, 0) for s in after.tolist()], np.uint32),
            flags=flags,
            voxels=voxels,
        ),
        words=str(entry["words"]),
        before=tuple(here.values()),
        after=tuple(targets.get(s, s) for s in entry["after"]),
    )


def _translate_runs(
    state: State, person: _Person, runs: VoxelRuns, ids: dict[int, int]
) -> VoxelRuns:
    """Return voxel changes with the ids of the joined segmentation.

    Raises
    ------
    InputError
        If the other person has changed those voxels.
    """
    known = {**person.fragment_in, **ids}
    old, new = (
        np.array([known.get(f, f) for f in values.tolist()], np.uint32)
        for values in (runs.old, runs.new)
    )
    there = replace(runs, old=old, new=new)
    rows, columns = runs.box[1:]
    for z, inside, expected, _ in there.sections():
        if (state.fragments[z, rows, columns].reshape(-1)[inside] != expected).any():
            raise InputError("The other person has meanwhile changed the same voxels.")
    return there

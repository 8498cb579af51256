"""Edits of one segmentation made again on another of the same tissue, by position."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.proofreading.entries import positions_of
from napari_emseg.proofreading.log import MOVES, read_log
from napari_emseg.proofreading.painting import unpack_mask
from napari_emseg.proofreading.preview import Preview
from napari_emseg.proofreading.proofreader import Proofreader
from napari_emseg.proofreading.runs import Triple
from napari_emseg.segmentation import Segmentation
from napari_emseg.volume import Volume

Places = Sequence[Sequence[Triple]]
Entry = Mapping[str, Any]
_SAME_SIZE = 2.0  # a segment of more than twice or less than half the voxels is another one


@dataclass(frozen=True)
class NotCarried:
    """An edit that could not be made again.

    Attributes
    ----------
    n : int
        Its number in the log.
    who, words : str
        Who made it, and what it was.
    reason : str
        Why not.
    place : (z, y, x) or None
        Where it was, in voxels.
    """

    n: int
    who: str
    words: str
    reason: str
    place: Triple | None


@dataclass(frozen=True)
class Carried:
    """What :func:`carry_over` and :func:`join_logs` give back.

    Attributes
    ----------
    editor : Proofreader
        With the edits made.
    n_carried : int
        Edits made again.
    n_needless : int
        Edits of which the result was there already.
    not_carried : tuple of NotCarried
        All others.
    """

    editor: Proofreader
    n_carried: int
    n_needless: int
    not_carried: tuple[NotCarried, ...]


class NeedlessError(Exception):
    """What an edit would do is so already."""


def carry_over(
    log: str | os.PathLike[str],
    segmentation: Segmentation | Volume,
    *,
    boundary: Volume | None = None,
    new_log: str | os.PathLike[str] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Carried:
    """Make the edits of a log again on another segmentation, where their positions fit.

    Edits that were undone in the end are left out. What cannot be made again is listed
    with the reason, never guessed.

    Parameters
    ----------
    log : path-like
        Only read.
    segmentation : Segmentation or Volume
        Such as one made anew with a better network.
    boundary : Volume, optional
        By which splits find walls.
    new_log : path-like, optional
        Where the edits made are kept.
    progress : Progress
        Called once per edit.

    Returns
    -------
    Carried

    Raises
    ------
    InputError
        If the log cannot be read, or the new one not be written.
    """
    entries = lasting_entries(read_log(log).entries)
    editor = Proofreader(segmentation, boundary=boundary, log=new_log, progress=progress)
    return carry_into(editor, entries, progress=progress)


def carry_into(
    editor: Proofreader, entries: Sequence[Entry], *, progress: Progress = NO_PROGRESS
) -> Carried:
    """Make edits after those an editor has, where their positions fit.

    Parameters
    ----------
    editor : Proofreader
    entries : sequence of mapping
        Lines of a log; see :func:`lasting_entries`.
    progress : Progress
        Called once per edit.

    Returns
    -------
    Carried

    Raises
    ------
    InputError
        If the log cannot be written.
    """
    lost: list[NotCarried] = []
    n_needless = 0
    for k, entry in enumerate(entries):
        places: Places = ()
        try:
            places = positions_of(entry, editor.state)
            preview = _with_lesson(editor, _again(editor, entry, places), entry, places)
            stamp = (str(entry["who"]), str(entry["time"]))
            editor.commit(preview, seconds=float(entry["seconds"]), stamp=stamp)
        except NeedlessError:
            n_needless += 1
        except InputError as error:
            lost.append(not_carried(entry, str(error), places))
        except (KeyError, TypeError, ValueError, IndexError):
            lost.append(not_carried(entry, "Its line in the log is damaged.", places))
        progress.update(k + 1, len(entries), "Making edits again")
    return Carried(editor, len(entries) - n_needless - len(lost), n_needless, tuple(lost))


def lasting_entries(entries: Sequence[Entry]) -> list[Entry]:
    """Return the edits of a log that were not undone in the end.

    Parameters
    ----------
    entries : sequence of mapping
        Lines of the log.

    Returns
    -------
    list of mapping
    """
    made: list[Entry] = []
    position = 0
    for entry in entries:
        if entry["operation"] in MOVES:
            position = int(entry["to"])
            continue
        made = [*made[:position], entry]
        position += 1
    return made[:position]


def n_common(one: Sequence[Entry], two: Sequence[Entry]) -> int:
    """Return how many edits two logs begin with together, made before they parted."""
    n = 0
    for a, b in zip(one, two, strict=False):
        if any(a.get(key) != b.get(key) for key in ("time", "who", "operation", "delta")):
            break
        n += 1
    return n


def not_carried(entry: Entry, reason: str, places: Places) -> NotCarried:
    """Return what is told of an edit that was not made again."""
    place = next((group[0] for group in places if group), None)
    return NotCarried(int(entry["n"]), str(entry["who"]), str(entry["words"]), reason, place)


def _again(editor: Proofreader, entry: Entry, places: Places) -> Preview:
    operation = str(entry["operation"])
    if operation not in _AGAIN:
        raise InputError(f"There is no edit '{operation}' in this version.")
    return _AGAIN[operation](editor, entry, places)


def _with_lesson(editor: Proofreader, preview: Preview, entry: Entry, places: Places) -> Preview:
    """Keep what a decision taught, and that it was made."""
    lesson = entry["arguments"].get("lesson")
    if lesson is None or len(places) < 2:
        return preview
    state = editor.state
    fragments = [state.fragment_at(group[0]) for group in places[:2]]
    arguments = {**preview.edit.arguments, "fragments": fragments, "lesson": lesson}
    return Preview(state, replace(preview.edit, arguments=arguments), editor.version)


def _merge(editor: Proofreader, entry: Entry, places: Places) -> Preview:
    points = [group[0] for group in places]
    segments = [_segment_at(editor, p) for p in points]
    if len(set(segments)) == 1:
        raise NeedlessError
    first = dict(zip(reversed(segments), reversed(points), strict=True))
    return editor.preview("merge", list(first), positions=list(first.values()))


def _split(editor: Proofreader, entry: Entry, places: Places) -> Preview:
    # At a neck, more points tell what lies on either side; those that still fit are used.
    n_points = entry["arguments"].get("n_points") or [len(group) for group in places]
    clicked = [group[:n] for group, n in zip(places, n_points, strict=True)]
    under = [{editor.state.segment_at(p) for p in group} - {0} for group in clicked]
    if not all(under):
        raise InputError("The points of one side are on no segment any more.")
    together = set.union(*under)
    if len(together) == 1:
        segment = together.pop()
        groups = [[p for p in g if editor.state.segment_at(p) == segment] for g in places]
        return editor.preview("split", groups, segment=segment)
    if sum(map(len, under)) == len(together):  # no two sides share a segment
        raise NeedlessError
    raise InputError("The points are on several segments now, some of which hold both sides.")


def _split_by_line(editor: Proofreader, entry: Entry, places: Places) -> Preview:
    corners = places[0]
    return editor.preview("split_by_line", corners[0][0], [(y, x) for _, y, x in corners])


def _absorb(editor: Proofreader, entry: Entry, places: Places) -> Preview:
    target = _segment_at(editor, places[1][0])
    fragments = {editor.state.fragment_at(p): p for p in places[0]}
    if all(editor.state.segment_of[f] == target for f in fragments):
        raise NeedlessError
    return editor.preview("absorb", list(fragments), target, positions=[*fragments.values()])


def _detach(editor: Proofreader, entry: Entry, places: Places) -> Preview:
    fragments = {editor.state.fragment_at(p): p for p in places[0]}
    segments = {int(editor.state.segment_of[f]) for f in fragments}
    if len(segments) == 1 and editor.state.members.of(min(segments)).size == len(fragments):
        raise NeedlessError
    return editor.preview("detach", list(fragments), positions=[*fragments.values()])


def _noted(editor: Proofreader, entry: Entry, places: Places) -> Preview:
    segments = [_segment_at(editor, group[0]) for group in places]
    for segment, size in zip(segments, entry["arguments"]["sizes"], strict=True):
        now = editor.state.size(segment)
        if not size / _SAME_SIZE <= now <= size * _SAME_SIZE:
            raise InputError(f"The segment there has {now:,} voxels now, not {size:,}.")
    operation, value = str(entry["operation"]), entry["arguments"].get("value")
    if operation == "delete":
        return editor.preview("delete", segments)
    flag = {"rename": "name", "mark_done": "done"}.get(operation, operation)
    if all(editor.state.flag(s, flag) == value for s in segments):
        raise NeedlessError
    return editor.preview(operation, segments[0] if operation == "rename" else segments, value)


def _keep(editor: Proofreader, entry: Entry, places: Places) -> Preview:
    fragments = [editor.state.fragment_at(group[0]) for group in places]
    if len(set(fragments)) == 1:
        raise NeedlessError
    return editor.preview("keep", fragments)


def _paint(editor: Proofreader, entry: Entry, places: Places) -> Preview:
    arguments = entry["arguments"]
    mask, origin = unpack_mask(arguments)
    segment: int | None = int(arguments["target"])
    if arguments["is_new"]:
        segment = None
    elif segment:
        segment = _segment_at(editor, places[0][0])
    return editor.preview("paint", mask, segment, origin=origin)


def _segment_at(editor: Proofreader, place: Triple) -> int:
    segment = editor.state.segment_at(place)
    if segment == 0:
        where = ", ".join(f"{v:g}" for v in np.multiply(place, editor.state.voxel_size_nm))
        raise InputError(f"There is no segment any more at {where} nm (z, y, x).")
    return segment


_AGAIN: dict[str, Callable[[Proofreader, Entry, Places], Preview]] = {
    "merge": _merge,
    "split": _split,
    "split_by_line": _split_by_line,
    "absorb": _absorb,
    "detach": _detach,
    "delete": _noted,
    "rename": _noted,
    "set_aside": _noted,
    "mark_done": _noted,
    "keep": _keep,
    "paint": _paint,
}

"""Lines of the log: an edit, or a move in the history."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_emseg.proofreading.belief import Lesson
from napari_emseg.proofreading.edit import Edit
from napari_emseg.proofreading.history import HistoryItem
from napari_emseg.proofreading.runs import Triple
from napari_emseg.proofreading.state import State


def make_entry(
    edit: Edit, packed: bytes, state: State, *, n: int, time: str, who: str, seconds: float
) -> dict[str, Any]:
    """Return the line of an edit.

    Parameters
    ----------
    edit : Edit
    packed : bytes
        Its delta.
    state : State
        Tells the voxel size: positions are nm.
    n : int
        Number of the line.
    time : str
        UTC.
    who : str
    seconds : float
        Since the line before it.

    Returns
    -------
    dict
    """
    return {
        "n": n,
        "time": time,
        "who": who,
        "operation": edit.operation,
        "words": edit.words,
        "before": list(edit.before),
        "after": list(edit.after),
        "positions": [[_in_nm(p, state) for p in group] for group in edit.positions],
        "arguments": dict(edit.arguments),
        "seconds": round(seconds, 3),
        "delta": base64.b64encode(packed).decode(),
    }


def make_move(
    operation: str, target: int, *, n: int, time: str, who: str, seconds: float
) -> dict[str, Any]:
    """Return the line of an undo, a redo or a jump to the state after `target` edits."""
    return {
        "n": n,
        "time": time,
        "who": who,
        "operation": operation,
        "to": target,
        "seconds": round(seconds, 3),
    }


def item_of(entry: Mapping[str, Any], packed: bytes | None, state: State) -> HistoryItem:
    """Return the edit of a line, for the history.

    Parameters
    ----------
    entry : mapping
    packed : bytes or None
        Its delta, where it is at hand.
    state : State

    Raises
    ------
    ValueError, KeyError, TypeError
        If the line is damaged.
    """
    if packed is None:
        packed = base64.b64decode(entry["delta"], validate=True)
    places = positions_of(entry, state)
    return HistoryItem(
        n=int(entry["n"]),
        operation=str(entry["operation"]),
        words=str(entry["words"]),
        who=str(entry["who"]),
        time=str(entry["time"]),
        seconds=float(entry["seconds"]),
        before=tuple(int(s) for s in entry["before"]),
        after=tuple(int(s) for s in entry["after"]),
        place=next((group[0] for group in places if group), None),
        packed=packed,
        decided=_decided(entry),
        lesson=Lesson.from_json(entry["arguments"].get("lesson")),
    )


def positions_of(entry: Mapping[str, Any], state: State) -> list[list[Triple]]:
    """Return the positions of a line as voxels of a segmentation.

    Parameters
    ----------
    entry : mapping
    state : State
        Of the segmentation, which may have another voxel size than that edited.
    """
    return [[_in_voxels(p, state) for p in group] for group in entry["positions"]]


def _decided(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    if "fragments" not in entry["arguments"]:
        return None
    one, two = sorted(int(f) for f in entry["arguments"]["fragments"])
    return one, two


def _in_nm(position: Triple, state: State) -> list[float]:
    place = np.multiply(position, state.voxel_size_nm) + state.volume.offset_nm
    return [round(float(v), 3) for v in place]


def _in_voxels(position: Any, state: State) -> Triple:
    place = np.subtract(position, state.volume.offset_nm) / state.voxel_size_nm
    z, y, x = np.rint(place).astype(int).tolist()
    return z, y, x

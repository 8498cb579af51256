"""An edit before it is made: what it would change, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.proofreading.delta import Delta
from napari_emseg.proofreading.runs import Ids, Triple
from napari_emseg.proofreading.state import State

Groups = tuple[tuple[Triple, ...], ...]


@dataclass(frozen=True, eq=False)
class Edit:
    """What an operation would do; the state is as it was.

    Attributes
    ----------
    operation : str
        Its name.
    delta : Delta
        What changes.
    words : str
        What a person is told.
    positions : tuple of tuple of (z, y, x)
        Voxels by which it can be done again on another segmentation, group by group.
    arguments : mapping
        What else that needs; plain values.
    before, after : tuple of int
        Segments that take part, before and after.
    """

    operation: str
    delta: Delta
    words: str
    positions: Groups = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


def check_segments(state: State, segments: Sequence[int]) -> tuple[int, ...]:
    """Return segments that there are, each once, in the given order.

    Raises
    ------
    InputError
        If one is nothing or not there.
    """
    found = tuple(dict.fromkeys(int(s) for s in segments))
    for segment in found:
        if segment == 0:
            raise InputError("There is no segment at that place (id 0): choose one beside it.")
        if segment not in state.members:
            raise InputError(f"There is no segment {segment}: choose one that is shown.")
    return found


def refuse_done(state: State, segments: Sequence[int]) -> None:
    """Refuse to edit segments that are marked as done.

    Raises
    ------
    InputError
        If one is; the sentence names it.
    """
    for segment in segments:
        if segment in state.done:
            raise InputError(
                f"Segment {segment} is marked as done, so it is locked: take the mark off to edit."
            )


def place_of(state: State, segment: int) -> Triple:
    """Return a voxel of a segment: in the middle of its largest fragment."""
    fragments = state.members.of(segment)
    return place_in(state, int(fragments[np.argmax(state.extents.size[fragments])]))


def place_in(state: State, fragment: int) -> Triple:
    """Return a voxel of a fragment, in a middle section of it.

    Raises
    ------
    InputError
        If the fragment has no voxels.
    """
    z, y, x = state.extents.box(fragment)
    middle = (z.start + z.stop - 1) // 2
    for section in sorted(range(z.start, z.stop), key=lambda k: abs(k - middle)):
        inside = np.argwhere(state.fragments[section, y, x] == fragment)
        if inside.size:
            row, column = inside[len(inside) // 2].tolist()
            return section, y.start + row, x.start + column
    raise InputError(f"Fragment {fragment} has no voxels.")


def fragments_at(state: State, points: npt.NDArray[np.int64]) -> Ids:
    """Return the fragments at some voxels.

    Parameters
    ----------
    state : State
    points : (n, 3) int64

    Returns
    -------
    (n,) uint32

    Raises
    ------
    InputError
        If one is outside the volume.
    """
    found = np.zeros(len(points), np.uint32)
    if len(points) < 32:
        for k, (z, y, x) in enumerate(points.tolist()):
            found[k] = state.fragment_at((z, y, x))
        return found
    outside = ((points < 0) | (points >= state.fragments.shape)).any(axis=1)
    if outside.any():
        state.fragment_at(tuple(points[outside][0].tolist()))
    for z in np.unique(points[:, 0]).tolist():
        here = points[:, 0] == z
        found[here] = state.fragments[z][tuple(points[here, 1:].T)]
    return found


def moved(fragments: Ids, before: Any, after: Any, **more: Any) -> Delta:
    """Return the delta that moves fragments, given in any order.

    Parameters
    ----------
    fragments : (n,) uint32
    before, after : int or (n,) array
    **more
        Other parts of the delta.
    """
    order = np.argsort(fragments, kind="stable")
    before, after = (
        np.broadcast_to(np.asarray(ids, np.uint32), fragments.shape)[order]
        for ids in (before, after)
    )
    return Delta(fragments[order], before, after, **more)


def count(n: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "fragment"), count(12000, "voxel")
    ('1 fragment', '12,000 voxels')
    """
    return f"{n:,} {noun}" + ("" if n == 1 else "s")

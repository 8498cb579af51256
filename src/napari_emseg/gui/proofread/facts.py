"""What is told of a segment: size, sections, neighbours; and where somebody wants to go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import ZYX

if TYPE_CHECKING:
    from napari_emseg.proofreading.state import State

Triple = tuple[int, int, int]
N_NEIGHBOURS = 30
_CUBE = 1.2  # voxels count as cubes up to this ratio of their sides


@dataclass(frozen=True)
class Facts:
    """What is known of a segment at once.

    Attributes
    ----------
    segment : int
    name : str
    size : int
        In voxels.
    sections : (int, int)
        First and last.
    n_fragments : int
    is_done, is_aside : bool
    """

    segment: int
    name: str
    size: int
    sections: tuple[int, int]
    n_fragments: int
    is_done: bool
    is_aside: bool


@dataclass(frozen=True)
class Neighbour:
    """A segment that touches another.

    Attributes
    ----------
    segment : int
    n_faces : int
        Faces of voxels over which they touch.
    wall : float
        Mean of the boundary map over them, in [0, 1].
    place : (z, y, x)
        A voxel in the middle of the largest contact.
    """

    segment: int
    n_faces: int
    wall: float
    place: Triple


def facts_of(state: State, segment: int) -> Facts:
    """Look up what is known of a segment.

    Parameters
    ----------
    state : State
    segment : int
        That there is.
    """
    fragments = state.members.of(segment)
    z = state.extents.box(fragments)[0]
    return Facts(
        segment=segment,
        name=state.names.get(segment, ""),
        size=int(state.extents.size[fragments].sum()),
        sections=(z.start, z.stop - 1),
        n_fragments=fragments.size,
        is_done=segment in state.done,
        is_aside=segment in state.set_aside,
    )


def neighbours_of(
    state: State, segment: int, *, limit: int = N_NEIGHBOURS, progress: Progress = NO_PROGRESS
) -> tuple[Neighbour, ...]:
    """Return the segments that touch one, those with the largest contact first.

    Parameters
    ----------
    state : State
    segment : int
    limit : int
    progress : Progress
        Of measuring contacts, where that was not done yet.

    Returns
    -------
    tuple of Neighbour
    """
    state.measure_contacts(progress=progress)
    own = state.members.of(segment)
    edges = state.contacts.around(own)
    is_a = np.isin(edges.a, own)
    other = state.segment_of[np.where(is_a, edges.b, edges.a)]
    order = np.lexsort((-edges.count, other))
    order = order[other[order] > 0]
    if not order.size:
        return ()
    ids, first = np.unique(other[order], return_index=True)
    n_faces = np.add.reduceat(edges.count[order], first)
    wall = np.add.reduceat(edges.mean[order] * edges.count[order], first) / n_faces
    largest = order[first]  # of each neighbour, the contact with most faces
    places = np.rint(edges.place[largest] / edges.count[largest, None]).astype(int)
    return tuple(
        Neighbour(
            segment=int(ids[k]),
            n_faces=int(n_faces[k]),
            wall=float(wall[k]),
            place=(int(places[k, 0]), int(places[k, 1]), int(places[k, 2])),
        )
        for k in np.argsort(-n_faces, kind="stable")[:limit]
    )


def middle_of(state: State, segment: int) -> Triple:
    """Return a voxel of a segment, in the middle of its largest fragment."""
    from napari_emseg.proofreading.edit import place_of

    return place_of(state, segment)


def describe_size(n_voxels: float, voxel_size_nm: ZYX | None, digits: int = 3) -> str:
    """Write a volume, in um3 where the size of voxels is known.

    Examples
    --------
    >>> describe_size(2_000_000, (8, 8, 8)), describe_size(2_000_000, None)
    ('1.02 µm³', '2,000,000 voxels')
    """
    if voxel_size_nm is None:
        return f"{n_voxels:,.0f} voxels"
    return f"{_rounded(n_voxels * float(np.prod(voxel_size_nm)) / 1e9, digits)} µm³"


def describe_contact(n_faces: int, voxel_size_nm: ZYX | None) -> str:
    """Write a contact, in um2 where voxels are cubes of known size.

    Examples
    --------
    >>> describe_contact(10_000, (8, 8, 8)), describe_contact(10_000, (50, 4, 4))
    ('0.64 µm²', '10,000 faces')
    """
    if voxel_size_nm is None or max(voxel_size_nm) > _CUBE * min(voxel_size_nm):
        return f"{n_faces:,} faces"
    side_nm = float(np.prod(voxel_size_nm)) ** (1 / 3)
    return f"{_rounded(n_faces * side_nm**2 / 1e6)} µm²"


def describe(facts: Facts, voxel_size_nm: ZYX | None) -> str:
    """Say in one line what is known of a segment.

    Examples
    --------
    >>> describe(Facts(7, "", 5000, (3, 9), 2, False, False), None)
    '5,000 voxels · sections 3 to 9 · 2 fragments'
    """
    first, last = facts.sections
    sections = f"section {first}" if first == last else f"sections {first} to {last}"
    pieces = "1 fragment" if facts.n_fragments == 1 else f"{facts.n_fragments:,} fragments"
    return " · ".join([describe_size(facts.size, voxel_size_nm), sections, pieces])


def place_wanted(words: str, state: State, voxel_size_nm: ZYX | None) -> Triple | int:
    """Understand where somebody wants to go.

    Parameters
    ----------
    words : str
        An id ("4711"), or a position "z, y, x" in voxels or, with "nm" after it, in nm.
    state : State
    voxel_size_nm : (z, y, x), optional

    Returns
    -------
    int or (z, y, x)
        A segment, or a voxel.

    Raises
    ------
    InputError
        If it is neither, not there, or in nm where voxels have no known size.
    """
    numbers = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", words)]
    if len(numbers) == 1 and numbers[0].is_integer() and words.strip().lstrip("#").isdigit():
        segment = int(numbers[0])
        if segment not in state.members:
            raise InputError(f"There is no segment {segment}: it may have been merged or deleted.")
        return segment
    if len(numbers) != 3:
        raise InputError("Type the id of a segment, or a position as z, y, x (add nm for nm).")
    if "nm" in words.casefold():
        if voxel_size_nm is None:
            raise InputError("The size of the voxels is not known: give the position in voxels.")
        offset = state.volume.offset_nm or (0.0, 0.0, 0.0)
        numbers = [(n - o) / s for n, o, s in zip(numbers, offset, voxel_size_nm, strict=True)]
    z, y, x = (round(n) for n in numbers)
    state.fragment_at((z, y, x))  # says so if it is outside
    return z, y, x


def _rounded(value: float, digits: int = 3) -> str:
    if value >= 10**digits / 10:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if value >= 0.001 else "< 0.001"

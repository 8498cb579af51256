"""Which fragments touch, and what lies between them: measured once, then kept up to date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.proofreading.runs import Box, Ids, Triple, VoxelRuns, spread
from napari_emseg.proofreading.wall import Wall
from napari_emseg.segmentation.levels import TOP
from napari_emseg.segmentation.rag import add_face, empty_contacts, with_room

_SHIFT = np.uint64(32)
_OPEN = 255.0**3


@dataclass(frozen=True, eq=False)
class Edges:
    """Pairs of fragments with the faces between them.

    Attributes
    ----------
    a, b : (E,) uint32
        ``a < b``; ascending, each pair once.
    total : (E,) float64
        Sum of the wall's levels over the faces, a multiple of 1/2.
    count : (E,) int64
        Faces.
    gaps : (E,) float64
        Faces counted by the cube of how open they are, 255 ** 3 where there is no wall:
        a few weak spots show although the mean is high. A whole number.
    place : (E, 3) float64
        Sum of the voxels (z, y, x) of the faces.
    """

    a: Ids
    b: Ids
    total: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    gaps: npt.NDArray[np.float64]
    place: npt.NDArray[np.float64]

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean wall of each contact in [0, 1]."""
        return self.total / self.count / TOP

    @property
    def openness(self) -> npt.NDArray[np.float64]:
        """Mean of the cube of how open the faces of each contact are, in [0, 1]."""
        return self.gaps / self.count / _OPEN

    @cached_property
    def keys(self) -> npt.NDArray[np.uint64]:
        """One number a pair, ascending."""
        return (self.a.astype(np.uint64) << _SHIFT) | self.b

    def take(self, which: npt.NDArray[Any]) -> Edges:
        """Return some of the pairs."""
        return Edges(self.a[which], self.b[which], *(part[which] for part in self.sums))

    @property
    def sums(self) -> tuple[Any, Any, Any, Any]:
        """What is summed over the faces: total, count, gaps, place."""
        return self.total, self.count, self.gaps, self.place

    def negated(self) -> Edges:
        """Return the pairs with faces to be taken away."""
        return Edges(self.a, self.b, *(-part for part in self.sums))


def add_edges(*parts: Edges) -> Edges:
    """Add faces pair by pair; pairs that are left without any are dropped.

    Parameters
    ----------
    *parts : Edges
        In any order, pairs of different parts may be the same.

    Returns
    -------
    Edges
    """
    a, b = np.concatenate([p.a for p in parts]), np.concatenate([p.b for p in parts])
    sums = [np.concatenate(column) for column in zip(*(p.sums for p in parts), strict=True)]
    if a.size == 0:
        return Edges(a, b, *sums)
    keys = (a.astype(np.uint64) << _SHIFT) | b
    order = np.argsort(keys, kind="stable")  # fast where long parts are in order already
    keys = keys[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    a, b = a[order], b[order]
    sums = [np.add.reduceat(part[order], first) for part in sums]
    edges = Edges(a[first], b[first], *sums)
    is_left = (edges.count != 0) | (edges.total != 0)
    return edges if is_left.all() else edges.take(np.flatnonzero(is_left))


class Contacts:
    """Contacts of all fragments: those measured, and changes by edits of voxels.

    Parameters
    ----------
    edges : Edges
        As measured.
    """

    def __init__(self, edges: Edges) -> None:
        self._measured = edges
        self._changes = edges.take(np.empty(0, np.intp))

    def change(self, edges: Edges) -> None:
        """Add faces, or take negative ones away."""
        self._changes = add_edges(self._changes, edges)

    @property
    def change_bytes(self) -> int:
        """Memory of the changes."""
        edges = self._changes
        return sum(part.nbytes for part in (edges.a, edges.b, *edges.sums))

    def within(self, fragments: Ids, changes: Edges | None = None) -> Edges:
        """Return the contacts between some fragments.

        Parameters
        ----------
        fragments : (n,) uint32
            Ascending.
        changes : Edges, optional
            To be added first, as :meth:`change` would.
        """
        later = [self._changes, *([changes] if changes is not None else [])]
        return add_edges(*(_within(part, fragments) for part in (self._measured, *later)))

    def around(self, fragments: Ids) -> Edges:
        """Return the contacts of some ascending fragments with all others."""
        parts = []
        for part, by_b in ((self._measured, self._by_b), (self._changes, None)):
            order = np.argsort(part.b, kind="stable") if by_b is None else by_b
            forward = part.take(_rows(part.a, fragments))
            backward = part.take(order[_rows(part.b[order], fragments)])
            parts += [
                forward.take(np.flatnonzero(~_is_in(forward.b, fragments))),
                backward.take(np.flatnonzero(~_is_in(backward.a, fragments))),
            ]
        return add_edges(*parts)

    def all(self) -> Edges:
        """Return every contact there is."""
        return self.summed()

    @property
    def summed(self) -> Callable[[], Edges]:
        """What returns every contact there is now, later and in any thread."""
        measured, changes = self._measured, self._changes
        return lambda: add_edges(measured, changes) if changes.a.size else measured

    @cached_property
    def _by_b(self) -> npt.NDArray[np.intp]:
        return np.argsort(self._measured.b, kind="stable")


def _within(edges: Edges, fragments: Ids) -> Edges:
    rows = _rows(edges.a, fragments)
    return edges.take(rows[_is_in(edges.b[rows], fragments)])


def _rows(ascending: Ids, fragments: Ids) -> npt.NDArray[np.int64]:
    """Return where `ascending` is one of `fragments`."""
    first = np.searchsorted(ascending, fragments).astype(np.int64)
    stop = np.searchsorted(ascending, fragments, side="right")
    return spread(first, stop - first)


def _is_in(ids: Ids, ascending: Ids) -> npt.NDArray[np.bool_]:
    if ascending.size == 0:
        return np.zeros(ids.shape, bool)
    place = np.minimum(np.searchsorted(ascending, ids), ascending.size - 1)
    found: npt.NDArray[np.bool_] = ascending[place] == ids
    return found


def measure_contacts(
    fragments: Any,
    wall: Wall,
    box: Box | None = None,
    *,
    look: Callable[[int, Ids], object] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Edges:
    """Run over all voxel faces between different fragments, two sections at a time.

    Parameters
    ----------
    fragments : array-like
        (z, y, x) ids, those of the box where one is given.
    wall : Wall
    box : Box, optional
        Where in the volume `fragments` lie; by default they are all.
    look : callable, optional
        Given the number of each section and its ids, too: reading them may take long.
    progress : Progress
        Called once per section.

    Returns
    -------
    Edges
    """
    depth, n_y, n_x = (int(n) for n in fragments.shape)
    z, y, x = box or (slice(0, depth), slice(0, n_y), slice(0, n_x))

    def section(k: int) -> tuple[Any, Any]:
        ids = np.ascontiguousarray(fragments[k], np.uint32)
        if look is not None:
            look(k, ids)
        return ids, wall.levels((z.start + k, y, x))

    everywhere = np.empty((0, 0), np.bool_)
    return _run(depth, lambda k: (*section(k), everywhere), (z.start, y.start, x.start), progress)


def measure_change(old: Ids, new: Ids, wall: Wall, box: Box) -> Edges:
    """Return how the contacts in a box change, faces gained less faces lost.

    Parameters
    ----------
    old, new : (z, y, x) uint32
        Fragments of the box before and after. It must reach one voxel further than
        what changes, where the volume does.
    wall : Wall
    box : Box
        Where in the volume.

    Returns
    -------
    Edges
    """
    differs, levels = old != new, wall.levels(box)

    def sections(ids: Ids) -> Callable[[int], Any]:
        return lambda k: (np.ascontiguousarray(ids[k]), levels[k], differs[k])

    origin = (box[0].start, box[1].start, box[2].start)
    gained = _run(old.shape[0], sections(new), origin, NO_PROGRESS)
    lost = _run(old.shape[0], sections(old), origin, NO_PROGRESS)
    return add_edges(gained, lost.negated())


def box_around(runs: VoxelRuns, shape: tuple[int, ...]) -> Box:
    """Return the box of changed voxels and all that touch them."""
    z, y, x = (
        slice(max(0, part.start - 1), min(n, part.stop + 1))
        for part, n in zip(runs.box, shape, strict=True)
    )
    return z, y, x


def _run(
    depth: int,
    section: Callable[[int], tuple[Any, Any, Any]],
    origin: Triple,
    progress: Progress,
) -> Edges:
    contacts, slots = empty_contacts()
    more, n = np.zeros((contacts.size, 4)), 0
    above: tuple[Any, Any, Any] | None = None
    for k in range(depth):
        here = section(k)
        pair = (*(here if above is None else above), *here)
        corner = (origin[0] + k, origin[1], origin[2])
        contacts, slots, more, n = _add_section(*pair, k > 0, corner, contacts, slots, more, n)
        above = here
        progress.update(k + 1, depth, "Measuring contacts")
    order = np.lexsort((contacts["b"][:n], contacts["a"][:n]))
    contacts, more = contacts[order], more[order]
    return Edges(
        a=contacts["a"].copy(),
        b=contacts["b"].copy(),
        total=contacts["total"].copy(),
        count=contacts["count"].astype(np.int64),
        gaps=more[:, 0].copy(),
        place=more[:, 1:].copy(),
    )


@kernel
def _add_section(
    ids_above: Any,
    levels_above: Any,
    only_above: Any,
    ids: Any,
    levels: Any,
    only: Any,
    has_above: bool,
    corner: Any,
    contacts: Any,
    slots: Any,
    more: Any,
    n: int,
) -> Any:
    """Add the faces of a section to the voxels before along z, y and x.

    Where `only` is not empty, one of the two voxels must be marked in it.
    """
    n_y, n_x = ids.shape
    is_everywhere = only.size == 0
    half = np.float64(0.5)
    last_z, last_y, last_x = np.int64(0), np.int64(0), np.int64(0)
    z = corner[0]
    for y in range(n_y):
        while n + 3 * n_x > contacts.size:
            contacts, slots = with_room(contacts, n)
            larger = np.zeros((contacts.size, 4))
            larger[:n] = more[:n]
            more = larger
        if not (
            is_everywhere
            or _has_any(only[y])
            or (y > 0 and _has_any(only[y - 1]))
            or (has_above and _has_any(only_above[y]))
        ):
            continue
        for x in range(n_x):
            i, value = ids[y, x], np.float64(levels[y, x])
            if i == 0:
                continue
            if has_above:
                j = ids_above[y, x]
                if j != i and j != 0 and (is_everywhere or only[y, x] or only_above[y, x]):
                    face = (value + levels_above[y, x]) * half
                    last_z, n = add_face(contacts, slots, n, last_z, i, j, face)
                    _add_more(more, last_z, face, z, corner[1] + y, corner[2] + x)
            if y > 0:
                j = ids[y - 1, x]
                if j != i and j != 0 and (is_everywhere or only[y, x] or only[y - 1, x]):
                    face = (value + levels[y - 1, x]) * half
                    last_y, n = add_face(contacts, slots, n, last_y, i, j, face)
                    _add_more(more, last_y, face, z, corner[1] + y, corner[2] + x)
            if x > 0:
                j = ids[y, x - 1]
                if j != i and j != 0 and (is_everywhere or only[y, x] or only[y, x - 1]):
                    face = (value + levels[y, x - 1]) * half
                    last_x, n = add_face(contacts, slots, n, last_x, i, j, face)
                    _add_more(more, last_x, face, z, corner[1] + y, corner[2] + x)
    return contacts, slots, more, n


@kernel
def _has_any(row: Any) -> bool:
    found = False
    for x in range(row.size):
        if row[x]:
            found = True
            break
    return found


@kernel
def _add_more(more: Any, k: Any, face: Any, z: Any, y: Any, x: Any) -> None:
    """Add how open a face is, cubed, and where it is."""
    gap = np.float64(255) - np.floor(face / np.float64(256))
    more[k, 0] += gap * gap * gap
    more[k, 1] += z
    more[k, 2] += y
    more[k, 3] += x

"""Which colour of a palette each voxel of a section gets: segments, those locked, a preview."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.proofreading.runs import Ids

N_COLOURS = 49  # as many as napari has, so that segments keep the colours of their labels layer
N_GROUPS = 4
LOCKED = N_COLOURS  # added to the colour of a locked segment
ASIDE = 2 * N_COLOURS + 1
HATCH, EDGE, KEPT = ASIDE + 1, ASIDE + 2, ASIDE + 3
CHANGED = KEPT + 1  # and further groups after it
N_ENTRIES = CHANGED + N_GROUPS

_IS_LOCKED, _IS_ASIDE, _IS_SELECTED, _IS_PREVIEWED = 1, 2, 4, 8
_HATCH_PX, _LINE_PX, _EDGE_PX = 8, 3, 2


@dataclass(frozen=True)
class Special:
    """Segments that look different.

    Attributes
    ----------
    ids : (n,) uint32
        Ascending.
    marks : (n,) uint8
    """

    ids: Ids
    marks: npt.NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        *,
        locked: Iterable[int] = (),
        aside: Iterable[int] = (),
        selected: Iterable[int] = (),
        previewed: Iterable[int] = (),
    ) -> Special:
        """List segments under what they are.

        Examples
        --------
        >>> Special.of(locked=[7], selected=[3, 7]).ids
        array([3, 7], dtype=uint32)
        """
        groups = [
            (np.fromiter(ids, np.uint32), mark)
            for ids, mark in (
                (locked, _IS_LOCKED),
                (aside, _IS_ASIDE),
                (selected, _IS_SELECTED),
                (previewed, _IS_PREVIEWED),
            )
        ]
        listed = np.unique(np.concatenate([ids for ids, _ in groups]))
        marks = np.zeros(listed.size, np.uint8)
        for ids, mark in groups:
            marks[np.searchsorted(listed, ids)] |= mark
        return cls(listed, marks)


def shade(
    labels: npt.NDArray[Any],
    special: Special,
    after: Ids | None = None,
    groups: Iterable[int] = (),
    *,
    with_edges: bool = True,
) -> npt.NDArray[np.uint8]:
    """Return the place in the palette for each voxel.

    Parameters
    ----------
    labels : (..., y, x) integer
    special : Special
    after : (y, x) uint32, optional
        The section after the edit that is previewed: what changes of the segments
        previewed is told apart from what stays.
    groups : iterable of int
        Parts of a split, in the order of their colours; otherwise what stays has the
        first colour and what changes the second.
    with_edges : bool
        Whether selected and previewed segments get an edge, and locked ones are hatched.

    Returns
    -------
    (..., y, x) uint8
        0 background, 1..49 colours, 50..98 the same of locked segments, and so on.

    Examples
    --------
    >>> shade(np.array([[0, 1, 50, 5]]), Special.of(locked=[5]), with_edges=False)
    array([[ 0,  1,  1, 54]], dtype=uint8)
    """
    flat = np.ascontiguousarray(labels, np.uint32).reshape(-1, labels.shape[-1])
    out = np.empty(flat.shape, np.uint8)
    _shade(flat, special.ids, special.marks, with_edges, out)
    if after is not None:
        ids = np.fromiter(groups, np.uint32)
        later = np.ascontiguousarray(after, np.uint32).reshape(flat.shape)
        _lay_preview(flat, later, special.ids, special.marks, ids, out)
        out = _outline_preview(out)
    return out.reshape(labels.shape)


@kernel
def _mark_of(ids: Any, marks: Any, wanted: Any) -> Any:
    low, high = 0, ids.size
    while low < high:
        middle = (low + high) // 2
        if ids[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return marks[low] if low < ids.size and ids[low] == wanted else np.uint8(0)


@kernel
def _shade(labels: Any, ids: Any, marks: Any, with_edges: Any, out: Any) -> None:
    n_rows, n_columns = labels.shape
    last, mark, colour = np.uint32(0), np.uint8(0), 0
    for y in range(n_rows):
        for x in range(n_columns):
            label = labels[y, x]
            if label != last:
                last = label
                mark = _mark_of(ids, marks, label)
                colour = 0 if label == 0 else (label - 1) % N_COLOURS + 1
                if mark & _IS_ASIDE:
                    colour = ASIDE
                elif mark & _IS_LOCKED:
                    colour += LOCKED
            out[y, x] = colour
            if mark == 0 or not with_edges:
                continue
            if mark & _IS_LOCKED and (x + y) % _HATCH_PX < _LINE_PX:
                out[y, x] = HATCH
            if mark & _IS_SELECTED:
                for d in range(1, _EDGE_PX + 1):
                    if (
                        (y >= d and labels[y - d, x] != label)
                        or (x >= d and labels[y, x - d] != label)
                        or (y + d < n_rows and labels[y + d, x] != label)
                        or (x + d < n_columns and labels[y, x + d] != label)
                    ):
                        out[y, x] = EDGE
                        break


@kernel
def _lay_preview(labels: Any, after: Any, ids: Any, marks: Any, groups: Any, out: Any) -> None:
    n_rows, n_columns = labels.shape
    last, is_part = np.uint32(0), False
    for y in range(n_rows):
        for x in range(n_columns):
            before, now = labels[y, x], after[y, x]
            if before != last:
                last = before
                is_part = before != 0 and _mark_of(ids, marks, before) & _IS_PREVIEWED != 0
            if before == now and not is_part:
                continue
            out[y, x] = KEPT if before == now else CHANGED
            for k in range(groups.size):
                if groups[k] == now:
                    out[y, x] = KEPT + k % (N_GROUPS + 1)


@kernel
def _outline_preview(shades: Any) -> Any:
    """Draw an edge where a part of the preview ends."""
    out = shades.copy()
    n_rows, n_columns = shades.shape
    for y in range(n_rows):
        for x in range(n_columns):
            part = shades[y, x]
            if part < KEPT:
                continue
            if (
                (y > 0 and shades[y - 1, x] != part)
                or (x > 0 and shades[y, x - 1] != part)
                or (y + 1 < n_rows and shades[y + 1, x] != part)
                or (x + 1 < n_columns and shades[y, x + 1] != part)
            ):
                out[y, x] = EDGE
    return out

"""Whether a fragment that loses voxels stays in one piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_emseg.proofreading.runs import Box, Ids, VoxelRuns, find_runs
from napari_emseg.proofreading.state import State

Mask = npt.NDArray[np.bool_]
_FIRST_MARGIN = 4


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a fragment that hangs together with the rest no more.

    Attributes
    ----------
    fragment : int
        Of which it was part.
    window : Box
        Where in the volume.
    mask : (z, y, x) bool
        Its voxels in the window.
    """

    fragment: int
    window: Box
    mask: Mask

    def runs(self, new_id: int) -> VoxelRuns:
        """Return the change that makes it a fragment of its own."""
        z, y, x = (part.start for part in self.window)
        old: Ids = np.where(self.mask, self.fragment, 0).astype(np.uint32)
        runs = find_runs((z, y, x), old, np.where(self.mask, new_id, 0).astype(np.uint32))
        assert runs is not None
        return runs


def find_pieces(state: State, fragment: int, box: Box, removed: Mask) -> list[Piece]:
    """Return the parts that fall off a fragment when voxels are taken out of it.

    Looked at in a window around what is removed, which grows until it is clear: all but
    one of the parts must end inside. The largest part, as far as seen, is the rest.

    Parameters
    ----------
    state : State
    fragment : int
    box : Box
        Where in the volume `removed` lies.
    removed : (z, y, x) bool
        The voxels taken out.

    Returns
    -------
    list of Piece
    """
    whole = _clip(state.extents.box(fragment), state.fragments.shape, 1)
    margin = _FIRST_MARGIN
    while True:
        window = _intersect(_clip(box, state.fragments.shape, margin), whole)
        found = _look(state, fragment, box, removed, window)
        if found is not None or window == whole:
            return found or []
        margin *= 4


def _look(state: State, fragment: int, box: Box, removed: Mask, window: Box) -> list[Piece] | None:
    """Return the pieces as seen in a window; None where a larger one is needed to tell."""
    from scipy.ndimage import binary_dilation, label

    whole = _clip(state.extents.box(fragment), state.fragments.shape, 1)
    ids: Ids = state.fragments[window]
    hole = np.zeros(ids.shape, bool)
    inner = _intersect(box, window)
    hole[_within(inner, window)] = removed[_within(inner, box)]
    hole &= ids == fragment
    parts, n = label((ids == fragment) & ~hole)
    if n == 0:
        return []
    beside = np.unique(parts[binary_dilation(hole)])
    beside = beside[beside > 0]
    if beside.size <= 1:
        return []
    is_open = np.isin(beside, _at_border(parts, window, whole))
    if is_open.sum() > 1:
        return None
    sizes = np.bincount(parts.ravel())[beside]
    rest = beside[np.argmax(is_open) if is_open.any() else np.argmax(sizes)]
    return [Piece(fragment, window, parts == k) for k in beside if k != rest]


def _at_border(parts: npt.NDArray[np.int32], window: Box, whole: Box) -> npt.NDArray[np.int32]:
    """Return the parts that may go on outside the window."""
    faces = [np.empty(0, np.int32)]
    for axis, (seen, there) in enumerate(zip(window, whole, strict=True)):
        ends = np.moveaxis(parts, axis, 0)
        if seen.start > there.start:
            faces.append(ends[0].ravel())
        if seen.stop < there.stop:
            faces.append(ends[-1].ravel())
    return np.unique(np.concatenate(faces))


def _clip(box: Box, shape: tuple[int, ...], margin: int) -> Box:
    z, y, x = (
        slice(max(0, part.start - margin), min(n, part.stop + margin))
        for part, n in zip(box, shape, strict=True)
    )
    return z, y, x


def _intersect(one: Box, two: Box) -> Box:
    z, y, x = (
        slice(max(a.start, b.start), max(max(a.start, b.start), min(a.stop, b.stop)))
        for a, b in zip(one, two, strict=True)
    )
    return z, y, x


def _within(inner: Box, outer: Box) -> Box:
    z, y, x = (
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True)
    )
    return z, y, x

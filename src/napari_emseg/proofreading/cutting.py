"""Cutting a fragment into new ones, nothing outside it changing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.proofreading.flooding import Mask, Sides, flood_seeds
from napari_emseg.proofreading.runs import Box, Ids, VoxelRuns, find_runs
from napari_emseg.proofreading.state import State

# Smaller pieces of a side that has a larger one are slivers, not what was meant.
SLIVER_VOXELS = 32
_LOOKED_AT = 20_000  # voxels of which the nearest decides where a loose part goes


@dataclass(frozen=True, eq=False)
class FragmentCut:
    """What cutting one fragment would change.

    Attributes
    ----------
    box : Box
        Where in the volume `old` and `new` lie; one voxel of margin where there is room.
    old, new : (z, y, x) uint32
        Fragments before and after.
    group_of : dict
        Group of each piece by its fragment, the one that keeps its id included.
    size_of : dict
        Its voxels.
    n_loose : int
        Parts that no seed reaches; they went to the nearest piece.
    """

    box: Box
    old: Ids
    new: Ids
    group_of: dict[int, int]
    size_of: dict[int, int]
    n_loose: int

    @property
    def runs(self) -> VoxelRuns | None:
        """The voxels that change; None where the cut changes nothing."""
        z, y, x = (part.start for part in self.box)
        return find_runs((z, y, x), self.old, self.new)


def cut_fragment(
    state: State, fragment: int, groups: Sequence[npt.NDArray[np.int64]], first_id: int
) -> FragmentCut:
    """Share out a fragment between groups of voxels.

    Each group's part is a fragment, or several where it is not in one piece. The
    largest of all keeps the id.

    Parameters
    ----------
    state : State
    fragment : int
    groups : sequence of (n, 3) int64
        Voxels of each group in the volume; those outside the fragment do not count.
    first_id : int
        Id of the first new fragment.

    Returns
    -------
    FragmentCut
    """
    box = _with_margin(state.extents.box(fragment), state.fragments.shape)
    old: Ids = state.fragments[box]
    mask = old == fragment
    seeds = [_inside(group, box, mask) for group in groups]
    wall = state.wall.values(box) if state.wall.is_known else None
    side = flood_seeds(mask, seeds, wall, state.voxel_size_nm)
    pieces, group_of_piece = _pieces(side, [len(places) == 1 for places in seeds])
    n_seeded = group_of_piece.size
    group_of_piece = _add_loose(pieces, group_of_piece, mask, state.voxel_size_nm)
    sizes = np.bincount(pieces.ravel(), minlength=group_of_piece.size)
    largest = 1 + int(np.argmax(sizes[1:]))
    ids = np.zeros(group_of_piece.size, np.uint32)
    others = [p for p in range(1, ids.size) if p != largest]
    ids[others] = first_id + np.arange(len(others))
    ids[largest] = fragment
    return FragmentCut(
        box=box,
        old=old,
        new=np.where(mask, ids[pieces], old),
        group_of={int(ids[p]): int(group_of_piece[p]) for p in range(1, ids.size)},
        size_of={int(ids[p]): int(sizes[p]) for p in range(1, ids.size)},
        n_loose=group_of_piece.size - n_seeded,
    )


def _inside(group: npt.NDArray[np.int64], box: Box, mask: Mask) -> npt.NDArray[np.int64]:
    places = group - np.array([part.start for part in box])
    places = places[((places >= 0) & (places < mask.shape)).all(axis=1)]
    inside: npt.NDArray[np.int64] = places[mask[tuple(places.T)]]
    return inside


def _with_margin(box: Box, shape: tuple[int, ...]) -> Box:
    z, y, x = (
        slice(max(0, part.start - 1), min(n, part.stop + 1))
        for part, n in zip(box, shape, strict=True)
    )
    return z, y, x


def _add_loose(
    pieces: Sides, group_of: npt.NDArray[np.int64], mask: Mask, voxel_size_nm: Any
) -> npt.NDArray[np.int64]:
    """Make parts of the mask that no water reached pieces of the nearest piece's group.

    Return the group of each piece, those added last.
    """
    from scipy.ndimage import find_objects, label
    from scipy.spatial import cKDTree

    dry = mask & (pieces == 0)
    if not dry.any():
        return group_of
    parts, _ = label(dry)
    wet = np.flatnonzero(pieces)
    wet = wet[:: max(1, wet.size // _LOOKED_AT)]
    places = np.stack(np.unravel_index(wet, pieces.shape), axis=1)
    middle = np.array([[(p.start + p.stop - 1) / 2 for p in box] for box in find_objects(parts)])
    _, nearest = cKDTree(places * voxel_size_nm).query(middle * voxel_size_nm)
    groups = group_of[pieces.ravel()[wet[nearest]]]
    pieces[dry] = parts[dry] + (group_of.size - 1)
    return np.concatenate([group_of, groups])


def _pieces(side: Sides, is_whole: Sequence[bool]) -> tuple[Sides, npt.NDArray[np.int64]]:
    """Return the connected pieces of all sides, numbered from 1, and the group of each.

    Sides known to be whole need not be looked at.
    """
    from scipy.ndimage import find_objects, label

    if all(is_whole):
        return side, np.arange(-1, len(is_whole))
    pieces = np.zeros(side.shape, np.int32)
    group_of, slivers = [-1], []
    for group, box in enumerate(find_objects(side, len(is_whole))):
        if box is None:
            continue
        parts, n = label(side[box] == group + 1)
        first = len(group_of)
        pieces[box][parts > 0] = parts[parts > 0] + (first - 1)
        group_of += [group] * n
        if n > 1:
            sizes = np.bincount(parts.ravel())[1:]
            is_small = (sizes < SLIVER_VOXELS) & (np.arange(n) != np.argmax(sizes))
            slivers += (first + np.flatnonzero(is_small)).tolist()
    gone = _join_slivers(pieces, slivers)
    stays = np.ones(len(group_of), bool)
    stays[gone] = False
    number = np.cumsum(stays) - 1
    return number[pieces].astype(np.int32), np.array(group_of)[stays]


def _join_slivers(pieces: Sides, slivers: Sequence[int]) -> list[int]:
    """Give slivers to the piece they share most faces with; return those that did touch one."""
    from scipy.ndimage import find_objects

    boxes = find_objects(pieces) if slivers else []
    gone = []
    for sliver in slivers:
        around = _with_margin(boxes[sliver - 1], pieces.shape)
        there = pieces[around]
        part = there == sliver
        votes = np.bincount(np.concatenate([_faces(part, there, axis) for axis in range(3)]))
        votes[:1] = 0
        if votes.any():
            there[part] = int(np.argmax(votes))
            gone.append(sliver)
    return gone


def _faces(part: Mask, there: Sides, axis: int) -> npt.NDArray[np.int64]:
    """Return the pieces on the other side of a part's faces along an axis."""
    mask, values = np.moveaxis(part, axis, 0), np.moveaxis(there, axis, 0)
    up = values[:-1][mask[1:] & ~mask[:-1]]
    down = values[1:][mask[:-1] & ~mask[1:]]
    return np.concatenate([up, down]).astype(np.int64)

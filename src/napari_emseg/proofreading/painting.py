"""Brush, eraser and fill: voxels given to a segment, or to nothing."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.proofreading.edit import Edit, check_segments, count, moved, place_of, refuse_done
from napari_emseg.proofreading.pieces import find_pieces
from napari_emseg.proofreading.runs import Box, Ids, Triple, VoxelRuns, find_runs, join_runs
from napari_emseg.proofreading.state import State

Mask = npt.NDArray[np.bool_]


def paint(state: State, mask: Mask, segment: int | None, *, origin: Triple = (0, 0, 0)) -> Edit:
    """Give voxels to a segment; 0 erases, None paints a new segment.

    The stroke is a new fragment, one for each of its connected parts. What it cuts off
    a fragment becomes one of its own and stays in its segment. Voxels of segments that
    are marked as done are left out.

    Parameters
    ----------
    state : State
    mask : (z, y, x) or (y, x) bool
        The stroke, in a box of the volume or a whole section.
    segment : int or None
    origin : (z, y, x)
        First voxel of the mask in the volume.

    Returns
    -------
    Edit

    Raises
    ------
    InputError
        If no voxel would change, the mask reaches out of the volume, there is no such
        segment, or it is marked as done.
    """
    stroke, box = _tight(np.asarray(mask, bool), origin, state.fragments.shape)
    target = state.next_segment if segment is None else segment
    if segment:
        check_segments(state, [target])
        refuse_done(state, [target])
    old: Ids = state.fragments[box]
    labels = state.segment_of[old]
    wanted = stroke & (labels != target)
    is_locked = np.isin(labels, sorted(state.done)) & wanted
    stroke = wanted & ~is_locked
    if not stroke.any():
        raise InputError(_why_nothing(target, labels[is_locked]))
    change = _change(state, box, old, stroke, target)
    words = _tell(target, stroke, change, labels[is_locked])
    losing = [int(s) for s in np.unique(labels[stroke]) if s]
    return Edit(
        operation="paint",
        delta=moved(change.fragments, change.before, change.after, voxels=change.runs),
        words=words,
        positions=((place_of(state, target),),) if segment else (),
        arguments={"target": target, "is_new": segment is None, **_pack(mask, origin)},
        before=tuple(dict.fromkeys([*losing, *([target] if segment else [])])),
        after=(target,) if target else (),
    )


def unpack_mask(arguments: Mapping[str, Any]) -> tuple[Mask, Triple]:
    """Return mask and origin of a stroke from the arguments in the log.

    Parameters
    ----------
    arguments : mapping

    Returns
    -------
    mask : (z, y, x) bool
    origin : (z, y, x)
    """
    shape = tuple(int(n) for n in arguments["shape"])
    bits = np.frombuffer(zlib.decompress(base64.b64decode(arguments["mask"])), np.uint8)
    z, y, x = (int(n) for n in arguments["origin"])
    return np.unpackbits(bits, count=int(np.prod(shape))).astype(bool).reshape(shape), (z, y, x)


@dataclass(frozen=True, eq=False)
class _Change:
    fragments: Ids
    before: Ids
    after: Ids
    runs: VoxelRuns
    n_pieces: int


def _change(state: State, box: Box, old: Ids, stroke: Mask, target: int) -> _Change:
    from scipy.ndimage import label

    next_id = state.next_fragment
    new = np.where(stroke, 0, old).astype(np.uint32)
    n_parts = 0
    if target:
        parts, n_parts = label(stroke)
        new[stroke] = next_id + parts[stroke].astype(np.uint32) - 1
    z, y, x = (part.start for part in box)
    all_runs = [runs for runs in [find_runs((z, y, x), old, new)] if runs is not None]
    ids = list(range(next_id, next_id + n_parts))
    before, after = [0] * n_parts, [target] * n_parts
    taken, counts = np.unique(old[stroke], return_counts=True)
    n_pieces = 0
    for fragment, n_taken in zip(taken.tolist(), counts.tolist(), strict=True):
        if fragment == 0:
            continue
        owner = int(state.segment_of[fragment])
        if n_taken == state.extents.size[fragment]:  # nothing is left of it
            ids, before, after = [*ids, fragment], [*before, owner], [*after, 0]
            continue
        for piece in find_pieces(state, fragment, box, stroke):
            new_id = next_id + n_parts + n_pieces
            all_runs.append(piece.runs(new_id))
            ids, before, after = [*ids, new_id], [*before, 0], [*after, owner]
            n_pieces += 1
    runs = join_runs(all_runs)
    assert runs is not None
    listed, sources, targets = (np.array(values, np.uint32) for values in (ids, before, after))
    return _Change(listed, sources, targets, runs, n_pieces)


def _tight(mask: Mask, origin: Triple, shape: tuple[int, ...]) -> tuple[Mask, Box]:
    if mask.ndim == 2:
        mask = mask[None]
    outside = [o < 0 or o + n > s for o, n, s in zip(origin, mask.shape, shape, strict=False)]
    if mask.ndim != 3 or any(outside):
        raise InputError(
            f"A stroke of {mask.shape} voxels at {origin} reaches out of the volume of {shape}."
        )
    if not mask.any():
        raise InputError("The stroke is empty: draw over some voxels.")
    low = [int(axis.min()) for axis in np.nonzero(mask)]
    high = [int(axis.max()) + 1 for axis in np.nonzero(mask)]
    z, y, x = (slice(o + a, o + b) for o, a, b in zip(origin, low, high, strict=True))
    return mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], (z, y, x)


def _pack(mask: Mask, origin: Triple) -> dict[str, Any]:
    solid, box = _tight(np.asarray(mask, bool), origin, tuple(2**31 for _ in range(3)))
    return {
        "origin": [part.start for part in box],
        "shape": list(solid.shape),
        "mask": base64.b64encode(zlib.compress(np.packbits(solid).tobytes())).decode(),
    }


def _why_nothing(target: int, locked: Ids) -> str:
    if locked.size:
        return (
            f"Segment {int(locked[0])} is marked as done, so it is locked: take the mark off to "
            "paint over it."
        )
    if target == 0:
        return "There is nothing to erase at that place."
    return f"All of the stroke is segment {target} already."


def _tell(target: int, stroke: Mask, change: _Change, locked: Ids) -> str:
    n = count(int(stroke.sum()), "voxel")
    words = [f"Painted {n} of segment {target}." if target else f"Erased {n}."]
    if change.n_pieces:
        words.append(f"That parts {count(change.n_pieces, 'piece')} from the rest of a segment.")
    if locked.size:
        which = ", ".join(str(s) for s in np.unique(locked)[:5])
        words.append(f"Left out {count(locked.size, 'voxel')} of {which}, marked as done.")
    return " ".join(words)

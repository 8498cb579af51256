"""What networks train on: boundaries of pictures and labels, thick ones in 3D, affinities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError

Kernel = Literal["l3", "c3", "c5"]
Target = npt.NDArray[np.uint8]

IGNORED = 255
"""Value of a training target where the truth is not known."""


def membrane_target(
    section: npt.NDArray[Any], *, invert: bool | None = None
) -> npt.NDArray[np.uint8]:
    """Turn a membrane picture into 1 = membrane, 0 = inside.

    Parameters
    ----------
    section : array, shape (Y, X)
        Two-valued; anything above the middle of its type's range counts as bright.
    invert : bool, optional
        True: bright is inside; False: bright is membrane; None: the rarer is membrane.
    """
    bright = section > _middle(section)
    if invert is None:
        invert = bool(bright.mean() > 0.5)
    target: npt.NDArray[np.uint8] = (bright != invert).astype(np.uint8)
    return target


def _middle(section: npt.NDArray[Any]) -> float:
    return (float(section.min()) + float(section.max())) / 2


def label_target(
    labels: npt.NDArray[Any],
    *,
    boundary_px: int = 1,
    axes: Sequence[int] | None = None,
    gaps: bool = True,
) -> Target:
    """Draw boundaries where ids meet.

    A pixel is boundary if another id is within `boundary_px` of it (steps along
    the axes). Unlabelled pixels (0) within that reach of a label are boundary
    too, so thin unlabelled gaps between neurons train as membrane; those
    farther away are :data:`IGNORED`, because nobody said what they are.

    Parameters
    ----------
    labels : integer array, (Y, X) or (Z, Y, X)
    boundary_px : int
        Reach in pixels on each side.
    axes : sequence of int, optional
        Along which ids may meet; by default all. (1, 2): each section by itself.
    gaps : bool
        Whether an id and what is unlabelled meet as two ids do; otherwise all that
        is unlabelled is not known.

    Returns
    -------
    uint8 array of the same shape
        1 = boundary, 0 = inside, 255 = not known.

    Examples
    --------
    >>> label_target(np.array([[5, 5, 5, 9, 9, 0, 0, 0]]))
    array([[  0,   0,   1,   1,   1,   1, 255, 255]], dtype=uint8)
    """
    axes = range(labels.ndim) if axes is None else axes
    differs = np.zeros(labels.shape, bool)
    for axis in axes:
        before, after = [slice(None)] * labels.ndim, [slice(None)] * labels.ndim
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        here, there = labels[tuple(before)], labels[tuple(after)]
        change = here != there
        if not gaps:
            change &= (here != 0) & (there != 0)
        differs[tuple(before)] |= change
        differs[tuple(after)] |= change
    for _ in range(boundary_px - 1):
        differs = _grow(differs, axes)
    target = differs.astype(np.uint8)
    target[(labels == 0) & ~(differs & gaps)] = IGNORED
    return target


def _grow(mask: npt.NDArray[np.bool_], axes: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Add what is next to the mask along the axes."""
    grown = mask.copy()
    for axis in axes:
        before, after = [slice(None)] * mask.ndim, [slice(None)] * mask.ndim
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        grown[tuple(before)] |= mask[tuple(after)]
        grown[tuple(after)] |= mask[tuple(before)]
    return grown


def kernel_target(
    labels: npt.NDArray[Any],
    kernel: Kernel = "l3",
    *,
    unlabelled: Literal["ignored", "boundary"] = "ignored",
) -> Target:
    """Draw boundaries where a kernel around a voxel holds two labels.

    Parameters
    ----------
    labels : integer array, (Z, Y, X)
        Ids; 0 is unlabelled and counts as no id.
    kernel : {"l3", "c3", "c5"}
        A voxel with its 6 neighbours, a cube of 3, or a cube of 5.
    unlabelled : {"ignored", "boundary"}
        What unlabelled voxels become. As in :func:`label_target`, those that
        have a label within the kernel are boundary in either case.

    Returns
    -------
    uint8 array, (Z, Y, X)
        1 = boundary, 0 = inside, 255 = not known.

    Raises
    ------
    InputError
        If `labels` has not three axes.

    Notes
    -----
    After Zeng, Wu, Ji 2017, doi:10.1093/bioinformatics/btx188. Their formula
    counts distinct labels, their code ignores 0 and takes it as boundary: this
    is the code, with ``unlabelled="boundary"``. Their widening within sections
    and the frame of 2 pixels that it clears are left out.

    Examples
    --------
    >>> kernel_target(np.array([[[7, 7, 7, 9, 9, 0, 0, 0]]]))
    array([[[  0,   0,   1,   1,   0,   1, 255, 255]]], dtype=uint8)
    """
    _check_volume(labels)
    ids = _unsigned(labels)
    unknown = ids == 0
    highest = _extreme(ids, kernel, np.maximum)
    lowest = _extreme(np.where(unknown, np.iinfo(ids.dtype).max, ids), kernel, np.minimum)
    target: Target = ((lowest < highest) | (unknown & (highest > 0))).astype(np.uint8)
    target[highest == 0] = IGNORED if unlabelled == "ignored" else 1
    return target


def affinity_target(
    labels: npt.NDArray[Any],
    offsets: Sequence[tuple[int, int, int]],
    *,
    halo: tuple[int, int, int] = (0, 0, 0),
    membrane: int | None = None,
) -> Target:
    """Tell for each voxel whether those at the offsets are of the same neuron.

    Parameters
    ----------
    labels : integer array, (Z, Y, X)
        Ids; 0 is unlabelled.
    offsets : sequence of (z, y, x)
        For nearest neighbours (-1, 0, 0), (0, -1, 0), (0, 0, -1); a 2D network has
        those with z = 0 only.
    halo : (z, y, x)
        How much of the labels on each side is only there to be the other voxel.
    membrane : int, optional
        An id that is no neuron: voxels of it are of the same neuron as none.

    Returns
    -------
    uint8 array, (len(offsets), Z, Y, X), smaller by the halo on each side
        1 = same id, 0 = another; 255 = not known, where either voxel is unlabelled
        or the other lies outside.

    Raises
    ------
    InputError
        If `labels` has not three axes, or an offset is (0, 0, 0).

    Examples
    --------
    >>> affinity_target(np.array([[[4, 4, 8, 0]]]), [(0, 0, -1)])
    array([[[[255,   1,   0, 255]]]], dtype=uint8)
    """
    _check_volume(labels)
    shape = tuple(max(0, n - 2 * h) for n, h in zip(labels.shape, halo, strict=True))
    target = np.full((len(offsets), *shape), IGNORED, np.uint8)
    for channel, offset in zip(target, offsets, strict=True):
        if not any(offset):
            raise InputError("An affinity needs an offset other than (0, 0, 0).")
        here, there = _overlap(labels.shape, offset, halo)
        own, other = labels[here], labels[there]
        inner = tuple(
            slice(part.start - h, part.stop - h) for part, h in zip(here, halo, strict=True)
        )
        channel[inner] = own == other
        channel[inner][(own == 0) | (other == 0)] = IGNORED
        if membrane is not None:
            channel[inner][(own == membrane) | (other == membrane)] = 0
    return target


def _check_volume(labels: npt.NDArray[Any]) -> None:
    if labels.ndim != 3:
        raise InputError(f"Labels need the axes Z, Y, X; these have shape {labels.shape}.")


def _unsigned(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Look at ids as unsigned numbers of their size: equal ones stay equal, 0 stays 0."""
    return labels.view(f"u{labels.dtype.itemsize}")


def _extreme(ids: npt.NDArray[Any], kernel: Kernel, pick: np.ufunc) -> npt.NDArray[Any]:
    """Return the largest or smallest id within the kernel around each voxel."""
    found = ids
    reach = 2 if kernel == "c5" else 1
    for axis in range(3):
        # a cube is one axis after the other; a cross has each axis by itself
        source = ids if kernel == "l3" else found
        found = found.copy()
        for step in range(1, reach + 1):
            for shift in (step, -step):
                offset = tuple(shift if a == axis else 0 for a in range(3))
                here, there = _overlap(ids.shape, offset)
                pick(found[here], source[there], out=found[here])
    return found


def _overlap(
    shape: tuple[int, ...], offset: tuple[int, ...], halo: tuple[int, ...] = (0, 0, 0)
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the voxels beside the halo whose partner lies inside, and of their partners."""
    here, there = [], []
    for n, o, h in zip(shape, offset, halo, strict=True):
        start = max(h, -o)
        stop = max(start, min(n - h, n - o))
        here.append(slice(start, stop))
        there.append(slice(start + o, stop + o))
    return tuple(here), tuple(there)

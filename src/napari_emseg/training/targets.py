"""What 3D networks train on, made from instance labels: thick boundaries and affinities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.training.dataset import IGNORED

Kernel = Literal["l3", "c3", "c5"]
Target = npt.NDArray[np.uint8]


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
    from scipy.ndimage import maximum_filter, minimum_filter

    _check_volume(labels)
    # ids may not fit into the floating-point numbers of the filters
    ids = _small_ids(labels)
    footprint = _footprint(kernel)
    options = {"footprint": footprint, "mode": "nearest"}
    highest = maximum_filter(ids, **options)
    no_id = np.iinfo(ids.dtype).max
    lowest = minimum_filter(np.where(ids == 0, no_id, ids), **options)
    target: Target = ((lowest < highest) | ((ids == 0) & (highest > 0))).astype(np.uint8)
    target[(ids == 0) & (highest == 0)] = IGNORED if unlabelled == "ignored" else 1
    return target


def affinity_target(labels: npt.NDArray[Any], offsets: Sequence[tuple[int, int, int]]) -> Target:
    """Tell for each voxel whether those at the offsets are of the same neuron.

    Parameters
    ----------
    labels : integer array, (Z, Y, X)
        Ids; 0 is unlabelled.
    offsets : sequence of (z, y, x)
        For nearest neighbours (-1, 0, 0), (0, -1, 0), (0, 0, -1); a 2D network has
        those with z = 0 only.

    Returns
    -------
    uint8 array, (len(offsets), Z, Y, X)
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
    target = np.full((len(offsets), *labels.shape), IGNORED, np.uint8)
    for channel, offset in zip(target, offsets, strict=True):
        if not any(offset):
            raise InputError("An affinity needs an offset other than (0, 0, 0).")
        here, there = _overlap(labels.shape, offset)
        own, other = labels[here], labels[there]
        known = (own != 0) & (other != 0)
        channel[here] = np.where(known, own == other, IGNORED)
    return target


def _check_volume(labels: npt.NDArray[Any]) -> None:
    if labels.ndim != 3:
        raise InputError(f"Labels need the axes Z, Y, X; these have shape {labels.shape}.")


def _small_ids(labels: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    values, index = np.unique(labels, return_inverse=True)
    shift = 0 if values.size and values[0] == 0 else 1
    ids: npt.NDArray[np.int32] = (index.reshape(labels.shape) + shift).astype(np.int32)
    return ids


def _footprint(kernel: Kernel) -> npt.NDArray[np.bool_]:
    if kernel == "l3":
        near = np.indices((3, 3, 3)) - 1
        cross: npt.NDArray[np.bool_] = np.abs(near).sum(axis=0) <= 1
        return cross
    side = 3 if kernel == "c3" else 5
    return np.ones((side,) * 3, bool)


def _overlap(
    shape: tuple[int, ...], offset: tuple[int, int, int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the voxels whose partner lies inside, and of their partners."""
    here = tuple(
        slice(max(0, -o), max(0, n - max(0, o))) for n, o in zip(shape, offset, strict=True)
    )
    there = tuple(
        slice(max(0, o), max(0, n - max(0, -o))) for n, o in zip(shape, offset, strict=True)
    )
    return here, there

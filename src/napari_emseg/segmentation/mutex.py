"""The mutex watershed: nearest edges attract, long-range edges forbid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.affinities import (
    NEAREST,
    AffinityReader,
    Offset,
    open_affinities,
)
from napari_emseg.segmentation.hierarchy import Mode
from napari_emseg.segmentation.parallel import Steps, map_threads
from napari_emseg.volume import Volume

Labels = npt.NDArray[np.uint32]
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def mutex_labels(
    affinities: npt.NDArray[np.float32],
    offsets: Sequence[Offset],
    *,
    threshold: float = 0.5,
    strides: Sequence[int] = (1, 1, 1),
) -> Labels:
    """Run the mutex watershed on some sections.

    All edges are gone through from the surest to the least sure. One between
    nearest neighbours joins two segments unless they are forbidden to; any
    other forbids the segments of its two voxels to join, ever. How sure a
    nearest edge is is its affinity, a long-range edge 1 - its affinity.

    Parameters
    ----------
    affinities : (c, z, y, x) float32
    offsets : sequence of (z, y, x)
        Of each channel.
    threshold : float
        0.5 is the method as published. ``2 * threshold - 1`` is added to the
        sureness of nearest edges, so more joins more.
    strides : (z, y, x) int
        Only every so many voxels along each axis have long-range edges.

    Returns
    -------
    (z, y, x) uint32
        Ids 1.. without gaps.

    References
    ----------
    S. Wolf et al., "The mutex watershed: efficient, parameter-free image
    partitioning", ECCV 2018, doi:10.1007/978-3-030-01225-0_34.

    Examples
    --------
    >>> affinities = np.zeros((4, 1, 1, 6), np.float32)
    >>> affinities[2, 0, 0] = [0, 0.9, 0.8, 0.6, 0.8, 0.9]
    >>> affinities[3, 0, 0, 5] = 0.1  # the first and the last voxel are surely not one
    >>> offsets = [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (0, 0, -5)]
    >>> mutex_labels(affinities, offsets)
    array([[[1, 1, 1, 2, 2, 2]]], dtype=uint32)
    """
    from bioimage_cpp.segmentation import mutex_watershed as solve

    order = [offsets.index(near) for near in NEAREST]
    order += [channel for channel, offset in enumerate(offsets) if offset not in NEAREST]
    sureness = affinities[order]
    n_nearest = len(NEAREST)
    sureness[:n_nearest] += np.float32(2 * threshold - 1)
    np.subtract(1, sureness[n_nearest:], out=sureness[n_nearest:])
    ordered = [offsets[channel] for channel in order]
    labels = solve(sureness, ordered, n_nearest, strides=list(strides))
    return np.asarray(labels).astype(np.uint32)


def mutex_tables(
    affinities: Volume | npt.NDArray[Any],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    strides: Sequence[int] = (1, 1, 1),
    mode: Mode = "3d",
    offsets: Sequence[Sequence[int]] | None = None,
    progress: Progress = NO_PROGRESS,
) -> tuple[Labels, npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Run the mutex watershed at several thresholds, as tables over common fragments.

    Parameters
    ----------
    affinities : Volume or (c, z, y, x) array
        1 = same neuron. Takes about 5 bytes a voxel and channel.
    thresholds : sequence of float
        As in :func:`mutex_labels`.
    strides : (z, y, x) int
        As in :func:`mutex_labels`.
    mode : {"2d", "3d"}
        "2d": each section by itself, with the offsets that stay in it.
    offsets : sequence of (z, y, x), optional
        Of each channel; see :func:`open_affinities`.
    progress : Progress
        Called once per section or threshold.

    Returns
    -------
    fragments : (z, y, x) uint32
        Connected voxels that are together at every threshold, ids 1..F.
    tables : (K, F + 1) uint32
        The segment of each fragment at each threshold: the id of its first one.
    section_starts : (n_z + 1,) int64
        In "2d" the first id of each section, then F + 1; empty in "3d".

    Raises
    ------
    InputError
        If there are no long-range affinities, or something cannot be used.
    """
    if mode not in get_args(Mode):
        raise InputError(f"The mode must be one of {get_args(Mode)}, not '{mode}'.")
    reader = open_affinities(affinities, offsets)
    channels = _usable_channels(reader, mode)
    if mode == "3d":
        parts = [_tables_of(reader, channels, slice(None), thresholds, strides, progress)]
    else:
        steps = Steps(progress, reader.shape[0])
        parts = map_threads(
            lambda z: _tables_of(
                reader, channels, slice(z, z + 1), thresholds, strides, NO_PROGRESS
            ),
            reader.shape[0],
            partial(steps.finish_one, "Mutex watershed of each section"),
        )
    starts = np.cumsum([1] + [tables.shape[1] - 1 for _, tables in parts]).astype(np.int64)
    fragments = np.concatenate(
        [ids + np.uint32(start - 1) for (ids, _), start in zip(parts, starts, strict=False)]
    )
    tables = [np.zeros((len(thresholds), 1), np.uint32)]
    for (_, part), start in zip(parts, starts, strict=False):
        tables.append(part[:, 1:] + np.uint32(start - 1))
    return fragments, np.concatenate(tables, axis=1), starts if mode == "2d" else starts[:0]


def common_fragments(
    labelings: Sequence[npt.NDArray[Any]],
) -> tuple[Labels, npt.NDArray[np.uint32]]:
    """Find the connected voxels that several labelings all keep together.

    Parameters
    ----------
    labelings : sequence of (z, y, x) int
        Ids from 1 on.

    Returns
    -------
    fragments : (z, y, x) uint32
        Ids 1..F, numbered in raster order.
    tables : (K, F + 1) uint32
        For each labeling, the lowest fragment in the segment of each fragment.

    Examples
    --------
    >>> common_fragments([np.array([[[1, 1, 2, 2]]]), np.array([[[1, 2, 2, 2]]])])[1]
    array([[0, 1, 1, 3],
           [0, 1, 2, 2]], dtype=uint32)
    """
    from skimage.measure import label

    joint: npt.NDArray[Any] = np.zeros(labelings[0].shape, np.int64)
    for labels in labelings:
        pairs = joint * (int(labels.max()) + 1) + labels
        joint = np.unique(pairs, return_inverse=True)[1].reshape(labels.shape)
    fragments = label(joint, connectivity=1, background=-1).astype(np.uint32)
    _, first_voxel = np.unique(fragments, return_index=True)
    tables = np.zeros((len(labelings), first_voxel.size + 1), np.uint32)
    for table, labels in zip(tables, labelings, strict=True):
        segment = labels.reshape(-1)[first_voxel]
        _, first, inverse = np.unique(segment, return_index=True, return_inverse=True)
        table[1:] = first[inverse] + 1
    return fragments, tables


def _tables_of(
    reader: AffinityReader,
    channels: Sequence[int],
    sections: slice,
    thresholds: Sequence[float],
    strides: Sequence[int],
    progress: Progress,
) -> tuple[Labels, npt.NDArray[np.uint32]]:
    which = range(*sections.indices(reader.shape[0]))
    affinities = np.stack([reader.read(channels, z) for z in which], axis=1)
    offsets = [reader.offsets[channel] for channel in channels]
    labelings = []
    for done, threshold in enumerate(thresholds):
        progress.update(done, len(thresholds), "Mutex watershed")
        labelings.append(mutex_labels(affinities, offsets, threshold=threshold, strides=strides))
    return common_fragments(labelings)


def _usable_channels(reader: AffinityReader, mode: Mode) -> list[int]:
    channels = [
        channel
        for channel, offset in enumerate(reader.offsets)
        if mode == "3d" or offset[0] == 0 or offset in NEAREST
    ]
    if len(channels) == len(NEAREST):
        raise InputError(
            "The mutex watershed needs long-range affinities besides those to the nearest "
            "neighbours; give the offsets of all channels, or group by mean_affinity."
        )
    return channels

"""The mutex watershed: nearest edges attract, long-range edges forbid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, get_args

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
from napari_emseg.segmentation.agglomeration import agglomerate
from napari_emseg.segmentation.contacts import find_contacts
from napari_emseg.segmentation.forest import Forest, join
from napari_emseg.segmentation.hierarchy import Mode
from napari_emseg.segmentation.parallel import Steps, map_threads
from napari_emseg.segmentation.partitions import Partitions, join_tables
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


def mutex_watershed(
    affinities: Volume | npt.NDArray[Any],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    strides: Sequence[int] = (1, 1, 1),
    mode: Mode = "3d",
    offsets: Sequence[Sequence[int]] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Partitions:
    """Run the mutex watershed on voxels, at several thresholds.

    Parameters
    ----------
    affinities : Volume or (c, z, y, x) array
        1 = same neuron. Takes about 5 bytes a voxel and channel.
    thresholds : sequence of float
        As in :func:`mutex_labels`; ascending.
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
    Partitions
        Over the connected voxels that are together at every threshold.

    Raises
    ------
    InputError
        If there are no long-range affinities, or something cannot be used.
    """
    if mode not in get_args(Mode):
        raise InputError(f"The mode must be one of {get_args(Mode)}, not '{mode}'.")
    reader = open_affinities(affinities, offsets)
    problem = _Problem(reader, _usable_channels(reader, mode), tuple(thresholds), tuple(strides))
    if mode == "3d":
        parts = [_solve(problem, 0, reader.shape[0], progress)]
    else:
        steps = Steps(progress, reader.shape[0])
        parts = map_threads(
            lambda z: _solve(problem, z, 1, NO_PROGRESS),
            reader.shape[0],
            partial(steps.finish_one, "Mutex watershed of each section"),
        )
    starts = np.cumsum([1] + [part.forest.n_fragments for part in parts]).astype(np.int64)
    numbered = [part.fragments + np.uint32(s - 1) for part, s in zip(parts, starts, strict=False)]
    fragments = np.concatenate(numbered)
    return Partitions(
        fragments=reader.volume.derive(fragments, kind="fragments", mode=mode),
        thresholds=np.array(thresholds, np.float32),
        tables=join_tables([part.tables for part in parts]),
        forest=join([part.forest for part in parts]),
        fragment_sizes_voxels=np.bincount(fragments.reshape(-1)).astype(np.int64),
        mode=mode,
        sigma_px=0.0,
        floor=0.0,
        section_starts=starts if mode == "2d" else starts[:0],
        grouping="mutex_watershed",
    )


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


class _Problem(NamedTuple):
    """What is solved, for the volume or for each section."""

    reader: AffinityReader
    channels: list[int]
    thresholds: tuple[float, ...]
    strides: tuple[int, ...]


class _Solved(NamedTuple):
    """Fragments (z, y, x) with ids 1..F, tables (K, F + 1), and which fragments touch most."""

    fragments: Labels
    tables: npt.NDArray[np.uint32]
    forest: Forest


def _solve(problem: _Problem, first: int, n_sections: int, progress: Progress) -> _Solved:
    reader, channels, thresholds, strides = problem
    sections = range(first, first + n_sections)
    affinities = np.stack([reader.read(channels, z) for z in sections], axis=1)
    offsets = [reader.offsets[channel] for channel in channels]
    labelings = []
    for done, threshold in enumerate(thresholds):
        progress.update(done, len(thresholds), "Mutex watershed")
        labelings.append(mutex_labels(affinities, offsets, threshold=threshold, strides=strides))
    fragments, tables = common_fragments(labelings)
    graph = find_contacts(reader, fragments, first).walls(tables.shape[1] - 1)
    sizes = np.bincount(fragments.reshape(-1)).astype(np.int64)
    return _Solved(fragments, tables, agglomerate(graph, sizes))


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

"""Expected run length: how far one can trace a neuron before an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.evaluation.skeletons import Skeletons, find_voxel_size
from napari_emseg.evaluation.stacks import as_stack, read_ids
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import ZYX, Volume

Ids = npt.NDArray[np.uint64]
# On the FIB-25 sample, borders moved by 10 nm (standard deviation) leave 100 nm of a branch
# in a neighbour now and then, but not 200 nm.
THIN_LENGTH = 8


@dataclass(frozen=True)
class RunLength:
    """Expected run length, and what became of the skeletons.

    Attributes
    ----------
    expected_nm : float
        Expected run length.
    best_nm : float
        That of a perfect segmentation of the same skeletons.
    correct_nm, split_nm, merged_nm, omitted_nm : float
        Length of the edges of each sort; together the length of all skeletons.
    n_neurons : int
        Neurons with a skeleton.
    n_merging_segments : int
        Segments that merge two neurons or more.
    """

    expected_nm: float
    best_nm: float
    correct_nm: float
    split_nm: float
    merged_nm: float
    omitted_nm: float
    n_neurons: int
    n_merging_segments: int


def expected_run_length(
    segmentation: Any,
    skeletons: Skeletons,
    *,
    voxel_size_nm: ZYX | None = None,
    border_nm: float = 25.0,
    merge_nodes: int = 1,
    progress: Progress = NO_PROGRESS,
) -> RunLength:
    """Trace skeletons through a segmentation.

    An edge of a skeleton is *merged* if one of its nodes lies in a segment that holds
    nodes of two neurons, else *omitted* if a node lies in no segment, else *split* if its
    nodes lie in two segments, else *correct*. From a point chosen at random on the
    skeletons one gets on as far as correct edges of its segment reach, 0 nm on any
    other edge; the mean of that is the expected run length,
    sum over runs of length^2 / total length (Januszewski et al. 2018,
    doi 10.1038/s41592-018-0049-4). One merger costs all the runs in its segment.

    Parameters
    ----------
    segmentation : Volume or array-like of ids, ZYX
        0 = no segment.
    skeletons : Skeletons
        Drawn by hand, or from :func:`napari_emseg.evaluation.skeletonize_truth`.
    voxel_size_nm : (z, y, x) in nm, optional
        By default that of the segmentation.
    border_nm : float
        Nodes nearer to the border of their neuron do not tell of a merger, as otherwise
        the tip of a branch under a border drawn a little aside costs two whole neurons;
        but 8 times this length of a neurite in a segment does, however thin it is. Without
        effect on skeletons whose depth is not known. 25 nm is what CREMI forgives.
    merge_nodes : int
        Nodes that two neurons need in a segment to be merged by it; 1 as published.
    progress : Progress
        Told after each section.

    Returns
    -------
    RunLength

    Raises
    ------
    InputError
        If the voxel size is not known, there is no skeleton, or one leaves the volume.

    Examples
    --------
    A neuron of 100 nm, split in the middle: two runs of 40 nm and an edge of 20 nm between.

    >>> nodes = np.array([[0, 0, 20.0 * k] for k in range(6)])
    >>> edges = np.array([[k, k + 1] for k in range(5)])
    >>> neuron = Skeletons(nodes, edges, np.ones(6, np.uint64))
    >>> labels = np.array([[[3, 3, 3, 4, 4, 4]]])
    >>> expected_run_length(labels, neuron, voxel_size_nm=(20, 20, 20)).expected_nm
    32.0
    """
    if not len(skeletons.edges):
        raise InputError("There is no skeleton with a length, so no run length to expect.")
    segment = _segments_at(segmentation, skeletons.nodes_nm, voxel_size_nm, progress)
    merging = _merging_segments(segment, skeletons, border_nm, merge_nodes)
    is_merging = np.isin(segment, merging)
    start, stop = skeletons.edges[:, 0], skeletons.edges[:, 1]
    is_merged = is_merging[start] | is_merging[stop]
    is_omitted = ~is_merged & ((segment[start] == 0) | (segment[stop] == 0))
    is_split = ~is_merged & ~is_omitted & (segment[start] != segment[stop])
    is_correct = ~(is_merged | is_omitted | is_split)
    length = skeletons.edge_length_nm
    neuron = skeletons.neuron[start]
    runs = _sum_by(length[is_correct], neuron[is_correct], segment[start][is_correct])
    whole = _sum_by(length, neuron, np.zeros_like(neuron))
    total = float(length.sum())
    return RunLength(
        expected_nm=float(np.dot(runs, runs)) / total,
        best_nm=float(np.dot(whole, whole)) / total,
        correct_nm=float(length[is_correct].sum()),
        split_nm=float(length[is_split].sum()),
        merged_nm=float(length[is_merged].sum()),
        omitted_nm=float(length[is_omitted].sum()),
        n_neurons=whole.size,
        n_merging_segments=merging.size,
    )


def _segments_at(
    segmentation: Any,
    nodes_nm: npt.NDArray[np.float64],
    voxel_size_nm: ZYX | None,
    progress: Progress,
) -> Ids:
    size = find_voxel_size(segmentation, voxel_size_nm)
    offset = segmentation.offset_nm if isinstance(segmentation, Volume) else (0.0, 0.0, 0.0)
    stack = as_stack(segmentation, "the segmentation")
    voxel = np.rint((nodes_nm - offset) / size).astype(np.int64)
    is_outside = ((voxel < 0) | (voxel >= stack.shape)).any(axis=1)
    if is_outside.any():
        raise InputError(
            f"{int(is_outside.sum())} of {len(voxel)} nodes of the skeletons lie outside the "
            "segmentation; check the voxel size and the offset."
        )
    segment = np.zeros(len(voxel), np.uint64)
    order = np.argsort(voxel[:, 0], kind="stable")
    sections, first = np.unique(voxel[order, 0], return_index=True)
    for done, (z, here) in enumerate(zip(sections, np.split(order, first[1:]), strict=True)):
        section = read_ids(stack, int(z), "segmentation")
        segment[here] = section[voxel[here, 1], voxel[here, 2]]
        progress.update(done + 1, len(sections), "Tracing skeletons")
    return segment


def _merging_segments(
    segment: Ids, skeletons: Skeletons, border_nm: float, merge_nodes: int
) -> Ids:
    """Ids of the segments that hold two neurons, by `merge_nodes` nodes each."""
    pairs, place = np.unique(
        np.stack([segment, skeletons.neuron], axis=1), axis=0, return_inverse=True
    )
    is_held = np.bincount(place.ravel(), minlength=len(pairs)) >= merge_nodes
    if skeletons.depth_nm is not None:
        start, stop = skeletons.edges[:, 0], skeletons.edges[:, 1]
        is_within = segment[start] == segment[stop]
        length = np.zeros(len(pairs))
        np.add.at(length, place.ravel()[start[is_within]], skeletons.edge_length_nm[is_within])
        depth = np.zeros(len(pairs))
        np.maximum.at(depth, place.ravel(), skeletons.depth_nm)
        is_held &= (depth >= border_nm) | (length >= THIN_LENGTH * border_nm)
    segments, n_neurons = np.unique(pairs[is_held & (pairs[:, 0] != 0), 0], return_counts=True)
    return np.asarray(segments[n_neurons > 1])


def _sum_by(value: npt.NDArray[np.float64], one: Ids, two: Ids) -> npt.NDArray[np.float64]:
    """Sum values of equal pairs."""
    pairs, place = np.unique(np.stack([one, two], axis=1), axis=0, return_inverse=True)
    return np.asarray(np.bincount(place.ravel(), value, minlength=len(pairs)), np.float64)

"""Score a segmentation against ground truth."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.evaluation.comparison import Comparison, ComparisonBuilder
from napari_emseg.evaluation.metrics import (
    METRICS,
    ON_REQUEST,
    RUN_LENGTH_METRICS,
    WARPING_METRICS,
)
from napari_emseg.evaluation.pairs import (
    Average,
    GroundTruthKind,
    StackPair,
    empty_truth,
    open_pair,
)
from napari_emseg.evaluation.run_length import RunLength, expected_run_length
from napari_emseg.evaluation.skeletons import skeletonize_truth
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.registry import resolve
from napari_emseg.volume import ZYX, Volume

_log = logging.getLogger(__name__)


def evaluate(
    segmentation: Any,
    ground_truth: Any,
    *,
    ground_truth_kind: GroundTruthKind = "labels",
    average: Average = "stack",
    metrics: str | Iterable[str] | None = None,
    sections: Iterable[int] | None = None,
    invert: bool | None = None,
    voxel_size_nm: ZYX | None = None,
    progress: Progress = NO_PROGRESS,
) -> dict[str, float]:
    """Score a segmentation against ground truth.

    Parameters
    ----------
    segmentation : Volume or array-like of ids, ZYX (or YX: one section)
    ground_truth : Volume or array-like, same shape
        Voxels of value 0 are not counted (in membranes: the membranes).
    ground_truth_kind : {"labels", "labels_2d", "membranes"}
        ``labels``: ids in 3D. ``labels_2d``: ids, but each section is by itself: an id
        counts as another one in each section, in the segmentation too.
        ``membranes``: an image of membranes; true objects are the 4-connected
        components of what is not membrane, counted as in ``labels_2d``.
    average : {"stack", "sections"}
        ``stack``: the voxels of all sections are pooled and scored once.
        ``sections``: each section is scored by itself and the mean returned, as in
        the ISBI 2012 challenge; sections without ground truth do not count. The
        two differ as far as sections do, and pooled V_info against membranes is
        usually higher, as the section's number is information that both share.
    metrics : str or iterable of str, optional
        Names from `METRICS`, all of these by default, and from `ON_REQUEST`, which
        take longer: the warping errors, and the expected run length, for which the
        ground truth must be 3D labels and the sections pooled.
    sections : iterable of int, optional
        Score these sections only; then the two stacks may differ in depth.
    invert : bool, optional
        For membranes: True if bright is cell interior, False if bright is
        membrane; by default recognised.
    voxel_size_nm : (z, y, x) in nm, optional
        For the expected run length; by default that of the volumes.
    progress : Progress
        Told after each section.

    Returns
    -------
    dict of str to float
        Finite in every case; see :mod:`napari_emseg.evaluation.metrics`.

    Raises
    ------
    InputError
        If the stacks do not fit, do not hold ids, the ground truth is empty, or a
        metric, kind or average is unknown.

    Examples
    --------
    >>> truth = np.array([[[1, 1, 2, 2]]])
    >>> scores = evaluate(np.array([[[5, 5, 5, 5]]]), truth, metrics=["voi_split", "voi_merge"])
    >>> scores
    {'voi_split': 0.0, 'voi_merge': 1.0}
    """
    wanted = METRICS if metrics is None else [metrics] if isinstance(metrics, str) else metrics
    functions = {name: resolve(METRICS | ON_REQUEST, name, "metric") for name in wanted}
    pair = open_pair(
        segmentation,
        ground_truth,
        kind=ground_truth_kind,
        average=average,
        sections=sections,
        invert=invert,
    )
    warping = not WARPING_METRICS.keys().isdisjoint(functions)
    comparisons = [c for c in _compare(pair, warping, progress) if c.table.n_voxels]
    if not comparisons:
        raise empty_truth()
    if not RUN_LENGTH_METRICS.keys().isdisjoint(functions):
        size = voxel_size_nm or _voxel_size(ground_truth, segmentation)
        comparisons = [replace(comparisons[0], run_length=_trace(pair, size, progress))]
    for note in pair.notes([comparison.table for comparison in comparisons]):
        _log.log(logging.INFO if pair.rule is not None else logging.WARNING, note)
    return {
        name: float(np.mean([score(comparison) for comparison in comparisons]))
        for name, score in functions.items()
    }


def _compare(pair: StackPair, warping: bool, progress: Progress) -> Iterator[Comparison]:
    builder = ComparisonBuilder(ids_per_section=pair.ids_per_section, warping=warping)
    for segmentation, truth in pair.read(progress):
        builder.add(segmentation, truth)
        if pair.average == "sections":
            yield builder.build()
            builder = ComparisonBuilder(ids_per_section=pair.ids_per_section, warping=warping)
    if pair.average == "stack":
        yield builder.build()


def _trace(pair: StackPair, voxel_size_nm: ZYX | None, progress: Progress) -> RunLength:
    if pair.kind != "labels" or pair.average != "stack":
        raise InputError(
            "The expected run length follows neurons through sections: the ground truth must be "
            "labels whose ids run through them, and the sections pooled."
        )
    first, last = pair.sections[0], pair.sections[-1]
    if last - first + 1 != len(pair.sections):
        raise InputError("For the expected run length choose sections without a gap.")
    ids = (np.stack(stack) for stack in zip(*pair.read(progress, "Reading"), strict=True))
    segmentation, truth = ids
    skeletons = skeletonize_truth(truth, voxel_size_nm=voxel_size_nm, progress=progress)
    return expected_run_length(
        segmentation, skeletons, voxel_size_nm=voxel_size_nm, progress=progress
    )


def _voxel_size(*volumes: Any) -> ZYX | None:
    sizes = [volume.voxel_size_nm for volume in volumes if isinstance(volume, Volume)]
    return next((size for size in sizes if size is not None), None)

"""Step 3, Segment: boundary map in, labels out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.plausibility import check_plausible
from napari_emseg.steps.segment_params import (
    AFFINITY_GROUPINGS,
    AFFINITY_THRESHOLDS,
    FLOOD_FIELDS,
    AffinityThresholds,
    Grouping,
    SegmentParams,
)
from napari_emseg.steps.step import Step, record_step, with_record
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.segmentation import Cuttable, Hierarchy, Segmentation

__all__ = [
    "AFFINITY_GROUPINGS",
    "FLOOD_FIELDS",
    "STEP",
    "AffinityThresholds",
    "Grouping",
    "SegmentParams",
    "as_boundary",
    "build",
    "build_section",
    "check_certain_map",
    "cut",
    "flood",
    "run",
    "write",
]


def build(
    boundary: Volume,
    *,
    params: SegmentParams,
    flooded: Hierarchy | None = None,
    progress: Progress = NO_PROGRESS,
) -> Cuttable:
    """Build the hierarchy that every threshold and minimum size cuts; the slow half of the step.

    Parameters
    ----------
    boundary : Volume
        The map, or affinities.
    params : SegmentParams
        Those of its `hierarchy_fields` are used.
    flooded : Hierarchy, optional
        What :func:`flood` made of `boundary` with the same parameters.
    progress : Progress, optional
        Told the sections done.

    Returns
    -------
    Hierarchy
        Or Partitions, which cut in the same way, where the grouping is none.
    """
    boundary = as_boundary(boundary)
    if flooded is None:
        flooded = flood(boundary, params=params, progress=progress)
    return _group(flooded, boundary, params, progress)


def build_section(boundary: Volume, z: int, *, params: SegmentParams) -> Cuttable:
    """Build the hierarchy of section `z` by itself, for a preview; of shape (1, y, x)."""
    from napari_emseg.segmentation import build_section
    from napari_emseg.segmentation.affinity_view import sections_of

    section = sections_of(as_boundary(boundary), slice(z, z + 1))
    flooded = build_section(section.read(0), params.sigma_px, params.floor)
    return _group(flooded, section, params, NO_PROGRESS)


def _group(
    flooded: Hierarchy, boundary: Volume, params: SegmentParams, progress: Progress
) -> Cuttable:
    from napari_emseg.segmentation import group
    from napari_emseg.segmentation.affinity_grouping import regroup
    from napari_emseg.segmentation.linking import linking

    if params.grouping == "linking":
        return linking(flooded, boundary, progress, h=params.h)
    if params.grouping == "mean_affinity" or params.grouping == "zlateski_seung":
        values = {name: getattr(params, f"affinity_{name}") for name in AFFINITY_THRESHOLDS}
        return regroup(
            flooded,
            boundary,
            params.grouping,
            thresholds=params.affinity_thresholds,
            changes={name: value for name, value in values.items() if value is not None},
            progress=progress,
        )
    options: dict[str, float] = {}
    if params.grouping == "mean_boundary":
        options["prior_faces"] = params.prior_faces
    if params.grouping == "quantile_boundary":
        options["quantile"] = params.wall_quantile
    return group(flooded, boundary, grouping=params.grouping, progress=progress, **options)


def as_boundary(volume: Volume) -> Volume:
    """Return a boundary map as it is, and affinities as the map that carries them along."""
    if volume.kind != "affinities":
        return volume
    from napari_emseg.segmentation.affinity_view import boundary_of

    return boundary_of(volume)


def flood(
    boundary: Volume, *, params: SegmentParams, progress: Progress = NO_PROGRESS
) -> Hierarchy:
    """Flood a map, the same for all groupings: the part of :func:`build` that takes longest."""
    from napari_emseg.segmentation import build_hierarchy

    return build_hierarchy(
        as_boundary(boundary),
        sigma_px=params.sigma_px,
        mode=params.mode,
        floor=params.floor,
        progress=progress,
    )


def cut(
    hierarchy: Cuttable, *, params: SegmentParams, progress: Progress = NO_PROGRESS
) -> tuple[Segmentation, list[str]]:
    """Cut `hierarchy` and clean the segments up.

    Parameters
    ----------
    hierarchy : Hierarchy or Partitions
        From :func:`build`.
    params : SegmentParams
        Threshold, minimum size, and what to clean up.
    progress : Progress, optional
        Told the sections done, where something is to be cleaned up.

    Returns
    -------
    segmentation : Segmentation
    notes : list of str
        What was cleaned up, for people.
    """
    segmentation = hierarchy.cut(params.threshold, params.min_size_voxels)
    if not params.is_cleaned_up:
        return segmentation, []
    from napari_emseg.segmentation.cleanup import cleanup

    cleaned, report = cleanup(
        segmentation,
        fill_holes=params.fill_holes,
        min_sections=params.min_sections,
        fate=params.short_segments,
        mode=params.mode,
        progress=progress,
    )
    return cleaned, [f"Cleaned up: {report.describe()}."]


def write(
    hierarchy: Cuttable,
    boundary: Volume,
    *,
    params: SegmentParams,
    progress: Progress = NO_PROGRESS,
) -> Volume:
    """Cut `hierarchy` and write the labels; the quick half of the step.

    Parameters
    ----------
    hierarchy : Hierarchy or Partitions
        What :func:`build` made of `boundary` with the same `params`.
    boundary : Volume
        The map, for the record.
    params : SegmentParams
        `h` or `merge_threshold`, `min_size_voxels`, `exact_borders`, what is certain
        boundary and what to clean up are used.
    progress : Progress, optional
        Told the sections done, phase by phase.

    Returns
    -------
    Volume
        Kind ``labels``, uint32.
    """
    certain_map = _open_certain_map(boundary, params)
    segmentation, notes = cut(hierarchy, params=params, progress=progress)
    is_exact = params.exact_borders and params.grouping == "h_minima"
    if is_exact:
        labels = _flood_exactly(hierarchy, segmentation, params, progress)
    else:
        labels = segmentation.to_volume(progress=progress)
    if params.exact_borders and not is_exact:
        notes.append("Exact borders are those of H-minima; here nothing was to be done.")
    if certain_map is not None:
        labels = _refill(labels, certain_map, params.certain_boundary, notes, progress)
    if notes:
        labels = _noted(labels, *notes)
    return with_record(labels, record_step("segment", params, boundary=boundary), boundary)


def _flood_exactly(
    hierarchy: Cuttable, cleaned: Segmentation, params: SegmentParams, progress: Progress
) -> Volume:
    exact = hierarchy.cut(params.threshold, params.min_size_voxels)
    labels = exact.to_volume(exact_borders=True, progress=progress)
    if not params.is_cleaned_up:
        return labels
    # A segment's id is that of a fragment in it, so the cleaned table tells its new one.
    data = cleaned.segment_of[labels.read()]
    return labels.derive(data, kind="labels", cleanup=cleaned.fragments.provenance["cleanup"])


def _refill(
    labels: Volume, certain_map: Volume, certain: float, notes: list[str], progress: Progress
) -> Volume:
    from napari_emseg.postprocessing import refill_certain

    data = labels.read()
    had_labels = data.any(axis=(1, 2))
    taken = refill_certain(data, certain_map, certain, progress=progress)
    notes.append(f"{taken} voxels of certain boundary were filled from around.")
    if lost := np.flatnonzero(had_labels & ~data.any(axis=(1, 2))).tolist():
        which = ", ".join(map(str, lost[:10])) + (", ..." if len(lost) > 10 else "")
        notes.append(f"All of these sections is certain boundary, so they have no labels: {which}.")
    return labels.derive(data, kind="labels", certain_boundary=certain)


def check_certain_map(boundary: Volume, params: SegmentParams) -> None:
    """Make sure before a long computation that the map of what is certain fits `boundary`.

    Raises
    ------
    InputError
        If its file cannot be read, holds no boundary map or shows another field.
    """
    _open_certain_map(boundary, params)


def _open_certain_map(boundary: Volume, params: SegmentParams) -> Volume | None:
    if not params.certain_boundary:
        return None
    if not params.certain_map:
        return as_boundary(boundary)
    from napari_emseg.io import open_volume
    from napari_emseg.postprocessing.refill import check_sections_map

    certain_map = open_volume(params.certain_map, kind="boundary")
    check_plausible(certain_map)
    check_sections_map(certain_map, as_boundary(boundary).shape)
    return certain_map


def _noted(volume: Volume, *notes: str) -> Volume:
    earlier = volume.provenance.get("notes") or ()
    return volume.derive(volume.data, kind=volume.kind, notes=[*earlier, *notes])


def run(boundary: Volume, *, params: SegmentParams, progress: Progress = NO_PROGRESS) -> Volume:
    """Segment a boundary map.

    Parameters
    ----------
    boundary : Volume
        1 = membrane; float in [0, 1] or uint8 meaning value / 255; ZYX. Or
        affinities, CZYX.
    params : SegmentParams
        Smoothing, grouping, threshold, minimum size.
    progress : Progress, optional
        Told the sections done.

    Returns
    -------
    Volume
        Kind ``labels``, uint32, same grid.
    """
    boundary = as_boundary(boundary)
    check_certain_map(boundary, params)
    hierarchy = build(boundary, params=params, progress=progress)
    return write(hierarchy, boundary, params=params, progress=progress)


STEP = Step(
    name="segment",
    title="Segment",
    inputs=("boundary",),
    output="labels",
    params=SegmentParams,
    run=run,
)

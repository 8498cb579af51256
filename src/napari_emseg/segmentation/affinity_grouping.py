"""The groupings for affinities, where the fragments are those of the affinities themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.affinities import view_affinities
from napari_emseg.segmentation.affinity_hierarchy import (
    AffinityGrouping,
    build_affinity_hierarchy,
)
from napari_emseg.segmentation.affinity_view import affinities_of
from napari_emseg.segmentation.hierarchy import Hierarchy
from napari_emseg.volume import Volume


def mean_affinity(
    hierarchy: Hierarchy, boundary: Volume, progress: Progress = NO_PROGRESS
) -> Hierarchy:
    """Join the two segments of highest mean affinity first.

    Parameters
    ----------
    hierarchy : Hierarchy
        Its mode counts, and its smoothed map where there are no affinities.
    boundary : Volume
        The map. If it carries affinities, they are used as they are. Else the
        smoothed map is flooded, basins shallower than the floor not apart, and
        walls are measured on the map before smoothing.
    progress : Progress
        Called at least once per section.
    """
    return _regroup(hierarchy, boundary, "mean_affinity", progress)


def zlateski_seung(
    hierarchy: Hierarchy, boundary: Volume, progress: Progress = NO_PROGRESS
) -> Hierarchy:
    """Join the two segments with the strongest single edge first.

    Parameters
    ----------
    hierarchy, boundary, progress
        As for :func:`mean_affinity`.
    """
    return _regroup(hierarchy, boundary, "zlateski_seung", progress)


def _regroup(
    hierarchy: Hierarchy, boundary: Volume, grouping: AffinityGrouping, progress: Progress
) -> Hierarchy:
    affinities = affinities_of(boundary)
    if affinities is not None:
        grouped = build_affinity_hierarchy(
            affinities, grouping=grouping, mode=hierarchy.mode, progress=progress
        )
    else:
        smoothed: Any = replace(boundary, data=hierarchy.smoothed)
        grouped = build_affinity_hierarchy(
            view_affinities(smoothed),
            walls=view_affinities(boundary),
            grouping=grouping,
            high=1 - hierarchy.floor,
            background=False,
            mode=hierarchy.mode,
            progress=progress,
        )
    fragments = hierarchy.fragments
    history = {**fragments.provenance, **grouped.fragments.provenance, "grouping": grouping}
    return replace(
        grouped,
        fragments=fragments.derive(grouped.fragments.data, kind="fragments", **history),
        smoothed=hierarchy.smoothed,
        sigma_px=hierarchy.sigma_px,
        floor=hierarchy.floor,
    )

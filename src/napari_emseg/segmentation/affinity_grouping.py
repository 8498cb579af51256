"""The groupings for affinities, where the fragments are those of the affinities themselves."""

from __future__ import annotations

from collections.abc import Mapping
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
from napari_emseg.segmentation.small_regions import resolve_preset
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
    return regroup(hierarchy, boundary, "mean_affinity", progress=progress)


def zlateski_seung(
    hierarchy: Hierarchy, boundary: Volume, progress: Progress = NO_PROGRESS
) -> Hierarchy:
    """Join the two segments with the strongest single edge first.

    Parameters
    ----------
    hierarchy, boundary, progress
        As for :func:`mean_affinity`.
    """
    return regroup(hierarchy, boundary, "zlateski_seung", progress=progress)


def regroup(
    hierarchy: Hierarchy,
    boundary: Volume,
    grouping: AffinityGrouping,
    *,
    thresholds: str = "fine",
    changes: Mapping[str, float] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Hierarchy:
    """Flood affinities and join what is flooded.

    Parameters
    ----------
    hierarchy, boundary
        As for :func:`mean_affinity`.
    grouping : {"mean_affinity", "zlateski_seung"}
    thresholds : str
        A key of ``PRESETS``. With "fine", a map without affinities has no background,
        and basins shallower than the floor are not kept apart.
    changes : mapping, optional
        Single thresholds other than those: `low`, `high`, `size_voxels`, `weight`.
    progress : Progress
        Called at least once per section.
    """
    chosen = resolve_preset(thresholds)
    affinities, walls = affinities_of(boundary), None
    if affinities is None:
        smoothed: Any = replace(boundary, data=hierarchy.smoothed)
        affinities, walls = view_affinities(smoothed), view_affinities(boundary)
        if thresholds == "fine":
            chosen = replace(chosen, high=1 - hierarchy.floor, background=False)
    if changes:
        dust = {"dust_voxels": changes["size_voxels"]} if "size_voxels" in changes else {}
        has_low = {"background": True} if "low" in changes else {}
        chosen = replace(chosen, **dust, **has_low, **changes)  # type: ignore[arg-type]
    grouped = build_affinity_hierarchy(
        affinities,
        grouping=grouping,
        low=chosen.low,
        high=chosen.high,
        size_threshold_voxels=chosen.size_voxels,
        weight_threshold=chosen.weight,
        dust_voxels=chosen.dust_voxels,
        background=chosen.background,
        mode=hierarchy.mode,
        walls=walls,
        progress=progress,
    )
    fragments = hierarchy.fragments
    # What was blank in the map that was flooded before is no news of these fragments.
    before = {key: value for key, value in fragments.provenance.items() if key != "notes"}
    history = {**before, **grouped.fragments.provenance, "grouping": grouping}
    return replace(
        grouped,
        fragments=fragments.derive(grouped.fragments.data, kind="fragments", **history),
        smoothed=hierarchy.smoothed,
        sigma_px=hierarchy.sigma_px,
        floor=hierarchy.floor,
    )

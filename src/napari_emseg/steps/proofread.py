"""What is corrected: labels over the fragments that the boundary map has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.segment import SegmentParams, flood
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.segmentation import Cuttable, Segmentation


def prepare(
    labels: Volume,
    *,
    boundary: Volume | None = None,
    hierarchy: Cuttable | None = None,
    progress: Progress = NO_PROGRESS,
) -> Segmentation:
    """Return labels as a table over fragments, so that a split follows the boundaries.

    Parameters
    ----------
    labels : Volume
        What is to be corrected, exactly as it is.
    boundary : Volume, optional
        Its map, which is flooded where there is no hierarchy.
    hierarchy : Hierarchy or Partitions, optional
        Whose fragments are taken if they are of the same shape.
    progress : Progress, optional
        Told the sections done.

    Returns
    -------
    Segmentation
        Of one fragment for each label where there is neither map nor hierarchy.
    """
    from napari_emseg.proofreading.labels import as_segmentation
    from napari_emseg.proofreading.overlay import lay_over

    if hierarchy is not None and hierarchy.fragments.shape == labels.shape:
        return lay_over(labels, hierarchy.fragments, progress=progress)
    if boundary is None or boundary.shape != labels.shape:
        return as_segmentation(labels, progress=progress)
    flooded = flood(boundary, params=SegmentParams(mode="3d"), progress=progress)
    return lay_over(labels, flooded.fragments, progress=progress)

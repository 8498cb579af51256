"""Step 3, Segment: boundary map in, labels out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.params import Params
from napari_emseg.steps.step import Step, record_step, with_record
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.segmentation import Hierarchy


class SegmentParams(Params):
    """How a boundary map becomes segments."""

    mode: Literal["2d", "3d"] = Field(
        default="2d",
        title="Dimensions",
        description="2d: each section by itself; 3d: segments run through the sections.",
    )
    sigma_px: float = Field(
        default=1.5,
        ge=0,
        le=20,
        title="Smoothing",
        description="Sigma of the Gaussian that smooths the map, in pixels; more = fewer segments.",
        json_schema_extra={"step": 0.1},
    )
    h: float = Field(
        default=0.2,
        ge=0,
        le=1,
        title="H-minima",
        description="How deep below its rim a basin must be to become a segment; more = fewer.",
        json_schema_extra={"step": 0.005},
    )
    min_size_voxels: int = Field(
        default=50,
        ge=0,
        le=1_000_000_000,
        title="Min size",
        description="Smaller segments join the neighbour they are least separated from.",
    )
    floor: float = Field(
        default=1 / 255,
        ge=0,
        le=0.5,
        title="Floor",
        description="Basins shallower than this are never kept apart, whatever h is.",
        json_schema_extra={"advanced": True, "step": 0.001},
    )
    exact_borders: bool = Field(
        default=False,
        title="Exact borders",
        description="Flood once more when writing labels, so that borders equal those of H-minima.",
        json_schema_extra={"advanced": True},
    )


HIERARCHY_FIELDS = ("mode", "sigma_px", "floor")


def build(
    boundary: Volume, *, params: SegmentParams, progress: Progress = NO_PROGRESS
) -> Hierarchy:
    """Build the hierarchy that every `h` and `min_size_voxels` cuts; the slow half of the step."""
    from napari_emseg.segmentation import build_hierarchy

    return build_hierarchy(
        boundary,
        sigma_px=params.sigma_px,
        mode=params.mode,
        floor=params.floor,
        progress=progress,
    )


def write(hierarchy: Hierarchy, boundary: Volume, *, params: SegmentParams) -> Volume:
    """Cut `hierarchy` and write the labels; the quick half of the step.

    Parameters
    ----------
    hierarchy : Hierarchy
        What :func:`build` made of `boundary` with the same `params`.
    boundary : Volume
        The map, for the record.
    params : SegmentParams
        `h`, `min_size_voxels` and `exact_borders` are used.

    Returns
    -------
    Volume
        Kind ``labels``, uint32.
    """
    segmentation = hierarchy.cut(params.h, params.min_size_voxels)
    labels = segmentation.to_volume(exact_borders=params.exact_borders)
    return with_record(labels, record_step("segment", params, boundary=boundary), boundary)


def run(boundary: Volume, *, params: SegmentParams, progress: Progress = NO_PROGRESS) -> Volume:
    """Segment a boundary map.

    Parameters
    ----------
    boundary : Volume
        1 = membrane; float in [0, 1] or uint8 meaning value / 255; ZYX.
    params : SegmentParams
        Smoothing, H-minima, minimum size.
    progress : Progress, optional
        Told the sections done.

    Returns
    -------
    Volume
        Kind ``labels``, uint32, same grid.
    """
    hierarchy = build(boundary, params=params, progress=progress)
    return write(hierarchy, boundary, params=params)


STEP = Step(
    name="segment",
    title="Segment",
    inputs=("boundary",),
    output="labels",
    params=SegmentParams,
    run=run,
)

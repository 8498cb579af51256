"""Post-processing: a boundary map in, a better one out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field, field_validator

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.fuse import split_numbers
from napari_emseg.steps.params import Params
from napari_emseg.steps.step import Step, record_step, with_record
from napari_emseg.volume import Volume


class PostprocessParams(Params):
    """What is done to a boundary map, in this order; by default nothing."""

    mend_sections: bool = Field(
        default=False,
        title="Mend sections",
        description=(
            "Replace damaged sections, recognised by being unlike both neighbours, by the "
            "maximum of the neighbours."
        ),
    )
    calibration: tuple[float, ...] | None = Field(
        default=None,
        title="Calibration",
        description=(
            "a,b,c,d of the cubic a + b p + c p^2 + d p^3 that turns values into shares of "
            "membrane; can be fitted to ground truth."
        ),
    )
    median_px: int = Field(
        default=0,
        ge=0,
        le=10,
        title="Median",
        description="Radius of the median filter of each section; 2 removes specks, 0 is none.",
    )
    watershed_weight: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Watershed lines",
        description="Share of the map's own watershed lines mixed in, which closes gaps.",
        json_schema_extra={"step": 0.05},
    )
    watershed_sigma_px: float = Field(
        default=1.0,
        ge=0,
        le=20,
        title="Smoothing for the lines",
        description="Sigma of the Gaussian before the watershed that draws the lines.",
        json_schema_extra={"advanced": True, "step": 0.1},
    )
    watershed_h: float = Field(
        default=0.1,
        ge=0,
        le=1,
        title="H-minima for the lines",
        description="How deep a basin must be for lines to be drawn around it.",
        json_schema_extra={"advanced": True, "step": 0.005},
    )
    gaussian_size_px: int = Field(
        default=0,
        ge=0,
        le=101,
        title="Gaussian window",
        description="Side of a Gaussian window applied to each section; 6 in DeepEM3D, 0 is none.",
        json_schema_extra={"advanced": True},
    )
    gaussian_sigma_px: float = Field(
        default=1.0,
        ge=0.05,
        le=20,
        title="Gaussian sigma",
        description="Sigma of the Gaussian in that window.",
        json_schema_extra={"advanced": True, "step": 0.1},
    )

    @property
    def idle_fields(self) -> dict[str, str]:
        """The parameters that make no difference, and which one they wait for."""
        waits = {
            "watershed_sigma_px": "watershed_weight",
            "watershed_h": "watershed_weight",
            "gaussian_sigma_px": "gaussian_size_px",
        }
        return {name: other for name, other in waits.items() if not getattr(self, other)}

    @field_validator("calibration", mode="before")
    @classmethod
    def _parse_calibration(cls, value: Any) -> Any:
        numbers = split_numbers(value, "calibration")
        if numbers is not None and len(numbers) != 4:
            raise InputError(f"calibration must be four numbers a,b,c,d, not {len(numbers)}.")
        return numbers


def run(boundary: Volume, *, params: PostprocessParams, progress: Progress = NO_PROGRESS) -> Volume:
    """Post-process a boundary map.

    Parameters
    ----------
    boundary : Volume
        1 = membrane, ZYX.
    params : PostprocessParams
        What to do; see there for the order.
    progress : Progress, optional
        Told the sections done, of each operation.

    Returns
    -------
    Volume
        Kind ``boundary``, float32; the map itself where nothing is to be done.
    """
    result = boundary
    for operation in _operations(params):
        result = operation(result, progress)
    return with_record(result, record_step("postprocess", params, boundary=boundary), boundary)


Operation = Callable[[Volume, Progress], Volume]


def _operations(params: PostprocessParams) -> list[Operation]:
    wanted = (
        (params.mend_sections, _mend),
        (params.calibration is not None, _calibrate),
        (params.median_px > 0, _median),
        (params.watershed_weight > 0, _watershed),
        (params.gaussian_size_px > 0, _gaussian),
    )
    return [make(params) for is_wanted, make in wanted if is_wanted]


def _mend(_: PostprocessParams) -> Operation:
    from napari_emseg.postprocessing import find_faults, substitute_sections

    def mend(boundary: Volume, progress: Progress) -> Volume:
        faults = find_faults(boundary, progress=progress)
        return substitute_sections(boundary, faults, progress=progress)

    return mend


def _calibrate(params: PostprocessParams) -> Operation:
    from napari_emseg.postprocessing import Calibration, calibrate

    calibration = Calibration(*(params.calibration or ()))
    return lambda boundary, progress: calibrate(boundary, calibration, progress=progress)


def _median(params: PostprocessParams) -> Operation:
    from napari_emseg.postprocessing import filter_median

    return lambda boundary, progress: filter_median(boundary, params.median_px, progress=progress)


def _watershed(params: PostprocessParams) -> Operation:
    from napari_emseg.postprocessing import add_watershed_lines

    return lambda boundary, progress: add_watershed_lines(
        boundary,
        params.watershed_weight,
        sigma_px=params.watershed_sigma_px,
        h=params.watershed_h,
        progress=progress,
    )


def _gaussian(params: PostprocessParams) -> Operation:
    from napari_emseg.postprocessing import filter_gaussian

    return lambda boundary, progress: filter_gaussian(
        boundary, params.gaussian_size_px, params.gaussian_sigma_px, progress=progress
    )


STEP = Step(
    name="postprocess",
    title="Post-process",
    inputs=("boundary",),
    output="boundary",
    params=PostprocessParams,
    run=run,
)

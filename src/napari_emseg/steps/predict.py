"""Step 2, Boundaries: raw sections in, boundary map out."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.params import Params
from napari_emseg.steps.step import Step, record_step, with_record
from napari_emseg.volume import Volume


class PredictParams(Params):
    """How a network turns raw sections into a boundary map."""

    model: str = Field(
        default="default",
        title="Model",
        description="A trained model's name or .safetensors file; default: the bundled one.",
        min_length=1,
    )
    tta: bool = Field(
        default=True,
        title="Average 8 orientations",
        description="Predict each section in 8 orientations and average: better, 8 times slower.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto",
        title="Device",
        description="Where to compute; auto takes the fastest there is.",
        json_schema_extra={"advanced": True},
    )
    resample: Literal["auto", "never"] = Field(
        default="auto",
        title="Resample",
        description=(
            "auto: when the voxel size is far from the model's, bring the sections "
            "to the model's and the map back."
        ),
        json_schema_extra={"advanced": True},
    )


def run(
    raw: Volume, *, params: PredictParams, progress: Progress = NO_PROGRESS, out: Any = None
) -> Volume:
    """Predict the boundary map of `raw`.

    Parameters
    ----------
    raw : Volume
        Grey values, ZYX.
    params : PredictParams
        Model, averaging, device.
    progress : Progress, optional
        Told the sections done.
    out : array-like, optional
        float32, ZYX, filled section by section while the job runs.

    Returns
    -------
    Volume
        Kind ``boundary``, float32; 1 = membrane.

    Raises
    ------
    InputError
        If there is no such model or the data do not suit it.
    """
    from napari_emseg.inference import predict

    boundary = predict(raw, **params.model_dump(), out=out, progress=progress)
    return with_record(boundary, record_step("predict", params, raw=raw), raw)


STEP = Step(
    name="predict",
    title="Boundaries",
    inputs=("raw",),
    output="boundary",
    params=PredictParams,
    run=run,
)

"""Step 2, Boundaries: raw sections in, boundary map (or affinities) out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.params import Params
from napari_emseg.steps.step import Step, record_step, with_record
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.inference.protocol import BoundaryPredictor

AUTOMATIC = "auto"
_ADVANCED: dict[str, Any] = {"advanced": True}


class PredictParams(Params):
    """How networks turn raw sections into a boundary map."""

    model: str = Field(
        default="default",
        title="Model",
        description="A trained model's name or .safetensors file; default: the bundled one.",
        min_length=1,
    )
    others: tuple[str, ...] = Field(
        default=(),
        title="Other models",
        description="Further models, whose maps are combined with the first one's.",
        json_schema_extra=_ADVANCED,
    )
    combine: Literal["mean", "max", "learned"] = Field(
        default="mean",
        title="Combine",
        description=(
            "mean: the average of several models; max: the surest membrane counts; "
            "learned: as a stacker weighs them."
        ),
        json_schema_extra=_ADVANCED,
    )
    stacker: str = Field(
        default="",
        title="Stacker",
        description="File that 'emseg stack' wrote, for combining several models as learned.",
        json_schema_extra=_ADVANCED,
    )
    tta: bool = Field(
        default=True,
        title="Average 8 orientations",
        description="Predict each section in 8 orientations and average: better, 8 times slower.",
    )
    axes: Literal["z", "zyx"] = Field(
        default="z",
        title="Axes",
        description=(
            "zyx: average what a 2D network sees along all three axes of isotropic voxels: "
            "better there, 3 times slower."
        ),
        json_schema_extra=_ADVANCED,
    )
    bad_sections: tuple[str, ...] = Field(
        default=(),
        title="Bad sections",
        description=(
            "Sections to be substituted, as NUMBER:FAULT with faults blank, blurred, contrast, "
            "misaligned; auto finds them."
        ),
        json_schema_extra=_ADVANCED,
    )
    substitute: str = Field(
        default="",
        title="Substitute",
        description=(
            "Model of single sections and widened membranes that joins in where sections are "
            "misaligned; none: the model itself."
        ),
        json_schema_extra=_ADVANCED,
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto",
        title="Device",
        description="Where to compute; auto takes the fastest there is.",
        json_schema_extra=_ADVANCED,
    )
    resample: Literal["auto", "never"] = Field(
        default="auto",
        title="Resample",
        description=(
            "auto: when the voxel size is far from the model's, bring the sections "
            "to the model's and the map back."
        ),
        json_schema_extra=_ADVANCED,
    )

    @field_validator("others", "bad_sections", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Read words written "A,B,C"."""
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("bad_sections", mode="after")
    @classmethod
    def _check_sections(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        from napari_emseg.postprocessing.section_table import format_entries, parse_entries

        return value if value == (AUTOMATIC,) else format_entries(parse_entries(value))

    @property
    def models(self) -> tuple[str, ...]:
        """All models, the first one first, none twice."""
        return tuple(dict.fromkeys((self.model, *self.others)))


def run(
    raw: Volume,
    *,
    params: PredictParams,
    progress: Progress = NO_PROGRESS,
    out: Any = None,
    n_threads: int | None = None,
) -> Volume:
    """Predict the boundary map of `raw`.

    Parameters
    ----------
    raw : Volume
        Grey values, ZYX.
    params : PredictParams
        Models and how they are combined, averaging, bad sections, device.
    progress : Progress, optional
        Told the sections done.
    out : array-like, optional
        float32, ZYX, filled section by section while the job runs.
    n_threads : int, optional
        CPU cores to use at most.

    Returns
    -------
    Volume
        Kind ``boundary``, float32; 1 = membrane; or ``affinities`` of a network that
        gives those.

    Raises
    ------
    InputError
        If there is no such model or the data do not suit it.
    """
    used = with_bad_sections(raw, params, progress=progress)
    with open_predictor(used, n_threads=n_threads) as predictor:
        made = predictor.predict(
            raw, tta=used.tta, resample=used.resample, out=out, progress=progress
        )
    return with_record(made, record_step("predict", params, raw=raw), raw)


def stream(
    raw: Volume,
    path: str | os.PathLike[str],
    *,
    params: PredictParams,
    resume: bool = True,
    progress: Progress = NO_PROGRESS,
    n_threads: int | None = None,
) -> Volume:
    """Predict as :func:`run`, to a Zarr store, whatever the size of the stack.

    Parameters
    ----------
    raw : Volume
        Grey values, ZYX.
    path : path-like
        The store, ``.zarr``.
    params : PredictParams
        As for :func:`run`.
    resume : bool
        Whether to go on where an interrupted run with these parameters stopped.
    progress : Progress, optional
        Told the sections done.
    n_threads : int, optional
        CPU cores to use at most.

    Returns
    -------
    Volume
        float32, the values of :func:`run`, read from the store when they are used.

    Raises
    ------
    InputError
        As :func:`run`, or if the store holds something else.
    """
    from napari_emseg.inference.streaming import predict_to_zarr

    used = with_bad_sections(raw, params, progress=progress)
    # The store is described while it is written, so the record has to be there before.
    noted = with_record(raw, record_step("predict", params, raw=raw), raw)
    with open_predictor(used, n_threads=n_threads) as predictor:
        return predict_to_zarr(
            predictor,
            noted,
            path,
            tta=used.tta,
            resample=used.resample,
            dtype="float32",
            resume=resume,
            progress=progress,
        )


def with_bad_sections(
    raw: Volume, params: PredictParams, *, progress: Progress = NO_PROGRESS
) -> PredictParams:
    """Return parameters that name the bad sections, found in `raw` where they say "auto"."""
    if params.bad_sections != (AUTOMATIC,):
        return params
    from napari_emseg.postprocessing.bad_sections import find_bad_sections
    from napari_emseg.postprocessing.section_table import format_entries

    found = format_entries(find_bad_sections(raw, progress=progress))
    return params.model_copy(update={"bad_sections": found})


def open_predictor(params: PredictParams, *, n_threads: int | None = None) -> BoundaryPredictor:
    """Load what `params` ask for: one network, or several that act as one.

    Parameters
    ----------
    params : PredictParams
        With bad sections named; see :func:`with_bad_sections`.
    n_threads : int, optional
        CPU cores to use at most.

    Returns
    -------
    BoundaryPredictor
        To be closed; a context manager.

    Raises
    ------
    InputError
        If a model is missing or they do not fit each other.
    """
    from napari_emseg.inference.predictor import Predictor

    check_models(params)
    options: dict[str, Any] = {"device": params.device, "n_threads": n_threads}
    predictor: BoundaryPredictor
    if len(params.models) > 1:
        from napari_emseg.inference.ensemble import Ensemble

        predictor = Ensemble(params.models, params.combine, params.stacker or None, **options)
    else:
        predictor = Predictor(params.model, **options)
    if params.axes == "zyx":
        from napari_emseg.inference.axes import AxesPredictor

        predictor = AxesPredictor(predictor)
    if params.bad_sections:
        from napari_emseg.inference.substitution import SubstitutingPredictor
        from napari_emseg.postprocessing.section_table import parse_entries

        thick = Predictor(params.substitute, **options) if params.substitute else None
        predictor = SubstitutingPredictor(predictor, parse_entries(params.bad_sections), thick)
    return predictor


def check_models(params: PredictParams) -> None:
    """Refuse, before anything is loaded, what cannot be predicted.

    Raises
    ------
    InputError
        Naming the model or the parameter at fault.
    """
    from napari_emseg.networks.library import find_model

    for name in (*params.models, *filter(None, (params.substitute,))):
        find_model(name)
    if params.axes == "zyx" and params.bad_sections:
        raise InputError(
            "Substituting bad sections and averaging over three axes exclude each other: volumes "
            "of isotropic voxels have no sections. Choose axes z, or no bad sections."
        )
    is_single = len(params.models) == 1
    if is_single and (params.combine == "learned" or params.stacker):
        raise InputError("A stacker combines several models, but only one is chosen.")
    if not is_single and (params.combine == "learned") != bool(params.stacker):
        raise InputError(
            "Combining as learned needs a stacker, and a stacker combining as learned: "
            "give both or neither ('emseg stack' fits one)."
        )


STEP = Step(
    name="predict",
    title="Boundaries",
    inputs=("raw",),
    output="boundary",
    params=PredictParams,
    run=run,
)

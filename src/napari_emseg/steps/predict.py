"""Step 2, Boundaries: raw sections in, boundary map (or affinities) out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.predict_params import AUTOMATIC, PredictParams, name_model
from napari_emseg.steps.step import Step, record_step, with_record
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.inference.protocol import BoundaryPredictor

__all__ = [
    "AUTOMATIC",
    "STEP",
    "PredictParams",
    "check_models",
    "name_model",
    "open_predictor",
    "run",
    "stream",
    "with_bad_sections",
]


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
    raw, params = _settle(raw, params)
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

    raw, params = _settle(raw, params)
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


def _settle(raw: Volume, params: PredictParams) -> tuple[Volume, PredictParams]:
    """Name the model that suits the voxels, and note in `raw` which it is where they decided."""
    params, reason = name_model(raw, params)
    if reason:
        notes = [*raw.provenance.get("notes", []), reason]
        raw = raw.derive(raw.data, kind=raw.kind, name=raw.name, notes=notes)
    return raw, params


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
    from napari_emseg.inference.opening import open_model

    check_models(params)
    options: dict[str, Any] = {"device": params.device, "n_threads": n_threads}
    predictor: BoundaryPredictor
    if len(params.models) > 1:
        from napari_emseg.inference.ensemble import Ensemble

        predictor = Ensemble(params.models, params.combine, params.stacker or None, **options)
    else:
        predictor = open_model(params.model, **options)
    if params.axes == "zyx":
        from napari_emseg.inference.axes import AxesPredictor

        predictor = AxesPredictor(predictor)
    if params.bad_sections:
        from napari_emseg.inference.substitution import SubstitutingPredictor
        from napari_emseg.postprocessing.section_table import parse_entries

        thick = open_model(params.substitute, **options) if params.substitute else None
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
            f"A stacker combines as learned, not by {params.combine}: leave one of the two out."
            if params.stacker
            else "Combining as learned needs a stacker: fit one with 'emseg stack', or combine by "
            "mean."
        )


STEP = Step(
    name="predict",
    title="Boundaries",
    inputs=("raw",),
    output="boundary",
    params=PredictParams,
    run=run,
)

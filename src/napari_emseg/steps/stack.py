"""Learning from labelled sections how to combine models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.predict import PredictParams, check_models
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.inference.stacker import Stacker
    from napari_emseg.postprocessing.truth import GroundTruthKind


def learn_stacker(
    raw: Volume,
    ground_truth: Volume,
    *,
    params: PredictParams,
    ground_truth_kind: GroundTruthKind = "labels",
    invert: bool | None = None,
    sections: Sequence[int],
    progress: Progress = NO_PROGRESS,
) -> tuple[Stacker, dict[str, float]]:
    """Predict labelled sections with each model and weigh the models.

    Parameters
    ----------
    raw, ground_truth : Volume
        Of one field; the ground truth may end earlier.
    params : PredictParams
        Models, averaging over orientations, device.
    ground_truth_kind, invert
        As in :func:`napari_emseg.inference.stacker.fit_stacker`.
    sections : sequence of int
        Labelled sections to learn from.
    progress : Progress, optional
        Told the sections predicted, over all models.

    Returns
    -------
    Stacker
    dict
        Mean cross-entropy per pixel on these sections: "learned", "mean", "max".

    Raises
    ------
    InputError
        If a model is missing, or the ground truth does not fit.
    """
    from napari_emseg.inference.ensemble import models_of
    from napari_emseg.inference.opening import open_model
    from napari_emseg.inference.stacker import cross_entropies, fit_stacker
    from napari_emseg.inference.wrapping import Share
    from napari_emseg.postprocessing.truth import open_truth

    check_models(params)
    open_truth(raw, ground_truth, ground_truth_kind, sections, invert)  # before hours of work
    maps: list[Volume] = []
    models: list[tuple[str, str]] = []
    n, size = len(params.models), len(sections)
    for k, name in enumerate(params.models):
        share = Share(progress, k * size, n * size, size, f"model {k + 1} of {n}")
        options: dict[str, Any] = {"tta": params.tta, "resample": params.resample}
        with open_model(name, device=params.device) as predictor:
            maps.append(predictor.predict(raw, sections=sections, progress=share, **options))
            models.extend(models_of([predictor]))
    how: dict[str, Any] = {
        "ground_truth_kind": ground_truth_kind,
        "invert": invert,
        "sections": sections,
    }
    stacker = fit_stacker(maps, ground_truth, models, **how)
    return stacker, cross_entropies(stacker, maps, ground_truth, **how)

"""Scoring a network on held-out sections the way its maps will be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation import score_curve
from napari_emseg.inference import Predictor
from napari_emseg.networks.base import Network
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation import build_hierarchy
from napari_emseg.training.dataset import TrainingPair
from napari_emseg.volume import Volume

_KEPT = ("v_rand_split", "v_rand_merge", "v_info")


def validate(
    network: Network,
    pairs: Sequence[TrainingPair],
    *,
    sigma_px: float = 1.5,
    tta: bool = False,
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
) -> dict[str, dict[str, float]]:
    """Predict, smooth, segment and score the validation sections of each pair.

    Gaussian and H-minima in each section, at the h that is best for the pair.

    Parameters
    ----------
    network : Network
    pairs : sequence of TrainingPair
        Those without validation sections are left out.
    sigma_px : float
        Gaussian before H-minima, in pixels.
    tta : bool
        Average over 8 orientations; off while training, to save time.
    device : str
        Where to compute.
    progress : Progress
        Told after each section; may stop the validation.

    Returns
    -------
    dict
        By pair name {v_rand, v_rand_split, v_rand_merge, v_info, h}.
    """
    held_out = [pair for pair in pairs if pair.validation_sections]
    with Predictor(network, device=device) as predictor:
        return {pair.name: _score(predictor, pair, sigma_px, tta, progress) for pair in held_out}


def _score(
    predictor: Predictor, pair: TrainingPair, sigma_px: float, tta: bool, progress: Progress
) -> dict[str, float]:
    boundary = []
    count = len(pair.validation_sections)
    for done, z in enumerate(pair.validation_sections):
        boundary.append(predictor.predict_section(pair.raw, z, tta=tta, resample="never"))
        progress.update(done + 1, count, f"validating on {pair.name}")
    hierarchy = build_hierarchy(
        Volume(np.stack(boundary), kind="boundary"), sigma_px=sigma_px, mode="2d"
    )
    curve = score_curve(hierarchy, _read_truth(pair), ground_truth_kind=pair.labels_kind)
    h, v_rand = curve.best("v_rand")
    at = curve.at(h)
    return {"v_rand": float(v_rand), **{key: float(at[key]) for key in _KEPT}, "h": float(h)}


def _read_truth(pair: TrainingPair) -> npt.NDArray[Any]:
    truth = np.stack([pair.labels.read(z) for z in pair.validation_sections])
    if pair.labels_kind == "membranes":
        return truth
    from skimage.measure import label

    # Sections are segmented each by itself: a neuron in two of them, or twice in
    # one, is two segments.
    parts = [label(section, connectivity=1, background=0) for section in truth]
    below = np.cumsum([0, *(int(part.max()) for part in parts[:-1])])
    return np.stack([np.where(part, part + n, 0) for part, n in zip(parts, below, strict=True)])

"""Scoring a network on held-out sections the way its maps will be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.training.dataset import TrainingPair, section_window
from napari_emseg.volume import Volume

_MARGIN_PX = 32


def standardise(section: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    section = section.astype(np.float32)
    return (section - section.mean()) / max(float(section.std()), 1e-6)


def _choose_device(device: str) -> torch.device:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def validate(
    network: nn.Module,
    pairs: Sequence[TrainingPair],
    *,
    sigma_px: float = 1.5,
    progress: Progress = NO_PROGRESS,
) -> dict[str, dict[str, float]]:
    """Predict, smooth, segment and score the validation sections of each pair.

    One prediction per section (no averaging over orientations), Gaussian and
    H-minima per section, the best h for each pair.

    Returns
    -------
    dict
        By pair name {v_rand, v_rand_split, v_rand_merge, v_info, h}; pairs without
        validation sections are left out.
    """
    scores = {}
    for pair in pairs:
        if pair.validation_sections:
            boundary = np.stack([_predict(network, pair, z) for z in pair.validation_sections])
            truth = np.stack([pair.labels.read(z) for z in pair.validation_sections])
            scores[pair.name] = score(boundary, truth, pair, sigma_px)
    return scores


def _predict(network: nn.Module, pair: TrainingPair, section: int) -> npt.NDArray[np.float32]:
    window = section_window(section, pair.raw.shape[0], getattr(network, "in_sections", 1))
    image = np.stack([standardise(pair.raw.read(z)) for z in window])
    margin = [(0, 0)] + [(min(_MARGIN_PX, n - 1),) * 2 for n in image.shape[1:]]
    padded = torch.from_numpy(np.pad(image, margin, mode="reflect"))[None]
    padded = padded.to(next(network.parameters()).device, memory_format=torch.channels_last)
    with torch.inference_mode():
        chance = network(padded).float().sigmoid()[0, 0].cpu().numpy()
    (top, _), (left, _) = margin[1:]
    return chance[top : top + image.shape[1], left : left + image.shape[2]]


def score(
    boundary: npt.NDArray[np.float32],
    truth: npt.NDArray[Any],
    pair: TrainingPair,
    sigma_px: float,
) -> dict[str, float]:
    from napari_emseg.evaluation import score_curve
    from napari_emseg.segmentation import build_hierarchy

    hierarchy = build_hierarchy(Volume(boundary, kind="boundary"), sigma_px=sigma_px, mode="2d")
    curve = score_curve(hierarchy, truth, ground_truth_kind=pair.labels_kind)
    h, v_rand = curve.best("v_rand")
    at = curve.at(h)
    keys = ("v_rand_split", "v_rand_merge", "v_info")
    return {"v_rand": float(v_rand), **{k: float(at[k]) for k in keys}, "h": float(h)}

"""What a trained model says of the data it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_emseg.networks.info import ModelInfo
from napari_emseg.training.pairs import TrainingPair, runs_of


def describe_model(pairs: Sequence[TrainingPair], network: str) -> ModelInfo:
    """Describe a model by the data it was trained on."""
    data = ", ".join(f"{p.name} sections {format_sections(p.train_sections)}" for p in pairs)
    return ModelInfo(
        network=network,
        title="Trained on " + ", ".join(pair.name for pair in pairs),
        trained_on=data,
        voxel_size_nm=pairs[0].raw.voxel_size_nm,
    )


def summarise_pair(pair: TrainingPair) -> dict[str, Any]:
    """Say what of a pair was used for what, in plain values."""
    size = pair.raw.voxel_size_nm
    return {
        "name": pair.name,
        "labels_kind": pair.labels_kind,
        "train_sections": format_sections(pair.train_sections),
        "validation_sections": format_sections(pair.validation_sections),
        "voxel_size_nm": None if size is None else list(size),
        "weight": pair.weight,
    }


def format_sections(sections: Sequence[int]) -> str:
    """Write section numbers with runs shortened.

    Examples
    --------
    >>> format_sections([0, 1, 2, 5, 7, 8])
    '0-2, 5, 7-8'
    """
    return ", ".join(
        f"{first}-{last}" if last > first else f"{first}" for first, last in runs_of(sections)
    )


def flat_scores(scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """Name scores of several data sets in one flat dict.

    Examples
    --------
    >>> flat_scores({"isbi": {"v_rand": 0.98}})
    {'isbi v_rand': 0.98}
    """
    return {
        f"{name} {key}": round(value, 5)
        for name, values in scores.items()
        for key, value in values.items()
    }

"""Training networks on raw sections and their labels.

Importing this package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_emseg.training.params import AugmentParams, TrainParams

if TYPE_CHECKING:
    from napari_emseg.training.cross_validation import CrossValidation, cross_validate
    from napari_emseg.training.hooks import Hook
    from napari_emseg.training.pairs import TrainingPair, hold_out
    from napari_emseg.training.trainer import TrainResult, train
    from napari_emseg.training.training_set import load_training_set

__all__ = [
    "AugmentParams",
    "CrossValidation",
    "Hook",
    "TrainParams",
    "TrainResult",
    "TrainingPair",
    "cross_validate",
    "hold_out",
    "load_training_set",
    "train",
]

_LAZY = {
    "CrossValidation": "cross_validation",
    "Hook": "hooks",
    "TrainResult": "trainer",
    "TrainingPair": "pairs",
    "cross_validate": "cross_validation",
    "hold_out": "pairs",
    "load_training_set": "training_set",
    "train": "trainer",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)

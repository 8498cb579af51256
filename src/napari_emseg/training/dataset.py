"""Data sets to train on, in one place: pairs, training-set files and their targets."""

from __future__ import annotations

from napari_emseg.training.pairs import (
    LabelsKind,
    TrainingPair,
    check_ids,
    hold_out,
    make_target,
    notes_on_pair,
)
from napari_emseg.training.targets import IGNORED, label_target, membrane_target
from napari_emseg.training.training_set import (
    DATA_FOLDER_VARIABLE,
    TrainingSetEntry,
    TrainingSetFile,
    load_training_set,
    read_training_set,
)

__all__ = [
    "DATA_FOLDER_VARIABLE",
    "IGNORED",
    "LabelsKind",
    "TrainingPair",
    "TrainingSetEntry",
    "TrainingSetFile",
    "check_ids",
    "hold_out",
    "label_target",
    "load_training_set",
    "make_target",
    "membrane_target",
    "notes_on_pair",
    "read_training_set",
]

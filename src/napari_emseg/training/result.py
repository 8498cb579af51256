"""What a training leaves behind. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STATE_SUFFIX = ".training"
CURVE_SUFFIX = ".curve.jsonl"


@dataclass(frozen=True)
class TrainResult:
    """What a training left.

    Attributes
    ----------
    model_path, state_path, curve_path : Path
        The model; what resuming needs; loss and validation as JSON lines.
    steps, seconds : int, float
        Done in all, over all resumptions.
    best_step : int
        Step of the checkpoint that is the model.
    scores : dict
        Validation scores of the model by data set.
    waited_share : float
        Part of the time, validations aside, in which the network waited for data.
    """

    model_path: Path
    state_path: Path
    curve_path: Path
    steps: int
    seconds: float
    best_step: int
    scores: dict[str, dict[str, float]]
    waited_share: float

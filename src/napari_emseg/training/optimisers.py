"""The rules by which weights follow their gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from napari_emseg.training.optimiser_params import OptimiserParams


def make_optimiser(network: nn.Module, params: OptimiserParams) -> torch.optim.Optimizer:
    """Make the optimiser of the parameters that are trained.

    Biases and normalisation are few and must not shrink: they have no weight decay.

    Examples
    --------
    >>> make_optimiser(nn.Conv2d(1, 1, 3), OptimiserParams(optimiser="sgd")).defaults["momentum"]
    0.9
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": params.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    match params.optimiser:
        case "adamw":
            return torch.optim.AdamW(groups, lr=params.learning_rate)
        case "adam":
            return torch.optim.Adam(groups, lr=params.learning_rate)
        case "nadam":
            return torch.optim.NAdam(groups, lr=params.learning_rate)
        case "sgd":
            return torch.optim.SGD(groups, lr=params.learning_rate, momentum=params.momentum)

"""The running mean of the weights, which generalises better than the weights of any one step."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the mean a little towards the weights after a step.

    Parameters
    ----------
    average, network : torch.nn.Module
        Of the same kind; `average` is changed.
    decay : float
        How much of the mean is kept; 0 makes it the weights themselves.
    step : int
        Steps done, 1 after the first.

    Examples
    --------
    >>> mean, network = nn.Linear(1, 1), nn.Linear(1, 1)
    >>> update_average(mean, network, 0.0, 1)
    >>> bool(mean.weight == network.weight)
    True
    """
    # Early on the mean must follow quickly, or it stays full of random weights.
    keep = min(decay, (1 + step) / (10 + step))
    mean, current = average.state_dict(), network.state_dict()
    floats = [key for key, value in mean.items() if value.is_floating_point()]
    torch._foreach_lerp_([mean[k] for k in floats], [current[k] for k in floats], 1 - keep)


@torch.no_grad()
def blend(average: nn.Module, start: nn.Module, share: float, kept: nn.Module) -> None:
    """Mix the weights a training began with into its running mean.

    The line between a model and what a few sections made of it keeps what the model knew
    of other tissue, and is often better on the new one than either end ("Robust
    fine-tuning of zero-shot models", Wortsman et al. 2022, section 2).

    Parameters
    ----------
    average, start : torch.nn.Module
        Of the same kind.
    share : float
        How much of `start` is in the mixture: 0 none, 1 nothing else.
    kept : torch.nn.Module
        Of the same kind; becomes the mixture.

    Examples
    --------
    >>> mean, start, kept = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
    >>> blend(mean, start, 1.0, kept)
    >>> bool(kept.weight == start.weight)
    True
    """
    kept.load_state_dict(average.state_dict())
    mean, first = kept.state_dict(), start.state_dict()
    floats = [key for key, value in mean.items() if value.is_floating_point()]
    torch._foreach_lerp_([mean[k] for k in floats], [first[k] for k in floats], share)

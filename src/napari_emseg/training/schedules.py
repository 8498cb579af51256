"""How the learning rate and the weight of auxiliary classifiers change in the course of a training.

Where the numbers of the papers are from: :mod:`napari_emseg.training.optimiser_params`.
"""

from __future__ import annotations

import math

from napari_emseg.training.optimiser_params import OptimiserParams

_ONE_CYCLE_START = 1 / 25
_ONE_CYCLE_END = 1e-3


def learning_rate(params: OptimiserParams, *, share: float, step: int) -> float:
    """Return the learning rate of a step.

    Parameters
    ----------
    params : OptimiserParams
    share : float
        How much of the training is done, 0 to 1.
    step : int
        Steps done.

    Examples
    --------
    >>> poly = OptimiserParams(schedule="poly", decay_power=2, learning_rate=0.01)
    >>> learning_rate(poly, share=0.5, step=500)
    0.0025
    >>> annealed = OptimiserParams(schedule="step", decay_steps=2000, learning_rate=0.01)
    >>> learning_rate(annealed, share=0.5, step=3999)
    0.001
    """
    peak = params.learning_rate
    match params.schedule:
        case "one_cycle":
            return peak * _one_cycle(share, params.warmup_fraction)
        case "poly":
            return float(peak * max(0.0, 1 - share) ** params.decay_power)
        case "step":
            return float(peak * params.decay_factor ** (step // params.decay_steps))
        case "exponential":
            return float(peak * params.decay_factor ** (step / params.decay_steps))
        case "constant":
            return peak


def auxiliary_weight(params: OptimiserParams, step: int) -> float:
    """Return the weight of each auxiliary classifier in the loss.

    Examples
    --------
    >>> [auxiliary_weight(OptimiserParams(), step) for step in (0, 10_000, 500_000)]
    [1.0, 0.1, 0.01]
    """
    falling = params.auxiliary_weight * params.auxiliary_decay ** (
        step // params.auxiliary_decay_steps
    )
    return float(max(falling, min(params.auxiliary_minimum, params.auxiliary_weight)))


def _one_cycle(share: float, warmup: float) -> float:
    if share < warmup:
        return _ONE_CYCLE_START + (1 - _ONE_CYCLE_START) * _rise(share / warmup)
    return _ONE_CYCLE_END + (1 - _ONE_CYCLE_END) * (1 - _rise((share - warmup) / (1 - warmup)))


def _rise(done: float) -> float:
    """From 0 to 1 along a cosine."""
    return (1 - math.cos(math.pi * min(done, 1.0))) / 2

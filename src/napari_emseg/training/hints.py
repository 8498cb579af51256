"""What the curves of a training say, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from napari_emseg.training.optimiser_params import LARGEST_WEIGHT
from napari_emseg.training.params import TrainParams

Losses = Sequence[tuple[int, float]]
Validations = Sequence[tuple[int, Mapping[str, float]]]

# Measured with the bundled models and strokes in four data sets, as multiples of the loss at
# chance: they begin at 0.1 to 1.4, also in tissue of another kind; where the strokes are those
# of another place at 3.5 to 4.8, where they are swapped at 5 to 7.
_SWAPPED = 2.0
# In made-up tissue what learns is at 0.6 after 60 steps; what cannot stays at 1.0.
_FLAT = 0.95
_FLAT_STEPS = 60
_FLAT_SHARE = 0.2
_RISEN = 1.5
_CHUNK = 10
"""Of so many losses the median is taken: single batches tell little."""
_WORSE_BY = 0.02
_WORSE_VALIDATIONS = 3
_FEW_PX = 1500
_LEAST_SHARE = 0.02
_BOUNDARY_SHARE = 0.2
"""Of a section, where nothing was counted."""


def hints(
    losses: Losses,
    validations: Validations,
    params: TrainParams,
    *,
    share: float = 0.0,
    membrane_px: int | None = None,
    inside_px: int | None = None,
) -> tuple[str, ...]:
    """Say what looks wrong with a training and what to do, the most urgent first.

    Parameters
    ----------
    losses : sequence of (step, loss)
        Smoothed or not.
    validations : sequence of (step, scores)
        Scores with ``v_rand`` or ``accuracy``.
    params : TrainParams
    share : float
        How much of the training is done, 0 to 1.
    membrane_px, inside_px : int, optional
        How many pixels of either kind are known; see
        :func:`napari_emseg.training.known.count_known`.

    Returns
    -------
    tuple of str
        Empty while all is well.

    Examples
    --------
    >>> hints([(1, 0.9), (50, 0.5)], [], TrainParams())
    ()
    >>> hints([(1, 0.9), (50, float("nan"))], [], TrainParams())[0][:33]
    'The loss is no number any more: s'
    """
    counts = (membrane_px, inside_px)
    return (
        *_of_numbers(losses),
        *_of_classes(*counts),
        *_of_losses(losses, params, share, chance_loss(params, *counts)),
        *_of_validations(validations),
        *_of_amount(*counts),
    )


def chance_loss(
    params: TrainParams, membrane_px: int | None = None, inside_px: int | None = None
) -> float | None:
    """Return the loss of a network that gives everywhere the share of boundary.

    None where it cannot be told: with auxiliary classifiers, or for affinities.

    Examples
    --------
    >>> balanced = TrainParams(dice_weight=0, class_balance=True)
    >>> round(chance_loss(balanced, 500, 2000), 4)  # as good as a coin
    0.6931
    """
    if params.network in ("cumedvision", "rsunet") or params.network_options.get("offsets"):
        return None
    known = (membrane_px or 0) + (inside_px or 0)
    boundary = (membrane_px or 0) / known if known else _BOUNDARY_SHARE
    if not 0 < boundary < 1:
        return None
    weight = params.boundary_weight
    if params.class_balance:
        rare, common = (min(LARGEST_WEIGHT, 0.5 / q) for q in (boundary, 1 - boundary))
        weight *= rare / common
    guess = weight * boundary / (weight * boundary + 1 - boundary)
    dice = 1 - 2 * guess * boundary / (guess + boundary)
    return _cost_of_guess(params, guess) + params.dice_weight * dice


def _cost_of_guess(params: TrainParams, guess: float) -> float:
    match params.loss:
        case "cross_entropy":
            return -guess * math.log(guess) - (1 - guess) * math.log(1 - guess)
        case "mse":
            return guess * (1 - guess)
    return 2 * guess * (1 - guess)


def _of_numbers(losses: Losses) -> Iterator[str]:
    if losses and not math.isfinite(losses[-1][1]):
        yield (
            "The loss is no number any more: stop, and train again with a lower learning rate; "
            "also look for pixels of the raw data that are no numbers."
        )


def _of_classes(membrane_px: int | None, inside_px: int | None) -> Iterator[str]:
    if membrane_px is None or inside_px is None or (membrane_px and inside_px):
        return
    if membrane_px or inside_px:
        missing = "the inside of cells" if membrane_px else "membrane"
        yield f"Only one kind is labelled: paint some strokes of {missing} too."


def _of_losses(
    losses: Losses, params: TrainParams, share: float, chance: float | None
) -> Iterator[str]:
    values = np.array([loss for _, loss in losses])
    if not len(values) or not np.isfinite(values).all():
        return
    chunk = min(_CHUNK, max(1, len(values) // 10))
    begun, now = float(np.median(values[:chunk])), float(np.median(values[-_CHUNK:]))
    nothing = begun if chance is None else chance
    may_be_flat = losses[-1][0] >= _FLAT_STEPS and share >= _FLAT_SHARE
    if params.start_from and chance is not None and begun > _SWAPPED * chance:
        yield (
            "At the start the model said the opposite of the labels: membrane and inside may be "
            "swapped, or the labels belong to other sections; look at both one over the other."
        )
    elif may_be_flat and now > _FLAT * nothing:
        yield (
            "The loss does not fall, so nothing is learned: see that the labels lie on the right "
            "sections of the right stack, and that membrane and inside are not swapped."
        )
    elif len(values) >= 4 * _CHUNK and now > _RISEN * _lowest(values):
        yield "The loss rises again: stop, and train with a lower learning rate."


def _lowest(values: npt.NDArray[np.float64]) -> float:
    """Return the lowest median of neighbouring values."""
    parts = np.array_split(values, len(values) // _CHUNK)
    return min(float(np.median(part)) for part in parts)


def _of_validations(validations: Validations) -> Iterator[str]:
    scores = [(step, s.get("v_rand", s.get("accuracy"))) for step, s in validations]
    values = [(step, score) for step, score in scores if score is not None]
    if len(values) <= _WORSE_VALIDATIONS:
        return
    step, best = max(values, key=lambda pair: pair[1])
    since = [score for at, score in values if at > step][-_WORSE_VALIDATIONS:]
    if len(since) == _WORSE_VALIDATIONS and max(since) < best - _WORSE_BY:
        yield (
            f"The held-out sections were shown best at step {step} and worse since: it learns the "
            "labelled sections by heart. Stop and keep the best; more labels help, longer "
            "training does not."
        )


def _of_amount(membrane_px: int | None, inside_px: int | None) -> Iterator[str]:
    if not (membrane_px and inside_px):
        return
    known = membrane_px + inside_px
    if known < _FEW_PX:
        yield (
            f"Only {known} pixels are labelled: some more strokes, also where it is hard to tell, "
            "help more than longer training."
        )
    elif min(membrane_px, inside_px) < _LEAST_SHARE * known:
        what = "membrane" if membrane_px < inside_px else "the inside of cells"
        yield f"Very little of the labels is {what}: paint more strokes of it."

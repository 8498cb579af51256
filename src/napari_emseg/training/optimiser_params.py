"""How the weights are changed: what is minimised, by which rule, how fast when.

What the papers had, as values of these parameters:

============  ==========================================================================
N4            sgd, momentum 0, exponential; "plain gradient descent" with an annealed
              rate is all the paper says. 0.01 and decay_factor 0.997 each 100 steps are
              the defaults of ZNN, in which others trained it.
VD2D, VD2D3D  sgd, momentum 0.9, learning_rate 0.01, exponential, decay_factor 0.997 each
              100 steps (ZNN's python/config.cfg); class_balance
CUMedVision   sgd, step, decay_factor 0.1 each 2000 steps; auxiliary_weight 1, falling by
              auxiliary_decay 0.1 each 10,000 steps to 0.01; only the fall each 2000
              steps is from a summary of the paper, the auxiliary weights are recalled.
              Recalled: momentum 0.9, weight_decay 5e-4, learning_rate 0.01
FusionNet     loss mse (paper) or mae (authors' code); nadam, learning_rate 1e-4, constant,
              batch_size 1 (code; the paper names no optimiser)
DeepEM3D      sgd, momentum 0.9, learning_rate 0.01, poly with decay_power 0.8, 50,000 steps,
              weight_decay 5e-4, batches of 5 accumulated 8 times, class_balance,
              boundary_weight 1 / 0.3 (authors' solver and network files)
DeepSeg       adam, constant, learning_rate 1e-4 (1e-3 for its N4), weight_decay 0
RSUNet        adam, constant, learning_rate 1e-3 (authors' DeepEM), class_balance
============  ==========================================================================

None of them clips the gradient (``gradient_clip: null``), averages weights
(``ema_decay: 0``) or adds a Dice loss (``dice_weight: 0``).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_emseg.training.fields import advanced, number

LossName = Literal["cross_entropy", "mse", "mae"]
OptimiserName = Literal["adamw", "adam", "nadam", "sgd"]
ScheduleName = Literal["one_cycle", "poly", "step", "exponential", "constant"]

LARGEST_WEIGHT = 5.0
"""Of a pixel where classes are balanced: with more, a few of a batch would decide the step."""


class OptimiserParams(BaseModel):
    """What is minimised, by which rule and how fast."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    loss: LossName = advanced(
        "cross_entropy",
        "Loss",
        "Cross-entropy, or the squared (mse) or absolute (mae) difference of map and truth.",
    )
    dice_weight: float = number(
        0.3, 0, 10, "Dice weight", "Weight of the soft Dice loss beside it.", advanced=True
    )
    boundary_weight: float = number(
        1.0,
        0.01,
        100,
        "Boundary weight",
        "How much more a boundary pixel counts in the loss than one inside.",
        advanced=True,
    )
    auxiliary_weight: float = number(
        1.0,
        0,
        10,
        "Auxiliary weight",
        "Weight, at first, of the loss of each auxiliary classifier, where a network has them.",
        advanced=True,
    )
    auxiliary_decay: float = advanced(
        0.1, "Auxiliary decay", "What that weight is multiplied by now and then.", gt=0, le=1
    )
    auxiliary_decay_steps: int = number(
        10_000, 1, 10_000_000, "Auxiliary decay steps", "Each so many steps.", advanced=True
    )
    auxiliary_minimum: float = number(
        0.01, 0, 10, "Least auxiliary weight", "It does not fall below this.", advanced=True
    )
    learning_rate: float = Field(
        default=2e-3,
        gt=0,
        le=1,
        title="Learning rate",
        description="The largest of the schedule.",
    )
    optimiser: OptimiserName = advanced(
        "adamw", "Optimiser", "The rule by which weights follow the gradient."
    )
    momentum: float = advanced(
        0.9, "Momentum", "Share of the last step that sgd takes along.", ge=0, lt=1
    )
    weight_decay: float = number(
        1e-2,
        0,
        1,
        "Weight decay",
        "Pull of the weights to 0: a share of the rate with adamw, an L2 penalty otherwise.",
        advanced=True,
    )
    accumulate_batches: int = number(
        1, 1, 1024, "Accumulated batches", "So many batches make one step.", advanced=True
    )
    gradient_clip: float | None = advanced(
        1.0, "Gradient clip", "Largest norm of the gradient; empty: any.", gt=0
    )
    schedule: ScheduleName = advanced(
        "one_cycle",
        "Schedule",
        "How the learning rate changes: up and down once along cosines; falling to 0 as a power "
        "of what is left (poly); by a factor now and then (step) or evenly (exponential).",
    )
    warmup_fraction: float = advanced(
        0.1,
        "Warm-up",
        "Share of the training in which one_cycle rises to its peak.",
        ge=0,
        lt=1,
    )
    decay_power: float = advanced(0.9, "Power", "Of the schedule poly.", gt=0, le=10)
    decay_factor: float = advanced(
        0.1, "Decay factor", "What step and exponential multiply the rate by.", gt=0, le=1
    )
    decay_steps: int = number(
        2000, 1, 10_000_000, "Decay steps", "Each so many steps.", advanced=True
    )
    ema_decay: float = advanced(
        0.999,
        "Weight averaging",
        "Decay of the running mean of the weights, which is what is kept; 0: the weights "
        "themselves are.",
        ge=0,
        lt=1,
    )

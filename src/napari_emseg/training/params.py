"""What can be chosen when a network is trained; written once, used by forms, shell and YAML."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Precision = Literal["auto", "float32", "bfloat16"]


def _number(default: float | None, low: float, high: float, title: str, description: str) -> Any:
    """Return the field of a number from `low` to `high`."""
    return Field(default=default, ge=low, le=high, title=title, description=description)


class AugmentParams(BaseModel):
    """How strongly training patches are changed; 0 switches a change off."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    affine_fraction: float = _number(
        0.7,
        0,
        1,
        "Turned and scaled",
        "Share of patches turned by any angle, scaled and sheared; "
        "the others only take one of the 8 orientations and keep their sharpness.",
    )
    scale_min: float = Field(
        default=0.7,
        gt=0,
        le=1,
        title="Smallest scale",
        description="1.4 shows a structure 1.4x larger.",
    )
    scale_max: float = _number(1.4, 1, 4, "Largest scale", "1.4 shows a structure 1.4x larger.")
    shear: float = _number(0.1, 0, 0.5, "Shear", "Standard deviation of the shear.")
    elastic_sigma_px: float = _number(
        5.0,
        0,
        32,
        "Elastic field, px",
        "Standard deviation of the shift at each node of the elastic field.",
    )
    elastic_spacing_px: int = _number(
        24, 4, 256, "Elastic node spacing, px", "Distance of the nodes."
    )
    contrast: float = _number(0.3, 0, 1, "Contrast", "Largest change of the log contrast.")
    brightness: float = _number(
        0.3, 0, 2, "Brightness", "Largest shift, in standard deviations of the section."
    )
    gamma: float = _number(0.4, 0, 1, "Gamma", "Largest change of the log gamma.")
    shading: float = _number(
        0.2, 0, 2, "Uneven lighting", "Strength of a slow brightness field, in standard deviations."
    )
    blur_sigma_px: float = _number(
        1.5,
        0,
        4,
        "Largest blur, px",
        "Half of the patches are blurred by a Gaussian up to this width.",
    )
    noise_sigma: float = _number(
        0.3,
        0,
        2,
        "Largest noise",
        "Half of the patches get Gaussian noise up to this many standard deviations.",
    )
    defect_fraction: float = _number(
        0.1,
        0,
        1,
        "Defects",
        "Share of patches with a dark or bright stripe, as a fold or a charge leaves.",
    )


class TrainParams(BaseModel):
    """Everything that decides how a network is trained, besides the data.

    Examples
    --------
    >>> TrainParams(steps=100).network
    'unet2d'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    network: str = Field(
        default="unet2d",
        title="Network",
        description="Name of the network, as `emseg models` lists it.",
    )
    preset: str | None = Field(
        default=None, title="Preset", description="A named set of the network's parameters."
    )
    width: int | None = _number(
        None, 1, 512, "Width", "Feature maps at full resolution; empty: the network's own."
    )
    depth: int | None = _number(
        None, 1, 8, "Depth", "Number of resolution levels; empty: the network's own."
    )
    in_sections: int | None = _number(
        None,
        1,
        5,
        "Sections in",
        "Neighbouring sections the network sees at once (1, 3 or 5); empty: the network's own.",
    )
    steps: int = _number(4000, 1, 10_000_000, "Steps", "Number of optimiser steps.")
    minutes: float | None = Field(
        default=None,
        gt=0,
        title="Minutes",
        description="Train for this long instead of a number of steps.",
    )
    batch_size: int = _number(4, 1, 1024, "Batch size", "Patches per optimiser step.")
    patch_px: int = _number(192, 16, 2048, "Patch size, px", "Side of the training patch.")
    learning_rate: float = Field(
        default=2e-3,
        gt=0,
        le=1,
        title="Learning rate",
        description="Peak of the one-cycle schedule.",
    )
    weight_decay: float = _number(1e-2, 0, 1, "Weight decay", "AdamW's decay of the weights.")
    warmup_fraction: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        title="Warm-up",
        description="Share of the training in which the learning rate rises to its peak.",
    )
    gradient_clip: float = Field(
        default=1.0, gt=0, title="Gradient clip", description="Largest norm of the gradient."
    )
    dice_weight: float = _number(
        0.3, 0, 10, "Dice weight", "Weight of the soft Dice loss beside the cross-entropy."
    )
    ema_decay: float = Field(
        default=0.999,
        ge=0,
        lt=1,
        title="Weight averaging",
        description="Decay of the running mean of the weights, which is what is kept.",
    )
    boundary_px: int = _number(
        1,
        1,
        16,
        "Boundary thickness, px",
        "Reach of the boundary drawn on both sides of where two labels meet.",
    )
    membrane_reach_px: float = _number(
        0.0,
        0,
        100,
        "Membrane half-width, px",
        "Painted membrane farther than this from any cell is not learned, so that "
        "filled dark areas do not teach that dark is membrane; 0: all is learned.",
    )
    validation_interval_steps: int = Field(
        default=500,
        ge=1,
        title="Steps between validations",
        description="How often the held-out sections are segmented and scored.",
    )
    validation_sigma_px: float = _number(
        1.5,
        0,
        16,
        "Smoothing in validation, px",
        "Gaussian before H-minima when held-out sections are scored.",
    )
    save_interval_s: float = Field(
        default=60.0,
        gt=0,
        title="Seconds between saves",
        description="At most this much work is lost when the power goes.",
    )
    precision: Precision = Field(
        default="auto",
        title="Precision",
        description="auto: bfloat16 where the processor computes with it, float32 elsewhere.",
    )
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or mps.")
    seed: int = Field(
        default=0, ge=0, lt=2**31, title="Seed", description="Start of all random numbers."
    )
    augment: AugmentParams = Field(
        default_factory=AugmentParams, title="Augmentation", description="How patches are changed."
    )

    @model_validator(mode="after")
    def _sections_are_odd(self) -> TrainParams:
        if self.in_sections not in (None, 1, 3, 5):
            raise ValueError(f"in_sections must be 1, 3 or 5, not {self.in_sections}")
        return self

    def network_params(self) -> dict[str, int]:
        """Keyword arguments for :func:`napari_emseg.networks.build_network`."""
        chosen = {"width": self.width, "depth": self.depth, "in_sections": self.in_sections}
        return {key: value for key, value in chosen.items() if value is not None}

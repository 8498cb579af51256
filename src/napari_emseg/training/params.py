"""What can be chosen when a network is trained; written once, used by forms, shell and YAML."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Precision = Literal["auto", "float32", "bfloat16"]


class AugmentParams(BaseModel):
    """How strongly training patches are changed; 0 switches a change off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    affine_fraction: float = Field(
        default=0.7,
        ge=0,
        le=1,
        title="Turned and scaled",
        description="Share of patches turned by any angle, scaled and sheared; "
        "the others only take one of the 8 orientations and keep their sharpness.",
    )
    scale_min: float = Field(
        default=0.7,
        gt=0,
        le=1,
        title="Smallest scale",
        description="1.4 shows a structure 1.4x larger.",
    )
    scale_max: float = Field(
        default=1.4,
        ge=1,
        le=4,
        title="Largest scale",
        description="1.4 shows a structure 1.4x larger.",
    )
    shear: float = Field(
        default=0.1, ge=0, le=0.5, title="Shear", description="Standard deviation of the shear."
    )
    elastic_sigma_px: float = Field(
        default=5.0,
        ge=0,
        le=32,
        title="Elastic field, px",
        description="Standard deviation of the shift at each node of the elastic field.",
    )
    elastic_spacing_px: int = Field(
        default=24,
        ge=4,
        le=256,
        title="Elastic node spacing, px",
        description="Distance of the nodes.",
    )
    contrast: float = Field(
        default=0.3, ge=0, le=1, title="Contrast", description="Largest change of the log contrast."
    )
    brightness: float = Field(
        default=0.3,
        ge=0,
        le=2,
        title="Brightness",
        description="Largest shift, in standard deviations of the section.",
    )
    gamma: float = Field(
        default=0.4, ge=0, le=1, title="Gamma", description="Largest change of the log gamma."
    )
    shading: float = Field(
        default=0.2,
        ge=0,
        le=2,
        title="Uneven lighting",
        description="Strength of a slow brightness field, in standard deviations.",
    )
    blur_sigma_px: float = Field(
        default=1.5,
        ge=0,
        le=4,
        title="Largest blur, px",
        description="Half of the patches are blurred by a Gaussian up to this width.",
    )
    noise_sigma: float = Field(
        default=0.3,
        ge=0,
        le=2,
        title="Largest noise",
        description="Half of the patches get Gaussian noise up to this many standard deviations.",
    )
    defect_fraction: float = Field(
        default=0.1,
        ge=0,
        le=1,
        title="Defects",
        description="Share of patches with a dark or bright stripe, as a fold or a charge leaves.",
    )


class TrainParams(BaseModel):
    """Everything that decides how a network is trained, besides the data.

    Examples
    --------
    >>> TrainParams(steps=100).network
    'unet2d'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str = Field(
        default="unet2d",
        title="Network",
        description="Name of the network, as `emseg models` lists it.",
    )
    preset: str | None = Field(
        default=None, title="Preset", description="A named set of the network's parameters."
    )
    width: int | None = Field(
        default=None,
        ge=1,
        le=512,
        title="Width",
        description="Feature maps at full resolution; empty: the network's own.",
    )
    depth: int | None = Field(
        default=None,
        ge=1,
        le=8,
        title="Depth",
        description="Number of resolution levels; empty: the network's own.",
    )
    in_sections: int = Field(
        default=1,
        ge=1,
        le=9,
        title="Sections in",
        description="Neighbouring sections the network sees at once (1, 3 or 5).",
    )
    steps: int = Field(
        default=4000, ge=1, le=10_000_000, title="Steps", description="Number of optimiser steps."
    )
    minutes: float | None = Field(
        default=None,
        gt=0,
        title="Minutes",
        description="Train for this long instead of a number of steps.",
    )
    batch_size: int = Field(
        default=4, ge=1, le=1024, title="Batch size", description="Patches per optimiser step."
    )
    patch_px: int = Field(
        default=192,
        ge=16,
        le=2048,
        title="Patch size, px",
        description="Side of the training patch.",
    )
    learning_rate: float = Field(
        default=2e-3,
        gt=0,
        le=1,
        title="Learning rate",
        description="Peak of the one-cycle schedule.",
    )
    weight_decay: float = Field(
        default=1e-2, ge=0, le=1, title="Weight decay", description="AdamW's decay of the weights."
    )
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
    dice_weight: float = Field(
        default=0.3,
        ge=0,
        le=10,
        title="Dice weight",
        description="Weight of the soft Dice loss beside the cross-entropy.",
    )
    ema_decay: float = Field(
        default=0.999,
        ge=0,
        lt=1,
        title="Weight averaging",
        description="Decay of the running mean of the weights, which is what is kept.",
    )
    boundary_px: int = Field(
        default=1,
        ge=1,
        le=16,
        title="Boundary thickness, px",
        description="Reach of the boundary drawn on both sides of where two labels meet.",
    )
    membrane_reach_px: float = Field(
        default=0.0,
        ge=0,
        le=100,
        title="Membrane half-width, px",
        description="Painted membrane farther than this from any cell is not learned, so that "
        "filled dark areas do not teach that dark is membrane; 0: all is learned.",
    )
    validation_interval_steps: int = Field(
        default=500,
        ge=1,
        title="Steps between validations",
        description="How often the held-out sections are segmented and scored.",
    )
    validation_sigma_px: float = Field(
        default=1.5,
        ge=0,
        le=16,
        title="Smoothing in validation, px",
        description="Gaussian before H-minima when held-out sections are scored.",
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
        if self.in_sections % 2 == 0:
            raise ValueError(f"in_sections must be odd (1, 3, 5 ...), not {self.in_sections}")
        return self

    def network_params(self) -> dict[str, int]:
        """Keyword arguments for :func:`napari_emseg.networks.build_network`."""
        chosen = {"width": self.width, "depth": self.depth}
        return {
            **{key: value for key, value in chosen.items() if value is not None},
            "in_sections": self.in_sections,
        }

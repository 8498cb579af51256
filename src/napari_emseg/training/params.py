"""What can be chosen when a network is trained; written once, used by forms, shell and YAML."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from napari_emseg.training.augment_params import AugmentParams
from napari_emseg.training.fields import advanced
from napari_emseg.training.fields import number as _number
from napari_emseg.training.optimiser_params import OptimiserParams

__all__ = ["AugmentParams", "BoundaryKernel", "Precision", "Sampling", "TrainParams"]

Precision = Literal["auto", "float32", "bfloat16"]
BoundaryKernel = Literal["faces", "l3", "c3", "c5"]
Sampling = Literal["patches", "windows"]


class NetworkChoice(BaseModel):
    """Which network is trained, and from which weights."""

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
    network_options: dict[str, JsonValue] = advanced(
        {}, "Network options", "Further parameters of the network by name, such as foveated."
    )
    start_from: str = advanced(
        "",
        "Start from",
        "Model whose weights training starts from, a name or a file; empty: from nothing. "
        "vd2d3d also starts from a vd2d of its width.",
    )
    start_share: float = _number(
        0.0,
        0,
        0.95,
        "Share of the start",
        "How much of the weights it starts from stays in the model at most; 0.5 keeps what it "
        "knew of other tissue. Less stays of a start that does badly on the new sections.",
        advanced=True,
    )
    maps_from: str = advanced(
        "",
        "Maps from",
        "Model whose boundary maps are the second input of a recursive network, a name or a file.",
    )

    @model_validator(mode="after")
    def _sections_are_odd(self) -> NetworkChoice:
        if self.in_sections not in (None, 1, 3, 5):
            raise ValueError(f"in_sections must be 1, 3 or 5, not {self.in_sections}")
        return self

    def network_params(self) -> dict[str, Any]:
        """Keyword arguments for :func:`napari_emseg.networks.build_network`."""
        chosen = {"width": self.width, "depth": self.depth, "in_sections": self.in_sections}
        named = {key: value for key, value in chosen.items() if value is not None}
        return {**self.network_options, **named}


class SamplingParams(BaseModel):
    """What a batch is made of, and what the truth is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = _number(4000, 1, 10_000_000, "Steps", "Number of optimiser steps.")
    minutes: float | None = Field(
        default=None,
        gt=0,
        title="Minutes",
        description="Train for this long instead of a number of steps.",
    )
    batch_size: int = _number(4, 1, 65_536, "Batch size", "Patches, or windows, per batch.")
    patch_px: int = _number(192, 16, 2048, "Patch size, px", "Side of the training patch.")
    patch_sections: int = _number(
        16, 1, 512, "Patch depth, sections", "Depth of the patches of 3D networks.", advanced=True
    )
    sampling: Sampling = advanced(
        "patches",
        "Sampling",
        "patches: all pixels of a patch at once; windows: single pixels, each with its window, "
        "which a foveated network needs.",
    )
    class_balance: bool = advanced(
        False,
        "Class balance",
        "Half of the windows show boundary; in patches the rarer of boundary and inside counts "
        "more, so that both weigh the same.",
    )
    workers: int | None = _number(
        None,
        0,
        64,
        "Workers",
        "Processes that make batches while the network computes; empty: chosen by the cores.",
        advanced=True,
    )
    boundary_px: int = _number(
        1,
        1,
        16,
        "Boundary thickness, px",
        "Reach of the boundary drawn on both sides of where two labels meet.",
    )
    boundary_kernel: BoundaryKernel = advanced(
        "faces",
        "Boundary kernel",
        "faces: boundary where two labels meet within a section; l3, c3, c5: where a cross or a "
        "cube of 3 or 5 holds two labels, in 3D.",
    )
    membrane_reach_px: float = _number(
        0.0,
        0,
        100,
        "Membrane half-width, px",
        "Painted membrane farther than this from any cell is not learned, so that "
        "filled dark areas do not teach that dark is membrane; 0: all is learned.",
        advanced=True,
    )


# Bases are read from the last to the first: that is the order in forms.
class TrainParams(OptimiserParams, SamplingParams, NetworkChoice):
    """Everything that decides how a network is trained, besides the data.

    Which values the papers have, and where each is from, is told in
    :mod:`napari_emseg.training.optimiser_params`; of what is sampled:

    ============  ==================================================================
    N4            windows, class_balance; half of 3 million windows membrane; only
                  mirrored and turned by quarters (recalled, not checked)
    VD2D, VD2D3D  output patches of 100, class_balance, turned and mirrored (ZNN);
                  VD2D3D: start_from and maps_from the trained VD2D
    CUMedVision   patch_px 480 (paper)
    FusionNet     patch_px 640, 3 folds; elastic_nodes 12, elastic_zero_border (paper)
    DeepEM3D      patch_px 320 (released files; 380 in the paper); boundary_kernel l3,
                  c3, c5; in_sections 1, 3, 5
    DeepSeg       patch_px 160, patch_sections 16, batch_size 1 (tartavull/trace)
    RSUNet        patch_sections 20, patch_px 256 (DeepEM)
    ============  ==================================================================

    Examples
    --------
    >>> TrainParams(steps=100).network
    'unet2d'
    """

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
        advanced=True,
    )
    save_interval_s: float = advanced(
        60.0,
        "Seconds between saves",
        "At most this much work is lost when the power goes.",
        gt=0,
    )
    precision: Precision = advanced(
        "auto",
        "Precision",
        "auto: bfloat16 where the processor computes with it, float32 elsewhere.",
    )
    device: str = Field(default="auto", title="Device", description="auto, cpu, cuda or mps.")
    seed: int = advanced(0, "Seed", "Start of all random numbers.", ge=0, lt=2**31)
    augment: AugmentParams = Field(
        default_factory=AugmentParams, title="Augmentation", description="How patches are changed."
    )

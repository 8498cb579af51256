"""N4, the large-window network of Ciresan, Giusti, Gambardella, Schmidhuber 2012.

"Deep Neural Networks Segment Neuronal Membranes in Electron Microscopy Images",
NIPS 2012. It classifies the middle of a 95 x 95 window; all layers without padding:

=====  =========================  =====  ======  ===========
layer  kind                       maps   kernel  output side
=====  =========================  =====  ======  ===========
0      input                      1              95
1      convolution                48     4       92
2      max-pooling                48     2       46
3      convolution                48     5       42
4      max-pooling                48     2       21
5      convolution                48     4       18
6      max-pooling                48     2       9
7      convolution                48     4       6
8      max-pooling                48     2       3
9      fully connected            200    3       1
10     fully connected, softmax   2      1       1
=====  =========================  =====  ======  ===========

219,290 parameters. As an option, the window is foveated and sampled unevenly, see
:mod:`napari_emseg.networks.foveation`. Not from the paper: the non-linearity,
1.7159 tanh(0.6666 x), and the initial weights, uniform in +-0.05, are those of a
public reproduction (znn-release, networks/N4.spec); the paper names neither. The
modern preset has ReLU and batch normalisation instead.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_emseg.networks.base import make_params
from napari_emseg.networks.foveation import WindowSampling
from napari_emseg.networks.layers import Activation, initialise_he, initialise_uniform
from napari_emseg.networks.window import Stage, WindowNetwork


class N4Params(BaseModel):
    """Parameters of :class:`N4`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(
        48, ge=1, le=512, title="Width", description="Maps of each convolution layer."
    )
    hidden: int = Field(
        200, ge=1, le=4096, title="Hidden units", description="Units of the fully connected layer."
    )
    activation: Literal["tanh", "relu"] = Field(
        "tanh", title="Activation", description="Non-linearity of all layers but the last."
    )
    normalise: bool = Field(
        False, title="Batch normalisation", description="After each convolution."
    )
    foveated: bool = Field(
        False,
        title="Foveated",
        description="Blur the window towards its rim; minutes for a section.",
    )
    nonuniform: bool = Field(
        False,
        title="Uneven sampling",
        description="Sample the window more coarsely towards its rim; minutes for a section.",
    )
    in_sections: Literal[1, 3, 5] = Field(
        1, title="Sections in", description="Neighbouring sections seen; the paper has 1."
    )


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "paper_foveated": {"foveated": True, "nonuniform": True},
    "modern": {"activation": "relu", "normalise": True},
    "tiny": {"width": 6, "hidden": 8, "activation": "relu", "normalise": True},
}


class N4(WindowNetwork):
    """Pixel classifier with a window of 95 x 95, after Ciresan et al. 2012."""

    name = "n4"

    def __init__(self, params: N4Params) -> None:
        width, activation = params.width, params.activation
        stages = [
            Stage(width, (4,), 2),
            Stage(width, (5,), 2),
            Stage(width, (4,), 2),
            Stage(width, (4,), 2),
            Stage(params.hidden, (3,)),
        ]
        activations: list[list[Activation]] = [[activation]] * len(stages)
        super().__init__(
            params,
            stages,
            activations,
            window_px=95,
            in_sections=params.in_sections,
            normalise=params.normalise,
            sampling=WindowSampling(95, foveated=params.foveated, nonuniform=params.nonuniform),
        )
        if activation == "tanh":
            initialise_uniform(self, 0.05)
        else:
            initialise_he(self)


def build(preset: str | None = None, **params: Any) -> N4:
    """Make an :class:`N4`; see :func:`napari_emseg.networks.build_network`."""
    return N4(make_params(N4Params, PRESETS, preset, params))

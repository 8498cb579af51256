"""N3, with which N1 and N2: the small-window networks of Ciresan et al. 2012.

"Deep Neural Networks Segment Neuronal Membranes in Electron Microscopy Images",
NIPS 2012, whose four networks classify the middle of a window, three of them of
65 x 65. Recalled, not checked against the text: that they differ in how the
window is read. Not found anywhere: their tables, which network has which. What
stands here is a public approximation of N3 (mjpekala/bio-segmentation), with
the choice, ours: N1 reads the window plainly, N2 foveated, N3 also unevenly.
All layers without padding; poolings leave a last row and column out:

=====  =========================  =====  ======  ===========
layer  kind                       maps   kernel  output side
=====  =========================  =====  ======  ===========
0      input                      1              65
1      convolution                48     5       61
2      max-pooling                48     2       30
3      convolution                48     5       26
4      max-pooling                48     2       13
5      convolution                48     5       9
6      max-pooling                48     2       4
7      fully connected            200    4       1
8      fully connected, softmax   2      1       1
=====  =========================  =====  ======  ===========

ReLU, as that approximation has. Layout "znn" is another reconstruction
(znn-release, networks/N3.spec): kernels 3, 4, 4 with poolings 3, 2, 2, then 100
units of kernel 3, tanh. The modern preset reads the window plainly, so that it
runs on all pixels at once, with batch normalisation.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from napari_emseg.networks.base import make_params
from napari_emseg.networks.foveation import WindowSampling
from napari_emseg.networks.layers import Activation, initialise_he, initialise_uniform
from napari_emseg.networks.window import Stage, WindowNetwork


class N3Params(BaseModel):
    """Parameters of :class:`N3`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Literal["pekala", "znn"] = Field(
        "pekala", title="Layout", description="Which of two public reconstructions."
    )
    width: int = Field(
        48, ge=1, le=512, title="Width", description="Maps of each convolution layer."
    )
    hidden: int = Field(
        200, ge=1, le=4096, title="Hidden units", description="Units of the fully connected layer."
    )
    activation: Literal["tanh", "relu"] = Field(
        "relu", title="Activation", description="Non-linearity of all layers but the last."
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
    "paper": {"foveated": True, "nonuniform": True},
    "n1": {},
    "n2": {"foveated": True},
    "znn": {"layout": "znn", "hidden": 100, "activation": "tanh"},
    "modern": {"normalise": True},
    "tiny": {"width": 6, "hidden": 8, "normalise": True},
    "tiny_znn": {"layout": "znn", "width": 6, "hidden": 8, "normalise": True},
}

_WINDOW_PX = 65


class N3(WindowNetwork):
    """Pixel classifier with a window of 65 x 65, after Ciresan et al. 2012."""

    name = "n3"

    def __init__(self, params: N3Params) -> None:
        width, activation = params.width, params.activation
        if params.layout == "znn":
            stages = [Stage(width, (3,), 3), Stage(width, (4,), 2), Stage(width, (4,), 2)]
        else:
            stages = [Stage(width, (5,), 2)] * 3
        stages.append(Stage(params.hidden, (3 if params.layout == "znn" else 4,)))
        activations: list[list[Activation]] = [[activation]] * len(stages)
        super().__init__(
            params,
            stages,
            activations,
            window_px=_WINDOW_PX,
            in_sections=params.in_sections,
            normalise=params.normalise,
            sampling=WindowSampling(
                _WINDOW_PX, foveated=params.foveated, nonuniform=params.nonuniform
            ),
        )
        if activation == "tanh":
            initialise_uniform(self, 0.05)
        else:
            initialise_he(self)
            # max-pooling raises what follows; start undecided
            nn.init.normal_(self.head.weight, std=0.01)


def build(preset: str | None = None, **params: Any) -> N3:
    """Make an :class:`N3`; see :func:`napari_emseg.networks.build_network`."""
    return N3(make_params(N3Params, PRESETS, preset, params))

"""VD2D3D, the recursively trained 2D-3D network of Lee et al. 2015.

Lee, Zlateski, Vishwanathan, Seung, "Recursive Training of 2D-3D Convolutional
Networks for Neuronal Boundary Detection", NIPS 2015, arXiv:1508.04843. It
classifies the middle of a window of 5 sections, 85 x 85. Stages 1 to 3 work on
each section and start from a trained VD2D; all layers without padding:

=====  =====================  ====  =================================
stage  kernels (z x y x x)    maps  then
=====  =====================  ====  =================================
1      3, 3, 2 in 2D          24    max-pooling 2x2
2      3, 3 in 2D             36    max-pooling 2x2
3      3, 3 in 2D             48    max-pooling 2x2x2, stride 1 in z
4      2x3x3, 2x3x3           60
5      2x3x3                  100
6      1x1x1                  2     softmax
=====  =====================  ====  =================================

Recursive input: the boundary maps that VD2D gives of the 5 sections pass their
own convolutions 3, 3, 2 and are summed with the sections' before the non-linearity
of the last of stage 1. 296,486 parameters. ReLU, but 1.7159 tanh(0.6666 x) before
each pooling. The table is read from the authors' released network file
(znn-release, networks/VD2D3D.znn). Not from the paper: initial weights after He
et al. 2015, as in their later release, whose dropout of 0.5 after stage 5 is left
out unless asked for. The modern preset has ReLU and batch normalisation
throughout and no recursive input, so that it trains by itself. Preset "recursive"
is the paper's with the VD2D inside, frozen, so that sections alone go in.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from napari_emseg.networks.base import Network, make_params
from napari_emseg.networks.layers import (
    Activation,
    ConvBlock,
    boundary_logit,
    initialise_he,
    make_activation,
)
from napari_emseg.networks.padding import mirror
from napari_emseg.networks.vd2d import VD2D, VD2DParams
from napari_emseg.networks.window import Stage, StageLayers, join_phases

_SECTIONS = 5
_WINDOW_PX = 85
_POOLINGS = 3


class VD2D3DParams(BaseModel):
    """Parameters of :class:`VD2D3D`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(
        24,
        ge=2,
        le=256,
        multiple_of=2,
        title="Width",
        description="Maps of the first stage, an even number; the following have "
        "1.5, 2 and 2.5 times as many.",
    )
    hidden: int = Field(
        100, ge=1, le=4096, title="Hidden maps", description="Maps of the last 3D convolution."
    )
    recursive: bool = Field(
        True,
        title="Recursive input",
        description="Whether boundary maps of an earlier network go in beside the sections.",
    )
    first_stage: bool = Field(
        False,
        title="Own first stage",
        description="Whether the boundary maps are made by a VD2D inside, which is not trained.",
    )
    before_pooling: Literal["tanh", "relu"] = Field(
        "tanh", title="Before pooling", description="Non-linearity before each pooling."
    )
    normalise: bool = Field(
        False, title="Batch normalisation", description="After each convolution."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, title="Dropout", description="Share of the hidden maps left out."
    )
    in_sections: Literal[5] = Field(
        5, title="Sections in", description="Always 5, the middle one predicted."
    )

    @model_validator(mode="after")
    def _first_stage_needs_recursion(self) -> VD2D3DParams:
        if self.first_stage and not self.recursive:
            raise ValueError("a first stage is of use with recursive input only")
        return self


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "recursive": {"first_stage": True},
    "modern": {"recursive": False, "before_pooling": "relu", "normalise": True},
    "tiny": {
        "width": 4,
        "hidden": 8,
        "recursive": False,
        "before_pooling": "relu",
        "normalise": True,
    },
    "tiny_recursive": {"width": 4, "hidden": 8},
}


class VD2D3D(Network):
    """2D then 3D pixel classifier with boundary maps as second input, after Lee et al. 2015.

    Takes (N, 5, Y, X) sections or, recursive, (N, 10, Y, X): behind the sections
    the boundary map of each. With an own first stage sections suffice.
    """

    name = "vd2d3d"

    def __init__(self, params: VD2D3DParams) -> None:
        super().__init__()
        self.params = params
        self.in_sections = params.in_sections
        self.first = _first_stage(params) if params.first_stage else None
        self.in_maps = _SECTIONS if params.recursive and self.first is None else 0
        self.margin_px = _WINDOW_PX // 2 + (self.first.margin_px if self.first else 0)
        side = 2 * self.margin_px + 1
        self.receptive_field_px = (_SECTIONS, side, side)
        self.size_multiple_px = 1
        # measured: all 5 sections pass at once
        self.memory_bytes_per_px = 5 * 42 * params.width
        if self.first is not None:
            self.memory_bytes_per_px = max(
                self.memory_bytes_per_px, _SECTIONS * self.first.memory_bytes_per_px
            )
        half = params.width // 2
        last: Activation = params.before_pooling
        stages = [
            Stage(2 * half, (3, 3, 2), 2),
            Stage(3 * half, (3, 3), 2),
            Stage(4 * half, (3, 3), 2),
        ]
        activations: list[list[Activation]] = [["relu", "relu", last], *[["relu", last]] * 2]
        self.stages = nn.ModuleList(
            StageLayers(source, stage, names, normalise=params.normalise)
            for source, stage, names in zip(
                [1, 2 * half, 3 * half], stages, activations, strict=True
            )
        )
        self.second_input = _second_input(params.width) if params.recursive else None
        maps = [4 * half, 5 * half, 5 * half, params.hidden]
        self.volumetric = nn.Sequential(
            *(
                ConvBlock(below, above, (2, 3, 3), padding=(0, 0, 0), normalise=params.normalise)
                for below, above in pairwise(maps)
            )
        )
        self.dropout = nn.Dropout3d(params.dropout)
        self.head = nn.Conv2d(params.hidden, 2, 1)
        initialise_he(self)

    def train(self, mode: bool = True) -> Self:
        """Set training mode, of all but the first stage."""
        super().train(mode)
        if self.first is not None:
            self.first.eval()
        return self

    def start_from(self, trained: VD2D) -> None:
        """Copy stages 1 to 3 of a trained VD2D of the same width, as the paper does.

        It becomes the first stage too, where there is one.

        Examples
        --------
        >>> from napari_emseg.networks import vd2d
        >>> build("tiny").start_from(vd2d.build("tiny"))
        """
        for own, other in zip(self.stages, trained.stages, strict=False):
            own.load_state_dict(other.state_dict())
        if self.first is not None:
            self.first.load_state_dict(trained.state_dict())

    def forward(self, sections: Tensor) -> Tensor:
        self.check_input(sections)
        margins = (self.margin_px,) * 2
        return self.forward_valid(mirror(sections, margins, margins))

    def forward_valid(self, sections: Tensor) -> Tensor:
        """Return logits of the pixels whose window lies inside the sections.

        Parameters
        ----------
        sections : Tensor, float32, (N, 5 or 10, Y, X)

        Returns
        -------
        Tensor, float32, (N, 1, Y - 84, X - 84), less with an own first stage
        """
        self.check_input(sections)
        if self.first is not None:
            sections = _with_maps(sections, self.first)
        n = sections.shape[0]
        height, width = (size - _WINDOW_PX + 1 for size in sections.shape[-2:])
        step = 2**_POOLINGS
        x = mirror(sections, (0, 0), (-height % step, -width % step))
        x = self._flat(x[:, :_SECTIONS], x[:, _SECTIONS:])
        y, x_size = x.shape[-2:]
        x = x.view(n, _SECTIONS, step**2, -1, y, x_size).permute(0, 2, 3, 1, 4, 5)
        x = x.reshape(n * step**2, -1, _SECTIONS, y, x_size)
        x = torch.maximum(x[:, :, :-1], x[:, :, 1:])  # the pooling's side along z
        x = boundary_logit(self.head(self.dropout(self.volumetric(x)).squeeze(2)))
        for _ in range(_POOLINGS):
            x = join_phases(x, 2)
        return x[..., :height, :width]

    def _flat(self, sections: Tensor, maps: Tensor) -> Tensor:
        """Run stages 1 to 3 on each section of (N, 5, Y, X)."""
        x = sections.reshape(-1, 1, *sections.shape[-2:])
        beside = None
        if self.second_input is not None:
            beside = self.second_input(maps.reshape(x.shape))
        x = self.stages[0](x, beside)
        out: Tensor = self.stages[2](self.stages[1](x))
        return out


def build(preset: str | None = None, **params: Any) -> VD2D3D:
    """Make a :class:`VD2D3D`; see :func:`napari_emseg.networks.build_network`."""
    return VD2D3D(make_params(VD2D3DParams, PRESETS, preset, params))


def _first_stage(params: VD2D3DParams) -> VD2D:
    same = params.model_dump(include={"width", "before_pooling", "normalise"})
    return VD2D(VD2DParams(**same)).requires_grad_(False).eval()


def _with_maps(sections: Tensor, first: VD2D) -> Tensor:
    """Put behind the sections the boundary map of each, and crop them to its size."""
    n, _, height, width = sections.shape
    maps = first.forward_valid(sections.reshape(-1, 1, height, width)).sigmoid()
    rim = slice(first.margin_px, -first.margin_px)
    return torch.cat([sections[..., rim, rim], maps.view(n, _SECTIONS, *maps.shape[-2:])], 1)


def _second_input(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, width, 3),
        make_activation("relu"),
        nn.Conv2d(width, width, 3),
        make_activation("relu"),
        nn.Conv2d(width, width, 2, bias=False),
    )

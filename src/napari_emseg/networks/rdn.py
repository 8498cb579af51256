"""A residual deconvolutional network in the manner of Fakhry, Zeng, Ji 2017.

"Residual Deconvolutional Networks for Brain Electron Microscopy Image
Segmentation", IEEE Transactions on Medical Imaging 36(2), doi:10.1109/TMI.2016.2613019.
From its abstract: two pathways, one that gathers context and one that keeps the
full resolution, residual blocks on the way down and up, deconvolutions. Its table
of layers was not found: all numbers below are our choice, and scores of this
network are not those of the paper.

=========  =============================================  ===================
part       layers                                         maps
=========  =============================================  ===================
stem       convolution 3                                  64
down 1-4   2 residual blocks of 2 x convolution 3; the    64, 128, 256, 512
           first of levels 2-4 with stride 2
up 3-1     deconvolution 4 with stride 2; sum with the    256, 128, 64
           level of the same size; residual block
sides      of each level of the way up and the deepest:   1
           deconvolution to full resolution
out        sum of the sides and of convolution 1 of the   1
           stem, the pathway of full resolution
=========  =============================================  ===================

Batch normalisation and ReLU after each convolution. The modern preset has 24 maps
at full resolution and 5 levels.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_emseg.networks.base import Network, make_params
from napari_emseg.networks.layers import ConvBlock, initialise_bilinear, initialise_he
from napari_emseg.networks.padding import mirror_to_multiple
from napari_emseg.networks.reach import Reach, receptive_field_px


class RDNParams(BaseModel):
    """Parameters of :class:`RDN`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(
        64,
        ge=1,
        le=256,
        title="Width",
        description="Maps at full resolution; doubled at each level below.",
    )
    depth: int = Field(4, ge=2, le=7, title="Levels", description="Number of resolutions.")
    in_sections: Literal[1, 3, 5] = Field(
        1, title="Sections in", description="Neighbouring sections seen, the middle one predicted."
    )


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "modern": {"width": 24, "depth": 5},
    "tiny": {"width": 4, "depth": 3},
}


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, the first with a stride."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = ConvBlock(channels_in, channels, stride=stride)
        self.conv2 = ConvBlock(channels, channels, activation="none")
        is_same = stride == 1 and channels_in == channels
        self.shortcut: nn.Module = (
            nn.Identity()
            if is_same
            else ConvBlock(channels_in, channels, (1, 1), stride=stride, activation="none")
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.conv2(self.conv1(x)) + self.shortcut(x))
        return out


class RDN(Network):
    """2D residual encoder and deconvolving decoder, after the idea of Fakhry et al. 2017."""

    name = "rdn"

    def __init__(self, params: RDNParams) -> None:
        super().__init__()
        self.params = params
        self.in_sections = params.in_sections
        self.size_multiple_px = 2 ** (params.depth - 1)
        self.memory_bytes_per_px = 7 * 4 * params.width  # measured
        field = receptive_field_px(lambda reach: _walk(reach, params.depth), self.size_multiple_px)
        self.receptive_field_px = (params.in_sections, field, field)
        widths = [params.width * 2**level for level in range(params.depth)]
        self.stem = ConvBlock(params.in_sections, widths[0])
        self.encoders = nn.ModuleList(
            nn.Sequential(Block(below, width, stride=2 if level else 1), Block(width, width))
            for level, (below, width) in enumerate(
                zip([widths[0], *widths[:-1]], widths, strict=True)
            )
        )
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1) for width in widths[:-1]
        )
        self.decoders = nn.ModuleList(Block(width, width) for width in widths[:-1])
        self.sides = nn.ModuleList(_side(width, 2**level) for level, width in enumerate(widths))
        self.bypass = nn.Conv2d(widths[0], 1, 1)
        initialise_he(self)

    def forward(self, sections: Tensor) -> Tensor:
        self.check_input(sections)
        height, width = sections.shape[-2:]
        x = stem = self.stem(mirror_to_multiple(sections, (self.size_multiple_px,) * 2))
        skips = []
        for encoder in self.encoders:
            x = encoder(x)
            skips.append(x)
        x = skips.pop()
        logits: Tensor = self.bypass(stem) + self.sides[-1](x)
        ways = zip(self.ups, self.decoders, list(self.sides)[:-1], strict=True)
        for up, decoder, side in reversed(list(ways)):
            x = decoder(up(x) + skips.pop())
            logits = logits + side(x)
        return logits[..., :height, :width]


def build(preset: str | None = None, **params: Any) -> RDN:
    """Make an :class:`RDN`; see :func:`napari_emseg.networks.build_network`."""
    return RDN(make_params(RDNParams, PRESETS, preset, params))


def _side(channels: int, stride: int) -> nn.Module:
    if stride == 1:
        return nn.Conv2d(channels, 1, 1)
    deconv = nn.ConvTranspose2d(channels, 1, 2 * stride, stride=stride, padding=stride // 2)
    initialise_bilinear(deconv)
    return deconv


def _walk(out: Reach, depth: int) -> Reach:
    reach = out
    for level in range(1, depth):
        reach = reach.conv(3).conv(3).up(4, 2)
        side = 2**level
        reach = reach.join(out.up(2 * side, side))
    for level in reversed(range(depth)):
        reach = reach.conv(3).conv(3).conv(3)
        reach = reach.conv(3, stride=2) if level else reach.conv(3)
    return reach.conv(3)

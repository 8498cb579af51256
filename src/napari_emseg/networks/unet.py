"""The U-Net of Ronneberger, Fischer, Brox 2015.

"U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
doi:10.1007/978-3-319-24574-4_28. All convolutions without padding, so the map is
92 pixels smaller on each side than what goes in; the missing surroundings are
mirrored, as the paper's overlap-tile strategy has it:

=========  ===================================================  ===================
level      layers                                               maps
=========  ===================================================  ===================
down 1-4   2 x convolution 3; max-pooling 2                     64, 128, 256, 512
bottom     2 x convolution 3                                    1024
up 4-1     deconvolution 2; concatenate with the cropped level  512, 256, 128, 64
           of the same size; 2 x convolution 3
out        convolution 1, softmax                               2
=========  ===================================================  ===================

ReLU, initial weights after He et al. 2015, dropout at the end of the way down;
31,030,658 parameters, by this table. Not in the paper: how much is dropped, 0.5
here. The modern preset has 24 maps and batch normalisation; ``unet2d`` is
smaller, residual, and better on a processor.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_emseg.networks.base import Network, make_params
from napari_emseg.networks.layers import ConvBlock, boundary_logit, initialise_he
from napari_emseg.networks.padding import mirror
from napari_emseg.networks.reach import Reach, receptive_field_px


class UNetParams(BaseModel):
    """Parameters of :class:`UNet`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(
        64,
        ge=1,
        le=256,
        title="Width",
        description="Maps at full resolution; doubled at each level below.",
    )
    depth: int = Field(5, ge=2, le=6, title="Levels", description="Number of resolutions.")
    normalise: bool = Field(
        False, title="Batch normalisation", description="After each convolution."
    )
    dropout: float = Field(
        0.5, ge=0, lt=1, title="Dropout", description="Share of the deepest maps left out."
    )
    in_sections: Literal[1, 3, 5] = Field(
        1, title="Sections in", description="Neighbouring sections seen; the paper has 1."
    )


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "modern": {"width": 24, "normalise": True, "dropout": 0.1},
    "tiny": {"width": 4, "depth": 3, "normalise": True, "dropout": 0.0},
}


class UNet(Network):
    """2D U-Net without padding, after Ronneberger et al. 2015."""

    name = "unet"

    def __init__(self, params: UNetParams) -> None:
        super().__init__()
        self.params = params
        self.in_sections = params.in_sections
        self.size_multiple_px = 2 ** (params.depth - 1)
        self.memory_bytes_per_px = 7 * 4 * params.width
        self.margin_px = _margin_px(params.depth)
        # 572 goes in where the paper's 388 come out
        self.valid_remainder_px = -4 % self.size_multiple_px
        field = receptive_field_px(self._walk, self.size_multiple_px)
        self.receptive_field_px = (params.in_sections, field, field)
        widths = [params.width * 2**level for level in range(params.depth)]
        self.encoders = nn.ModuleList(
            _double(below, width, normalise=params.normalise)
            for below, width in zip([params.in_sections, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(params.dropout)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in widths[:-1]
        )
        self.decoders = nn.ModuleList(
            _double(2 * width, width, normalise=params.normalise) for width in widths[:-1]
        )
        self.head = nn.Conv2d(widths[0], 2, 1)
        initialise_he(self)

    def forward(self, sections: Tensor) -> Tensor:
        self.check_input(sections)
        height, width = sections.shape[-2:]
        margin = self.margin_px
        after = [margin + self._missing_px(size + 2 * margin) for size in (height, width)]
        x = mirror(sections, (margin, margin), after)
        return self.forward_valid(x)[..., :height, :width]

    def forward_valid(self, sections: Tensor) -> Tensor:
        """Return logits of the pixels whose surroundings lie inside the sections.

        Parameters
        ----------
        sections : Tensor, float32, (N, in_sections, Y, X)

        Returns
        -------
        Tensor, float32, (N, 1, Y - 2 margin_px, X - 2 margin_px)
        """
        height, width = (size - 2 * self.margin_px for size in sections.shape[-2:])
        x = mirror(sections, (0, 0), [self._missing_px(size) for size in sections.shape[-2:]])
        skips = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(self.pool(x) if level else x)
            skips.append(x)
        x = self.dropout(skips.pop())
        for up, decoder in zip(reversed(self.ups), reversed(self.decoders), strict=True):
            x = up(x)
            x = decoder(torch.cat([_crop(skips.pop(), x), x], 1))
        return boundary_logit(self.head(x))[..., :height, :width]

    def _missing_px(self, size_px: int) -> int:
        """Return what a size lacks for each pooling to get an even one."""
        return (self.valid_remainder_px - size_px) % self.size_multiple_px

    def _walk(self, reach: Reach) -> Reach:
        depth = self.size_multiple_px.bit_length()
        for _ in range(depth - 1):
            reach = _two(reach).up(2, 2)
        for level in range(depth):
            reach = _two(reach if level == 0 else reach.down(2))
        return Reach(reach.low - self.margin_px, reach.high - self.margin_px)


def build(preset: str | None = None, **params: Any) -> UNet:
    """Make a :class:`UNet`; see :func:`napari_emseg.networks.build_network`."""
    return UNet(make_params(UNetParams, PRESETS, preset, params))


def _double(channels_in: int, channels: int, *, normalise: bool) -> nn.Sequential:
    return nn.Sequential(
        *(
            ConvBlock(source, channels, padding=(0, 0), normalise=normalise)
            for source in (channels_in, channels)
        )
    )


def _crop(skip: Tensor, like: Tensor) -> Tensor:
    """Cut away the rim of a map by which `like` is smaller."""
    y, x = ((a - b) // 2 for a, b in zip(skip.shape[-2:], like.shape[-2:], strict=True))
    return skip[..., y : y + like.shape[-2], x : x + like.shape[-1]]


def _margin_px(depth: int) -> int:
    shrinkage = 4
    for _ in range(depth - 1):
        shrinkage = 8 + 2 * shrinkage
    return shrinkage // 2


def _two(reach: Reach) -> Reach:
    return reach.conv(3, padding=0).conv(3, padding=0)

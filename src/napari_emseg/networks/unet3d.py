"""The 3D U-Net of Cicek, Abdulkadir, Lienkamp, Brox, Ronneberger 2016.

"3D U-Net: Learning Dense Volumetric Segmentation from Sparse Annotation", MICCAI
2016, doi:10.1007/978-3-319-46723-8_49. Each convolution has batch normalisation
and ReLU; on the way up, maps of the same size are concatenated:

=========  ==================================================  ============
level      layers                                              maps
=========  ==================================================  ============
down 1-3   2 x convolution 3x3x3; max-pooling 2x2x2            32 and 64, 64 and 128,
                                                               128 and 256
bottom     2 x convolution 3x3x3                               256 and 512
up 3-1     deconvolution 2x2x2; concatenate; 2 x convolution   256, 128, 64
           3x3x3
out        convolution 1x1x1                                   1, or affinities
=========  ==================================================  ============

With the paper's 3 channels in and out this gives its 19,069,955 numbers to train,
those of batch normalisation beyond one a map not counted (a figure recalled, not
checked against the text). Not as in the paper: sizes are kept by padding, so the
output covers the whole volume, and parameters can leave Z unpooled at the first
levels, for sections thicker than pixels. The modern preset has half the maps and
pools Z from the second level on.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_emseg.networks.base import Network, Offset, make_params
from napari_emseg.networks.layers import ConvBlock, initialise_he
from napari_emseg.networks.padding import mirror_to_multiple
from napari_emseg.networks.reach import Reach, receptive_field_px


class UNet3dParams(BaseModel):
    """Parameters of :class:`UNet3d`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(
        32,
        ge=1,
        le=128,
        title="Width",
        description="Maps of the first convolution; doubled by the second of each level.",
    )
    depth: int = Field(4, ge=2, le=6, title="Levels", description="Number of resolutions.")
    flat_levels: int = Field(
        0,
        ge=0,
        le=5,
        title="Flat levels",
        description="So many of the first levels pool within sections only, for sections "
        "thicker than pixels.",
    )
    offsets: tuple[Offset, ...] = Field(
        (),
        title="Affinities",
        description="Offsets (z, y, x) of the affinities that come out; none: a boundary map.",
    )
    in_sections: Literal[1] = Field(
        1, title="Channels in", description="Always 1: a volume goes in whole."
    )


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "modern": {"width": 16, "flat_levels": 1},
    "tiny": {"width": 2, "depth": 3, "flat_levels": 1},
}


class UNet3d(Network):
    """3D U-Net with concatenated skips, after Cicek et al. 2016."""

    name = "unet3d"
    dimensions = 3

    def __init__(self, params: UNet3dParams) -> None:
        super().__init__()
        self.params = params
        self.in_sections = params.in_sections
        self.offsets = params.offsets
        pools = [
            (1 if level < params.flat_levels else 2, 2, 2) for level in range(params.depth - 1)
        ]
        self.size_multiple_px = 2 ** len(pools)
        self.size_multiple_sections = 2 ** sum(pool[0] == 2 for pool in pools)
        self.memory_bytes_per_px = 4 * 17 * params.width  # measured, per voxel
        depth = receptive_field_px(
            lambda reach: _walk(reach, [pool[0] for pool in pools]), self.size_multiple_sections
        )
        side = receptive_field_px(
            lambda reach: _walk(reach, [pool[1] for pool in pools]), self.size_multiple_px
        )
        self.receptive_field_px = (depth, side, side)
        widths = [2 * params.width * 2**level for level in range(params.depth)]
        self.encoders = nn.ModuleList(
            _double(below, width // 2, width)
            for below, width in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.pools = nn.ModuleList(nn.MaxPool3d(pool) for pool in pools)
        self.ups = nn.ModuleList(
            nn.ConvTranspose3d(above, above, pool, stride=pool, bias=False)
            for above, pool in zip(widths[1:], pools, strict=True)
        )
        self.decoders = nn.ModuleList(
            _double(above + width, width, width)
            for above, width in zip(widths[1:], widths[:-1], strict=True)
        )
        self.head = nn.Conv3d(widths[0], len(params.offsets) or 1, 1)
        initialise_he(self)

    def forward(self, volume: Tensor) -> Tensor:
        self.check_input(volume)
        z, y, x_size = volume.shape[-3:]
        multiples = (self.size_multiple_sections, self.size_multiple_px, self.size_multiple_px)
        x = self.encoders[0](mirror_to_multiple(volume, multiples))
        skips = []
        for pool, encoder in zip(self.pools, list(self.encoders)[1:], strict=True):
            skips.append(x)
            x = encoder(pool(x))
        for up, decoder in zip(reversed(self.ups), reversed(self.decoders), strict=True):
            x = decoder(torch.cat([up(x), skips.pop()], 1))
        logits: Tensor = self.head(x)[..., :z, :y, :x_size]
        return logits


def build(preset: str | None = None, **params: Any) -> UNet3d:
    """Make a :class:`UNet3d`; see :func:`napari_emseg.networks.build_network`."""
    return UNet3d(make_params(UNet3dParams, PRESETS, preset, params))


def _double(channels_in: int, middle: int, channels: int) -> nn.Sequential:
    kernel = (3, 3, 3)
    return nn.Sequential(
        ConvBlock(channels_in, middle, kernel), ConvBlock(middle, channels, kernel)
    )


def _walk(reach: Reach, pools: list[int]) -> Reach:
    for pool in pools:
        reach = reach.conv(3).conv(3).up(pool, pool)
    for pool in [*reversed(pools), 1]:
        reach = reach.conv(3).conv(3).down(pool)
    return reach

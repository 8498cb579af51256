"""A 2D residual U-Net with summed skips: small, fast on a CPU, any section size.

After no single paper: the U of Ronneberger et al. 2015 (as published: ``unet``),
the sums and residual blocks of Quan et al. 2016, 5 levels from 16 maps on.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_emseg.networks.base import Network, fold, make_params
from napari_emseg.networks.padding import mirror_to_multiple


class UNet2dParams(BaseModel):
    """Parameters of :class:`UNet2d`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(
        16,
        ge=4,
        le=128,
        title="Width",
        description="Channels at full resolution; doubled at each level below. "
        "Multiples of 16 are fast.",
    )
    depth: int = Field(5, ge=1, le=7, title="Depth", description="Number of resolutions.")
    in_sections: Literal[1, 3, 5] = Field(
        1, title="Sections in", description="Neighbouring sections seen, the middle one predicted."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, title="Dropout", description="Share of the deepest channels left out."
    )


PRESETS: dict[str, dict[str, Any]] = {
    "modern": {},
    "tiny": {"width": 4, "depth": 3},
}


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv1: nn.Module = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.norm1: nn.Module = nn.BatchNorm2d(channels)
        self.conv2: nn.Module = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2: nn.Module = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = (
            nn.Identity()
            if channels_in == channels
            else nn.Conv2d(channels_in, channels, 1, bias=False)
        )
        self.relu = nn.ReLU(inplace=True)

    def fuse(self) -> None:
        self.conv1 = fold(self.conv1, self.norm1)
        self.conv2 = fold(self.conv2, self.norm2)
        self.norm1 = self.norm2 = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        out: Tensor = self.relu(y.add_(self.shortcut(x)))
        return out


class UNet2d(Network):
    """2D residual U-Net after Ronneberger et al. 2015 and Quan et al. 2016.

    Maps sections (N, in_sections, Y, X) of any size to boundary logits
    (N, 1, Y, X). Sizes that do not divide by ``size_multiple_px`` are padded at
    their end by reflection.

    References
    ----------
    doi:10.1007/978-3-319-24574-4_28, doi:10.3389/fcomp.2021.613981
    """

    name = "unet2d"

    def __init__(self, params: UNet2dParams) -> None:
        super().__init__()
        self.params = params
        self.in_sections = params.in_sections
        self.size_multiple_px = 2 ** (params.depth - 1)
        # measured: float32 maps of full size alive at once, and some scratch
        self.memory_bytes_per_px = 7 * 4 * params.width
        self.receptive_field_px = (params.in_sections, *(_receptive_field_px(params.depth),) * 2)
        widths = [params.width * 2**level for level in range(params.depth)]
        self.stem = nn.Sequential(
            nn.Conv2d(params.in_sections, widths[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.encoders = nn.ModuleList(
            ResidualBlock(below, width)
            for below, width in zip([widths[0], *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout2d(params.dropout)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in widths[:-1]
        )
        self.decoders = nn.ModuleList(ResidualBlock(width, width) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], 1, 1)

    def fuse(self) -> None:
        """Fold each batch normalisation into the convolution before it."""
        self.stem[0] = fold(self.stem[0], self.stem[1])
        self.stem[1] = nn.Identity()
        for block in (*self.encoders, *self.decoders):
            block.fuse()

    def forward(self, sections: Tensor) -> Tensor:
        height, width = sections.shape[-2:]
        x = self.stem(mirror_to_multiple(sections, (self.size_multiple_px,) * 2))
        skips = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(self.pool(x) if level else x)
            skips.append(x)
        x = self.dropout(skips.pop())
        for up, decoder in zip(reversed(self.ups), reversed(self.decoders), strict=True):
            x = decoder(up(x).add_(skips.pop()))
        logits: Tensor = self.head(x)[..., :height, :width]
        return logits


def build(preset: str | None = None, **params: Any) -> UNet2d:
    """Make a :class:`UNet2d`; see :func:`napari_emseg.networks.build_network`."""
    return UNet2d(make_params(UNet2dParams, PRESETS, preset, params))


def _receptive_field_px(depth: int) -> int:
    # Follow the interval of cells that one output pixel depends on, down the
    # decoder and up the encoder; where it sits in its coarsest cell matters.
    radius = 0
    for pixel in range(2 ** (depth - 1)):
        low = high = pixel
        for _ in range(depth - 1):
            low, high = (low - 2) // 2, (high + 2) // 2
        for level in reversed(range(depth)):
            low, high = low - 2, high + 2
            if level:
                low, high = 2 * low, 2 * high + 1
        low, high = low - 1, high + 1
        radius = max(radius, pixel - low, high - pixel)
    return 2 * radius + 1

"""FusionNet of Quan, Hildebrand, Jeong 2016, as the paper has it and as its code has it.

"FusionNet: A deep fully residual convolutional neural network for image
segmentation in connectomics", arXiv:1612.05360, doi:10.3389/fcomp.2021.613981.
A U-Net whose long skips are sums and whose levels hold residual blocks. Any
size, padded to multiples of 2 to the number of poolings:

=========  =================================================  ==============
level      layers of variant "paper"                          maps
=========  =================================================  ==============
down 1-4   convolution, residual block of 3, convolution;     64-128-256-512
           max-pooling 2
bridge     convolution, residual block of 3, convolution      1024
up 4-1     deconvolution 3 with stride 2; sum with the level  512-256-128-64
           of the same size; convolution, residual block of
           3, convolution
out        convolution 1                                      1
=========  =================================================  ==============

All kernels 3x3, ReLU then batch normalisation after each convolution; 78.5
million weights with 5 levels, 4 levels have the bridge at 512. Variant "author"
is the authors' released code (tmquan/FusionNet), which differs from the paper:
residual blocks are 2 x (batch normalisation, convolution, ReLU) and there is no
other normalisation, going up is a convolution to half the maps before the
deconvolution, and dropout 0.25 follows each level and each sum; 62.8 million.
Not from the paper: the 1x1 kernel of the last convolution, from the code; the
kernel of the deconvolutions, which the count of weights implies; and where in a
residual block of variant "paper" the identity joins, after its last
normalisation. The modern preset is the paper's with batch normalisation before
ReLU and 24 maps at full resolution.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_emseg.networks.base import Network, make_params
from napari_emseg.networks.layers import ConvBlock, initialise_he
from napari_emseg.networks.padding import mirror_to_multiple
from napari_emseg.networks.reach import Reach, receptive_field_px


class FusionNetParams(BaseModel):
    """Parameters of :class:`FusionNet`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: Literal["paper", "author", "modern"] = Field(
        "paper",
        title="Variant",
        description="As in the paper, as in the authors' code, or with batch normalisation "
        "before each ReLU.",
    )
    width: int = Field(
        64,
        ge=1,
        le=256,
        title="Width",
        description="Maps at full resolution; doubled at each level below.",
    )
    depth: int = Field(
        5, ge=2, le=7, title="Levels", description="Number of resolutions; the paper has 4 and 5."
    )
    dropout: float = Field(
        0.25,
        ge=0,
        lt=1,
        title="Dropout",
        description="Share of maps left out after each level; of variant 'author' only.",
    )
    in_sections: Literal[1, 3, 5] = Field(
        1, title="Sections in", description="Neighbouring sections seen; the paper has 1."
    )


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "paper_4_levels": {"depth": 4},
    "author": {"variant": "author"},
    "modern": {"variant": "modern", "width": 24},
    "tiny": {"variant": "modern", "width": 4, "depth": 3},
    "tiny_paper": {"width": 4, "depth": 3},
    "tiny_author": {"variant": "author", "width": 4, "depth": 3, "dropout": 0.0},
}


class LateNorm(nn.Module):
    """A convolution, ReLU, then batch normalisation."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.relu(self.conv(x)))
        return out


class EarlyNorm(nn.Module):
    """Batch normalisation, a convolution, then ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.conv(self.norm(x)))
        return out


class Residual(nn.Module):
    """Layers beside an identity."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class Up(nn.Module):
    """A transposed convolution 3x3 that doubles the size."""

    def __init__(self, channels_in: int, channels: int, variant: str) -> None:
        super().__init__()
        is_author = variant == "author"
        self.first = _convolution(channels_in, channels, variant) if is_author else nn.Identity()
        self.deconv = nn.ConvTranspose2d(
            channels if is_author else channels_in,
            channels,
            3,
            stride=2,
            padding=1,
            output_padding=1,
        )
        self.relu = nn.ReLU(inplace=True)
        self.norm = nn.Identity() if is_author else nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.relu(self.deconv(self.first(x))))
        return out


class FusionNet(Network):
    """2D fully residual U-Net with summed skips, after Quan et al. 2016."""

    name = "fusionnet"

    def __init__(self, params: FusionNetParams) -> None:
        super().__init__()
        self.params = params
        self.in_sections = params.in_sections
        self.size_multiple_px = 2 ** (params.depth - 1)
        self.memory_bytes_per_px = 8 * 4 * params.width  # measured
        field = receptive_field_px(lambda reach: _walk(reach, params), self.size_multiple_px)
        self.receptive_field_px = (params.in_sections, field, field)
        widths = [params.width * 2**level for level in range(params.depth)]
        self.encoders = nn.ModuleList(
            _level(below, width, params.variant)
            for below, width in zip([params.in_sections, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(params.dropout if params.variant == "author" else 0)
        self.ups = nn.ModuleList(Up(2 * width, width, params.variant) for width in widths[:-1])
        self.decoders = nn.ModuleList(
            _level(width, width, params.variant, is_up=True) for width in widths[:-1]
        )
        self.head = nn.Conv2d(widths[0], 1, 1)
        initialise_he(self)

    def forward(self, sections: Tensor) -> Tensor:
        self.check_input(sections)
        height, width = sections.shape[-2:]
        x = mirror_to_multiple(sections, (self.size_multiple_px,) * 2)
        skips = []
        for level, encoder in enumerate(self.encoders):
            x = self.dropout(encoder(self.pool(x) if level else x))
            skips.append(x)
        x = skips.pop()
        for up, decoder in zip(reversed(self.ups), reversed(self.decoders), strict=True):
            x = decoder(self.dropout(up(x) + skips.pop()))
        logits: Tensor = self.head(x)[..., :height, :width]
        return logits


def build(preset: str | None = None, **params: Any) -> FusionNet:
    """Make a :class:`FusionNet`; see :func:`napari_emseg.networks.build_network`."""
    return FusionNet(make_params(FusionNetParams, PRESETS, preset, params))


def _convolution(channels_in: int, channels: int, variant: str) -> nn.Module:
    if variant == "paper":
        return LateNorm(channels_in, channels)
    return ConvBlock(channels_in, channels, normalise=variant == "modern")


def _level(channels_in: int, channels: int, variant: str, *, is_up: bool = False) -> nn.Sequential:
    if variant == "author":
        residual = Residual(EarlyNorm(channels), EarlyNorm(channels))
    else:
        residual = Residual(*(_convolution(channels, channels, variant) for _ in range(3)))
    layers = [residual, _convolution(channels, channels, variant)]
    if not (is_up and variant == "author"):
        layers.insert(0, _convolution(channels_in, channels, variant))
    return nn.Sequential(*layers)


def _walk(reach: Reach, params: FusionNetParams) -> Reach:
    is_author = params.variant == "author"
    level, decoder = (4, 3) if is_author else (5, 5)
    for _ in range(params.depth - 1):
        reach = _cross(reach, decoder)
        reach = reach.up(3, 2, padding=1)
        reach = reach.conv(3) if is_author else reach
    for depth in range(params.depth):
        reach = _cross(reach if depth == 0 else reach.down(2), level)
    return reach


def _cross(reach: Reach, convolutions: int) -> Reach:
    for _ in range(convolutions):
        reach = reach.conv(3)
    return reach

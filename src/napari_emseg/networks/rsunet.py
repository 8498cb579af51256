"""The residual symmetric U-Net of Lee, Zung, Li, Jain, Seung 2017.

"Superhuman Accuracy on the SNEMI3D Connectomics Challenge", arXiv:1706.00120. A
3D U-Net for thick sections that gives affinities: between neighbouring voxels,
which are used, and between distant ones, which only help in training:

=========  =====================================================  ============
level      layers                                                 maps
=========  =====================================================  ============
in         convolution 1x5x5                                      28
down 1     module of kernel 1x3x3; max-pooling 1x2x2              28
down 2-4   module; max-pooling 1x2x2                              36, 48, 64
bottom     module                                                 80
up 4-1     deconvolution 1x2x2; sum with the level of the same    64, 48, 36, 28
           size; module (level 1: of kernel 1x3x3)
out        convolution 1x3x3; convolution 1x5x5                   28; affinities
=========  =====================================================  ============

A module is a convolution 1x3x3 and, beside an identity, two of 3x3x3. From the
abstract: a variant of 3D U-Net, affinities near and far. Not checked against the
text: the kernels, the order (convolution, batch normalisation, ELU) and the maps,
read in a public implementation of the authors' group; the offsets, 1, 3, 9, 27
within a section and 1 to 4 across, from public code that names this network. Of
that code, the module on the way up has kernel 1x2x2 by what looks like a slip;
here it is as on the way down. The modern preset has 16 maps at full resolution.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_emseg.networks.base import Network, Offset, make_params
from napari_emseg.networks.layers import ConvBlock, ThinConv3d, initialise_he
from napari_emseg.networks.padding import mirror_to_multiple
from napari_emseg.networks.reach import Reach, receptive_field_px

NEAREST: tuple[Offset, ...] = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
LONG_RANGE: tuple[Offset, ...] = tuple(
    offset
    for z, yx in ((2, 3), (3, 9), (4, 27))
    for offset in ((-z, 0, 0), (0, -yx, 0), (0, 0, -yx))
)

Maps = Annotated[int, Field(ge=1, le=512)]


class RSUNetParams(BaseModel):
    """Parameters of :class:`RSUNet`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    widths: tuple[Maps, ...] = Field(
        (28, 36, 48, 64, 80),
        min_length=2,
        max_length=7,
        title="Widths",
        description="Maps of each level, full resolution first.",
    )
    offsets: tuple[Offset, ...] = Field(
        NEAREST + LONG_RANGE,
        min_length=1,
        title="Affinities",
        description="Offsets (z, y, x) of the affinities that come out, the nearest first.",
    )
    in_sections: Literal[1] = Field(
        1, title="Channels in", description="Always 1: a volume goes in whole."
    )


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "modern": {"widths": (16, 32, 64, 96)},
    "tiny": {"widths": (4, 6, 8), "offsets": ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (0, 0, -3))},
}


class Module(nn.Module):
    """A flat convolution and, beside an identity, two more."""

    def __init__(self, channels_in: int, channels: int, kernel: tuple[int, int, int]) -> None:
        super().__init__()
        self.conv1 = _block(channels_in, channels, (1, 3, 3))
        self.conv2 = _block(channels, channels, kernel)
        self.conv3 = ThinConv3d(channels, channels, kernel, padding=_half(kernel), bias=False)
        self.norm3 = nn.BatchNorm3d(channels)
        self.elu = nn.ELU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(x)
        out: Tensor = self.elu(self.norm3(self.conv3(self.conv2(first)) + first))
        return out


class Up(nn.Module):
    """A deconvolution within sections, summed with a skip."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose3d(
            channels_in, channels, (1, 2, 2), stride=(1, 2, 2), bias=False
        )
        self.norm = nn.BatchNorm3d(channels)
        self.elu = nn.ELU(inplace=True)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        out: Tensor = self.elu(self.norm(self.deconv(x) + skip))
        return out


class RSUNet(Network):
    """3D residual U-Net that gives near and far affinities, after Lee et al. 2017.

    ``forward`` gives one channel for each of ``offsets``: 1 = same neuron.
    """

    name = "rsunet"
    dimensions = 3

    def __init__(self, params: RSUNetParams) -> None:
        super().__init__()
        self.params = params
        self.in_sections = params.in_sections
        self.offsets = params.offsets
        widths = params.widths
        levels = len(widths)
        self.size_multiple_px = 2 ** (levels - 1)
        self.memory_bytes_per_px = 4 * 8 * widths[0]  # measured, per voxel
        side = receptive_field_px(lambda reach: _walk(reach, levels), self.size_multiple_px)
        # two convolutions reach across sections at each level but the first, down and up
        depth = 1 + 4 * (2 * levels - 3)
        self.receptive_field_px = (depth, side, side)
        kernels = [(1, 3, 3), *[(3, 3, 3)] * (levels - 1)]
        self.embed = _block(1, widths[0], (1, 5, 5), normalise=False)
        self.encoders = nn.ModuleList(
            Module(below, width, kernel)
            for below, width, kernel in zip([widths[0], *widths[:-1]], widths, kernels, strict=True)
        )
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.ups = nn.ModuleList(
            Up(below, width) for below, width in zip(widths[1:], widths[:-1], strict=True)
        )
        self.decoders = nn.ModuleList(
            Module(width, width, kernel)
            for width, kernel in zip(widths[:-1], kernels[:-1], strict=True)
        )
        self.last = _block(widths[0], widths[0], (1, 3, 3), normalise=False)
        self.head = nn.Conv3d(widths[0], len(params.offsets), (1, 5, 5), padding=(0, 2, 2))
        initialise_he(self)

    def forward(self, volume: Tensor) -> Tensor:
        self.check_input(volume)
        height, width = volume.shape[-2:]
        x = self.embed(mirror_to_multiple(volume, (self.size_multiple_px,) * 2))
        skips = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(self.pool(x) if level else x)
            skips.append(x)
        x = skips.pop()
        for up, decoder in zip(reversed(self.ups), reversed(self.decoders), strict=True):
            x = decoder(up(x, skips.pop()))
        logits: Tensor = self.head(self.last(x))[..., :height, :width]
        return logits


def build(preset: str | None = None, **params: Any) -> RSUNet:
    """Make an :class:`RSUNet`; see :func:`napari_emseg.networks.build_network`."""
    return RSUNet(make_params(RSUNetParams, PRESETS, preset, params))


def _half(kernel: tuple[int, int, int]) -> tuple[int, int, int]:
    z, y, x = kernel
    return z // 2, y // 2, x // 2


def _block(
    channels_in: int, channels: int, kernel: tuple[int, int, int], *, normalise: bool = True
) -> ConvBlock:
    return ConvBlock(channels_in, channels, kernel, normalise=normalise, activation="elu")


def _walk(reach: Reach, levels: int) -> Reach:
    reach = reach.conv(5).conv(3)
    for _ in range(levels - 1):
        reach = reach.conv(3).conv(3).conv(3).up(2, 2)
    for level in reversed(range(levels)):
        reach = reach.conv(3).conv(3).conv(3)
        reach = reach.down(2) if level else reach
    return reach.conv(5)

"""DeepEM3D-Net and pDeepEM3D-Net of Zeng, Wu, Ji 2017.

"DeepEM3D: approaching human-level performance on 3D anisotropic EM image
segmentation", Bioinformatics 33(16), doi:10.1093/bioinformatics/btx188. A 3D stem
turns 1, 3 or 5 sections into 2D maps, inception modules with residuals follow,
and what four depths say is brought to full resolution and summed. The table is
read from the authors' released networks (divelab/deepem3d; the stem of 3 sections
from its descendant CRBS/cdeep3m). Convolutions keep the size and are followed by
batch normalisation and ReLU, but "lin" only by the former; k = kernel (y x x):

============  ==========================================================  =====  ======
part          layers                                                      maps   stride
============  ==========================================================  =====  ======
conv1_1       3x3x3 (1x3x3 for 1 section), stride 2 along all axes        32     2
conv1_2       3x3x3 for 5 sections, 2x3x3 for 3, 1x3x3 for 1; none left   64     2
stem          {1, 64; 3, 96 lin} beside {1, 64; 7x1, 64; 1x7, 64; 3, 96   192    2
              lin}: tap 2
reduction     max-pooling 3 beside {3, 192}, stride 2; then 1, 384        384    4
module A      {1, 32} {1, 32; 3, 32} {1, 32; 3, 48; 3, 64}; 1, 384 lin;   384    4
              x + 0.1 of that, ReLU: tap 4
reduction A   max-pooling 3 beside {3, 384} {1, 256; 3, 256; 3, 384},     1154   8
              stride 2; then 1, 1154
module B      {1, 192} {1, 128; 1x7, 160; 7x1, 192}; 1, 1154 lin; the     1154   8
              same sum: tap 8
reduction B   max-pooling 3 beside {1, 256; 3, 384} {1, 256; 3, 288}      2048   16
              {1, 256; 3, 288; 3, 320}, stride 2; then 1, 2048
module C      {1, 192} {1, 192; 1x3, 224; 3x1, 256}; 1, 2048 lin; the     2048   16
              same sum: tap 16
recovery      of tap s: sum of deconvolutions 2s, stride s, 2 maps, with  2      1
              dilation 1, 5, 11, 17, 23 (of tap 16: 1); batch
              normalisation, ReLU; 3, 2
out           sum of the four, softmax                                    2      1
============  ==========================================================  =====  ======

About 24.0 million weights with 5 sections. pDeepEM3D-Net lacks the dilated
deconvolutions. Not from the authors: with 3 maps to pool, their framework rounds
sizes up, which needs sizes that are multiples of 16; sections are padded to them
by mirroring, where the authors pad with zeros. The modern preset has 5 sections,
half the maps and plain deconvolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_emseg.networks.base import Network, make_params
from napari_emseg.networks.layers import (
    ConvBlock,
    boundary_logit,
    initialise_bilinear,
    is_shape_only,
)
from napari_emseg.networks.padding import mirror_to_multiple
from napari_emseg.networks.reach import Reach, receptive_field_px

_DILATIONS = (5, 11, 17, 23)


class DeepEM3DParams(BaseModel):
    """Parameters of :class:`DeepEM3D`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    in_sections: Literal[1, 3, 5] = Field(
        5, title="Sections in", description="Neighbouring sections seen, the middle one predicted."
    )
    width: int = Field(
        32,
        ge=1,
        le=128,
        title="Width",
        description="Maps of the first convolution; all others scale with it.",
    )
    pyramid: bool = Field(
        True,
        title="Dilated deconvolutions",
        description="Whether maps are brought to full resolution with far context too.",
    )


class PDeepEM3DParams(DeepEM3DParams):
    """Parameters of :class:`PDeepEM3D`."""

    pyramid: Literal[False] = Field(
        False, title="Dilated deconvolutions", description="This network has none."
    )


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "modern": {"width": 16, "pyramid": False},
    "tiny": {"width": 2},
}


class Stem(nn.Module):
    """From sections to 2D maps at half the resolution."""

    def __init__(self, in_sections: int, width: int) -> None:
        super().__init__()
        depths = {1: (1, 1), 3: (3, 2), 5: (3, 3)}[in_sections]
        self.conv1_1 = ConvBlock(1, width, (depths[0], 3, 3), stride=2)
        self.conv1_2 = ConvBlock(width, 2 * width, (depths[1], 3, 3), padding=(0, 1, 1))
        self.a = _chain(2 * width, (2 * width, (1, 1)), (3 * width, (3, 3)), is_linear=True)
        self.b = _chain(
            2 * width,
            (2 * width, (1, 1)),
            (2 * width, (7, 1)),
            (2 * width, (1, 7)),
            (3 * width, (3, 3)),
            is_linear=True,
        )

    def forward(self, sections: Tensor) -> Tensor:
        x = self.conv1_2(self.conv1_1(sections[:, None])).squeeze(2)
        return torch.cat([self.a(x), self.b(x)], 1)


class Module(nn.Module):
    """Branches beside each other, a tenth of whose sum is added to the input."""

    def __init__(self, channels: int, branches: list[nn.Sequential], branch_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.join = ConvBlock(branch_channels, channels, (1, 1), activation="none")
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        joined = self.join(torch.cat([branch(x) for branch in self.branches], 1))
        out: Tensor = self.relu(x + 0.1 * joined)
        return out


class Reduction(nn.Module):
    """Pooling and branches of stride 2 beside each other, then a 1x1 convolution."""

    def __init__(self, branches: list[nn.Sequential], channels_in: int, channels: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.branches = nn.ModuleList(branches)
        self.join = ConvBlock(channels_in, channels, (1, 1))

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.pool(x), *(branch(x) for branch in self.branches)]
        out: Tensor = self.join(torch.cat(parts, 1))
        return out


class Recovery(nn.Module):
    """From the maps of one depth to two maps at full resolution."""

    def __init__(self, channels: int, stride: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.ups = nn.ModuleList(_deconvolution(channels, stride, d) for d in (1, *dilations))
        self.norm = nn.BatchNorm2d(2)
        self.relu = nn.ReLU(inplace=True)
        self.conv = ConvBlock(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.ups[0](x)
        for up in list(self.ups)[1:]:
            total = total + up(x)
        out: Tensor = self.conv(self.relu(self.norm(total)))
        return out


class DeepEM3D(Network):
    """2.5D inception network with four resolutions summed, after Zeng et al. 2017."""

    name = "deepem3d"

    def __init__(self, params: DeepEM3DParams) -> None:
        super().__init__()
        self.params = params
        self.in_sections = params.in_sections
        self.size_multiple_px = 16
        # measured: maps at half the resolution, and two of full size for each of four taps
        self.memory_bytes_per_px = 4 * (7 * params.width + 48)
        dilations = _DILATIONS if params.pyramid else ()
        field = receptive_field_px(lambda reach: _walk(reach, dilations), 16)
        self.receptive_field_px = (params.in_sections, field, field)

        def w(maps: int) -> int:
            return max(1, round(maps * params.width / 32))

        self.stem = Stem(params.in_sections, params.width)
        self.reductions = nn.ModuleList(_reductions(w, 6 * params.width))
        self.modules_abc = nn.ModuleList(_modules(w))
        self.recoveries = nn.ModuleList(
            Recovery(maps, stride, () if stride == 16 else dilations)
            for maps, stride in (
                (6 * params.width, 2),
                (w(384), 4),
                (w(1154), 8),
                (w(2048), 16),
            )
        )
        _initialise(self)

    def forward(self, sections: Tensor) -> Tensor:
        self.check_input(sections)
        height, width = sections.shape[-2:]
        x = self.stem(mirror_to_multiple(sections, (self.size_multiple_px,) * 2))
        total = self.recoveries[0](x)
        later = zip(self.reductions, self.modules_abc, list(self.recoveries)[1:], strict=True)
        for reduction, module, recovery in later:
            x = module(reduction(x))
            total = total + recovery(x)
        return boundary_logit(total)[..., :height, :width]


class PDeepEM3D(DeepEM3D):
    """DeepEM3D-Net without the dilated deconvolutions."""

    name = "pdeepem3d"


def build(preset: str | None = None, **params: Any) -> DeepEM3D:
    """Make a :class:`DeepEM3D`; see :func:`napari_emseg.networks.build_network`."""
    return DeepEM3D(make_params(DeepEM3DParams, PRESETS, preset, params))


def build_plain(preset: str | None = None, **params: Any) -> PDeepEM3D:
    """Make a :class:`PDeepEM3D`; see :func:`napari_emseg.networks.build_network`."""
    return PDeepEM3D(make_params(PDeepEM3DParams, PRESETS, preset, params))


def _chain(
    channels_in: int,
    *layers: tuple[int, tuple[int, int]],
    stride: int = 1,
    is_linear: bool = False,
) -> nn.Sequential:
    """Convolutions one after the other; stride and missing ReLU are those of the last."""
    sources = [channels_in, *(maps for maps, _ in layers[:-1])]
    last = len(layers) - 1
    return nn.Sequential(
        *(
            ConvBlock(
                source,
                maps,
                kernel,
                stride=stride if index == last else 1,
                activation="none" if is_linear and index == last else "relu",
            )
            for index, (source, (maps, kernel)) in enumerate(zip(sources, layers, strict=True))
        )
    )


def _reductions(w: Callable[[int], int], stem: int) -> list[Reduction]:
    one, three = (1, 1), (3, 3)
    a, b = w(384), w(1154)
    return [
        Reduction([_chain(stem, (w(192), three), stride=2)], stem + w(192), a),
        Reduction(
            [
                _chain(a, (w(384), three), stride=2),
                _chain(a, (w(256), one), (w(256), three), (w(384), three), stride=2),
            ],
            a + 2 * w(384),
            b,
        ),
        Reduction(
            [
                _chain(b, (w(256), one), (w(384), three), stride=2),
                _chain(b, (w(256), one), (w(288), three), stride=2),
                _chain(b, (w(256), one), (w(288), three), (w(320), three), stride=2),
            ],
            b + w(384) + w(288) + w(320),
            w(2048),
        ),
    ]


def _modules(w: Callable[[int], int]) -> list[Module]:
    one, three = (1, 1), (3, 3)
    a, b, c = w(384), w(1154), w(2048)
    return [
        Module(
            a,
            [
                _chain(a, (w(32), one)),
                _chain(a, (w(32), one), (w(32), three)),
                _chain(a, (w(32), one), (w(48), three), (w(64), three)),
            ],
            2 * w(32) + w(64),
        ),
        Module(
            b,
            [
                _chain(b, (w(192), one)),
                _chain(b, (w(128), one), (w(160), (1, 7)), (w(192), (7, 1))),
            ],
            2 * w(192),
        ),
        Module(
            c,
            [
                _chain(c, (w(192), one)),
                _chain(c, (w(192), one), (w(224), (1, 3)), (w(256), (3, 1))),
            ],
            w(192) + w(256),
        ),
    ]


def _deconvolution(channels: int, stride: int, dilation: int) -> nn.ConvTranspose2d:
    kernel = 2 * stride
    padding = (dilation * (kernel - 1) + 1 - stride) // 2
    return nn.ConvTranspose2d(
        channels, 2, kernel, stride=stride, padding=padding, dilation=dilation, bias=False
    )


def _initialise(network: nn.Module) -> None:
    if is_shape_only(network):
        return
    for module in network.modules():
        if isinstance(module, nn.ConvTranspose2d) and module.dilation[0] == 1:
            initialise_bilinear(module)
        elif isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.01)
        elif isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.xavier_uniform_(module.weight)
        if isinstance(module, Stem):
            for block in (module.conv1_1, module.conv1_2):
                nn.init.normal_(block.get_parameter("conv.weight"), std=0.01)
        if isinstance(module, Recovery):
            nn.init.normal_(module.conv.get_parameter("conv.weight"), std=0.001)


def _walk(out: Reach, dilations: tuple[int, ...]) -> Reach:
    def recovered(stride: int, dilations: tuple[int, ...] = dilations) -> Reach:
        first = out.conv(3)
        ups = [first.up(2 * stride, stride, dilation=d) for d in (1, *dilations)]
        return ups[0].join(*ups[1:])

    def reduced(reach: Reach, *, is_deep: bool = True) -> Reach:
        branch = reach.conv(3, stride=2)
        return reach.conv(3, stride=2, padding=0).join(branch.conv(3) if is_deep else branch)

    reach = recovered(16, ()).conv(3)
    reach = reduced(reach).join(recovered(8)).conv(7)
    reach = reduced(reach).join(recovered(4)).conv(3).conv(3)
    reach = reduced(reach, is_deep=False).join(recovered(2))
    return reach.conv(3).conv(7).conv(3).conv(3, stride=2)

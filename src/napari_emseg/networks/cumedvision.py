"""The deep contextual network of Chen, Qi, Cheng, Heng 2016 ("CUMedVision").

"Deep Contextual Networks for Neuronal Structure Segmentation", AAAI 2016. Maps of
three depths are brought to full resolution, each classified, and summed; each is
an auxiliary classifier in training. Any size, padded to multiples of 8:

=====  =====================================================  ======
stage  layers                                                 stride
=====  =====================================================  ======
D1     2 x convolution 3, 64 maps; max-pooling 2              1
D2     2 x convolution 3, 128 maps -> C1; max-pooling 2       2
D3     3 x convolution 3, 256 maps -> C2; max-pooling 2       4
D4     2 x convolution 3, 512 maps, each with dropout 0.5;    8
       convolution 1, 512 maps -> C3
C1-C3  deconvolution 2k, stride k = 2, 4, 8, 64 maps;         1
       convolution 3, 64 maps; convolution 1, 2 maps
out    C1 + C2 + C3, softmax                                  1
=====  =====================================================  ======

From the paper: 16 convolutions of 3x3 or 1x1, 3 max-poolings, 3 deconvolutions,
the sum, and the auxiliary classifiers. Not published: the maps of each layer and
how the 16 convolutions are shared out; those above are our choice, in the widths
of the authors' related networks. Recalled, not checked against the text: the
kernels of the deconvolutions and the dropout. The modern preset adds batch
normalisation, halves the maps and takes dropout 0.2.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_emseg.networks.base import Network, make_params
from napari_emseg.networks.layers import ConvBlock, boundary_logit, initialise_he
from napari_emseg.networks.padding import mirror_to_multiple
from napari_emseg.networks.reach import Reach, receptive_field_px

_STRIDES = (2, 4, 8)


class CUMedVisionParams(BaseModel):
    """Parameters of :class:`CUMedVision`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(
        64,
        ge=1,
        le=256,
        title="Width",
        description="Maps of the first stage and of the heads; doubled at each stage below.",
    )
    dropout: float = Field(
        0.5, ge=0, lt=1, title="Dropout", description="Share of the deepest maps left out."
    )
    normalise: bool = Field(
        False, title="Batch normalisation", description="After each convolution of the stages."
    )
    in_sections: Literal[1, 3, 5] = Field(
        1, title="Sections in", description="Neighbouring sections seen; the paper has 1."
    )


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "modern": {"width": 32, "normalise": True, "dropout": 0.2},
    "tiny": {"width": 4, "normalise": True, "dropout": 0.0},
}


class Head(nn.Module):
    """Brings the maps of one depth to full resolution and classifies them."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(
            channels_in, channels, 2 * stride, stride=stride, padding=stride // 2
        )
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.classes = nn.Conv2d(channels, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return boundary_logit(self.classes(self.relu(self.conv(self.relu(self.up(x))))))


class CUMedVision(Network):
    """2D network whose output sums what three depths say, after Chen et al. 2016."""

    name = "cumedvision"

    def __init__(self, params: CUMedVisionParams) -> None:
        super().__init__()
        self.params = params
        self.in_sections = params.in_sections
        self.size_multiple_px = _STRIDES[-1]
        self.memory_bytes_per_px = 4 * 4 * params.width  # measured
        field = receptive_field_px(_walk, self.size_multiple_px)
        self.receptive_field_px = (params.in_sections, field, field)
        widths = [params.width * factor for factor in (1, 2, 4, 8)]
        sources = [params.in_sections, *widths[:-1]]
        stages = [
            _stage(source, width, convolutions, params)
            for source, width, convolutions in zip(sources, widths, (2, 2, 3, 2), strict=True)
        ]
        stages[3].append(ConvBlock(widths[3], widths[3], (1, 1), normalise=params.normalise))
        self.stages = nn.ModuleList(stages)
        self.pool = nn.MaxPool2d(2)
        self.heads = nn.ModuleList(
            Head(width, params.width, stride)
            for width, stride in zip(widths[1:], _STRIDES, strict=True)
        )
        initialise_he(self)

    def forward(self, sections: Tensor) -> Tensor:
        return self.forward_training(sections)[0]

    def forward_training(self, sections: Tensor) -> tuple[Tensor, ...]:
        """Return the summed logits, then those of the classifiers C1, C2 and C3."""
        self.check_input(sections)
        height, width = sections.shape[-2:]
        x = self.stages[0](mirror_to_multiple(sections, (self.size_multiple_px,) * 2))
        parts = []
        for stage, head in zip(list(self.stages)[1:], self.heads, strict=True):
            x = stage(self.pool(x))
            parts.append(head(x)[..., :height, :width])
        return (parts[0] + parts[1] + parts[2], *parts)


def build(preset: str | None = None, **params: Any) -> CUMedVision:
    """Make a :class:`CUMedVision`; see :func:`napari_emseg.networks.build_network`."""
    return CUMedVision(make_params(CUMedVisionParams, PRESETS, preset, params))


def _stage(
    channels_in: int, channels: int, convolutions: int, params: CUMedVisionParams
) -> nn.Sequential:
    is_deepest = channels == 8 * params.width
    layers: list[nn.Module] = []
    for source in [channels_in, *[channels] * (convolutions - 1)]:
        layers.append(ConvBlock(source, channels, normalise=params.normalise))
        if is_deepest:
            layers.append(nn.Dropout(params.dropout))
    return nn.Sequential(*layers)


def _walk(reach: Reach) -> Reach:
    # C3, the deepest path, sees more than the others
    reach = reach.conv(3).up(16, 8)
    for convolutions in (2, 3, 2):
        for _ in range(convolutions):
            reach = reach.conv(3)
        reach = reach.down(2)
    return reach.conv(3).conv(3)

"""Networks that classify the pixel in the middle of a window, run on all pixels at once.

Sliding a window and computing it anew at every pixel repeats almost all of the
work. With max-pooling of stride 1, and the filters after it made sparse by
dilation, one pass over the section gives the same numbers ("max-filtering";
Giusti, Ciresan, Masci, Gambardella, Schmidhuber 2013, doi:10.1109/ICIP.2013.6738831).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn import functional

from napari_emseg.networks.base import Fusible, Network, fold
from napari_emseg.networks.layers import Activation, boundary_logit, make_activation
from napari_emseg.networks.padding import mirror


@dataclass(frozen=True)
class Stage:
    """Convolutions without padding, then max-pooling.

    Attributes
    ----------
    maps : int
        Channels of each convolution.
    kernels : tuple of int
        Side of each.
    pool : int
        Side and stride of the pooling; 1 for none.
    """

    maps: int
    kernels: tuple[int, ...]
    pool: int = 1


class StageLayers(Fusible):
    """The layers of one :class:`Stage`, to run with any dilation."""

    def __init__(
        self,
        channels_in: int,
        stage: Stage,
        activations: Sequence[Activation],
        *,
        normalise: bool,
    ) -> None:
        super().__init__()
        self.pool = stage.pool
        sources = [channels_in, *[stage.maps] * (len(stage.kernels) - 1)]
        self.convs = nn.ModuleList(
            nn.Conv2d(source, stage.maps, kernel, bias=not normalise)
            for source, kernel in zip(sources, stage.kernels, strict=True)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(stage.maps) if normalise else nn.Identity() for _ in stage.kernels
        )
        self.activations = nn.ModuleList(map(make_activation, activations))

    def fuse(self) -> None:
        """Fold each normalisation into its convolution."""
        for index, norm in enumerate(self.norms):
            if not isinstance(norm, nn.Identity):
                self.convs[index] = fold(self.convs[index], norm)
                self.norms[index] = nn.Identity()

    def forward(self, x: Tensor, dilation: int, *, pool: bool = True) -> Tensor:
        for layers in zip(self.convs, self.norms, self.activations, strict=True):
            x = convolve(x, layers, dilation)
        if pool and self.pool > 1:
            x = functional.max_pool2d(x, self.pool, stride=1, dilation=dilation)
        return x

    def forward_window(self, x: Tensor) -> Tensor:
        """Run as first written: no dilation, pooling by its own stride."""
        x = self(x, 1, pool=False)
        return functional.max_pool2d(x, self.pool) if self.pool > 1 else x


def convolve(x: Tensor, layers: Sequence[nn.Module], dilation: int) -> Tensor:
    """Run a convolution with its filters made sparse, then its normalisation and activation."""
    conv, norm, activation = layers
    assert isinstance(conv, nn.Conv2d)
    out: Tensor = activation(norm(functional.conv2d(x, conv.weight, conv.bias, dilation=dilation)))
    return out


class WindowNetwork(Network):
    """Base of the networks that classify the middle of a window.

    Parameters
    ----------
    params : pydantic.BaseModel
    stages : sequence of Stage
        The last one replaces the fully connected layer: its kernel is as large
        as what pooling left of the window.
    activations : sequence of sequence of str
        Of each convolution of each stage.
    window_px : int
        Side of the window, odd. Where poolings leave a remainder, the layers
        reach a little less far towards its end.
    in_sections : int
    normalise : bool
        Batch normalisation after each convolution.
    """

    def __init__(
        self,
        params: BaseModel,
        stages: Sequence[Stage],
        activations: Sequence[Sequence[Activation]],
        *,
        window_px: int,
        in_sections: int,
        normalise: bool,
    ) -> None:
        super().__init__()
        self.params = params
        self.in_sections = in_sections  # type: ignore[assignment]
        self.window_px = window_px
        self.margin_px = window_px // 2
        self.receptive_field_px = (in_sections, window_px, window_px)
        self.size_multiple_px = 1
        # input and output of the widest layer, and what the pooling notes down
        self.memory_bytes_per_px = 4 * sum(sorted(stage.maps for stage in stages)[-2:]) + 8 * max(
            stage.maps for stage in stages if stage.pool > 1
        )
        sources = [in_sections, *(stage.maps for stage in stages[:-1])]
        layers = [
            StageLayers(source, stage, names, normalise=normalise)
            for source, stage, names in zip(sources, stages, activations, strict=True)
        ]
        self.stages = nn.ModuleList(layers)
        self.head = nn.Conv2d(stages[-1].maps, 2, 1)

    def forward(self, sections: Tensor) -> Tensor:
        self.check_input(sections)
        margins = (self.margin_px,) * 2
        return self.forward_valid(mirror(sections, margins, margins))

    def forward_valid(self, sections: Tensor) -> Tensor:
        """Return logits of the pixels whose window lies inside the sections.

        Parameters
        ----------
        sections : Tensor, float32, (N, in_sections, Y, X)

        Returns
        -------
        Tensor, float32, (N, 1, Y - 2 margin_px, X - 2 margin_px)
        """
        height, width = (size - 2 * self.margin_px for size in sections.shape[-2:])
        x, dilation = sections, 1
        for stage in self._stages():
            x = stage(x, dilation)
            dilation *= stage.pool
        return boundary_logit(self.head(x))[..., :height, :width]

    def classify(self, windows: Tensor) -> Tensor:
        """Return the logit of the middle of each window, computed on its own.

        Parameters
        ----------
        windows : Tensor, float32, (N, in_sections, window_px, window_px)

        Returns
        -------
        Tensor, float32, (N,)
        """
        x = windows
        for stage in self._stages():
            x = stage.forward_window(x)
        return boundary_logit(self.head(x))[:, 0, 0, 0]

    def _stages(self) -> list[StageLayers]:
        return [stage for stage in self.stages if isinstance(stage, StageLayers)]


def initialise_uniform(network: nn.Module, bound: float) -> None:
    """Draw all weights from [-bound, bound]."""
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -bound, bound)


def initialise_he(network: nn.Module) -> None:
    """Draw the weights of convolutions after He et al. 2015, doi:10.1109/ICCV.2015.123."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)

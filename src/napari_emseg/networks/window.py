"""Networks that classify the pixel in the middle of a window, run on all pixels at once.

Sliding a window and computing it anew at every pixel repeats almost all of the
work. With max-pooling of stride 1, and the filters after it made sparse by
dilation, one pass over the section gives the same numbers ("max-filtering").
A filter dilated by d never mixes pixels of different phase, that is position
modulo d; so each pooling splits the phases into separate small images, on which
ordinary filters do the same ("fragments": Giusti, Ciresan, Masci, Gambardella,
Schmidhuber 2013, doi:10.1109/ICIP.2013.6738831). That is as fast on a processor,
and much faster on a graphics card, than sparse filters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn import functional

from napari_emseg.errors import InputError
from napari_emseg.networks.base import Fusible, Network, fold
from napari_emseg.networks.foveation import WindowSampling
from napari_emseg.networks.layers import Activation, boundary_logit, make_activation
from napari_emseg.networks.padding import mirror

_WINDOWS_AT_ONCE = 256
_MOST_WINDOWS = 1024
"""More at once would keep too much in memory for the gradient."""


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
    """The layers of one :class:`Stage`."""

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

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        """Run on all positions; each phase of the pooling becomes an image of the batch.

        What is `beside` is added before the last activation.
        """
        x = self._convolve(x, beside)
        if self.pool == 1:
            return x
        return split_phases(functional.max_pool2d(x, self.pool, stride=1), self.pool)

    def forward_window(self, x: Tensor) -> Tensor:
        """Run as first written, pooling by its own stride."""
        x = self._convolve(x)
        return functional.max_pool2d(x, self.pool) if self.pool > 1 else x

    def _convolve(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        last = len(self.convs) - 1
        layers = zip(self.convs, self.norms, self.activations, strict=True)
        for index, (conv, norm, activation) in enumerate(layers):
            x = norm(conv(x))
            if beside is not None and index == last:
                x = x + beside
            x = activation(x)
        return x


def split_phases(x: Tensor, step: int) -> Tensor:
    """Make an image of every `step`-th row and column, from each start.

    Parameters
    ----------
    x : Tensor, (N, C, Y, X)
    step : int
        Y and X are multiples of it.

    Returns
    -------
    Tensor, (N step step, C, Y / step, X / step), channels last in memory

    Examples
    --------
    >>> import torch
    >>> split_phases(torch.arange(4.0).view(1, 1, 2, 2), 2).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    n, c, y, x_size = x.shape
    x = x.view(n, c, y // step, step, x_size // step, step).permute(0, 3, 5, 2, 4, 1)
    return x.reshape(n * step * step, y // step, x_size // step, c).permute(0, 3, 1, 2)


def join_phases(x: Tensor, step: int) -> Tensor:
    """Undo :func:`split_phases`."""
    n, c, y, x_size = x.shape
    x = x.reshape(n // step**2, step, step, c, y, x_size).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(n // step**2, c, y * step, x_size * step)


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
    sampling : WindowSampling, optional
        How the window reads the section. Blur and steps then depend on where in
        the window a pixel is, so the window must be slid, as slow as that is.
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
        sampling: WindowSampling | None = None,
    ) -> None:
        super().__init__()
        self.params = params
        self.in_sections = in_sections  # type: ignore[assignment]
        self.window_px = window_px
        self.sampling = sampling or WindowSampling(window_px, foveated=False, nonuniform=False)
        self.is_slid = self.sampling.foveated or self.sampling.nonuniform
        self.margin_px = self.sampling.reach_px
        self.reach_px = _reach_px(stages)
        side = 2 * self.margin_px + 1
        self.receptive_field_px = (in_sections, side, side)
        self.size_multiple_px = 1
        # measured: input and output of the widest layer, and what pooling copies
        self.memory_bytes_per_px = 4 * sum(sorted(stage.maps for stage in stages)[-2:]) + 16 * max(
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
        if self.is_slid:
            return self._slide(sections, height, width)
        x = self._fit(sections, height, width)
        for stage in self._stages():
            x = stage(x)
        x = boundary_logit(self.head(x))
        for stage in reversed(self._stages()):
            x = join_phases(x, stage.pool)
        return x[..., :height, :width]

    def _fit(self, sections: Tensor, height: int, width: int) -> Tensor:
        """Change the end so that an output results whose phases are all of one size."""
        step = math.prod(stage.pool for stage in self._stages())
        wanted = [size + -size % step + self.reach_px - 1 for size in (height, width)]
        sections = sections[..., : wanted[0], : wanted[1]]
        missing = [n - size for n, size in zip(wanted, sections.shape[-2:], strict=True)]
        return mirror(sections, (0, 0), missing)

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

    def read_windows(self, sections: Tensor, positions: Tensor) -> Tensor:
        """Cut out the windows around pixels, for training on single pixels.

        Parameters
        ----------
        sections : Tensor, float32, (in_sections, Y, X)
        positions : Tensor, int, (B, 2)
            The pixels (y, x); beyond the edge is a mirror image.

        Returns
        -------
        Tensor, float32, (B, in_sections, window_px, window_px)
            For :meth:`classify`.
        """
        margins = (self.margin_px,) * 2
        blurred = self.sampling.blur(mirror(sections[None], margins, margins))[0]
        return self.sampling.read(blurred, positions + self.margin_px)

    def _slide(self, sections: Tensor, height: int, width: int) -> Tensor:
        if torch.is_grad_enabled() and sections.shape[0] * height * width > _MOST_WINDOWS:
            raise InputError(
                f"Network '{self.name}' with foveation or non-uniform sampling learns from single "
                "windows, not from whole patches: choose preset 'modern'."
            )
        rows, columns = torch.arange(height), torch.arange(width)
        positions = torch.cartesian_prod(rows, columns).to(sections.device) + self.margin_px
        logits = [
            torch.cat(
                [
                    self.classify(self.sampling.read(blurred, part))
                    for part in torch.split(positions, _WINDOWS_AT_ONCE)
                ]
            )
            for blurred in self.sampling.blur(sections)
        ]
        return torch.stack(logits).view(-1, 1, height, width)

    def _stages(self) -> list[StageLayers]:
        return [stage for stage in self.stages if isinstance(stage, StageLayers)]


def _reach_px(stages: Sequence[Stage]) -> int:
    """Return the side of what the layers see of the window."""
    reach, step = 1, 1
    for stage in stages:
        reach += step * (sum(kernel - 1 for kernel in stage.kernels) + stage.pool - 1)
        step *= stage.pool
    return reach

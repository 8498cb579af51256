"""Parts that several networks are made of."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_emseg.networks.base import Fusible, fold

Activation = Literal["relu", "elu", "tanh", "none"]


class ScaledTanh(nn.Module):
    """1.7159 tanh(0.6666 x), whose output keeps the variance of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(0.6666 * x)


def make_activation(name: Activation) -> nn.Module:
    """Return a new activation layer."""
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "elu":
            return nn.ELU(inplace=True)
        case "tanh":
            return ScaledTanh()
        case _:
            return nn.Identity()


class SkippingConv2d(nn.Conv2d):
    """A 1x1 convolution with a stride, of pixels picked out before it, which is the same.

    The gradient of the usual way, in bfloat16 by several threads of a processor, writes
    where it must not: seen with torch 2.13 and few maps, and the process ends.
    """

    def forward(self, x: Tensor) -> Tensor:
        step_y, step_x = self.stride
        picked = x[:, :, ::step_y, ::step_x]
        return nn.functional.conv2d(picked, self.weight, self.bias, groups=self.groups)


class ThinConv3d(nn.Conv3d):
    """A convolution whose borders of two sections are laid on before it, which is the same.

    The gradient of the usual way in bfloat16, 3x3x3 on two sections, takes in memory that
    nobody wrote: seen with torch 2.13 on processors, and the loss is no number any more.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] != 2 or isinstance(self.padding, str) or not self.padding[0]:
            return super().forward(x)
        depth, rows, columns = self.padding
        padded = nn.functional.pad(x, (0, 0, 0, 0, depth, depth))
        around = (0, rows, columns)
        return nn.functional.conv3d(padded, self.weight, self.bias, self.stride, around)


class ConvBlock(Fusible):
    """A convolution, batch normalisation if wanted, an activation.

    Parameters
    ----------
    channels_in, channels : int
    kernel : tuple of int
        Odd along each axis; two axes or three.
    stride : int
        Every so many pixels; the output has size / stride, rounded up.
    padding : tuple of int, optional
        By default half the kernel, which keeps the size.
    normalise : bool
        Whether to normalise; the convolution then has no bias.
    activation : str
        Its name, see :func:`make_activation`.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel: tuple[int, ...] = (3, 3),
        *,
        stride: int = 1,
        padding: tuple[int, ...] | None = None,
        normalise: bool = True,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        padding = tuple(side // 2 for side in kernel) if padding is None else padding
        options: dict[str, Any] = {"stride": stride, "padding": padding, "bias": not normalise}
        size: Any = kernel
        self.norm: nn.Module = nn.Identity()
        if len(kernel) == 2:
            is_skipping = stride > 1 and max(kernel) == 1
            kind = SkippingConv2d if is_skipping else nn.Conv2d
            self.conv: nn.Module = kind(channels_in, channels, size, **options)
            self.norm = nn.BatchNorm2d(channels) if normalise else self.norm
        else:
            self.conv = ThinConv3d(channels_in, channels, size, **options)
            self.norm = nn.BatchNorm3d(channels) if normalise else self.norm
        self.activation = make_activation(activation)

    def fuse(self) -> None:
        """Fold the normalisation into the convolution."""
        if not isinstance(self.norm, nn.Identity):
            self.conv = fold(self.conv, self.norm)
            self.norm = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.norm(self.conv(x)))
        return out


def boundary_logit(classes: Tensor) -> Tensor:
    """Turn two channels for a softmax, inside and boundary, into one for a sigmoid.

    Examples
    --------
    >>> scores = torch.randn(1, 2, 4, 4)
    >>> torch.allclose(scores.softmax(1)[:, 1:], boundary_logit(scores).sigmoid())
    True
    """
    return classes[:, 1:2] - classes[:, 0:1]


def count_parameters(network: nn.Module) -> int:
    """Count the numbers a training changes."""
    return sum(parameter.numel() for parameter in network.parameters())


def is_shape_only(network: nn.Module) -> bool:
    """Tell whether a network holds no numbers; torch takes seconds to "draw" those."""
    return next(network.parameters()).is_meta


def initialise_uniform(network: nn.Module, bound: float) -> None:
    """Draw all weights from [-bound, bound]."""
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -bound, bound)


def initialise_he(network: nn.Module) -> None:
    """Draw the weights of convolutions after He et al. 2015, doi:10.1109/ICCV.2015.123."""
    if is_shape_only(network):
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialise_bilinear(deconv: nn.ConvTranspose2d) -> None:
    """Let a transposed convolution start as bilinear interpolation of its input's mean."""
    kernel, stride = deconv.kernel_size[0], deconv.stride[0]
    middle = (kernel - 1) / 2
    tent = 1 - (torch.arange(kernel) - middle).abs() / stride
    with torch.no_grad():
        deconv.weight.copy_((tent[:, None] * tent).clamp_min(0).expand_as(deconv.weight))
        deconv.weight.div_(deconv.in_channels)

"""Networks of others, rebuilt here so that their weights need no foreign code.

The U-Nets of torch-em (Pape et al., doi:10.5281/zenodo.5108853), among them that of the
collection's model of neuron membranes, "impartial-shrimp". Names of weights are theirs.
What is rebuilt is only trusted where it gives what the package says it gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.nn.functional import interpolate

from napari_emseg.errors import InputError
from napari_emseg.networks.base import Network
from napari_emseg.networks.bioimageio_model import Unsupported, Weights

OWN_ORIGIN = "napari_emseg.networks"
_TORCH_EM = ("torch_em.model", "torch_em.model.unet")
_FILE = "unet.py"
"""What torch-em calls the file with its U-Nets in a package."""


class _Settings(BaseModel):
    """What the U-Nets of torch-em are called with, as far as it is known here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    in_channels: int = Field(ge=1, le=64)
    out_channels: int = Field(ge=1, le=256)
    scale_factors: list[list[int] | int] | None = Field(default=None, max_length=8)
    depth: int = Field(default=4, ge=1, le=8)
    initial_features: int = Field(default=32, ge=1, le=512)
    gain: int = Field(default=2, ge=1, le=4)
    final_activation: str | None = None
    anisotropic_kernel: bool = False
    norm: str | None = "InstanceNorm"
    postprocessing: str | None = None
    return_side_outputs: bool = False
    conv_block_impl: str | None = None
    pooler_impl: str | None = None
    sampler_impl: str | None = None


def rebuild(weights: Weights) -> nn.Module:
    """Return the network that a state dict of a package is for, without weights.

    Returns
    -------
    torch.nn.Module
        On the device "meta": nothing is allocated yet.

    Raises
    ------
    Unsupported
        If only code of the package could build it.
    """
    with torch.device("meta"):
        if weights.origin == OWN_ORIGIN and weights.callable == "build_network":
            return _build_own(weights.kwargs)
        is_torch_em = weights.origin in _TORCH_EM or _FILE in weights.origin.split("/")
        if is_torch_em and weights.callable in _BUILDERS:
            return _BUILDERS[weights.callable](_settings(weights))
    raise Unsupported(
        f"Its weights are for a network '{weights.callable or '?'}' that only code of the package "
        "could build, and code of others is never run here: ask for TorchScript weights."
    )


def _build_own(kwargs: Mapping[str, Any]) -> Network:
    from napari_emseg.networks import build_network

    params = {str(key): value for key, value in kwargs.items() if key not in ("name", "preset")}
    try:
        return build_network(str(kwargs.get("name", "")), **params)
    except (InputError, TypeError) as error:
        raise Unsupported(f"Its network cannot be built: {error}") from None


def _settings(weights: Weights) -> _Settings:
    try:
        found = _Settings.model_validate(dict(weights.kwargs))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unsupported(
            f"Its network '{weights.callable}' has a setting that is not known here: {where}."
        ) from None
    if found.return_side_outputs or found.postprocessing not in (None, *_POSTPROCESSING):
        raise Unsupported(f"Its network '{weights.callable}' does more than is known here.")
    if found.final_activation not in _ACTIVATIONS or found.norm not in _NORMS:
        raise Unsupported(f"Its network '{weights.callable}' uses a layer not known here.")
    for given, usual in (
        (found.conv_block_impl, "ConvBlock"),
        (found.pooler_impl, "MaxPool"),
        (found.sampler_impl, "Upsampler"),
    ):
        if given is not None and usual not in given:
            raise Unsupported(f"Its network '{weights.callable}' uses {given[:60]}.")
    return found


class _Block(nn.Module):
    """Two convolutions, each behind a normalisation."""

    def __init__(self, n_in: int, n_out: int, size: Sequence[int], norm: str | None) -> None:
        super().__init__()
        conv: Callable[..., nn.Module] = nn.Conv2d if len(size) == 2 else nn.Conv3d
        layers: list[nn.Module] = []
        for width in (n_in, n_out):
            if norm is not None:
                layers.append(_NORMS[norm](width, len(size)))
            layers += [conv(width, n_out, tuple(size), padding=tuple(n // 2 for n in size))]
            layers.append(nn.ReLU())
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.block(x)
        return found


class _Upsampler(nn.Module):
    """Enlarges by linear interpolation, then mixes channels."""

    def __init__(self, factor: Sequence[int], n_in: int, n_out: int) -> None:
        super().__init__()
        self._factor = tuple(float(n) for n in factor)
        self._mode = "bilinear" if len(factor) == 2 else "trilinear"
        self.conv = (nn.Conv2d if len(factor) == 2 else nn.Conv3d)(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = interpolate(x, scale_factor=self._factor, mode=self._mode, align_corners=False)
        found: Tensor = self.conv(x)
        return found


class _Encoder(nn.Module):
    def __init__(self, blocks: list[nn.Module], factors: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        pool = nn.MaxPool2d if len(factors[0]) == 2 else nn.MaxPool3d
        self.poolers = nn.ModuleList([pool(tuple(factor)) for factor in factors])


class _Decoder(nn.Module):
    def __init__(self, blocks: list[nn.Module], samplers: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.samplers = nn.ModuleList(samplers)


class _UNet(nn.Module):
    """The U-Net of torch-em, for sections or volumes."""

    def __init__(self, settings: _Settings, factors: Sequence[Sequence[int]]) -> None:
        super().__init__()
        n_axes, norm = len(factors[0]), settings.norm
        widths = [settings.initial_features * settings.gain**i for i in range(len(factors) + 1)]
        sizes = [_kernel(factor, thin=settings.anisotropic_kernel) for factor in factors]
        into = [settings.in_channels, *widths[: len(factors) - 1]]
        down = zip(into, widths, sizes, strict=False)
        self.encoder = _Encoder([_Block(a, b, size, norm) for a, b, size in down], factors)
        self.base = _Block(widths[-2], widths[-1], [3] * n_axes, norm)
        up = list(zip(widths[:0:-1], widths[-2::-1], factors[::-1], sizes[::-1], strict=True))
        self.decoder = _Decoder(
            [_Block(a, b, size, norm) for a, b, _, size in up],
            [_Upsampler(factor, a, b) for a, b, factor, _ in up],
        )
        conv = nn.Conv2d if n_axes == 2 else nn.Conv3d
        self.out_conv = conv(widths[0], settings.out_channels, 1)
        self._activation = _ACTIVATIONS[settings.final_activation]
        self._joined = _POSTPROCESSING.get(settings.postprocessing or "")

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for block, pooler in zip(self.encoder.blocks, self.encoder.poolers, strict=True):
            x = block(x)
            kept.append(x)
            x = pooler(x)
        x = self.base(x)
        for block, sampler in zip(self.decoder.blocks, self.decoder.samplers, strict=True):
            x = block(torch.cat([sampler(x), kept.pop()], dim=1))
        x = self._activation(self.out_conv(x))
        if self._joined is None:
            return x
        keep, first, last = self._joined
        joined = x[:, first:last].amax(dim=1, keepdim=True)
        return torch.cat([x[:, :keep], joined], dim=1)


def _kernel(factor: Sequence[int], *, thin: bool) -> list[int]:
    """Return the size of convolutions beside a pooling; perhaps none across thick sections."""
    if not thin or len(set(factor)) == 1:
        return [3] * len(factor)
    return [1 if n == 1 else 3 for n in factor]


def _anisotropic(settings: _Settings) -> nn.Module:
    if not settings.scale_factors:
        raise Unsupported("Its network does not say how it pools.")
    factors = [[f] * 3 if isinstance(f, int) else f for f in settings.scale_factors]
    if any(len(f) != 3 or not all(1 <= n <= 8 for n in f) for f in factors):
        raise Unsupported("Its network pools in a way not known here.")
    return _UNet(settings, factors)


def _regular(n_axes: int) -> Callable[[_Settings], nn.Module]:
    return lambda settings: _UNet(settings, [[2] * n_axes] * settings.depth)


_BUILDERS: dict[str, Callable[[_Settings], nn.Module]] = {
    "AnisotropicUNet": _anisotropic,
    "UNet2d": _regular(2),
    "UNet3d": _regular(3),
}
_ACTIVATIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda x: x,
    "Sigmoid": torch.sigmoid,
    "ReLU": torch.relu,
    "Tanh": torch.tanh,
}
_NORMS: dict[str | None, Callable[[int, int], nn.Module]] = {
    None: lambda width, n_axes: nn.Identity(),
    "InstanceNorm": lambda width, n_axes: (
        nn.InstanceNorm2d(width) if n_axes == 2 else nn.InstanceNorm3d(width)
    ),
    "GroupNorm": lambda width, n_axes: nn.GroupNorm(min(32, width), width),
    "BatchNorm": lambda width, n_axes: (
        nn.BatchNorm2d(width) if n_axes == 2 else nn.BatchNorm3d(width)
    ),
}
_POSTPROCESSING = {
    # channels kept, then those of which the largest is taken
    "affinities_to_boundaries2d": (0, 0, 2),
    "affinities_to_boundaries3d": (0, 0, 3),
    "affinities_with_foreground_to_boundaries2d": (1, 1, 3),
    "affinities_with_foreground_to_boundaries3d": (1, 1, 4),
}

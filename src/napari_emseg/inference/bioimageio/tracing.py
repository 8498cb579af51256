"""Our networks as TorchScript, which other programs run without ours."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from napari_emseg.errors import InputError
from napari_emseg.inference.tiling import round_up
from napari_emseg.networks.base import Network

_MOST_HALO_PX = 48
"""What a network sees further away changes its map by less than 0.001 (see `inference.grid`)."""
_MOST_HALO_SECTIONS = 12
_LARGEST_DIFFERENCE = 1e-3
_SMALLEST_PX = 64


@dataclass(frozen=True)
class Extent:
    """What sizes a network takes and gives along an axis.

    Attributes
    ----------
    least, step : int
        The smallest size in voxels, and the distance to the next; 0: there is only one.
    halo : int
        What of the output its border spoils, on each side.
    shrink : int
        How much smaller than the input the output is, both sides together.
    """

    least: int
    step: int
    halo: int
    shrink: int


class _Valid(nn.Module):
    """Gives only what no padding has any part in, where the network can tell."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.forward_valid(x) if self.network.margin_px else self.network(x)


def extents_of(network: Network) -> dict[str, Extent]:
    """Return what a network needs along each axis in space, "z" only for one of volumes.

    Examples
    --------
    >>> from napari_emseg.networks import build_network
    >>> extents_of(build_network("unet2d", width=4, depth=2))["x"]
    Extent(least=64, step=2, halo=10, shrink=0)
    """
    depth, *sides = network.receptive_field_px
    found: dict[str, Extent] = {}
    if network.dimensions == 3:
        halo = min(depth // 2, _MOST_HALO_SECTIONS)
        step = network.size_multiple_sections
        found["z"] = Extent(round_up(2 * halo + 1, step), step, halo, 0)
    step, shrink = network.size_multiple_px, 2 * network.margin_px
    for axis, field in zip("yx", sides, strict=True):
        halo = 0 if shrink else min(field // 2, _MOST_HALO_PX)
        least = max(_SMALLEST_PX, 2 * halo + shrink + 1)
        if shrink:
            least += (network.valid_remainder_px - least) % step
        else:
            least = round_up(least, step)
        found[axis] = Extent(least, step, halo, shrink)
    return found


def trace(network: Network) -> tuple[bytes, dict[str, Extent]]:
    """Return a network as TorchScript, and the sizes that this takes.

    The logits for other sizes than the traced one are compared with those of the network
    itself; where they differ, one size is all that is promised.

    Parameters
    ----------
    network : Network
        On the CPU, in evaluation mode.

    Raises
    ------
    InputError
        If it cannot be written as TorchScript.
    """
    extents = extents_of(network)
    module = _Valid(network).eval()
    sample = _noise(network, extents, larger=False)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of a format that torch calls old
            make: Callable[..., Any] = torch.jit.trace
            traced = make(module, sample, check_trace=False)
            buffer = io.BytesIO()
            torch.jit.save(traced, buffer)
    except (RuntimeError, TypeError, ValueError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"Network '{network.name}' cannot be written for other programs: {first}"
        ) from error
    if not _agree(module, traced, _noise(network, extents, larger=True)):
        extents = {a: Extent(e.least, 0, e.halo, e.shrink) for a, e in extents.items()}
    return buffer.getvalue(), extents


def _noise(network: Network, extents: dict[str, Extent], *, larger: bool) -> Tensor:
    """Return an input of the smallest size, or of one that is larger by more along each axis."""
    sizes = [e.least + larger * (n + 1) * e.step for n, e in enumerate(extents.values())]
    channels = 1 if network.dimensions == 3 else network.in_sections
    return torch.randn(1, channels, *sizes, generator=torch.Generator().manual_seed(0))


def _agree(module: nn.Module, traced: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    with torch.no_grad():
        try:
            expected, found = module(x), traced(x)
        except RuntimeError:  # a size was written down as a constant
            return False
    return expected.shape == found.shape and bool(
        (torch.sigmoid(expected) - torch.sigmoid(found)).abs().max() < _LARGEST_DIFFERENCE
    )

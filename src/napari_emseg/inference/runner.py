"""One network on one device: a forward pass in the right precision."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor

from napari_emseg.errors import InputError
from napari_emseg.inference.device import limit_threads, release_memory
from napari_emseg.inference.orientations import Average, Orientation
from napari_emseg.networks.base import Network

Precision = Literal["auto", "float32", "bfloat16"]


class Runner:
    """Computes probabilities with a private copy of a network.

    Parameters
    ----------
    network : Network
        Is copied and left as it is.
    device : str
        Where to compute.
    name : str
        Of the model, for messages.
    n_threads : int, optional
        CPU cores to use at most; by default all.
    precision : {"auto", "float32", "bfloat16"}
        "auto": float16 on a CUDA card, else float32.
    """

    def __init__(
        self,
        network: Network,
        device: str,
        *,
        name: str = "",
        n_threads: int | None = None,
        precision: Precision = "auto",
    ) -> None:
        network = copy.deepcopy(network).eval().requires_grad_(False)
        network.fuse()
        self._memory_format = (
            torch.channels_last if network.dimensions == 2 else torch.channels_last_3d
        )
        network.to(memory_format=self._memory_format)
        self.device = device
        self._network: Network | None = network.to(device)
        self._name = name
        self._n_threads = n_threads
        self._half = _half_type(device, precision)

    @property
    def network(self) -> Network:
        """The network, ready to compute."""
        if self._network is None:
            raise RuntimeError("this predictor is closed")
        return self._network

    @property
    def n_channels(self) -> int:
        """How many maps come out."""
        return len(self.network.offsets) or 1

    def close(self) -> None:
        """Forget the network and give its memory back."""
        self._network = None
        release_memory(self.device)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Prepare torch for :meth:`average`."""
        with limit_threads(self._n_threads), torch.inference_mode():
            yield

    def average(
        self,
        pixels: Tensor,
        orientations: Sequence[Orientation],
        report: Callable[[], None] = lambda: None,
    ) -> Tensor:
        """Predict in each orientation and average.

        Parameters
        ----------
        pixels : Tensor, float32, (channels, Y, X), or (Z, Y, X) for a 3D network
        orientations : sequence of Orientation
        report : callable
            Called after each; may raise.

        Returns
        -------
        Tensor, float32, (C, [Z,] Y, X)
            Smaller by the network's margin.
        """
        pixels = pixels.to(self.device)
        average = Average(self.network.offsets, len(orientations))
        for orientation in orientations:
            average.add(orientation, self._forward(orientation.apply(pixels)))
            report()
        return average.mean()

    def _forward(self, pixels: Tensor) -> Tensor:
        network = self.network
        x = pixels[None] if network.dimensions == 2 else pixels[None, None]
        x = x.contiguous(memory_format=self._memory_format)
        half = self._half or torch.float32
        with torch.autocast(self.device.partition(":")[0], half, enabled=self._half is not None):
            logits = (network.forward_valid(x) if network.margin_px else network(x))[0].float()
        if logits.isfinite().all():
            return torch.sigmoid(logits)
        if self._half is None:
            raise InputError(
                f"Model '{self._name}' gives values that are not numbers: "
                "choose another one or train it again."
            )
        self._half = None  # half precision overflows: compute in full from here on
        return self._forward(pixels)


def _half_type(device: str, precision: Precision) -> torch.dtype | None:
    if precision not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise InputError(f"There is no precision '{precision}'; choose one of: {known}.")
    if precision == "bfloat16":
        return torch.bfloat16
    return torch.float16 if precision == "auto" and device.startswith("cuda") else None

"""The network of a package on one device: from grey values to what its description promises."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from napari_emseg.errors import InputError
from napari_emseg.inference.bioimageio import processing
from napari_emseg.inference.bioimageio.weights import Module, compute
from napari_emseg.inference.runner import Runner
from napari_emseg.networks.base import Network
from napari_emseg.networks.bioimageio_model import PackageModel, Step

FinalRange = Literal["probability", "logits", "byte"]
_BYTES_PER_VOXEL = 1200
"""Working memory of a U-Net with 32 features: what is not known of a foreign network."""


class NoParams(BaseModel):
    """A foreign network has none that we know."""


class PackageNetwork(Network):
    """Makes a foreign network take and give what ours do.

    Parameters
    ----------
    model : PackageModel
    module : callable
        The foreign network; a torch module.
    """

    name = "bioimageio"
    dimensions: Literal[2, 3] = 3
    """Sections are given as volumes of one section."""

    def __init__(self, model: PackageModel, module: Module) -> None:
        super().__init__()
        self.params = NoParams()
        self.model = model
        self.in_sections = model.in_sections
        self.offsets = model.offsets
        self.memory_bytes_per_px = _BYTES_PER_VOXEL
        self.size_multiple_px = 1
        self.receptive_field_px = (1, 1, 1)
        self.module = module

    def forward(self, volume: Tensor) -> Tensor:
        """Map (1, 1, Z, Y, X), sections that are channels along Z, to all (C, Z, Y, X)."""
        axes = self.model.input.axes
        found = compute(self.module, _arrange(volume[0, 0], axes, self.model.in_sections))
        output = self.model.output.axes
        if found.ndim != len(output):
            raise InputError(
                "The network of the package gives other axes than its description says: it is "
                "damaged."
            )
        wanted = [axis for axis in "bczyx" if axis in output]
        found = found.permute([output.index(axis) for axis in wanted]).float()
        if "b" in output:
            found = found[0]
        if "c" not in output:
            found = found[None]
        return found if "z" in output else found[:, None]


def _arrange(volume: Tensor, axes: str, in_sections: int) -> Tensor:
    """Return (Z, Y, X) with the axes that the network takes, in its order."""
    if "z" not in axes:  # neighbouring sections are channels; one section has none beside it
        volume = volume if "c" in axes else volume[0]
        present = "cyx" if "c" in axes else "yx"
    else:
        present = "zyx"
    for axis in axes:
        if axis not in present:
            volume, present = volume[None], axis + present
    return volume.permute([present.index(axis) for axis in axes]).contiguous()


class PackageRunner(Runner):
    """Computes what a package promises, with its steps behind the network.

    Parameters
    ----------
    network : PackageNetwork
        Is moved to the device.
    device : str
    name : str
        Of the model, for messages.
    n_threads : int, optional
        CPU cores to use at most; by default all.
    point_steps : tuple of Step
        Those behind the network that need nothing but a value and its channel.
    final_range : {"probability", "logits", "byte"}
        What the network gives behind them.
    """

    def __init__(
        self,
        network: PackageNetwork,
        device: str,
        *,
        name: str,
        n_threads: int | None,
        point_steps: tuple[Step, ...],
        final_range: FinalRange,
    ) -> None:
        if isinstance(network.module, nn.Module):
            network.module.to(device)
        self.device = device
        self._network: Network | None = network
        self._package = network
        self._name = name
        self._n_threads = n_threads
        self._point_steps = point_steps
        self._final_range = final_range

    @property
    def n_channels(self) -> int:
        """How many maps come out."""
        return len(self.network.offsets) or 1

    def _forward(self, pixels: Tensor) -> Tensor:
        model = self._package.model
        # without the optimiser of TorchScript the second tile is computed as the first one is
        exact = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]
        with exact, torch.autocast(self.device.partition(":")[0], enabled=False):
            found = self.network(pixels[None, None].float())
        _check_shape(found, pixels, model)
        values = self.finish(found.cpu().numpy())
        if not math.isfinite(float(values.sum(dtype=np.float64))):
            raise InputError(
                f"Model '{self._name}' gives values that are not numbers: choose another one."
            )
        return torch.from_numpy(values)

    def finish(self, found: Any) -> Any:
        """Do the steps behind the network, choose channels and bring them to 0 to 1.

        Parameters
        ----------
        found : (C, Z, Y, X) array

        Returns
        -------
        (C, Z, Y, X) float32
            One channel for a boundary map.
        """
        model = self._package.model
        for step in self._point_steps:
            along = step.values.get("along")
            found = processing.apply(step, found, None, "czyx".index(along) if along else None)
        if not model.offsets:
            found = found[model.channel : model.channel + 1]
        found = np.ascontiguousarray(found, np.float32)
        if self._final_range == "logits":
            found = processing.apply(Step("sigmoid"), found, None)
        elif self._final_range == "byte":
            found = found / np.float32(255)
        return 1 - found if model.affinity_is_boundary else found


def _check_shape(found: Tensor, pixels: Tensor, model: PackageModel) -> None:
    """Compare with what the description says, so that a shifted map is never made."""
    shrink = [model.output.shrink.get(axis, 0) for axis in "zyx"]
    if "z" not in model.input.axes:
        shrink[0] = model.in_sections - 1
    expected = tuple(n - s for n, s in zip(pixels.shape, shrink, strict=True))
    if tuple(found.shape[1:]) != expected or found.shape[0] < max(
        model.channel + 1, len(model.offsets)
    ):
        raise InputError(
            f"The network of the package gives {tuple(found.shape)} where its description promises "
            f"{(model.output.channels, *expected)}: it is damaged."
        )

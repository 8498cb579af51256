"""One step of the optimiser after the other, and the running mean of the weights."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_emseg.errors import InputError
from napari_emseg.inference.device import is_out_of_memory
from napari_emseg.networks.base import Network
from napari_emseg.training.averaging import update_average
from napari_emseg.training.batches import Batch, BatchSource
from napari_emseg.training.kept_start import KeptStart
from napari_emseg.training.objective import Objective
from napari_emseg.training.optimisers import make_optimiser
from napari_emseg.training.params import TrainParams
from napari_emseg.training.precision import autocast
from napari_emseg.training.schedules import learning_rate
from napari_emseg.training.start import keeps_start


@dataclass(frozen=True)
class Step:
    """What a step was: its loss, its learning rate, its last batch."""

    loss: float
    learning_rate: float
    batch: Batch


class Descent:
    """A network and everything that changes it.

    Parameters
    ----------
    network : Network
    params : TrainParams
    device : torch.device

    Attributes
    ----------
    network, average : Network
        On the device; `average` is the running mean, in evaluation mode.
    optimiser : torch.optim.Optimizer
    start : KeptStart or None
        What it began with, where some of that stays.
    """

    def __init__(self, network: Network, params: TrainParams, device: torch.device) -> None:
        self.params = params
        self.device = device
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        self.start = KeptStart(self.average, params) if keeps_start(params) else None
        self.optimiser = make_optimiser(self.network, params)
        self._objective = Objective(self.network, params)

    @property
    def kept(self) -> Network:
        """What is validated, looked at and written: the mean, with its share of the start."""
        return self.average if self.start is None else self.start.mixed_into(self.average)

    def step(self, source: BatchSource, *, share: float, step: int) -> Step:
        """Take one step.

        Parameters
        ----------
        source : BatchSource
            Where the next batches come from.
        share : float
            How much of the training is done.
        step : int
            Steps done before this one.

        Raises
        ------
        InputError
            If memory does not suffice or the loss is no number any more.
        """
        rate = learning_rate(self.params, share=share, step=step)
        try:
            loss, batch = self._descend(source, rate, step)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise InputError(self._explain_memory()) from error
        update_average(self.average, self.network, self.params.ema_decay, step + 1)
        return Step(loss, rate, batch)

    def _descend(self, source: BatchSource, rate: float, step: int) -> tuple[float, Batch]:
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        count = self.params.accumulate_batches
        total = 0.0
        for _ in range(count):
            batch = source.next()
            loss = self._loss(batch, step) / count
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        norm = nn.utils.clip_grad_norm_(
            self.network.parameters(), self.params.gradient_clip or math.inf
        )
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise InputError(
                f"The training came off the rails in step {step + 1}: its loss is no number any "
                "more. Try a lower learning rate."
            )
        self.optimiser.step()
        return total, batch

    def _loss(self, batch: Batch, step: int) -> Tensor:
        images = batch.images.to(self.device, non_blocking=True)
        if images.ndim == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        targets = batch.targets.to(self.device, non_blocking=True)
        if self.start is not None:
            self.start.look(images, targets)
        with autocast(self.device, self.params.precision):
            return self._objective(images, targets, step=step)

    def _explain_memory(self) -> str:
        params = self.params
        if params.sampling == "windows":
            what, smaller = f"{params.batch_size} windows", "batch size"
        else:
            depth = f"{params.patch_sections} x " if self.network.dimensions == 3 else ""
            what = (
                f"{params.batch_size} patches of {depth}{params.patch_px} x {params.patch_px} "
                f"{'voxels' if depth else 'pixels'}"
            )
            smaller = "batch size or patch size"
        return (
            f"The memory of device {self.device.type} does not suffice for {what}: take a smaller "
            f"{smaller}."
        )

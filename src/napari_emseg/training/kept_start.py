"""The weights a training began with, and how much of them stays in the model."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from napari_emseg.networks.base import Network
from napari_emseg.training.averaging import blend
from napari_emseg.training.objective import Outputs, choose_outputs
from napari_emseg.training.params import TrainParams

LOOKS = 16
"""Batches by which the start is judged, the first ones."""
USELESS, USEFUL = 0.6, 0.8
"""Accuracy at which nothing of the start is kept, and at which all that was asked for is."""


class KeptStart:
    """Keeps as much of the start as it is worth on the sections to learn.

    A model that nearly suits the new tissue loses much when it forgets the old; one of
    another microscope only disturbs what was learned since. Which it is, the first batches
    tell: their labels are new to it.

    Parameters
    ----------
    start : Network
        On the device, in evaluation mode; copied.
    params : TrainParams
        Its ``start_share`` is the most that is kept.

    Attributes
    ----------
    seen : list of int
        What saving and resuming needs: batches looked at, then pixels that the start has
        right and pixels in all, of class 1 and of class 0.
    """

    def __init__(self, start: Network, params: TrainParams) -> None:
        self._start = copy.deepcopy(start)
        self._mixed = copy.deepcopy(start)
        self._outputs: Outputs = choose_outputs(self._start, params)
        self._most = params.start_share
        self.seen = [0] * 5

    @property
    def share(self) -> float:
        """How much of the start stays in the model, as far as is known."""
        return share_worth_keeping(self._most, self.seen)

    @torch.no_grad()
    def look(self, images: Tensor, targets: Tensor) -> None:
        """Judge the start by a batch, if it is one of the first.

        Parameters
        ----------
        images, targets : Tensor
            As :class:`napari_emseg.training.objective.Objective` takes them.
        """
        if self.seen[0] >= LOOKS:
            return
        logits = self._outputs(images)[0]
        shown = logits > 0
        for k, value in ((1, 1), (3, 0)):
            known = targets == value
            self.seen[k] += int((shown[known] == bool(value)).sum())
            self.seen[k + 1] += int(known.sum())
        self.seen[0] += 1

    def mixed_into(self, average: Network) -> Network:
        """Return the mean of the weights with its share of the start."""
        blend(average, self._start, self.share, self._mixed)
        return self._mixed


def share_worth_keeping(most: float, seen: list[int]) -> float:
    """Return how much of a start to keep that was right at so many pixels.

    Parameters
    ----------
    most : float
        Where it does well.
    seen : list of int
        See :class:`KeptStart`.

    Examples
    --------
    >>> share_worth_keeping(0.5, [16, 95, 100, 93, 100])
    0.5
    >>> share_worth_keeping(0.5, [16, 20, 100, 99, 100])
    0.0
    """
    pairs = (seen[1:3], seen[3:5])
    recalls = [right / known for right, known in pairs if known]
    if not recalls:
        return most
    worth = (float(np.mean(recalls)) - USELESS) / (USEFUL - USELESS)
    return most * min(max(worth, 0.0), 1.0)

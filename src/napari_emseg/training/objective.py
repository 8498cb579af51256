"""What a batch costs a network, whatever kind of network it is."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from napari_emseg.errors import InputError
from napari_emseg.networks.base import Network
from napari_emseg.networks.window import WindowNetwork
from napari_emseg.training.losses import map_loss
from napari_emseg.training.params import TrainParams
from napari_emseg.training.schedules import auxiliary_weight

Outputs = Callable[[Tensor], tuple[Tensor, ...]]


class Objective:
    """The loss of a batch, as the parameters want it.

    Networks without padding are computed on patches that bring their
    surroundings, window networks on single windows where those are sampled,
    all others on patches whose edge they mirror. Auxiliary classifiers are
    added, affinities averaged over their channels; nothing is learned where the
    truth is not known.

    Parameters
    ----------
    network : Network
        Whose parameters are trained.
    params : TrainParams

    Raises
    ------
    InputError
        If the network cannot be trained on what is sampled.

    Examples
    --------
    >>> import torch
    >>> from napari_emseg.networks import build_network
    >>> objective = Objective(build_network("unet2d", "tiny"), TrainParams())
    >>> unknown = torch.full((1, 1, 16, 16), 255, dtype=torch.uint8)
    >>> float(objective(torch.zeros(1, 1, 16, 16), unknown, step=0).detach())
    0.0
    """

    def __init__(self, network: Network, params: TrainParams) -> None:
        self.params = params
        self._outputs = choose_outputs(network, params)
        self._boundary_is = 0 if network.offsets else 1

    def __call__(self, images: Tensor, targets: Tensor, *, step: int) -> Tensor:
        """Return the loss.

        Parameters
        ----------
        images : Tensor, float32
            (N, C, Y, X), (N, 1, Z, Y, X), or windows (N, C, side, side).
        targets : Tensor, uint8
            1, 0 or 255 = not known; (N, K, Y, X), (N, K, Z, Y, X), or (N,) for windows.
        step : int
            Steps done, for what changes in the course of the training.
        """
        logits, *others = self._outputs(images)
        weight = auxiliary_weight(self.params, step) if others else 0.0
        loss = self._cost(logits, targets)
        for other in others if weight else ():
            loss = loss + weight * self._cost(other, targets)
        return loss

    def _cost(self, logits: Tensor, targets: Tensor) -> Tensor:
        params = self.params
        is_windows = targets.ndim == 1
        return map_loss(
            # outside of reduced precision, in which the logarithm of the loss has no place
            (logits[:, None] if is_windows else logits).float(),
            targets[:, None] if is_windows else targets,
            loss=params.loss,
            dice_weight=params.dice_weight,
            boundary_weight=params.boundary_weight,
            # windows are balanced when they are drawn
            class_balance=params.class_balance and not is_windows,
            boundary_is=self._boundary_is,
        )


def choose_outputs(network: Network, params: TrainParams) -> Outputs:
    """Return how a network answers a batch: its main map first, or a number for each window.

    Raises
    ------
    InputError
        If the network does not learn from what is sampled.
    """
    if params.sampling == "windows":
        return _choose_window_outputs(network)
    if isinstance(network, WindowNetwork) and network.is_slid:
        raise InputError(
            f"Network '{network.name}' with foveation or uneven sampling learns from single "
            "windows, not from whole patches: choose sampling 'windows'."
        )
    if network.margin_px:
        return lambda patches: (network.forward_valid(patches),)
    return network.forward_training


def _choose_window_outputs(network: Network) -> Outputs:
    if isinstance(network, WindowNetwork):
        return lambda windows: (network.classify(windows),)
    if network.dimensions == 3 or not network.margin_px:
        raise InputError(
            f"Network '{network.name}' does not classify single windows: choose sampling 'patches'."
        )
    # without padding, a window leaves its middle
    return lambda windows: (network.forward_valid(windows)[:, 0, 0, 0],)

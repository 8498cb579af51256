"""What a map costs where the truth is known, channel by channel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_emseg.training.optimiser_params import LARGEST_WEIGHT, LossName
from napari_emseg.training.targets import IGNORED


def map_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    loss: LossName = "cross_entropy",
    dice_weight: float = 0.0,
    boundary_weight: float = 1.0,
    class_balance: bool = False,
    boundary_is: int = 1,
) -> Tensor:
    """Return the mean cost of the known voxels, averaged over the channels that have any.

    Sparse paint is all right: what is not known has no part in anything.

    Parameters
    ----------
    logits : Tensor, float32, (N, K, ...)
    targets : Tensor, uint8, same shape
        1, 0, or 255 = not known, which costs nothing.
    loss : {"cross_entropy", "mse", "mae"}
        Of the sigmoid of the logits.
    dice_weight : float
        Weight of 1 - the soft Dice overlap of the boundary, beside that, in channels
        where both kinds are known: of one kind alone an overlap tells nothing.
    boundary_weight : float
        What a boundary voxel counts, where one inside counts 1.
    class_balance : bool
        Whether each class of a channel weighs the same in all, by a weight of at
        most 5 for a voxel.
    boundary_is : {0, 1}
        Which value means boundary: 1 in a boundary map, 0 in an affinity.

    Returns
    -------
    Tensor
        One number; 0 where nothing is known.

    Examples
    --------
    >>> target = torch.tensor([[[[1, 0, 255]]]], dtype=torch.uint8)
    >>> round(float(map_loss(torch.tensor([[[[40.0, -40.0, 40.0]]]]), target)), 6)
    0.0
    """
    known = targets != IGNORED
    truth = targets.masked_fill(~known, boundary_is)
    is_boundary = truth == boundary_is
    weights = _weights(known, is_boundary, boundary_weight, class_balance)
    axes = [axis for axis in range(logits.ndim) if axis != 1]
    total = weights.sum(axes)
    cost = (_cost(logits, truth.float(), loss) * weights).sum(axes) / total.clamp(min=1e-6)
    if dice_weight:
        cost = cost + dice_weight * _dice(logits, known, is_boundary, boundary_is, axes)
    # no choice that depends on the data: a graphics card would have to wait for it
    return cost.sum() / (total > 0).sum().clamp(min=1)


def _cost(logits: Tensor, truth: Tensor, loss: LossName) -> Tensor:
    if loss == "cross_entropy":
        return functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    difference = logits.sigmoid() - truth
    return difference.square() if loss == "mse" else difference.abs()


def _weights(
    known: Tensor, is_boundary: Tensor, boundary_weight: float, class_balance: bool
) -> Tensor:
    of_boundary = torch.tensor(boundary_weight, device=known.device)
    of_inside = torch.ones_like(of_boundary)
    if class_balance:
        axes = [axis for axis in range(known.ndim) if axis != 1]
        n_known = known.sum(axes, keepdim=True)
        n_boundary = (known & is_boundary).sum(axes, keepdim=True)
        of_boundary = of_boundary * _rarity(n_known, n_boundary)
        of_inside = of_inside * _rarity(n_known, n_known - n_boundary)
    return torch.where(is_boundary, of_boundary, of_inside) * known


def _rarity(n_known: Tensor, n_class: Tensor) -> Tensor:
    return (n_known / (2 * n_class.clamp(min=1))).clamp(max=LARGEST_WEIGHT)


def _dice(
    logits: Tensor, known: Tensor, is_boundary: Tensor, boundary_is: int, axes: list[int]
) -> Tensor:
    chance = (logits if boundary_is else -logits).sigmoid() * known
    truth = is_boundary & known
    n_known, n_boundary = known.sum(axes), truth.sum(axes)
    has_both = (n_boundary > 0) & (n_boundary < n_known)
    overlap = 2 * (chance * truth).sum(axes) + 1
    return has_both * (1 - overlap / (chance.sum(axes) + n_boundary + 1))

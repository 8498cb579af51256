"""Extending sections and volumes by mirroring, however small they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def mirror(x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    """Extend the last axes of `x` by reflection, the edge itself not repeated.

    Parameters
    ----------
    x : Tensor
    before, after : sequence of int
        By how much, for each of the last axes.

    Examples
    --------
    >>> mirror(torch.arange(3.0), [4], [1]).tolist()
    [0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0]
    """
    # torch's own reflection refuses to pad by the size of the image or more
    for axis, (low, high) in enumerate(zip(before, after, strict=True), start=-len(before)):
        size = x.shape[axis]
        if low or high:
            period = max(2 * size - 2, 1)
            index = torch.arange(-low, size + high, device=x.device) % period
            x = x.index_select(axis, torch.minimum(index, period - index).clamp_max_(size - 1))
    return x


def mirror_to_multiple(x: Tensor, multiples: Sequence[int]) -> Tensor:
    """Extend the end of the last axes of `x` by reflection to multiples.

    Parameters
    ----------
    x : Tensor
    multiples : sequence of int
        What the size of each of the last axes is to divide by.

    Examples
    --------
    >>> mirror_to_multiple(torch.zeros(1, 1, 5, 8), (4, 4)).shape
    torch.Size([1, 1, 8, 8])
    """
    sizes = x.shape[-len(multiples) :]
    missing = [-size % multiple for size, multiple in zip(sizes, multiples, strict=True)]
    return mirror(x, [0] * len(missing), missing)

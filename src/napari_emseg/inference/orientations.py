"""The ways to turn and mirror an image for averaging, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_emseg.networks.base import Offset


@dataclass(frozen=True)
class Orientation:
    """First upside down along Z, then mirrored along X, then quarter turns from Y to X.

    Attributes
    ----------
    turns : int
        Quarter turns within the section.
    mirrored : bool
        Whether X is reversed.
    upside_down : bool
        Whether Z is reversed.
    """

    turns: int = 0
    mirrored: bool = False
    upside_down: bool = False

    def apply(self, image: Tensor) -> Tensor:
        """Turn (..., Y, X), or (..., Z, Y, X) for one upside down."""
        image = image.flip(-3) if self.upside_down else image
        image = image.flip(-1) if self.mirrored else image
        return torch.rot90(image, self.turns, (-2, -1))

    def undo(self, image: Tensor) -> Tensor:
        """Turn back what :meth:`apply` has turned."""
        image = torch.rot90(image, -self.turns, (-2, -1))
        image = image.flip(-1) if self.mirrored else image
        return image.flip(-3) if self.upside_down else image

    def turn_back(self, offset: Offset) -> Offset:
        """Return what an offset within the turned image is in the upright one.

        Examples
        --------
        >>> Orientation(turns=1, upside_down=True).turn_back((-1, -2, 0))
        (1, 0, 2)
        """
        z, y, x = offset
        for _ in range(self.turns % 4):
            y, x = x, -y
        return (-z if self.upside_down else z, y, -x if self.mirrored else x)


UPRIGHT: tuple[Orientation, ...] = (Orientation(),)
IN_PLANE: tuple[Orientation, ...] = tuple(
    Orientation(turns, mirrored) for mirrored in (False, True) for turns in range(4)
)
IN_SPACE: tuple[Orientation, ...] = (
    *IN_PLANE,
    *(Orientation(turns, mirrored, True) for mirrored in (False, True) for turns in range(4)),
)


@dataclass(frozen=True)
class Source:
    """Where a channel of affinities is found in what was predicted of a turned volume.

    An affinity belongs to a pair of voxels and is kept at one of them. Turning may
    bring it to the other one, `shift` away.

    Attributes
    ----------
    target, channel : int
        Channel it is for, channel it is in.
    shift : (z, y, x)
        It is kept at this distance from where it was predicted, in voxels.
    """

    target: int
    channel: int
    shift: Offset


def find_sources(orientation: Orientation, offsets: Sequence[Offset]) -> Iterator[Source]:
    """Tell which channel of a turned prediction is which affinity of the upright volume.

    A channel whose offset, turned back, is none of the offsets nor the opposite of
    one says nothing about the upright volume.

    Examples
    --------
    >>> list(find_sources(Orientation(turns=2), [(0, -1, 0)]))
    [Source(target=0, channel=0, shift=(0, 1, 0))]
    """
    places = {offset: index for index, offset in enumerate(offsets)}
    for channel, offset in enumerate(offsets):
        z, y, x = back = orientation.turn_back(offset)
        opposite = (-z, -y, -x)
        if back in places:
            yield Source(places[back], channel, (0, 0, 0))
        elif opposite in places:
            yield Source(places[opposite], channel, back)


class Average:
    """The mean over orientations of what a network gives, each turned back.

    Parameters
    ----------
    offsets : sequence of (z, y, x)
        Of the channels, for affinities; none: one boundary channel.
    n_orientations : int
        How many will be added.
    """

    def __init__(self, offsets: Sequence[Offset], n_orientations: int) -> None:
        self._offsets = offsets
        self._n_orientations = n_orientations
        self._total: Tensor | None = None
        self._count: Tensor | None = None

    def add(self, orientation: Orientation, turned: Tensor) -> None:
        """Add a prediction (C, [Z,] Y, X) of the turned image."""
        upright = orientation.undo(turned)
        if not self._offsets or self._n_orientations == 1:
            share = upright / self._n_orientations
            self._total = share if self._total is None else self._total.add_(share)
            return
        if self._total is None or self._count is None:
            self._total, self._count = torch.zeros_like(upright), torch.zeros_like(upright)
        for source in find_sources(orientation, self._offsets):
            to, where = _overlap(source.shift, upright.shape[1:])
            self._total[source.target][to] += upright[source.channel][where]
            self._count[source.target][to] += 1

    def mean(self) -> Tensor:
        """Return the mean: (C, [Z,] Y, X)."""
        if self._total is None:
            raise RuntimeError("nothing was added")
        return self._total if self._count is None else self._total / self._count


def _overlap(shift: Offset, shape: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where voxels are that are moved by `shift`, and where they come from."""
    sizes = list(zip(shift, shape, strict=True))
    to = tuple(slice(max(0, d), max(0, n + min(0, d))) for d, n in sizes)
    where = tuple(slice(max(0, -d), max(0, n - max(0, d))) for d, n in sizes)
    return to, where

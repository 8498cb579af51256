"""How far a network sees, found by following one output pixel back to the input.

Along one axis: the interval of positions that a pixel depends on, taken from the
output of a layer to its input, in the opposite order of the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Reach(NamedTuple):
    """The positions low to high, both included, that one output pixel depends on.

    Examples
    --------
    >>> Reach(0, 0).conv(3).down(2).conv(3)
    Reach(low=-3, high=4)
    """

    low: int
    high: int

    def conv(self, kernel: int = 3, *, stride: int = 1, padding: int | None = None) -> Reach:
        """Cross a convolution or pooling; by default padded so that the size stays."""
        padding = kernel // 2 if padding is None else padding
        return Reach(self.low * stride - padding, self.high * stride - padding + kernel - 1)

    def down(self, factor: int) -> Reach:
        """Cross a pooling whose kernel is its stride."""
        return self.conv(factor, stride=factor, padding=0)

    def up(
        self, kernel: int, stride: int, *, dilation: int = 1, padding: int | None = None
    ) -> Reach:
        """Cross a transposed convolution that multiplies the size by `stride`."""
        extent = dilation * (kernel - 1)
        padding = (extent + 1 - stride) // 2 if padding is None else padding
        return Reach(-(-(self.low + padding - extent) // stride), (self.high + padding) // stride)

    def join(self, *others: Reach) -> Reach:
        """Unite with the intervals of other branches."""
        every = (self, *others)
        return Reach(min(r.low for r in every), max(r.high for r in every))


def receptive_field_px(walk: Callable[[Reach], Reach], multiple: int = 1) -> int:
    """Return the side of the box, centred on a pixel, that holds all it depends on.

    Parameters
    ----------
    walk : callable
        Follows an interval from the output to the input.
    multiple : int
        Pixels differ by their position modulo this.

    Examples
    --------
    >>> receptive_field_px(lambda reach: reach.conv(3).conv(3))
    5
    """
    radius = 0
    for pixel in range(multiple):
        low, high = walk(Reach(pixel, pixel))
        radius = max(radius, pixel - low, high - pixel)
    return 2 * radius + 1

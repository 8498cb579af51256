"""What a window network may do to its window before it looks: foveation, uneven sampling.

Ciresan et al. 2012 describe both without formulas. Foveation blurs the window
more, the farther from its middle, so that detail at the rim does not distract;
non-uniform sampling reads the middle pixel by pixel and ever wider steps towards
the rim, so that a window of the same size covers more. The laws here are our
choice, not the paper's; with r the distance from the middle and w the window:

- the blur is a Gaussian of sigma 0 for r <= w / 8, growing linearly to w / 16 at
  r = w / 2, read from 5 blurred copies of the section, linearly between them;
- what lies u from the middle along an axis is read at u up to c = w / 4, and at
  c + (u - c)^g beyond, where g makes the edge fall on 1.5 times its distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from napari_emseg.networks.padding import mirror

_LEVELS = 5
_COVERAGE = 1.5


@dataclass(frozen=True)
class WindowSampling:
    """How a window reads the section around a pixel.

    Attributes
    ----------
    window_px : int
        Side of the window, odd.
    foveated : bool
        Whether it is blurred towards its rim.
    nonuniform : bool
        Whether it is sampled more coarsely towards its rim.
    """

    window_px: int
    foveated: bool
    nonuniform: bool

    @property
    def reach_px(self) -> int:
        """How far from the middle the section has an influence."""
        edge = float(self.offsets_px()[-1])
        blur = _radius_px(self.window_px / 16) if self.foveated else 0
        # a position between two pixels reads both
        return math.ceil(round(edge, 3)) + blur

    def offsets_px(self) -> npt.NDArray[np.float64]:
        """Return where along an axis the pixels of the window are read, from its middle.

        Examples
        --------
        >>> WindowSampling(9, foveated=False, nonuniform=True).offsets_px()[4:].round(2)
        array([0., 1., 2., 3., 6.])
        """
        half = self.window_px // 2
        u = np.arange(-half, half + 1.0)
        if not self.nonuniform:
            return u
        fine = half // 2
        power = math.log(_COVERAGE * half - fine) / math.log(half - fine)
        beyond = np.maximum(np.abs(u) - fine, 0) ** power
        distance: npt.NDArray[np.float64] = np.where(np.abs(u) <= fine, np.abs(u), fine + beyond)
        offsets: npt.NDArray[np.float64] = np.copysign(distance, u)
        return offsets

    def sigmas_px(self) -> npt.NDArray[np.float64]:
        """Return the blur of each pixel of the window, (window_px, window_px)."""
        if not self.foveated:
            return np.zeros((self.window_px, self.window_px))
        half = self.window_px // 2
        u = np.arange(-half, half + 1.0)
        radius = np.hypot(u[:, None], u)
        inner, outer = self.window_px / 8, self.window_px / 2
        share: npt.NDArray[np.float64] = ((radius - inner) / (outer - inner)).clip(0, 1)
        return share * self.window_px / 16

    def blur(self, sections: Tensor) -> Tensor:
        """Return (N, C, L, Y, X): the sections (N, C, Y, X), each more blurred than the last."""
        if not self.foveated:
            return sections[:, :, None]
        largest = self.window_px / 16
        sigmas = [largest * level / (_LEVELS - 1) for level in range(_LEVELS)]
        return torch.stack([blur(sections, sigma) for sigma in sigmas], dim=2)

    def read(self, blurred: Tensor, positions: Tensor) -> Tensor:
        """Read windows of one stack of blurred sections.

        Parameters
        ----------
        blurred : Tensor, (C, L, Y, X)
            One of those that :meth:`blur` returns.
        positions : Tensor, int, (B, 2)
            The middles (y, x); all that is read lies inside.

        Returns
        -------
        Tensor, (B, C, window_px, window_px)
        """
        n_levels, height, width = blurred.shape[1:]
        offsets = torch.from_numpy(self.offsets_px()).to(blurred)
        sigmas = torch.from_numpy(self.sigmas_px()).to(blurred)
        level = sigmas / (self.window_px / 16) * (n_levels - 1)
        middles = positions.to(blurred)
        shape = (len(positions), self.window_px, self.window_px)
        y = (middles[:, 0, None, None] + offsets[:, None]).expand(shape)
        x = (middles[:, 1, None, None] + offsets).expand(shape)
        grid = torch.stack(
            [_unit(x, width), _unit(y, height), _unit(level.expand(shape), n_levels)], dim=-1
        )
        windows = functional.grid_sample(
            blurred[None], grid[None], padding_mode="border", align_corners=True
        )
        return windows[0].transpose(0, 1)


def blur(sections: Tensor, sigma_px: float) -> Tensor:
    """Smooth sections (N, C, Y, X) by a Gaussian cut off at 3 sigma, mirrored at the edges.

    Examples
    --------
    >>> float(blur(torch.ones(1, 1, 6, 7), 2.0).std()) < 1e-6
    True
    """
    if sigma_px == 0:
        return sections
    radius = _radius_px(sigma_px)
    steps = torch.arange(-radius, radius + 1, device=sections.device, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (steps / sigma_px) ** 2)
    kernel = (kernel / kernel.sum()).to(sections)
    n, c, height, width = sections.shape
    x = mirror(sections, (radius, radius), (radius, radius)).reshape(
        n * c, 1, -1, width + 2 * radius
    )
    x = functional.conv2d(x, kernel[None, None, :, None])
    return functional.conv2d(x, kernel[None, None, None, :]).view(n, c, height, width)


def _radius_px(sigma_px: float) -> int:
    return math.ceil(3 * sigma_px)


def _unit(position: Tensor, size: int) -> Tensor:
    """Bring positions to what grid_sample calls them: -1 the first pixel, 1 the last."""
    return 2 * position / max(size - 1, 1) - 1

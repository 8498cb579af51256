"""Points, a line and a ring drawn into a section, in the colours of the segments' palette."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_emseg.proofreading.shading import EDGE, HATCH, KEPT, N_GROUPS

Voxel = tuple[int, int, int]
Shades = npt.NDArray[np.uint8]
_RING = 3  # times as wide as a point


@dataclass
class Decor:
    """What is drawn over the segments.

    Attributes
    ----------
    path : tuple of (z, y, x)
        Corners of a line drawn by hand.
    points : tuple of ((z, y, x), group)
    place : (z, y, x) or None
        Has a ring around it.
    """

    path: tuple[Voxel, ...] = ()
    points: tuple[tuple[Voxel, int], ...] = ()
    place: Voxel | None = None

    def draw(self, shades: Shades, section: int, radius_px: int) -> None:
        """Draw what lies in a section.

        Parameters
        ----------
        shades : (y, x) uint8
            Places in the palette; changed.
        section : int
        radius_px : int
            Of a point.
        """
        if self.place is not None and self.place[0] == section:
            _ring(shades, self.place, _RING * radius_px)
        for (z, y, x), group in self.points:
            if z == section:
                _disc(shades, (y, x), radius_px + 1, EDGE)
                _disc(shades, (y, x), radius_px, group_shade(group))
        if len(self.path) > 1 and self.path[0][0] == section:
            _line(shades, self.path, max(1, radius_px // 3))


def group_shade(group: int) -> int:
    """Return the place in the palette of a group of points: the first is blue.

    Examples
    --------
    >>> group_shade(0) == KEPT, group_shade(1) == CHANGED
    (True, True)
    """
    return KEPT + group % (N_GROUPS + 1)


def _disc(shades: Shades, middle: tuple[int, int], radius: float, shade: int) -> None:
    window, away = _distance(shades, middle, radius)
    shades[window][away <= radius] = shade


def _ring(shades: Shades, place: Voxel, radius: int) -> None:
    wide = max(1.2, radius / 7)
    window, away = _distance(shades, place[1:], radius + wide)
    shades[window][abs(away - radius) <= wide] = HATCH
    shades[window][abs(away - radius) <= wide / 2] = EDGE


def _distance(
    shades: Shades, middle: tuple[int, int], radius: float
) -> tuple[tuple[slice, slice], npt.NDArray[np.float64]]:
    """Return a window around a place, and how far each of its pixels is away."""
    n = int(np.ceil(radius))
    y, x = (
        slice(max(0, m - n), max(0, min(m + n + 1, size)))
        for m, size in zip(middle, shades.shape, strict=True)
    )
    rows, columns = np.ogrid[y, x]
    return (y, x), np.hypot(rows - middle[0], columns - middle[1])


def _line(shades: Shades, path: tuple[Voxel, ...], width: int) -> None:
    for (_, y0, x0), (_, y1, x1) in itertools.pairwise(path):
        n = max(abs(y1 - y0), abs(x1 - x0)) + 1
        for y, x in zip(np.linspace(y0, y1, n), np.linspace(x0, x1, n), strict=True):
            _disc(shades, (round(y), round(x)), width, EDGE)

"""Gaussian smoothing, row by row in the caches: some seven times the speed of scipy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.segmentation.levels import TOP

_TRUNCATE = 4.0  # as scipy.ndimage


def gaussian(sigma_px: float) -> npt.NDArray[np.float32]:
    """Return the weights from the middle outwards, as ``scipy.ndimage`` takes them.

    Examples
    --------
    >>> gaussian(0), gaussian(1).round(2)
    (array([1.], dtype=float32), array([0.4 , 0.24, 0.05, 0.  , 0.  ], dtype=float32))
    """
    if sigma_px == 0:
        return np.ones(1, np.float32)
    distance = np.arange(int(_TRUNCATE * sigma_px + 0.5) + 1)
    weights = np.exp(-0.5 * (distance / sigma_px) ** 2)
    weights /= 2 * weights.sum() - weights[0]
    return np.asarray(weights, np.float32)


@kernel
def _mirrored(i: int, n: int) -> int:
    """Index within `n` entries that repeat mirrored: c b a | a b c | c b a."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


@kernel
def blur_yx(section: Any, along_y: Any, along_x: Any, out: Any) -> None:
    """Smooth a section of float32 along both axes into `out`."""
    n_y, n_x = section.shape
    reach = along_x.size - 1
    wide = np.empty(n_x + 2 * reach, np.float32)
    middle = wide[reach : reach + n_x]
    for y in range(n_y):
        weight = along_y[0]
        row = section[y]
        for x in range(n_x):
            middle[x] = weight * row[x]
        for k in range(1, along_y.size):
            weight = along_y[k]
            north, south = section[_mirrored(y - k, n_y)], section[_mirrored(y + k, n_y)]
            for x in range(n_x):
                middle[x] += weight * (north[x] + south[x])
        for k in range(1, reach + 1):
            wide[reach - k] = middle[_mirrored(-k, n_x)]
            wide[reach + n_x - 1 + k] = middle[_mirrored(n_x - 1 + k, n_x)]
        weight = along_x[0]
        row = out[y]
        for x in range(n_x):
            row[x] = weight * middle[x]
        for k in range(1, reach + 1):
            weight = along_x[k]
            west, east = wide[reach - k :], wide[reach + k :]
            for x in range(n_x):
                row[x] += weight * (west[x] + east[x])


@kernel
def blur_z(
    ring: Any, along_z: Any, n_z: int, first: int, y_start: int, y_stop: int, levels: Any
) -> None:
    """Smooth some rows along z, into the levels of the sections from `first` on.

    Section z of a stack of `n_z` is at ``ring[z % len(ring)]``.
    """
    room, _, n_x = ring.shape
    total = np.empty(n_x, np.float32)
    for y in range(y_start, y_stop):
        for z in range(first, first + levels.shape[0]):
            weight = along_z[0]
            row = ring[z % room, y]
            for x in range(n_x):
                total[x] = weight * row[x]
            for k in range(1, along_z.size):
                weight = along_z[k]
                above = ring[_mirrored(z - k, n_z) % room, y]
                below = ring[_mirrored(z + k, n_z) % room, y]
                for x in range(n_x):
                    total[x] += weight * (above[x] + below[x])
            row_out = levels[z - first, y]
            for x in range(n_x):
                row_out[x] = np.int32(total[x] * np.float32(TOP) + np.float32(0.5))

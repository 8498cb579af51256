"""Telling from the voxels what a volume is: grey values, ids, or a boundary map."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.volume import Kind

# Shares of voxels. On the public EM sets neighbours in x are equal in 2-5 % of grey
# values, 33-40 % of 8-bit and float maps, 90 % and more of ids and drawings; 0-6 % of
# grey values and 64-75 % of map values lie within a tenth of an end of the range.
_MANY_AT_ENDS = 0.5
_PIECEWISE = 0.7
_MOST = 0.6


def guess_kind(sample: npt.NDArray[Any]) -> Kind:
    """Guess what a volume is from a few of its sections.

    Parameters
    ----------
    sample : ndarray, (..., Y, X)
        Some sections, or parts of them.

    Returns
    -------
    {"raw", "boundary", "labels"}
        - ``boundary``: decimal numbers in [0, 1] or 8-bit values, at least half of them
          within a tenth of an end of the range and changing gradually; a drawing in
          only 0 and 255; bool;
        - ``labels``: other whole numbers that mostly equal their neighbour in x;
        - ``raw``: all else.

    Examples
    --------
    >>> guess_kind(np.repeat(np.arange(9, dtype=np.uint16), 8).reshape(1, 1, -1))
    'labels'
    """
    if sample.dtype == bool:
        return "boundary"
    values = sample[np.isfinite(sample)]
    if values.size == 0 or values.min() == values.max():
        return "labels" if sample.dtype.kind in "ui" and sample.dtype.itemsize > 2 else "raw"
    if sample.dtype.kind == "f":
        in_range = values.min() >= 0 and values.max() <= 1
        return "boundary" if in_range and _share_at_ends(values, 1) >= _MANY_AT_ENDS else "raw"
    if sample.dtype == np.uint8 and _is_8bit_map(sample):
        return "boundary"
    return "labels" if _share_equal(sample) >= _PIECEWISE else "raw"


def is_inverted(sample: npt.NDArray[Any], top: float) -> bool | None:
    """Whether a boundary map has its membranes low; None where one cannot be sure.

    Membranes fill less than half of any tissue, so a map most of which is near the
    top has its cells there.

    Parameters
    ----------
    sample : ndarray
        Some sections of the map.
    top : float
        The value that means 1.

    Examples
    --------
    >>> is_inverted(np.array([255, 250, 255, 0, 255]), top=255)
    True
    """
    high, low = np.mean(sample > 0.75 * top), np.mean(sample < 0.25 * top)
    if high >= _MOST:
        return True
    return None if high >= low else False


def _share_equal(sample: npt.NDArray[Any]) -> float:
    if sample.shape[-1] < 2:
        return 0.0
    return float(np.mean(sample[..., 1:] == sample[..., :-1]))


def _share_at_ends(values: npt.NDArray[Any], top: float) -> float:
    return float(np.mean((values <= 0.1 * top) | (values >= 0.9 * top)))


def _is_8bit_map(sample: npt.NDArray[Any]) -> bool:
    if set(np.unique(sample)) == {0, 255}:
        return True
    if _share_at_ends(sample, 255) < _MANY_AT_ENDS or sample.max() < 230:
        return False
    steps = np.abs(np.diff(sample.astype(np.int16), axis=-1))
    is_gradual = steps.any() and np.median(steps[steps > 0]) < 64
    return bool(is_gradual and len(np.unique(sample)) > 32)

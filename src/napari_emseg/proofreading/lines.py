"""A line drawn across a segment in one section: what lies on either side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.int64]
Line = Sequence[tuple[float, float]]


def pixels_of_line(line: Line, shape: tuple[int, ...]) -> tuple[Pixels, Pixels]:
    """Return rows and columns under a line, those outside the section left out.

    Parameters
    ----------
    line : sequence of (y, x)
        Corners.
    shape : (y, x)

    Returns
    -------
    rows, columns : (n,) int64

    Examples
    --------
    >>> pixels_of_line([(0, 0), (0, 2)], (1, 2))
    (array([0, 0]), array([0, 1]))
    """
    from skimage.draw import line as draw

    corners = [(round(y), round(x)) for y, x in line]
    parts = [draw(*a, *b) for a, b in pairwise(corners)] or [([], [])]
    rows = np.concatenate([np.asarray(p[0], np.int64) for p in parts])
    columns = np.concatenate([np.asarray(p[1], np.int64) for p in parts])
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return rows[inside], columns[inside]


def sides_of_line(mask: npt.NDArray[np.bool_], line: Line) -> tuple[Pixels, Pixels]:
    """Return the parts of a segment along both sides of a line.

    Parameters
    ----------
    mask : (y, x) bool
        The segment in the section.
    line : sequence of (y, x)
        Corners.

    Returns
    -------
    left, right : (n, 2) int64
        Pixels (y, x) of the connected parts that touch the line. Both are empty where
        the line does not separate them.

    Examples
    --------
    >>> left, right = sides_of_line(np.ones((1, 5), bool), [(-1, 2), (1, 2)])
    >>> left[:, 1].tolist(), right[:, 1].tolist()
    ([3, 4], [0, 1])
    """
    from scipy.ndimage import label

    nothing = np.empty((0, 2), np.int64)
    rows, columns = pixels_of_line(line, mask.shape)
    rest = mask.copy()
    rest[rows, columns] = False
    parts, n = label(rest)
    if n < 2 or not mask[rows, columns].any():
        return nothing, nothing
    touching = _neighbours(rows, columns, rest)
    turn = _turn(touching, np.asarray(line, np.float64))
    part = parts[tuple(touching.T)]
    balance = np.bincount(part, np.sign(turn), n + 1)
    is_near = np.bincount(part, minlength=n + 1) > 0
    left = np.flatnonzero(is_near & (balance > 0))
    right = np.flatnonzero(is_near & (balance < 0))
    if left.size == 0 or right.size == 0:
        return nothing, nothing
    return np.argwhere(np.isin(parts, left)), np.argwhere(np.isin(parts, right))


def _neighbours(rows: Pixels, columns: Pixels, rest: npt.NDArray[np.bool_]) -> Pixels:
    steps = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
    around = (np.stack([rows, columns], axis=1)[:, None] + steps).reshape(-1, 2)
    around = around[((around >= 0) & (around < rest.shape)).all(axis=1)]
    return np.unique(around[rest[tuple(around.T)]], axis=0)


def _turn(points: Pixels, line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """On which side of the nearest piece of the line each point is, by sign."""
    start, along = line[:-1], np.diff(line, axis=0)
    length = np.maximum((along**2).sum(axis=1), 1e-9)
    offset = points[:, None] - start
    share = np.clip((offset * along).sum(axis=2) / length, 0, 1)
    foot = start + share[..., None] * along
    nearest = np.argmin(((points[:, None] - foot) ** 2).sum(axis=2), axis=1)
    here = np.arange(len(points))
    y, x = offset[here, nearest].T
    dy, dx = along[nearest].T
    turned: npt.NDArray[np.float64] = x * dy - y * dx
    return turned

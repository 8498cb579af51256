"""Reading warped patches out of stacks: one interpolation, mirror images beyond the edge.

An output voxel p, counted from the middle of the patch, comes from
``matrix @ (slip(p) + field(p)) + centre`` of the stack. *Planes* stay whole
sections: z is given for each, only y and x are warped. *Volumes* are warped
along all axes. Coordinates are 64-bit, so a patch is as sharp at pixel 100,000
as at pixel 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel

Floats = npt.NDArray[np.float32]
OUTSIDE = -1
"""In place of a section that is not there: reads as 0."""


@kernel
def fold(position: float, low: int, high: int) -> float:
    """Mirror a position into low ... high, both included, the edge pixel not repeated."""
    if low <= position <= high:
        return position
    if high == low:
        return float(low)
    period = 2.0 * (high - low)
    off = abs(position - low) % period
    return low + min(off, period - off)


@kernel
def _combine(
    row: npt.NDArray[np.float64], centre: float, slip: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return what of y, x and 1 makes one coordinate, slip and matrix in one."""
    by_y = row[1] * slip[0, 0] + row[2] * slip[1, 0]
    by_x = row[1] * slip[0, 1] + row[2] * slip[1, 1]
    return by_y, by_x, row[1] * slip[0, 2] + row[2] * slip[1, 2] + centre


@kernel
def read_planes(
    block: npt.NDArray[Any],
    origin: npt.NDArray[np.int64],
    extent: npt.NDArray[np.int64],
    sections: npt.NDArray[np.int64],
    matrix: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
    field: Floats,
    slips: npt.NDArray[np.float64],
    mean: Floats,
    scale: Floats,
    out: Floats,
) -> None:
    """Read grey values of whole sections, bilinear, into `out` (C, Y, X).

    `block` (Z, Y, X) starts at `origin` of a stack of `extent`; `field` (Y', X', 2)
    is as large as `out` or larger by the same on both sides; `slips` (C, 2, 3)
    moves each section; `mean` and `scale` (C,) standardise it.
    """
    height, width = out.shape[1:]
    pad_y, pad_x = (field.shape[0] - height) // 2, (field.shape[1] - width) // 2
    last_y, last_x = block.shape[1] - 1, block.shape[2] - 1
    b00, b01, b10, b11 = matrix[1, 1], matrix[1, 2], matrix[2, 1], matrix[2, 2]
    one = np.float32(1)
    for c in range(out.shape[0]):
        z = sections[c] - origin[0]
        a00, a01, t0 = _combine(matrix[1], centre[1], slips[c])
        a10, a11, t1 = _combine(matrix[2], centre[2], slips[c])
        for i in range(height):
            for j in range(width):
                p_y, p_x = i - (height - 1) / 2, j - (width - 1) / 2
                f_y, f_x = field[i + pad_y, j + pad_x, 0], field[i + pad_y, j + pad_x, 1]
                y = a00 * p_y + a01 * p_x + b00 * f_y + b01 * f_x + t0
                x = a10 * p_y + a11 * p_x + b10 * f_y + b11 * f_x + t1
                y = fold(y, 0, extent[1] - 1) - origin[1]
                x = fold(x, 0, extent[2] - 1) - origin[2]
                y0, x0 = int(y), int(x)
                y1, x1 = min(y0 + 1, last_y), min(x0 + 1, last_x)
                w_y, w_x = np.float32(y - y0), np.float32(x - x0)
                above = block[z, y0, x0] * (one - w_x) + block[z, y0, x1] * w_x
                below = block[z, y1, x0] * (one - w_x) + block[z, y1, x1] * w_x
                out[c, i, j] = ((above * (one - w_y) + below * w_y) - mean[c]) * scale[c]


@kernel
def pick_planes(
    block: npt.NDArray[Any],
    origin: npt.NDArray[np.int64],
    extent: npt.NDArray[np.int64],
    sections: npt.NDArray[np.int64],
    matrix: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
    field: Floats,
    slips: npt.NDArray[np.float64],
    halo: int,
    out: npt.NDArray[Any],
) -> None:
    """Pick the nearest values of whole sections, for ids, as :func:`read_planes`.

    Within `halo` of the rim of `out` nothing is mirrored: beyond the edge is 0.
    """
    height, width = out.shape[1:]
    pad_y, pad_x = (field.shape[0] - height) // 2, (field.shape[1] - width) // 2
    b00, b01, b10, b11 = matrix[1, 1], matrix[1, 2], matrix[2, 1], matrix[2, 2]
    for c in range(out.shape[0]):
        if sections[c] == OUTSIDE:
            out[c] = 0
            continue
        z = sections[c] - origin[0]
        a00, a01, t0 = _combine(matrix[1], centre[1], slips[c])
        a10, a11, t1 = _combine(matrix[2], centre[2], slips[c])
        for i in range(height):
            for j in range(width):
                p_y, p_x = i - (height - 1) / 2, j - (width - 1) / 2
                f_y, f_x = field[i + pad_y, j + pad_x, 0], field[i + pad_y, j + pad_x, 1]
                y = a00 * p_y + a01 * p_x + b00 * f_y + b01 * f_x + t0
                x = a10 * p_y + a11 * p_x + b10 * f_y + b11 * f_x + t1
                if halo and min(i, j, height - 1 - i, width - 1 - j) < halo:
                    inside = -0.5 <= y <= extent[1] - 0.5 and -0.5 <= x <= extent[2] - 0.5
                    if not inside:
                        out[c, i, j] = 0
                        continue
                row = int(fold(y, 0, extent[1] - 1) + 0.5) - origin[1]
                column = int(fold(x, 0, extent[2] - 1) + 0.5) - origin[2]
                out[c, i, j] = block[z, row, column]


@kernel
def read_volume(
    block: npt.NDArray[Any],
    origin: npt.NDArray[np.int64],
    low: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64],
    matrix: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
    field: Floats,
    mean: Floats,
    scale: Floats,
    out: Floats,
) -> None:
    """Read grey values, trilinear, into `out` (Z, Y, X), warped along all axes.

    `field` (Z', Y', X', 3); what lies outside of `low` ... `high` (z, y, x), both
    included, is mirrored; `mean` and `scale` are those of each section of `block`.
    """
    depth, height, width = out.shape
    pad_z, pad_y = (field.shape[0] - depth) // 2, (field.shape[1] - height) // 2
    pad_x = (field.shape[2] - width) // 2
    last = np.array(block.shape) - 1
    at, share = np.empty((3, 2), np.int64), np.empty(3, np.float32)
    p = np.empty(3)
    for k in range(depth):
        for i in range(height):
            for j in range(width):
                p[0] = k - (depth - 1) / 2 + field[k + pad_z, i + pad_y, j + pad_x, 0]
                p[1] = i - (height - 1) / 2 + field[k + pad_z, i + pad_y, j + pad_x, 1]
                p[2] = j - (width - 1) / 2 + field[k + pad_z, i + pad_y, j + pad_x, 2]
                for axis in range(3):
                    row = matrix[axis]
                    q = row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + centre[axis]
                    q = fold(q, low[axis], high[axis]) - origin[axis]
                    at[axis, 0] = int(q)
                    at[axis, 1] = min(at[axis, 0] + 1, last[axis])
                    share[axis] = q - at[axis, 0]
                value = np.float32(0)
                for corner in range(8):
                    a, b, c = corner >> 2, (corner >> 1) & 1, corner & 1
                    weight = share[0] if a else 1 - share[0]
                    weight *= share[1] if b else 1 - share[1]
                    weight *= share[2] if c else 1 - share[2]
                    z = at[0, a]
                    grey = (block[z, at[1, b], at[2, c]] - mean[z]) * scale[z]
                    value += np.float32(weight * grey)
                out[k, i, j] = value


@kernel
def pick_volume(
    block: npt.NDArray[Any],
    origin: npt.NDArray[np.int64],
    low: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64],
    matrix: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
    field: Floats,
    halo: npt.NDArray[np.int64],
    out: npt.NDArray[Any],
) -> None:
    """Pick the nearest values, for ids, as :func:`read_volume`.

    Within `halo` (z, y, x) of the rim of `out` nothing is mirrored: beyond is 0.
    """
    depth, height, width = out.shape
    pad_z, pad_y = (field.shape[0] - depth) // 2, (field.shape[1] - height) // 2
    pad_x = (field.shape[2] - width) // 2
    at, p = np.empty(3, np.int64), np.empty(3)
    for k in range(depth):
        for i in range(height):
            for j in range(width):
                p[0] = k - (depth - 1) / 2 + field[k + pad_z, i + pad_y, j + pad_x, 0]
                p[1] = i - (height - 1) / 2 + field[k + pad_z, i + pad_y, j + pad_x, 1]
                p[2] = j - (width - 1) / 2 + field[k + pad_z, i + pad_y, j + pad_x, 2]
                rim = min(k, depth - 1 - k) < halo[0]
                rim |= min(i, height - 1 - i) < halo[1]
                rim |= min(j, width - 1 - j) < halo[2]
                beyond = False
                for axis in range(3):
                    row = matrix[axis]
                    q = row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + centre[axis]
                    beyond |= not low[axis] - 0.5 <= q <= high[axis] + 0.5
                    at[axis] = int(fold(q, low[axis], high[axis]) + 0.5) - origin[axis]
                # two statements: one expression of both would be a floating-point number
                if rim and beyond:
                    out[k, i, j] = 0
                else:
                    out[k, i, j] = block[at[0], at[1], at[2]]


def spread(nodes: Floats, shape: tuple[int, ...]) -> Floats:
    """Draw a smooth field through nodes spread evenly from edge to edge.

    Parameters
    ----------
    nodes : float32 array, (n, ..., C)
        A vector of C at each node of a grid.
    shape : tuple of int
        Wanted size along each axis of the grid.

    Returns
    -------
    float32 array, (*shape, C)
        Cubic convolution (Keys 1981, doi:10.1109/TASSP.1981.1163711, a = -0.75) with
        the outermost nodes repeated, as ``torch.nn.functional.interpolate(
        mode="bicubic", align_corners=True)``.

    Examples
    --------
    >>> nodes = np.array([[0.0], [2.0]], np.float32)
    >>> spread(nodes, (3,))[:, 0].tolist()
    [0.0, 1.0, 2.0]
    """
    for axis, size in enumerate(shape):
        before = math.prod(nodes.shape[:axis])
        flat = np.ascontiguousarray(nodes).reshape(before, nodes.shape[axis], -1)
        drawn = np.empty((before, size, flat.shape[2]), np.float32)
        _spread_axis(flat, drawn)
        nodes = drawn.reshape(*nodes.shape[:axis], size, *nodes.shape[axis + 1 :])
    return nodes


@kernel
def _spread_axis(nodes: Floats, out: Floats) -> None:
    n, size = nodes.shape[1], out.shape[1]
    a = np.float32(-0.75)
    taps, weights = np.empty((size, 4), np.int64), np.empty((size, 4), np.float32)
    for i in range(size):
        position = i * (n - 1) / (size - 1) if size > 1 else (n - 1) / 2
        for tap in range(4):
            node = int(position) + tap - 1
            t = np.float32(abs(position - node))
            taps[i, tap] = min(max(node, 0), n - 1)
            if t <= 1:
                weights[i, tap] = ((a + 2) * t - (a + 3)) * t * t + 1
            else:
                weights[i, tap] = a * (((t - 5) * t + 8) * t - 4)
    for b in range(out.shape[0]):
        for i in range(size):
            w0, w1, w2, w3 = weights[i, 0], weights[i, 1], weights[i, 2], weights[i, 3]
            n0, n1, n2, n3 = taps[i, 0], taps[i, 1], taps[i, 2], taps[i, 3]
            for c in range(out.shape[2]):
                value = w0 * nodes[b, n0, c] + w1 * nodes[b, n1, c]
                out[b, i, c] = value + w2 * nodes[b, n2, c] + w3 * nodes[b, n3, c]

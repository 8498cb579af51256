"""Smooth random fields that can be looked at anywhere, one depth at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


class SmoothNoise:
    """A random field with mean 0 and standard deviation 1, smooth in three dimensions.

    Parameters
    ----------
    rng : numpy.random.Generator
        Drawn from once, when the field is made.
    depth_nm, y_nm, x_nm : 1-D float array
        The depths that will be asked for, and the pixel positions along y and x.
    length_nm : (z, xy) in nm
        Distance between independent random values; details are about twice that.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        depth_nm: npt.NDArray[np.float64],
        y_nm: npt.NDArray[np.float64],
        x_nm: npt.NDArray[np.float64],
        length_nm: tuple[float, float],
    ) -> None:
        self._top, self._length_z = float(depth_nm[0]), length_nm[0]
        self._y = _spline_matrix(y_nm, length_nm[1])
        self._x = _spline_matrix(x_nm, length_nm[1])
        layers = int((depth_nm[-1] - depth_nm[0]) / length_nm[0]) + 5
        shape = (layers, self._y.shape[1], self._x.shape[1])
        self._grid = rng.standard_normal(shape, np.float32)

    def at(self, depth_nm: float) -> FloatArray:
        """Return the field at `depth_nm`, (Y, X) float32."""
        position = (depth_nm - self._top) / self._length_z
        first = int(position)
        weights = _spline_weights(np.array([position - first]))[0]
        layer = np.tensordot(weights, self._grid[first : first + 4], axes=1)
        return np.asarray(self._y @ layer @ self._x.T, np.float32)


def _spline_weights(t: npt.NDArray[np.float64]) -> FloatArray:
    """Cubic B-spline weights of four neighbours, scaled to keep unit variance on average."""
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=-1
    )
    # The mean over t of the sum of squares of these weights is 36 * 151 / 315.
    return np.asarray(weights / np.sqrt(36 * 151 / 315), np.float32)


def _spline_matrix(position_nm: npt.NDArray[np.float64], length_nm: float) -> FloatArray:
    scaled = (position_nm - position_nm[0]) / length_nm
    first = scaled.astype(int)
    matrix = np.zeros((len(scaled), int(first[-1]) + 4), np.float32)
    columns = first[:, None] + np.arange(4)
    np.put_along_axis(matrix, columns, _spline_weights(scaled - first), axis=1)
    return matrix

"""Surfaces without the steps of the voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel

# Taubin, "A signal processing approach to fair surface design" (SIGGRAPH 1995), section 3:
# each step that shrinks is followed by one that swells.
_SHRINK, _SWELL = 0.5, -0.53


def smooth(
    vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int32], n_rounds: int = 2
) -> npt.NDArray[np.float32]:
    """Return the vertices of a closed surface moved towards those around them.

    Parameters
    ----------
    vertices : (N, 3) float32
    faces : (M, 3) int32
        Each edge in two of them.
    n_rounds : int

    Returns
    -------
    (N, 3) float32
        The volume stays about the same.

    Examples
    --------
    >>> corners = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]], np.float32)
    >>> faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]], np.int32)
    >>> smooth(corners, faces, 0) is corners
    True
    """
    if n_rounds == 0 or not vertices.size:
        return vertices
    moved, total = vertices.copy(), np.empty_like(vertices)
    n_around = np.bincount(faces.ravel(), minlength=vertices.shape[0]).astype(np.float32)
    for _ in range(n_rounds):
        _move(moved, faces, n_around, np.float32(_SHRINK), total)
        _move(moved, faces, n_around, np.float32(_SWELL), total)
    return moved


@kernel
def _move(vertices: Any, faces: Any, n_around: Any, share: Any, total: Any) -> None:
    """Move vertices a share of the way to the mean of those they share an edge with.

    On a closed surface each edge is walked once in each direction.
    """
    total[:] = 0
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        for k in range(3):
            total[a, k] += vertices[b, k]
            total[b, k] += vertices[c, k]
            total[c, k] += vertices[a, k]
    for i in range(vertices.shape[0]):
        if n_around[i] > 0:
            for k in range(3):
                vertices[i, k] += share * (total[i, k] / n_around[i] - vertices[i, k])

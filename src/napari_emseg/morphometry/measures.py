"""What can be said of a surface in numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_emseg.morphometry.surfaces import Surface


def area_nm2(surface: Surface) -> float:
    """Return the area of all triangles.

    Parameters
    ----------
    surface : Surface

    Returns
    -------
    float
        In nm^2.
    """
    a, b, c = _corners(surface)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def volume_nm3(surface: Surface) -> float:
    """Return the volume a closed surface holds: the sum of tetrahedra over its triangles.

    Parameters
    ----------
    surface : Surface

    Returns
    -------
    float
        In nm^3.
    """
    if not surface.n_faces:
        return 0.0
    a, b, c = (part - surface.vertices.mean(axis=0) for part in _corners(surface))
    # Triangles are outward in (x, y, z), hence the sign in (z, y, x).
    return float(-np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def is_watertight(surface: Surface) -> bool:
    """Return whether each edge has exactly two triangles, which walk it in both directions.

    Parameters
    ----------
    surface : Surface

    Returns
    -------
    bool
    """
    start, end = _edges(surface)
    n = np.int64(surface.vertices.shape[0])
    there, back = np.sort(start * n + end), np.sort(end * n + start)
    return bool((there[1:] != there[:-1]).all()) and bool((there == back).all())


def euler_number(surface: Surface) -> int:
    """Return vertices - edges + faces: 2 for a ball, 0 for a ring, summed over all pieces.

    Parameters
    ----------
    surface : Surface

    Returns
    -------
    int
    """
    start, end = _edges(surface)
    n = np.int64(surface.vertices.shape[0])
    edges = np.unique(np.minimum(start, end) * n + np.maximum(start, end))
    return int(np.unique(surface.faces).size - edges.size + surface.n_faces)


def _edges(surface: Surface) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    faces = surface.faces.astype(np.int64)
    return faces.ravel(), np.roll(faces, -1, axis=1).ravel()


def _corners(surface: Surface) -> tuple[npt.NDArray[np.float64], ...]:
    places = surface.vertices.astype(np.float64)
    return tuple(places[surface.faces[:, k]] for k in range(3))

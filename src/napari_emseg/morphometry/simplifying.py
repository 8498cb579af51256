"""The same surface with fewer triangles."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from napari_emseg.morphometry.surfaces import Surface


def can_simplify() -> bool:
    """Return whether the library for it is installed."""
    return find_spec("fast_simplification") is not None


def simplify(surface: Surface, most_faces: int) -> Surface:
    """Merge triangles where that changes the shape least.

    Edges are collapsed by quadric errors (Garland and Heckbert, "Surface simplification
    using quadric error metrics", SIGGRAPH 1997), by the library fast-simplification.

    Parameters
    ----------
    surface : Surface
    most_faces : int
        About so many triangles at most. Where the library is not installed, and where
        there are fewer, the surface is returned as it is.

    Returns
    -------
    Surface

    Examples
    --------
    >>> empty = Surface(np.empty((0, 3), np.float32), np.empty((0, 3), np.int32))
    >>> simplify(empty, 100) is empty
    True
    """
    if surface.n_faces <= most_faces or not can_simplify():
        return surface
    import fast_simplification

    # Coordinates around the middle keep their digits in float32.
    middle = surface.vertices.mean(axis=0)
    vertices, faces = fast_simplification.simplify(
        np.ascontiguousarray(surface.vertices - middle),
        np.ascontiguousarray(surface.faces),
        target_count=most_faces,
    )
    return Surface(vertices.astype(np.float32) + middle, faces.astype(np.int32))

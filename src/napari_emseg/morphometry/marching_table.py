"""Triangles that part the inside from the outside of a cube, for each of its 256 kinds."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

# Corner k of a cube lies at (k >> 2, k >> 1 & 1, k & 1); edges go from a corner along an axis.
_EDGES = [(c, axis) for axis in range(3) for c in range(8) if not c >> (2 - axis) & 1]
_END = {(c, axis): c | 1 << (2 - axis) for c, axis in _EDGES}
_EDGE_AT = {frozenset((edge[0], _END[edge])): n for n, edge in enumerate(_EDGES)}
# Corners of the faces, against the clock for who looks from outside (z, y, x right-handed).
_FACES = (
    (0, 1, 3, 2),
    (4, 6, 7, 5),
    (0, 4, 5, 1),
    (2, 3, 7, 6),
    (0, 2, 6, 4),
    (1, 5, 7, 3),
)
_FACES_OF = [
    {f for f, corners in enumerate(_FACES) if {c, _END[c, axis]} <= {*corners}}
    for c, axis in _EDGES
]

Polygon = tuple[int, ...]
Triangle = tuple[int, int, int]


@cache
def marching_table() -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Return where edges lie, and the triangles of each kind of cube.

    Where two corners that lie across a face are inside and the other two are not, they
    are parted: cubes on both sides of the face agree, so surfaces have no holes, and no
    triangle's edge runs across such a face, so no edge has more than two triangles.

    Returns
    -------
    edges : (12, 4) int8
        Corner (z, y, x) an edge starts from, and its axis.
    n_triangles : (256,) int8
        By the corners inside, corner k as bit k.
    triangles : (256, 3 * most) int8
        Edges their corners lie on, outward by the right-hand rule in (x, y, z).
    """
    edges = np.array([(c >> 2, c >> 1 & 1, c & 1, axis) for c, axis in _EDGES], np.int8)
    listed = [[t for loop in _loops(kind) for t in _triangulate(loop)] for kind in range(256)]
    n_triangles = np.array([len(triangles) for triangles in listed], np.int8)
    table = np.zeros((256, 3 * int(n_triangles.max())), np.int8)
    for kind, triangles in enumerate(listed):
        table[kind, : 3 * len(triangles)] = np.array(triangles).ravel()
    return edges, n_triangles, table


def _loops(kind: int) -> list[Polygon]:
    """Return the polygons in which the surface crosses a cube."""
    following: dict[int, int] = {}
    for corners in _FACES:
        inside = [kind >> c & 1 for c in corners]
        for k in range(4):
            if not inside[k - 1] and inside[k]:
                last = k
                while inside[(last + 1) % 4]:
                    last += 1
                entering = _EDGE_AT[frozenset((corners[k - 1], corners[k]))]
                leaving = _EDGE_AT[frozenset((corners[last % 4], corners[(last + 1) % 4]))]
                following[entering] = leaving
    loops = []
    while following:
        loop = [next(iter(following))]
        while (edge := following.pop(loop[-1])) != loop[0]:
            loop.append(edge)
        loops.append(tuple(loop))
    return loops


def _triangulate(loop: Polygon) -> list[Triangle]:
    """Part a polygon into triangles of which no new edge lies in a face of the cube."""
    found = _parts(loop, loop)
    assert found is not None
    return found


def _parts(polygon: Polygon, loop: Polygon) -> list[Triangle] | None:
    if len(polygon) < 3:
        return []
    first, last = polygon[0], polygon[-1]
    for k in range(1, len(polygon) - 1):
        tip = polygon[k]
        if _may_join(first, tip, loop) and _may_join(tip, last, loop):
            one, two = _parts(polygon[: k + 1], loop), _parts(polygon[k:], loop)
            if one is not None and two is not None:
                return [(last, tip, first), *one, *two]
    return None


def _may_join(a: int, b: int, loop: Polygon) -> bool:
    """Whether a line between two corners of a polygon is its side, or runs inside the cube."""
    apart = abs(loop.index(a) - loop.index(b))
    return apart in (1, len(loop) - 1) or not _FACES_OF[a] & _FACES_OF[b]

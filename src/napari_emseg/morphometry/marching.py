"""The surface of one segment, tile by tile, as triangles between corners on voxel edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.morphometry.marching_table import marching_table

Keys = npt.NDArray[np.int64]
Faces = npt.NDArray[np.int32]


@kernel
def _march(inside: Any, claims: Any, edges: Any, n_triangles: Any, table: Any, number: Any) -> Any:
    """Return vertices (place of their edge in `number`) and triangles of the cubes claimed.

    `number` holds -1 everywhere, and does so again at the end.
    """
    depth, height, width = inside.shape
    n_faces = 0
    kinds = np.empty((depth - 1, height - 1, width - 1), np.uint8)
    for z in range(depth - 1):
        end_z = int(z > 0) + int(z == depth - 2)
        for y in range(height - 1):
            end_y = int(y > 0) + int(y == height - 2)
            kind = 0
            for x in range(width):
                kind = (
                    (kind >> 1 & 0x55)
                    | inside[z, y, x] << 1
                    | inside[z, y + 1, x] << 3
                    | inside[z + 1, y, x] << 5
                    | inside[z + 1, y + 1, x] << 7
                )
                if x > 0:
                    mine = claims[end_z, end_y, int(x > 1) + int(x == width - 1)]
                    kinds[z, y, x - 1] = kind if mine else 0
                    n_faces += n_triangles[kind] if mine else 0
    faces = np.empty((n_faces, 3), np.int32)
    found = np.empty(min(3 * n_faces, number.size), np.int64)
    n_found, n_faces = 0, 0
    flat = number.reshape(-1)
    for z in range(depth - 1):
        for y in range(height - 1):
            for x in range(width - 1):
                kind = kinds[z, y, x]
                for t in range(n_triangles[kind]):
                    for c in range(3):
                        edge = edges[table[kind, 3 * t + c]]
                        at = (
                            ((z + edge[0]) * height + y + edge[1]) * width + x + edge[2]
                        ) * 3 + edge[3]
                        if flat[at] < 0:
                            flat[at] = n_found
                            found[n_found] = at
                            n_found += 1
                        faces[n_faces, c] = flat[at]
                    n_faces += 1
    for k in range(n_found):
        flat[found[k]] = -1
    return found[:n_found], faces


class Marcher:
    """Marches through the tiles of one segment and sews their surfaces together.

    Parameters
    ----------
    shape : (z, y, x)
        Coarse voxels of the volume.
    tile : (z, y, x)
        Coarse voxels of a tile.
    """

    def __init__(self, shape: tuple[int, ...], tile: tuple[int, ...]) -> None:
        self._room = np.array(shape, np.int64) + 2
        self._tables = marching_table()
        self._number = np.full((*(n + 2 for n in tile), 3), -1, np.int32)
        self._keys: list[Keys] = []
        self._rims: list[npt.NDArray[np.bool_]] = []
        self._faces: list[Faces] = []
        self._n = 0

    def add(
        self, inside: npt.NDArray[np.uint8], corner: npt.NDArray[np.int64], claims: Any
    ) -> None:
        """Add the cubes of a tile.

        Parameters
        ----------
        inside : (z, y, x) uint8
            The tile with one voxel around it.
        corner : (3,) int64
            Where the first of these lies in the volume; -1 is before the first.
        claims : (3, 3, 3) bool
            Which cubes are this tile's: at the lower ends of axes, inner ones, at the upper.
        """
        found, faces = _march(inside, claims, *self._tables, self._number)
        place = np.stack(np.unravel_index(found, self._number.shape))
        local, axis = place[:3], place[3]
        z, y, x = local + (corner + 1)[:, None]
        self._keys.append(((z * self._room[1] + y) * self._room[2] + x) * 3 + axis)
        last = np.array(inside.shape)[:, None] - 2
        is_rim: npt.NDArray[np.bool_] = np.any((local <= 1) | (local >= last), axis=0)
        self._rims.append(is_rim)
        self._faces.append(faces + np.int32(self._n))
        self._n += found.size

    def sew(self) -> tuple[npt.NDArray[np.float32], Faces]:
        """Return vertices, in coarse voxels, and faces of all tiles."""
        if self._n == 0:
            return np.empty((0, 3), np.float32), np.empty((0, 3), np.int32)
        keys, is_rim = np.concatenate(self._keys), np.concatenate(self._rims)
        faces = np.concatenate(self._faces)
        numbers = np.empty(keys.size, np.int32)
        n_inner = keys.size - int(is_rim.sum())
        numbers[~is_rim] = np.arange(n_inner, dtype=np.int32)
        shared, same = np.unique(keys[is_rim], return_inverse=True)
        numbers[is_rim] = n_inner + same.astype(np.int32)
        kept = np.concatenate([keys[~is_rim], shared])
        edge, axis = np.divmod(kept, 3)
        plane, x = np.divmod(edge, self._room[2])
        z, y = np.divmod(plane, self._room[1])
        vertices = np.stack([z, y, x], axis=1).astype(np.float32) - 1
        vertices[np.arange(axis.size), axis] += 0.5
        return vertices, numbers[faces]

"""Fragments with corrected voxels laid over them; the volume below is never written."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.proofreading.runs import VoxelRuns

Ids = npt.NDArray[np.uint32]
# Neurites are thin: tiles much larger than their cross-section would mostly hold copies.
TILE_PX = 64
_Tiles = dict[int, dict[tuple[int, int], Ids]]


class PatchedFragments:
    """Array-like of fragment ids in which voxel edits live as small tiles.

    Parameters
    ----------
    base : array-like
        (z, y, x) integer ids: numpy, zarr, memory-mapped; only read.

    Notes
    -----
    A tile is never changed once it is in place but replaced by a new one, so that
    :meth:`snapshot` costs no voxels and an export in another thread sees one state.

    Examples
    --------
    >>> from napari_emseg.proofreading.runs import find_runs
    >>> base = np.array([[[1, 1, 2]]], np.uint32)
    >>> fragments = PatchedFragments(base)
    >>> fragments.write(find_runs((0, 0, 0), base, np.array([[[1, 3, 2]]], np.uint32)))
    >>> fragments[0], base
    (array([[1, 3, 2]], dtype=uint32), array([[[1, 1, 2]]], dtype=uint32))
    """

    dtype = np.dtype(np.uint32)
    ndim = 3

    def __init__(self, base: Any) -> None:
        self.base = base
        self._tiles: _Tiles = {}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size along z, y and x in voxels."""
        z, y, x = (int(n) for n in self.base.shape)
        return z, y, x

    @property
    def size(self) -> int:
        """Number of voxels."""
        z, y, x = self.shape
        return z * y * x

    @property
    def is_patched(self) -> bool:
        """Whether any voxel was ever edited."""
        return bool(self._tiles)

    @property
    def patch_bytes(self) -> int:
        """Memory of the tiles."""
        return sum(tile.nbytes for row in self._tiles.values() for tile in row.values())

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        ranges, dropped = _ranges_of(key, self.shape)
        if ranges is None:
            return self._at_points(key)
        sections, rows, columns = ranges
        (y, step_y), (x, step_x) = _unit_steps(rows), _unit_steps(columns)
        if sections.step == 1:
            ids = self._read(sections, y, x)[:, step_y, step_x]
        else:
            planes = [self._read(range(z, z + 1), y, x)[:, step_y, step_x] for z in sections]
            ids = np.concatenate(planes or [np.empty((0, len(rows), len(columns)), np.uint32)])
        ids = ids[tuple(0 if d else slice(None) for d in dropped)]
        return ids[()] if ids.ndim == 0 else ids

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        ids: npt.NDArray[Any] = self[...]
        return ids if dtype is None else ids.astype(dtype, copy=False)

    def snapshot(self) -> PatchedFragments:
        """Return the present state, which later edits leave alone."""
        copy = PatchedFragments(self.base)
        copy._tiles = {z: dict(row) for z, row in self._tiles.items()}
        return copy

    def write(self, runs: VoxelRuns) -> None:
        """Give voxels their new fragment.

        Raises
        ------
        ValueError
            If a voxel is not of its old fragment or outside; then nothing is changed.
        """
        runs.check(self.shape)
        box = runs.box[1:]
        planes: list[tuple[int, Ids, npt.NDArray[np.bool_]]] = []
        for z, inside, old, new in runs.sections():
            plane = np.array(self[(z, *box)], np.uint32)
            touched = np.zeros(plane.shape, bool)
            if (plane.reshape(-1)[inside] != old).any():
                raise ValueError(f"voxels of section {z} are of other fragments than the edit says")
            plane.reshape(-1)[inside] = new
            touched.reshape(-1)[inside] = True
            planes.append((z, plane, touched))
        for z, plane, touched in planes:
            self._lay(z, box[0].start, box[1].start, plane, touched)

    def _lay(self, z: int, y: int, x: int, plane: Ids, touched: npt.NDArray[np.bool_]) -> None:
        """Replace the tiles of section `z` under the touched voxels of a plane at (y, x)."""
        row = self._tiles.setdefault(z, {})
        for i in range(y // TILE_PX, (y + plane.shape[0] - 1) // TILE_PX + 1):
            for j in range(x // TILE_PX, (x + plane.shape[1] - 1) // TILE_PX + 1):
                first_y, first_x = i * TILE_PX - y, j * TILE_PX - x
                from_y, from_x = max(first_y, 0), max(first_x, 0)
                part = (slice(from_y, first_y + TILE_PX), slice(from_x, first_x + TILE_PX))
                if not touched[part].any():
                    continue
                tile = self._tile(z, i, j).copy()
                values = plane[part]
                to_y, to_x = from_y - first_y, from_x - first_x
                tile[to_y : to_y + values.shape[0], to_x : to_x + values.shape[1]] = values
                row[i, j] = tile

    def _tile(self, z: int, i: int, j: int) -> Ids:
        there = self._tiles.get(z, {}).get((i, j))
        if there is not None:
            return there
        y, x = i * TILE_PX, j * TILE_PX
        _, n_y, n_x = self.shape
        below = self.base[z, y : min(y + TILE_PX, n_y), x : min(x + TILE_PX, n_x)]
        return np.asarray(below).astype(np.uint32)

    def _read(self, sections: range, rows: range, columns: range) -> Ids:
        box = tuple(slice(r.start, max(r.start, r.stop)) for r in (sections, rows, columns))
        base = np.asarray(self.base[box])
        patched = [(k, self._tiles[z]) for k, z in enumerate(sections) if z in self._tiles]
        if base.dtype != np.uint32:
            base = base.astype(np.uint32)
        elif patched:
            base = base.copy()
        for k, row in patched:
            for (i, j), tile in row.items():
                to_y, from_y = _overlap(rows, i * TILE_PX, tile.shape[0])
                to_x, from_x = _overlap(columns, j * TILE_PX, tile.shape[1])
                base[k, to_y, to_x] = tile[from_y, from_x]
        return base

    def _at_points(self, key: Any) -> Ids:
        """Look up voxels listed by arrays of z, y and x."""
        z, y, x = np.broadcast_arrays(*(np.asarray(k) for k in key))
        flat = zip(z.ravel().tolist(), y.ravel().tolist(), x.ravel().tolist(), strict=True)
        return np.array([self[p] for p in flat], np.uint32).reshape(z.shape)


def _ranges_of(
    key: Any, shape: tuple[int, int, int]
) -> tuple[tuple[range, ...] | None, tuple[bool, ...]]:
    """Return the indices along each axis, and which axes a single number drops."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if any(isinstance(p, np.ndarray | list) and np.ndim(p) > 0 for p in parts):
        return None, ()
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (4 - len(parts))
    parts += [slice(None)] * (3 - len(parts))
    if len(parts) != 3:
        raise IndexError(f"fragments have 3 axes, so {key!r} is no place in them")
    ranges = []
    for part, n in zip(parts, shape, strict=True):
        if isinstance(part, slice):
            ranges.append(range(*part.indices(n)))
            continue
        index = int(part)
        if not -n <= index < n:
            raise IndexError(f"index {index} is outside an axis of {n} voxels")
        ranges.append(range(index % n, index % n + 1))
    return tuple(ranges), tuple(not isinstance(p, slice) for p in parts)


def _unit_steps(indices: range) -> tuple[range, slice]:
    """Return a range of step 1 that holds `indices`, and what picks them out of it."""
    if indices.step == 1 or len(indices) == 0:
        return range(indices.start, indices.start + len(indices)), slice(None)
    first, last = sorted((indices[0], indices[-1]))
    return range(first, last + 1), slice(None, None, indices.step)


def _overlap(indices: range, first: int, n: int) -> tuple[slice, slice]:
    """Return which of `indices` lie in ``first .. first + n``, and where there."""
    start = max(indices.start, first)
    stop = max(start, min(indices.stop, first + n))
    to = slice(start - indices.start, stop - indices.start)
    return to, slice(start - first, stop - first)

"""Fragments with corrected voxels laid over them; the volume below is never written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.proofreading.runs import Box, Ids, VoxelRuns
from napari_emseg.proofreading.tiles import TILE_PX, PackedTile, Tile, pack, unpack

_Tiles = dict[int, dict[tuple[int, int], Tile]]
_HOT_TILES = 1024  # 17 MB; those written before are packed,
_PACKED_AT_ONCE = 400  # not all in one edit: it must stay quick


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
    >>> _ = fragments.write(find_runs((0, 0, 0), base, np.array([[[1, 3, 2]]], np.uint32)))
    >>> fragments[0], base
    (array([[1, 3, 2]], dtype=uint32), array([[[1, 1, 2]]], dtype=uint32))
    """

    dtype = np.dtype(np.uint32)
    ndim = 3

    def __init__(self, base: Any) -> None:
        self.base = base
        self._tiles: _Tiles = {}
        self._hot: dict[tuple[int, int, int], None] = {}

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

    def write(self, runs: VoxelRuns, margin: int = 0) -> tuple[Box, Ids, Ids]:
        """Give voxels their new fragment.

        Parameters
        ----------
        runs : VoxelRuns
        margin : int
            Voxels to be read around them, too.

        Returns
        -------
        box : Box
            Where in the volume; whole tiles.
        old, new : (z, y, x) uint32
            What was there, and what is now.

        Raises
        ------
        ValueError
            If a voxel is not of its old fragment or outside; then nothing is changed.
        """
        runs.check(self.shape)
        box = _whole_tiles(runs.box, self.shape, margin)
        old: Ids = self[box]
        new = old.copy()
        corner = np.subtract(runs.origin, [part.start for part in box])
        sizes = np.array(runs.shape, np.int64)
        touched = np.zeros((len(new), *(-(-n // TILE_PX) for n in new.shape[1:])), np.bool_)
        parts = (runs.start, runs.length, runs.old, runs.new)
        wrong = _write_runs(new, corner, sizes, *parts, touched)
        if wrong >= 0:
            z = box[0].start + wrong
            raise ValueError(f"voxels of section {z} are of other fragments than the edit says")
        for k, z in enumerate(range(box[0].start, box[0].stop)):
            self._lay(z, box, new[k], touched[k])
        self._pack_cold()
        return box, old, new

    def _lay(self, z: int, box: Box, new: Ids, touched: npt.NDArray[np.bool_]) -> None:
        """Replace the touched tiles of section `z` by those of a plane."""
        first_y, first_x = box[1].start // TILE_PX, box[2].start // TILE_PX
        for i, j in np.argwhere(touched).tolist():
            y, x = i * TILE_PX, j * TILE_PX
            place = (first_y + i, first_x + j)
            self._tiles.setdefault(z, {})[place] = new[y : y + TILE_PX, x : x + TILE_PX].copy()
            self._hot.pop((z, *place), None)
            self._hot[z, *place] = None

    def _pack_cold(self) -> None:
        for _ in range(min(len(self._hot) - _HOT_TILES, _PACKED_AT_ONCE)):
            z, i, j = next(iter(self._hot))
            del self._hot[z, i, j]
            self._tiles[z][i, j] = pack(unpack(self._tiles[z][i, j]))

    def _read(self, sections: range, rows: range, columns: range) -> Ids:
        box = tuple(slice(r.start, max(r.start, r.stop)) for r in (sections, rows, columns))
        base = np.asarray(self.base[box])
        patched = [(k, self._tiles[z]) for k, z in enumerate(sections) if z in self._tiles]
        if base.dtype != np.uint32:
            base = base.astype(np.uint32)
        elif patched:
            base = base.copy()
        for k, row in patched:
            for (i, j), tile in _tiles_in(row, rows, columns):
                to_y, from_y = _overlap(rows, i * TILE_PX, TILE_PX)
                to_x, from_x = _overlap(columns, j * TILE_PX, TILE_PX)
                base[k, to_y, to_x] = (
                    tile.fragments[tile.which[from_y, from_x]]
                    if isinstance(tile, PackedTile)
                    else tile[from_y, from_x]
                )
        return base

    def _at_points(self, key: Any) -> Ids:
        """Look up voxels listed by arrays of z, y and x."""
        z, y, x = np.broadcast_arrays(*(np.asarray(k) for k in key))
        flat = zip(z.ravel().tolist(), y.ravel().tolist(), x.ravel().tolist(), strict=True)
        return np.array([self[p] for p in flat], np.uint32).reshape(z.shape)


def _whole_tiles(box: Box, shape: tuple[int, int, int], margin: int) -> Box:
    """Return the box of whole tiles, as far as there are voxels, around another box."""
    z, y, x = (
        slice(max(0, part.start - margin), min(n, part.stop + margin))
        for part, n in zip(box, shape, strict=True)
    )
    y, x = (
        slice(part.start // TILE_PX * TILE_PX, min(n, -(-part.stop // TILE_PX) * TILE_PX))
        for part, n in zip((y, x), shape[1:], strict=True)
    )
    return z, y, x


def _tiles_in(
    row: dict[tuple[int, int], Tile], rows: range, columns: range
) -> Iterable[tuple[tuple[int, int], Tile]]:
    """Return the tiles of a section that may reach into a part of it."""
    if not rows or not columns:
        return ()
    i_stop, j_stop = rows.stop // TILE_PX + 1, columns.stop // TILE_PX + 1
    i_first, j_first = rows.start // TILE_PX, columns.start // TILE_PX
    if (i_stop - i_first) * (j_stop - j_first) >= len(row):
        return row.items()
    places = ((i, j) for i in range(i_first, i_stop) for j in range(j_first, j_stop))
    return [(place, row[place]) for place in places if place in row]


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
    if indices.start <= first and first + n <= indices.stop:
        return slice(first - indices.start, first - indices.start + n), slice(0, n)
    start = max(indices.start, first)
    stop = max(start, min(indices.stop, first + n))
    to = slice(start - indices.start, stop - indices.start)
    return to, slice(start - first, stop - first)


@kernel
def _write_runs(
    ids: Any,
    corner: Any,
    sizes: Any,
    start: Any,
    length: Any,
    old: Any,
    new: Any,
    touched: Any,
) -> int:
    """Write runs into a box of whole tiles at a corner, and mark the tiles.

    Return the section in which a voxel is not of its old fragment, or -1.
    """
    n_y, n_x = sizes[1], sizes[2]
    for k in range(start.size):
        first = np.int64(start[k])
        x = corner[2] + first % n_x
        y = corner[1] + (first // n_x) % n_y
        z = corner[0] + first // (n_x * n_y)
        for j in range(x // TILE_PX, (x + length[k] - 1) // TILE_PX + 1):
            touched[z, y // TILE_PX, j] = True
        for i in range(x, x + length[k]):
            if ids[z, y, i] != old[k]:
                return int(z)
            ids[z, y, i] = new[k]
    return -1

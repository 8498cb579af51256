"""How large fragments are and where they lie, measured once and then kept up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.jit import kernel
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.proofreading.runs import Box, Ids, VoxelRuns

_FAR = np.iinfo(np.int32).max


class Extents:
    """Voxels and bounding box of each fragment.

    A box may be larger than needed after a fragment has lost voxels, never smaller.

    Parameters
    ----------
    n_fragments : int
        Room for ids 0..n_fragments; grows.
    """

    def __init__(self, n_fragments: int) -> None:
        self.size = np.zeros(n_fragments + 1, np.int64)
        self.low = np.full((n_fragments + 1, 3), _FAR, np.int32)
        self.high = np.full((n_fragments + 1, 3), -1, np.int32)

    def grow(self, n_fragments: int) -> None:
        """Make room for more fragments."""
        n_more = n_fragments + 1 - self.size.size
        if n_more <= 0:
            return
        n_more += self.size.size // 2
        self.size = np.append(self.size, np.zeros(n_more, np.int64))
        self.low = np.append(self.low, np.full((n_more, 3), _FAR, np.int32), axis=0)
        self.high = np.append(self.high, np.full((n_more, 3), -1, np.int32), axis=0)

    def box(self, fragments: Ids | int) -> Box:
        """Return the bounding box of fragments together."""
        ids = np.atleast_1d(fragments)
        low, high = self.low[ids].min(axis=0), self.high[ids].max(axis=0)
        z, y, x = (slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
        return z, y, x

    def change(self, runs: VoxelRuns) -> None:
        """Follow voxels to their new fragments."""
        np.subtract.at(self.size, runs.old, runs.length)
        np.add.at(self.size, runs.new, runs.length)
        z, y, x = np.unravel_index(runs.start, runs.shape)
        first = np.stack([z, y, x], axis=1) + np.array(runs.origin)
        last = first.copy()
        last[:, 2] += runs.length - 1
        np.minimum.at(self.low, runs.new, first.astype(np.int32))
        np.maximum.at(self.high, runs.new, last.astype(np.int32))


def measure_extents(
    fragments: Any,
    n_fragments: int,
    *,
    look: Callable[[Ids], object] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Extents:
    """Run over all voxels once, section by section.

    Parameters
    ----------
    fragments : array-like
        (z, y, x) ids 0..n_fragments.
    n_fragments : int
    look : callable, optional
        Given each section, too: reading it may take long.
    progress : Progress
        Called once per section.

    Returns
    -------
    Extents

    Raises
    ------
    InputError
        If there are other ids.

    Examples
    --------
    >>> extents = measure_extents(np.array([[[0, 1, 1]], [[2, 0, 1]]]), 2)
    >>> extents.size, extents.box(1)
    (array([2, 3, 1]), (slice(0, 2, None), slice(0, 1, None), slice(1, 3, None)))
    """
    extents = Extents(n_fragments)
    depth = int(fragments.shape[0])
    for z in range(depth):
        found = np.asarray(fragments[z])
        if int(found.min()) < 0 or int(found.max()) > n_fragments:
            raise InputError(
                f"Section {z} has fragments from {found.min()} to {found.max()}, but the table "
                f"knows 0 to {n_fragments}: it belongs to another volume."
            )
        section = np.ascontiguousarray(found, np.uint32)
        _add_section(section, z, extents.size, extents.low, extents.high)
        if look is not None:
            look(section)
        progress.update(z + 1, depth, "Measuring fragments")
    return extents


@kernel
def _add_section(section: Any, z: int, size: Any, low: Any, high: Any) -> None:
    n_y, n_x = section.shape
    for y in range(n_y):
        x = 0
        while x < n_x:
            i = section[y, x]
            first = x
            while x < n_x and section[y, x] == i:
                x += 1
            size[i] += x - first
            if z < low[i, 0]:
                low[i, 0] = z
            if y < low[i, 1]:
                low[i, 1] = y
            if first < low[i, 2]:
                low[i, 2] = first
            if z > high[i, 0]:
                high[i, 0] = z
            if y > high[i, 1]:
                high[i, 1] = y
            if x - 1 > high[i, 2]:
                high[i, 2] = x - 1

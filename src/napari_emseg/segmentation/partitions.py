"""Segmentations that are no hierarchy: one table for each of some thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.segmentation.cutting import absorb_small
from napari_emseg.segmentation.forest import Forest
from napari_emseg.segmentation.hierarchy import Hierarchy, Mode
from napari_emseg.segmentation.segmentation import Segmentation, Table
from napari_emseg.segmentation.storage import (
    read_forest,
    read_volume,
    write_array,
    write_forest,
    write_volume,
)
from napari_emseg.segmentation.validation import check_partitions, damaged
from napari_emseg.volume import Volume

FORMAT = "napari-emseg partitions 1"
_ARRAYS = ("thresholds", "tables", "fragment_sizes_voxels", "section_starts")


@dataclass(frozen=True, eq=False)
class Partitions:
    """Segments of the same fragments at some thresholds, cut like a :class:`Hierarchy`.

    Attributes
    ----------
    fragments : Volume
        (z, y, x) uint32, ids 1..F.
    thresholds : (K,) float32
        Ascending.
    tables : (K, F + 1) uint32
        Segment of each fragment at each threshold: the id of one of the
        segment's fragments. Entry 0 is 0.
    forest : Forest
        Agglomeration of the fragments; says which neighbour a small segment joins.
    fragment_sizes_voxels : (F + 1,) int64
    mode, sigma_px, floor, section_starts
        As in :class:`Hierarchy`.
    grouping : str
        How the fragments were joined.

    Examples
    --------
    >>> from napari_emseg.segmentation import build_hierarchy, group
    >>> wall = np.array([[[0.0, 0.2, 0.0, 0.9, 0.0]]], np.float32)
    >>> partitions = group(build_hierarchy(wall, sigma_px=0), wall, grouping="multicut")
    >>> [partitions.cut(threshold).n_segments for threshold in (0.05, 0.3, 0.6)]
    [3, 2, 1]
    """

    fragments: Volume
    thresholds: npt.NDArray[np.float32]
    tables: npt.NDArray[np.uint32]
    forest: Forest
    fragment_sizes_voxels: npt.NDArray[np.int64]
    mode: Mode
    sigma_px: float
    floor: float
    section_starts: npt.NDArray[np.int64]
    grouping: str

    @property
    def n_fragments(self) -> int:
        """Number of fragments F."""
        return self.forest.n_fragments

    @property
    def starts(self) -> npt.NDArray[np.float32]:
        """Threshold from which on each table is the nearest, (K,); the first is 0."""
        middle = (self.thresholds[1:] + self.thresholds[:-1]) / np.float32(2)
        return np.append(np.float32(0), middle).astype(np.float32)

    def section_ids(self, z: int) -> range:
        """Ids of the fragments that can occur in section `z`: in "3d" all of them."""
        if self.mode == "3d":
            return range(1, self.n_fragments + 1)
        return range(int(self.section_starts[z]), int(self.section_starts[z + 1]))

    def cut(self, h: float, min_size_voxels: int = 0) -> Segmentation:
        """Take the segments at the threshold nearest to `h`.

        Parameters
        ----------
        h : float
            In [0, 1]; more = fewer segments, as a rule.
        min_size_voxels : int
            A segment smaller than this joins the neighbour behind the weakest wall.

        Returns
        -------
        Segmentation

        Raises
        ------
        InputError
            If `h` is not in [0, 1] or the size is negative.
        """
        table = self._table(h, min_size_voxels)
        if min_size_voxels > 1:
            self._absorb(table, range(1, table.size), self.forest.order, min_size_voxels)
        return Segmentation(self.fragments, table)

    def cut_section(self, z: int, h: float, min_size_voxels: int = 0) -> Table:
        """Like :meth:`cut`, for the fragments of section `z` only.

        Returns
        -------
        (F + 1,) uint32
            The table; in "2d" zero for fragments of other sections.
        """
        if self.mode == "3d":
            return self.cut(h, min_size_voxels).segment_of
        ids, table = self.section_ids(z), np.zeros(self.n_fragments + 1, np.uint32)
        part = slice(ids.start, ids.stop)
        table[part] = self._table(h, min_size_voxels)[part]
        if min_size_voxels > 1:
            order = self.forest.order
            is_here = (order >= ids.start) & (order < ids.stop)
            self._absorb(table, ids, order[is_here], min_size_voxels)
        return table

    def write(self, group: Any) -> None:
        """Store the partitions in an open, empty ``h5py.Group``."""
        group.attrs.update(
            format=FORMAT,
            mode=self.mode,
            sigma_px=self.sigma_px,
            floor=self.floor,
            grouping=self.grouping,
        )
        write_volume(group, "fragments", self.fragments)
        for name in _ARRAYS:
            write_array(group, name, getattr(self, name))
        write_forest(group.create_group("forest"), self.forest)

    @classmethod
    def read(cls, group: Any) -> Partitions:
        """Read the partitions that :meth:`write` stored in an ``h5py.Group``.

        Raises
        ------
        InputError
            If there are none, or if they are damaged.
        """
        if group.attrs.get("format") != FORMAT:
            raise InputError(
                f"{group.file.filename} holds no partitions that this version can read; "
                "make them again from the boundary map."
            )
        try:
            partitions = cls(
                fragments=read_volume(group, "fragments"),
                forest=read_forest(group["forest"]),
                mode=group.attrs["mode"],
                sigma_px=float(group.attrs["sigma_px"]),
                floor=float(group.attrs["floor"]),
                grouping=str(group.attrs["grouping"]),
                **{name: group[name][...] for name in _ARRAYS},
            )
        except (KeyError, OSError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise damaged() from error
        check_partitions(partitions)
        return partitions

    def _table(self, h: float, min_size_voxels: int) -> Table:
        if not 0 <= h <= 1:
            raise InputError(f"The threshold must lie between 0 and 1, not {h}; try 0.3 to 0.7.")
        if not min_size_voxels >= 0:
            raise InputError(f"The minimum size must be 0 voxels or more, not {min_size_voxels}.")
        nearest = int(np.searchsorted(self.starts, np.float32(h), side="right")) - 1
        table: Table = self.tables[nearest].copy()
        return table

    def _absorb(
        self, table: Table, ids: range, merges: npt.NDArray[np.uint32], min_size_voxels: int
    ) -> None:
        absorb_small(
            self.forest.inside,
            self.forest.outside,
            merges,
            self.fragment_sizes_voxels,
            min_size_voxels,
            ids.start,
            ids.stop,
            table,
        )


Cuttable = Hierarchy | Partitions
"""What a threshold and a minimum size cut into segments."""


def join_tables(parts: list[npt.NDArray[np.uint32]]) -> npt.NDArray[np.uint32]:
    """Put tables (K, F + 1) side by side; the ids of each are shifted past those before it.

    Examples
    --------
    >>> join_tables([np.array([[0, 1, 1]], np.uint32), np.array([[0, 1, 2]], np.uint32)])
    array([[0, 1, 1, 3, 4]], dtype=uint32)
    """
    starts = np.cumsum([0, *(part.shape[1] - 1 for part in parts)])
    shifted = [part[:, 1:] + np.uint32(s) for part, s in zip(parts, starts, strict=False)]
    return np.concatenate([parts[0][:, :1], *shifted], axis=1)


def read_grouped(group: Any) -> Cuttable:
    """Read what :meth:`Hierarchy.write` or :meth:`Partitions.write` stored.

    Raises
    ------
    InputError
        If there is neither, or if it is damaged.
    """
    if group.attrs.get("format") == FORMAT:
        return Partitions.read(group)
    return Hierarchy.read(group)

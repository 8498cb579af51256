"""The hierarchy: fragments flooded once, and the forest that every slider position cuts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.segmentation.cutting import absorb_small, cut_heights, list_root_first
from napari_emseg.segmentation.forest import Forest, MergeTree, sorted_tree
from napari_emseg.segmentation.levels import LevelMap, levels_of
from napari_emseg.segmentation.segmentation import Cut, Segmentation, Table
from napari_emseg.segmentation.storage import (
    FORMAT,
    check_format,
    read_forest,
    read_levels,
    read_volume,
    write_array,
    write_forest,
    write_volume,
)
from napari_emseg.segmentation.validation import check_hierarchy, damaged
from napari_emseg.volume import Volume

Mode = Literal["2d", "3d"]
_ARRAYS = ("minimum", "fragment_sizes_voxels", "section_starts")


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Everything a slider needs: cutting it is a matter of milliseconds.

    Attributes
    ----------
    fragments : Volume
        (z, y, x) uint32, ids 1..F, each connected. In "2d" the ids of each
        section are a range, section after section.
    forest : Forest
        How each fragment's minimum ends.
    minimum : (F + 1,) float32
        Lowest value of the smoothed map in each fragment; entry 0 unused.
    fragment_sizes_voxels : (F + 1,) int64
        Voxels of each fragment.
    smoothed : (z, y, x) reads as float32
        The map that was flooded, minima shallower than the floor filled; held
        in 16 bits.
    mode : {"2d", "3d"}
        Whether each section is by itself.
    sigma_px, floor : float
        As given to :func:`build_hierarchy`.
    section_starts : (n_z + 1,) int64
        In "2d" the first id of each section, then F + 1; empty in "3d".
    grouping : str
        How the fragments are joined; what :func:`group` was asked for.

    Examples
    --------
    >>> from napari_emseg.segmentation import build_hierarchy
    >>> hierarchy = build_hierarchy(np.array([[[0.0, 0.9, 0.2, 0.3, 0.1]]]), sigma_px=0)
    >>> hierarchy.cut(0.5).to_volume().data
    array([[[1, 1, 3, 3, 3]]], dtype=uint32)
    """

    fragments: Volume
    forest: Forest
    minimum: npt.NDArray[np.float32]
    fragment_sizes_voxels: npt.NDArray[np.int64]
    smoothed: LevelMap | npt.NDArray[np.float32]
    mode: Mode
    sigma_px: float
    floor: float
    section_starts: npt.NDArray[np.int64]
    grouping: str = "h_minima"

    @property
    def n_fragments(self) -> int:
        """Number of fragments F."""
        return self.forest.n_fragments

    @cached_property
    def tree(self) -> MergeTree:
        """The merges in ascending height."""
        return sorted_tree(self.forest)

    def section_ids(self, z: int) -> range:
        """Ids of the fragments that can occur in section `z`: in "3d" all of them."""
        if self.mode == "3d":
            return range(1, self.n_fragments + 1)
        return range(int(self.section_starts[z]), int(self.section_starts[z + 1]))

    def cut(self, h: float, min_size_voxels: int = 0) -> Segmentation:
        """Join the fragments into segments.

        Parameters
        ----------
        h : float
            Minima of dynamics up to `h` are merged, as in H-minima. Below the
            hierarchy's floor nothing changes any more.
        min_size_voxels : int
            A segment smaller than this joins the neighbour from which the
            lowest pass separates it.

        Returns
        -------
        Segmentation
            A segment's id is that of a fragment in it, the one with the deepest
            minimum of its largest part, so it stays the same from cut to cut.

        Raises
        ------
        InputError
            If `h` is not in [0, 1] or the size is negative.
        """
        h, min_size = _check_cut(h, min_size_voxels)
        table = np.zeros(self.n_fragments + 1, np.uint32)
        if self.mode == "3d":
            self._cut_ids(table, range(1, table.size), self.forest.order, h, min_size)
        else:
            for z in range(self.section_starts.size - 1):
                self._cut_ids(table, self.section_ids(z), self._merges(z), h, min_size)
        return Segmentation(self.fragments, table, Cut(self, h, min_size))

    def cut_section(self, z: int, h: float, min_size_voxels: int = 0) -> Table:
        """Like :meth:`cut`, for the fragments of section `z` only.

        In "2d" the time does not depend on the other sections; in "3d"
        everything is cut.

        Returns
        -------
        (F + 1,) uint32
            The table; in "2d" zero for fragments of other sections.
        """
        h, min_size = _check_cut(h, min_size_voxels)
        table = np.zeros(self.n_fragments + 1, np.uint32)
        merges = self.forest.order if self.mode == "3d" else self._merges(z)
        self._cut_ids(table, self.section_ids(z), merges, h, min_size)
        return table

    def write(self, group: Any) -> None:
        """Store the hierarchy in an open, empty ``h5py.Group``."""
        group.attrs.update(format=FORMAT, mode=self.mode, sigma_px=self.sigma_px, floor=self.floor)
        group.attrs["grouping"] = self.grouping
        write_volume(group, "fragments", self.fragments)
        write_array(group, "smoothed", levels_of(self.smoothed))
        for name in _ARRAYS:
            write_array(group, name, getattr(self, name))
        write_forest(group.create_group("forest"), self.forest)

    @classmethod
    def read(cls, group: Any) -> Hierarchy:
        """Read the hierarchy that :meth:`write` stored in an ``h5py.Group``.

        Raises
        ------
        InputError
            If there is none, or if it is damaged.
        """
        try:
            check_format(group)
            hierarchy = cls(
                fragments=read_volume(group, "fragments"),
                forest=read_forest(group["forest"]),
                mode=group.attrs["mode"],
                sigma_px=float(group.attrs["sigma_px"]),
                floor=float(group.attrs["floor"]),
                smoothed=LevelMap(read_levels(group, "smoothed")),
                grouping=str(group.attrs.get("grouping", "h_minima")),
                **{name: group[name][...] for name in _ARRAYS},
            )
        except InputError:
            raise
        except (KeyError, OSError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise damaged() from error
        check_hierarchy(hierarchy)
        return hierarchy

    def _merges(self, z: int) -> npt.NDArray[np.uint32]:
        """Return the merges within section `z`."""
        return self.forest.order[self._merge_starts[z] : self._merge_starts[z + 1]]

    @cached_property
    def _merge_starts(self) -> npt.NDArray[np.intp]:
        """In "2d" the place of each section's first merge in the forest's order."""
        starts: npt.NDArray[np.intp] = np.searchsorted(
            np.searchsorted(self.section_starts, self.forest.order, side="right"),
            np.arange(1, self.section_starts.size + 1),
        )
        return starts

    @cached_property
    def _root_first(self) -> npt.NDArray[np.uint32]:
        """All fragments, section by section in "2d", each after its ``forest.outside``."""
        order: npt.NDArray[np.uint32] = list_root_first(self.forest.outside)
        return order

    def _cut_ids(
        self,
        table: Table,
        ids: range,
        merges: npt.NDArray[np.uint32],
        h: float,
        min_size_voxels: int,
    ) -> None:
        forest = self.forest
        root_first = self._root_first[ids.start - 1 : ids.stop - 1]
        cut_heights(forest.outside, forest.height, root_first, np.float32(h), table)
        if min_size_voxels > 1:
            absorb_small(
                forest.inside,
                forest.outside,
                merges,
                self.fragment_sizes_voxels,
                min_size_voxels,
                ids.start,
                ids.stop,
                table,
            )


def _check_cut(h: float, min_size_voxels: int) -> tuple[float, int]:
    if not 0 <= h <= 1:
        raise InputError(f"h must lie between 0 and 1, not {h}; try 0.05 to 0.2.")
    if not min_size_voxels >= 0:
        raise InputError(f"The minimum size must be 0 voxels or more, not {min_size_voxels}.")
    return float(h), int(min_size_voxels)

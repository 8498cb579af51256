"""The hierarchy: fragments flooded once, and the forest that every slider position cuts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.basins import MAX_VOXELS
from napari_emseg.segmentation.cutting import absorb_small, cut_heights, list_root_first
from napari_emseg.segmentation.flooding import Flooded, count_reports, flood
from napari_emseg.segmentation.forest import Forest, MergeTree, join, sorted_tree
from napari_emseg.segmentation.levels import LevelMap, Levels, levels_of
from napari_emseg.segmentation.parallel import Steps, map_threads
from napari_emseg.segmentation.segmentation import Cut, Segmentation, Table
from napari_emseg.segmentation.smoothing import (
    check_sigma,
    read_section,
    smooth_section,
    smooth_volume,
)
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
FLOOR = 1 / 255
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


def build_hierarchy(
    boundary: Volume | npt.NDArray[Any],
    *,
    sigma_px: float = 1.5,
    mode: Mode = "2d",
    floor: float = FLOOR,
    progress: Progress = NO_PROGRESS,
) -> Hierarchy:
    """Flood a boundary map once, for every H-minima threshold at the same time.

    The basins of the smoothed map are joined by a minimum spanning forest of
    their saddles. Cutting it at h gives as many segments as the regional minima
    of the reconstruction of ``map + h`` above ``map``, that is, as H-minima
    followed by the watershed.

    Parameters
    ----------
    boundary : Volume or (z, y, x) array
        1 = membrane, 0 = inside; float in [0, 1], or uint8 meaning value / 255.
    sigma_px : float
        Gaussian smoothing in pixels along x. In "3d" it is the same length in
        nm along all axes where the voxel size is known.
    mode : {"2d", "3d"}
        Each section by itself (4 neighbours) or the volume (6 neighbours).
    floor : float
        Minima of dynamics up to this are never told apart. On maps of three
        data sets V_rand does not change by it up to 0.02 for H-minima, and by
        about 0.001 from 0.002 to 0.01 for agglomeration, which without a floor
        takes longer and can be worse; above 0.02 borders are lost.
    progress : Progress
        Called once per section and phase.

    Returns
    -------
    Hierarchy

    Raises
    ------
    InputError
        If the map holds NaN, infinity or values outside [0, 1], is no boundary
        map, or if a parameter is out of range.

    References
    ----------
    Dynamics: M. Grimaud, "New measure of contrast: the dynamics", Proc. SPIE
    1769, 1992, doi:10.1117/12.60650. Minimum spanning forests: J. Cousty et
    al., IEEE TPAMI 31, 2009, doi:10.1109/TPAMI.2008.173.

    Examples
    --------
    >>> ridge = np.array([[[0.0, 0.1, 0.0, 0.9, 0.2]]], np.float32)
    >>> hierarchy = build_hierarchy(ridge, sigma_px=0)
    >>> hierarchy.fragments.data
    array([[[1, 1, 2, 2, 3]]], dtype=uint32)
    >>> [hierarchy.cut(h).n_segments for h in (0.0, 0.1, 0.7)]
    [3, 2, 1]
    """
    boundary = _as_boundary(boundary)
    sigma_px, floor = check_sigma(sigma_px), _check_floor(floor)
    if mode == "2d":
        return _build_2d(boundary, sigma_px, floor, progress)
    if mode == "3d":
        return _build_3d(boundary, sigma_px, floor, progress)
    raise InputError(f"The mode must be one of {get_args(Mode)}, not '{mode}'.")


def build_section(
    boundary: npt.NDArray[Any], sigma_px: float = 1.5, floor: float = FLOOR
) -> Hierarchy:
    """Build the hierarchy of one section, for the preview while sigma is dragged.

    Parameters
    ----------
    boundary : (y, x) array
        As in :func:`build_hierarchy`.
    sigma_px, floor : float
        As in :func:`build_hierarchy`.

    Returns
    -------
    Hierarchy
        Of shape (1, y, x); but for the numbering the same as this section's
        part of the hierarchy of the stack in "2d".
    """
    volume = _as_boundary(np.asarray(boundary)[np.newaxis])
    return _build_2d(volume, check_sigma(sigma_px), _check_floor(floor), NO_PROGRESS)


def _build_2d(boundary: Volume, sigma_px: float, floor: float, progress: Progress) -> Hierarchy:
    n_z = boundary.shape[0]
    labels, levels = np.empty(boundary.shape, np.uint32), np.empty(boundary.shape, np.uint16)

    def build(z: int) -> Flooded:
        smooth_section(read_section(boundary, z), sigma_px, levels[z])
        return flood(levels[z : z + 1], labels[z : z + 1], floor)

    steps = Steps(progress, n_z)
    parts = map_threads(build, n_z, partial(steps.finish_one, "Flooding each section"))
    starts = np.cumsum([1] + [part.forest.n_fragments for part in parts])

    def number(z: int) -> None:
        labels[z] += np.uint32(starts[z] - 1)

    map_threads(number, n_z)
    joined = join([part.forest for part in parts])
    flooded = Flooded(joined, _join([p.minimum for p in parts]), _join([p.size for p in parts]))
    return _assemble(boundary, labels, levels, flooded, "2d", sigma_px, floor, starts)


def _build_3d(boundary: Volume, sigma_px: float, floor: float, progress: Progress) -> Hierarchy:
    n_z = boundary.shape[0]
    steps = Steps(progress, n_z + count_reports(n_z))
    levels = smooth_volume(boundary, sigma_px, partial(steps.finish_one, "Smoothing"))
    labels = np.empty(boundary.shape, np.uint32)
    flooded = flood(levels, labels, floor, partial(steps.finish_one, "Flooding the volume"))
    starts = np.empty(0, np.int64)
    return _assemble(boundary, labels, levels, flooded, "3d", sigma_px, floor, starts)


def _join(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Concatenate arrays by id, keeping a single unused entry 0."""
    return np.concatenate([parts[0][:1], *(part[1:] for part in parts)])


def _assemble(
    boundary: Volume,
    labels: npt.NDArray[np.uint32],
    levels: Levels,
    flooded: Flooded,
    mode: Mode,
    sigma_px: float,
    floor: float,
    section_starts: npt.NDArray[np.int64],
) -> Hierarchy:
    notes = [*boundary.provenance.get("notes", ()), *_blank_notes(levels, mode)]
    history: dict[str, Any] = {"mode": mode, "sigma_px": sigma_px, "floor": floor}
    if notes:
        history["notes"] = notes
    return Hierarchy(
        fragments=boundary.derive(labels, kind="fragments", **history),
        forest=flooded.forest,
        minimum=flooded.minimum,
        fragment_sizes_voxels=flooded.size,
        smoothed=LevelMap(levels),
        mode=mode,
        sigma_px=sigma_px,
        floor=floor,
        section_starts=section_starts,
    )


def _blank_notes(levels: Levels, mode: Mode) -> list[str]:
    """Say which sections hold one value only, so that they became one fragment."""
    blank = [z for z, section in enumerate(levels) if section.min() == section.max()]
    if mode == "3d" and not (len(blank) == len(levels) and np.ptp(levels[:, 0, 0]) == 0):
        return []
    if not blank:
        return []
    if mode == "3d":
        return ["The boundary map is blank: the volume is one fragment."]
    if len(blank) == 1:
        return [f"Section {blank[0]} is blank: it is one fragment."]
    which = ", ".join(str(z) for z in blank[:10]) + (", ..." if len(blank) > 10 else "")
    return [f"{len(blank)} blank sections, each one fragment: {which}."]


def _as_boundary(boundary: Volume | npt.NDArray[Any]) -> Volume:
    if not isinstance(boundary, Volume):
        boundary = Volume(boundary, kind="boundary", name="boundary map")
    if boundary.kind != "boundary":
        raise InputError(
            f"{boundary.name or 'The volume'} is of kind '{boundary.kind}', but a boundary map is "
            "to be segmented. Predict one from the raw sections, or open it as a boundary map."
        )
    if np.prod(boundary.shape, dtype=float) > MAX_VOXELS:
        raise InputError(
            f"The boundary map has {np.prod(boundary.shape, dtype=float):.3g} voxels; "
            f"{MAX_VOXELS:.3g} can be segmented at once. Cut it into smaller volumes."
        )
    return boundary


def _check_floor(floor: float) -> float:
    if not 0 <= floor < 1:
        raise InputError(f"The floor must lie between 0 and 1, not {floor}; 1/255 is usual.")
    return float(floor)


def _check_cut(h: float, min_size_voxels: int) -> tuple[float, int]:
    if not 0 <= h <= 1:
        raise InputError(f"h must lie between 0 and 1, not {h}; try 0.05 to 0.2.")
    if not min_size_voxels >= 0:
        raise InputError(f"The minimum size must be 0 voxels or more, not {min_size_voxels}.")
    return float(h), int(min_size_voxels)

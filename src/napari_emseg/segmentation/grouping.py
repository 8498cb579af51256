"""Other ways than H-minima to join the fragments of a hierarchy, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.registry import resolve
from napari_emseg.segmentation.affinity_view import sections_of
from napari_emseg.segmentation.agglomeration import agglomerate, count_reports
from napari_emseg.segmentation.face_values import measure_face_values
from napari_emseg.segmentation.forest import Forest, join
from napari_emseg.segmentation.hierarchy import Hierarchy
from napari_emseg.segmentation.inputs import as_volume
from napari_emseg.segmentation.long_range import MAX_CHANNELS
from napari_emseg.segmentation.multicut import (
    THRESHOLDS,
    Solver,
    choose_effort,
    partition,
    repeat_last,
)
from napari_emseg.segmentation.parallel import Steps, ignore, map_threads
from napari_emseg.segmentation.partitions import Partitions, join_tables
from napari_emseg.segmentation.rag import RegionGraph, build_rag
from napari_emseg.segmentation.smoothing import read_section
from napari_emseg.volume import Volume

H_MINIMA = "h_minima"
GROUPINGS: dict[str, str] = {
    "mean_boundary": "napari_emseg.segmentation.grouping:mean_boundary",
    "quantile_boundary": "napari_emseg.segmentation.grouping:quantile_boundary",
    "multicut": "napari_emseg.segmentation.grouping:multicut",
    "greedy_additive": "napari_emseg.segmentation.grouping:greedy_additive",
    "lifted_multicut": "napari_emseg.segmentation.lifted_grouping:lifted_multicut",
    "mutex_watershed": "napari_emseg.segmentation.lifted_grouping:mutex_watershed",
    "mean_affinity": "napari_emseg.segmentation.affinity_grouping:mean_affinity",
    "zlateski_seung": "napari_emseg.segmentation.affinity_grouping:zlateski_seung",
    "linking": "napari_emseg.segmentation.linking:linking",
}
PARTITIONED = frozenset({"multicut", "greedy_additive", "lifted_multicut", "mutex_watershed"})
OWN_FRAGMENTS = frozenset({"mean_affinity", "zlateski_seung", "linking"})


@dataclass(frozen=True, eq=False)
class Part:
    """What is grouped by itself: one section, or the volume.

    Attributes
    ----------
    fragments : (z, y, x) uint32
        Ids 1..F.
    sizes_voxels : (F + 1,) int64
        Entry 0 unused.
    source : Volume
        The map as it came, before smoothing, with its voxel size and the affinities it may carry.
    """

    fragments: npt.NDArray[np.uint32]
    sizes_voxels: npt.NDArray[np.int64]
    source: Volume

    @property
    def n_fragments(self) -> int:
        """Number of fragments F."""
        return self.sizes_voxels.size - 1


def group(
    hierarchy: Hierarchy,
    boundary: Volume | npt.NDArray[Any],
    *,
    grouping: str = "mean_boundary",
    progress: Progress = NO_PROGRESS,
    **options: float,
) -> Hierarchy | Partitions:
    """Join the fragments of a hierarchy in another way than by H-minima.

    Parameters
    ----------
    hierarchy : Hierarchy
        From :func:`build_hierarchy`; it stays as it is.
    boundary : Volume or (z, y, x) array
        The map it was built from. Walls are measured on the map before
        smoothing, which tells thin ones better.
    grouping : str
        A key of ``GROUPINGS``, or "h_minima" for the hierarchy as it is.
    progress : Progress
        Called at least once per section.
    **options : float
        ``prior_faces`` of "mean_boundary", ``quantile`` of "quantile_boundary"; see
        :func:`~napari_emseg.segmentation.agglomeration.agglomerate`.

    Returns
    -------
    Hierarchy or Partitions
        Over the same fragments, or others for a grouping of ``OWN_FRAGMENTS``;
        cutting it at a merge threshold T in [0, 1] joins what walls up to T
        separate. What is ``PARTITIONED`` is no hierarchy: raising T may also
        split. In "2d" each section is by itself.

    Raises
    ------
    InputError
        If there is no such grouping, the map is another one, or the hierarchy
        has been grouped before.

    Examples
    --------
    >>> from napari_emseg.segmentation import build_hierarchy
    >>> wall = np.array([[[0.0, 0.2, 0.0, 0.6, 0.0]]], np.float32)
    >>> hierarchy = group(build_hierarchy(wall, sigma_px=0), wall, grouping="mean_boundary")
    >>> hierarchy.tree.height
    array([0.1, 0.3], dtype=float32)
    """
    if grouping == H_MINIMA:
        return hierarchy
    function = resolve(GROUPINGS, grouping, "grouping")
    if hierarchy.grouping != H_MINIMA:
        raise InputError(
            f"These fragments are grouped by {hierarchy.grouping} already; "
            "build the hierarchy from the boundary map first."
        )
    boundary = as_volume(boundary, kind="boundary", name="boundary map")
    if boundary.shape != hierarchy.fragments.shape:
        raise InputError(
            f"The boundary map has the shape {boundary.shape} but the fragments "
            f"{hierarchy.fragments.shape}; give the map that they were made from."
        )
    if grouping in OWN_FRAGMENTS:
        regrouped: Hierarchy = function(hierarchy, boundary, progress)
        return regrouped
    part_function: PartFunction = partial(function, **options)
    parts = _group_parts(hierarchy, boundary, part_function, grouping in PARTITIONED, progress)
    fragments = _record(hierarchy.fragments, grouping, parts)
    forest = join([part.forest for part in parts]) if len(parts) > 1 else parts[0].forest
    if grouping not in PARTITIONED:
        return replace(hierarchy, fragments=fragments, forest=forest, grouping=grouping)
    return Partitions(
        fragments=fragments,
        thresholds=np.array(THRESHOLDS, np.float32),
        tables=join_tables([part.tables for part in parts if part.tables is not None]),
        forest=forest,
        fragment_sizes_voxels=hierarchy.fragment_sizes_voxels,
        mode=hierarchy.mode,
        sigma_px=hierarchy.sigma_px,
        floor=hierarchy.floor,
        section_starts=hierarchy.section_starts,
        grouping=grouping,
    )


def _record(fragments: Volume, grouping: str, parts: list[Grouped]) -> Volume:
    history: dict[str, Any] = {"grouping": grouping}
    if new := dict.fromkeys(note for part in parts for note in part.notes):
        history["notes"] = [*fragments.provenance.get("notes", ()), *new]
    return fragments.derive(fragments.data, kind="fragments", **history)


@dataclass(frozen=True, eq=False)
class Grouped:
    """What a grouping makes of a part.

    Attributes
    ----------
    forest : Forest
        The segments at every threshold; or, where there are tables, what small
        segments join.
    tables : (K, F + 1) uint32 or None
        The segment of each fragment at each of ``THRESHOLDS``, by the id of one of
        its fragments.
    notes : tuple of str
        What was done differently, for people.
    """

    forest: Forest
    tables: npt.NDArray[np.uint32] | None = None
    notes: tuple[str, ...] = ()


PartFunction = Callable[[Part, Callable[[], None]], Grouped]


def mean_boundary(part: Part, report: Callable[[], None], *, prior_faces: float = 0.0) -> Grouped:
    """Join the two segments with the lowest mean wall first."""
    return Grouped(_agglomerate(part, report, prior_faces)[1])


def quantile_boundary(part: Part, report: Callable[[], None], *, quantile: float = 0.25) -> Grouped:
    """Join the two segments with the lowest quantile of their wall first."""
    section = partial(read_section, part.source)
    rag = build_rag(part.fragments, section, part.n_fragments, report)
    values = measure_face_values(rag, part.fragments, section)
    return Grouped(
        agglomerate(rag, part.sizes_voxels, report, face_values=values, quantile=quantile)
    )


def multicut(part: Part, report: Callable[[], None]) -> Grouped:
    """Cut the walls that cost least to cut, by Kernighan-Lin after a greedy start."""
    return _cut_walls(part, "kernighan_lin", report)


def greedy_additive(part: Part, report: Callable[[], None]) -> Grouped:
    """Join the two segments with the most evidence for it, all over their contact, first."""
    return _cut_walls(part, "greedy_additive", report)


def _agglomerate(
    part: Part, report: Callable[[], None], prior_faces: float = 0.0
) -> tuple[RegionGraph, Forest]:
    section = partial(read_section, part.source)
    rag = build_rag(part.fragments, section, part.n_fragments, report)
    return rag, agglomerate(rag, part.sizes_voxels, report, prior_faces=prior_faces)


def _cut_walls(part: Part, solver: Solver, report: Callable[[], None]) -> Grouped:
    rag, forest = _agglomerate(part, report)
    chosen, thresholds, notes = choose_effort(rag.n_fragments, solver)
    tables = partition(rag, part.sizes_voxels, solver=chosen, thresholds=thresholds, report=report)
    return Grouped(forest, repeat_last(tables), notes)


def _group_parts(
    hierarchy: Hierarchy,
    boundary: Volume,
    function: PartFunction,
    is_partitioned: bool,
    progress: Progress,
) -> list[Grouped]:
    n_z = boundary.shape[0]
    if hierarchy.mode == "2d":
        steps = Steps(progress, n_z)
        return map_threads(
            lambda z: function(_section(hierarchy, boundary, z), ignore),
            n_z,
            partial(steps.finish_one, "Grouping each section"),
        )
    n_solved = len(THRESHOLDS) + MAX_CHANNELS if is_partitioned else 0
    steps = Steps(progress, n_z + count_reports(hierarchy.n_fragments) + n_solved)
    report = partial(steps.finish_one, "Grouping the volume")
    fragments = np.ascontiguousarray(hierarchy.fragments.read())
    return [function(Part(fragments, hierarchy.fragment_sizes_voxels, boundary), report)]


def _section(hierarchy: Hierarchy, boundary: Volume, z: int) -> Part:
    ids = hierarchy.section_ids(z)
    fragments = hierarchy.fragments.read(slice(z, z + 1)) - np.uint32(ids.start - 1)
    sizes = hierarchy.fragment_sizes_voxels[ids.start - 1 : ids.stop].copy()
    return Part(fragments, sizes, sections_of(boundary, slice(z, z + 1)))

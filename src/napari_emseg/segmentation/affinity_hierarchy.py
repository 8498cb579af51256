"""Hierarchies from affinities: the fragments of their watershed, joined by affinity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.affinities import (
    AffinityReader,
    boundary_from_nearest,
    open_affinities,
)
from napari_emseg.segmentation.affinity_watershed import MAX_VOXELS, find_affinity_basins
from napari_emseg.segmentation.agglomeration import agglomerate
from napari_emseg.segmentation.contacts import Contacts, find_contacts
from napari_emseg.segmentation.cutting import relabel
from napari_emseg.segmentation.forest import Forest, build_forest, join
from napari_emseg.segmentation.hierarchy import Hierarchy, Mode
from napari_emseg.segmentation.inputs import tell_blank
from napari_emseg.segmentation.levels import LevelMap, Levels, to_levels
from napari_emseg.segmentation.parallel import Steps, ignore, map_threads
from napari_emseg.segmentation.small_regions import Thresholds, merge_small_regions
from napari_emseg.volume import Volume

Labels = npt.NDArray[np.uint32]
AffinityGrouping = Literal["mean_affinity", "zlateski_seung"]


class _Readers(NamedTuple):
    """The affinities that are flooded, and those that contacts are measured on."""

    flooded: AffinityReader
    walls: AffinityReader


@dataclass(frozen=True, eq=False)
class _Part:
    """Regions of one section or volume, in numbers; entry 0 unused."""

    contacts: Contacts
    sizes: npt.NDArray[np.int64]


def build_affinity_hierarchy(
    affinities: Volume | npt.NDArray[Any],
    *,
    grouping: AffinityGrouping = "mean_affinity",
    low: float = 0.0,
    high: float = 0.9999,
    size_threshold_voxels: int = 0,
    weight_threshold: float = 0.3,
    dust_voxels: int = 0,
    background: bool = True,
    mode: Mode = "3d",
    offsets: Sequence[Sequence[int]] | None = None,
    walls: Volume | None = None,
    progress: Progress = NO_PROGRESS,
) -> Hierarchy:
    """Flood an affinity graph and join the regions, for every threshold at the same time.

    The watershed of the affinities gives regions; one below
    `size_threshold_voxels` joins a neighbour, strongest edges first, if their
    edge is above `weight_threshold`. These are the fragments. Then either

    - "zlateski_seung": the maximal spanning tree of the strongest edges. Cutting
      at T is single linkage of all regions with an edge of 1 - T or more;
    - "mean_affinity": the two segments with the highest mean affinity over
      their contact are joined, again and again. Cutting at T is stopping there
      when no mean is 1 - T or more.

    Parameters
    ----------
    affinities : Volume or (c, z, y, x) array
        1 = same neuron; float in [0, 1], or uint8 meaning value / 255.
    grouping : {"mean_affinity", "zlateski_seung"}
    low, high : float
        Edges up to `low` do not exist; those from `high` on always join. A voxel
        without edges is background, 0.
    size_threshold_voxels : int
    weight_threshold : float
    dust_voxels : int
        Regions still smaller after that are background.
    background : bool
        If False, no edge is removed by `low`, so that every voxel is in some
        fragment.
    mode : {"2d", "3d"}
        Each section by itself (without the edges along z) or the volume.
    offsets : sequence of (z, y, x), optional
        Of each channel; see :func:`open_affinities`.
    walls : Volume, optional
        Affinities to measure contacts on, if others than those that are flooded.
    progress : Progress
        Called once per section and phase.

    Returns
    -------
    Hierarchy
        Heights are 1 - affinity. ``smoothed`` is 1 - the mean affinity of a
        voxel to those before it.

    Raises
    ------
    InputError
        If the affinities or a threshold cannot be used.

    References
    ----------
    A. Zlateski, H. S. Seung, arXiv:1505.00249, 2015. K. Lee et al., "Superhuman
    accuracy on the SNEMI3D connectomics challenge", arXiv:1706.00120, 2017
    (mean affinity agglomeration).

    Examples
    --------
    >>> along_x = np.array([0.0, 0.9, 0.2, 0.8, 0.6, 0.7], np.float32)
    >>> affinities = np.zeros((3, 1, 1, 6), np.float32)
    >>> affinities[2, 0, 0] = along_x
    >>> hierarchy = build_affinity_hierarchy(affinities, grouping="zlateski_seung")
    >>> hierarchy.fragments.data
    array([[[1, 1, 2, 2, 3, 3]]], dtype=uint32)
    >>> [hierarchy.cut(h).n_segments for h in (0.3, 0.5, 0.9)]
    [3, 2, 1]
    """
    if grouping not in get_args(AffinityGrouping):
        raise InputError(
            f"Affinities can be grouped by one of {get_args(AffinityGrouping)}, not '{grouping}'."
        )
    if mode not in get_args(Mode):
        raise InputError(f"The mode must be one of {get_args(Mode)}, not '{mode}'.")
    thresholds = Thresholds(
        low, high, size_threshold_voxels, weight_threshold, dust_voxels, background
    )
    reader = open_affinities(affinities, offsets)
    if np.prod(reader.shape, dtype=float) > MAX_VOXELS:
        raise InputError(
            f"The affinity map has {np.prod(reader.shape, dtype=float):.3g} voxels; "
            f"{MAX_VOXELS:.3g} can be segmented at once. Cut it into smaller volumes."
        )
    labels = np.empty(reader.shape, np.uint32)
    build = _build_2d if mode == "2d" else _build_3d
    readers = _Readers(reader, reader if walls is None else open_affinities(walls, offsets))
    forest, sizes, starts = build(readers, labels, thresholds, grouping, progress)
    history: dict[str, Any] = {
        "mode": mode,
        "low": low,
        "high": high,
        "size_threshold_voxels": size_threshold_voxels,
        "weight_threshold": weight_threshold,
        "dust_voxels": dust_voxels,
    }
    levels = np.empty(reader.shape, np.uint16)
    for z in range(reader.shape[0]):
        levels[z] = to_levels(boundary_from_nearest(reader, z))
    if notes := [*reader.volume.provenance.get("notes", ()), *_blank_notes(levels, labels, mode)]:
        history["notes"] = notes
    return Hierarchy(
        fragments=reader.volume.derive(labels, kind="fragments", **history),
        forest=forest,
        minimum=np.zeros(sizes.size, np.float32),
        fragment_sizes_voxels=sizes,
        smoothed=LevelMap(levels),
        mode=mode,
        sigma_px=0.0,
        floor=0.0,
        section_starts=starts,
        grouping=grouping,
    )


def _blank_notes(levels: Levels, labels: Labels, mode: Mode) -> list[str]:
    """Say what became of sections, in 3D of the volume, whose affinities are all the same."""
    fates = {
        z: "background (0)" if not section.any() else "one fragment" if np.ptp(section) == 0 else ""
        for z, section in enumerate(labels)
        if np.ptp(levels[z]) == 0
    }
    if mode == "3d":
        is_blank = len(fates) == len(levels) and np.ptp(levels[:, 0, 0]) == 0
        is_same = is_blank and np.ptp(labels[:, 0, 0]) == 0 and fates[0]
        return [f"The map is blank: the volume is {fates[0]}."] if is_same else []
    kinds = dict.fromkeys(filter(None, fates.values()))
    return [
        note for fate in kinds for note in tell_blank([z for z in fates if fates[z] == fate], fate)
    ]


Built = tuple[Forest, npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _build_3d(
    readers: _Readers,
    labels: Labels,
    thresholds: Thresholds,
    grouping: AffinityGrouping,
    progress: Progress,
) -> Built:
    steps = Steps(progress, 2 * labels.shape[0] + 1)
    flooding = partial(steps.finish_one, "Flooding the affinities")
    part = _flood(readers, labels, 0, thresholds, flooding)
    forest = _group(part, grouping)
    steps.finish_one("Joining")
    return forest, part.sizes, np.empty(0, np.int64)


def _build_2d(
    readers: _Readers,
    labels: Labels,
    thresholds: Thresholds,
    grouping: AffinityGrouping,
    progress: Progress,
) -> Built:
    def build(z: int) -> tuple[Forest, npt.NDArray[np.int64]]:
        part = _flood(readers, labels[z : z + 1], z, thresholds)
        return _group(part, grouping), part.sizes

    steps = Steps(progress, labels.shape[0])
    report = partial(steps.finish_one, "Flooding and joining each section")
    parts = map_threads(build, labels.shape[0], report)
    starts = np.cumsum([1] + [forest.n_fragments for forest, _ in parts])
    for section, start in zip(labels, starts, strict=False):
        section[section > 0] += np.uint32(start - 1)
    sizes = np.concatenate([np.zeros(1, np.int64), *(sizes[1:] for _, sizes in parts)])
    return join([forest for forest, _ in parts]), sizes, starts


def _flood(
    readers: _Readers,
    labels: Labels,
    first_section: int,
    thresholds: Thresholds,
    report: Callable[[], None] = ignore,
) -> _Part:
    """Watershed, region graph and size-dependent merging of some sections."""
    n = find_affinity_basins(
        readers.flooded,
        labels,
        low=thresholds.low,
        high=thresholds.high,
        background=thresholds.background,
        first_section=first_section,
        report=report,
    )
    sizes = np.bincount(labels.reshape(-1), minlength=n + 1).astype(np.int64)
    sizes[0] = 0
    contacts = find_contacts(readers.walls, labels, first_section, report)
    if max(thresholds.size_voxels, thresholds.dust_voxels) <= 1:
        return _Part(contacts, sizes)
    region_of = merge_small_regions(contacts, sizes, thresholds)
    relabel(labels, region_of, labels)
    kept = np.zeros(int(region_of.max()) + 1, np.int64)
    np.add.at(kept, region_of, sizes)
    kept[0] = 0
    return _Part(contacts.merged(region_of), kept)


def _group(part: _Part, grouping: AffinityGrouping) -> Forest:
    contacts, sizes = part.contacts, part.sizes
    if grouping == "zlateski_seung":
        edges = contacts.a, contacts.b, np.float32(1) - contacts.strongest
        return build_forest(edges, np.zeros(sizes.size, np.float32))
    return agglomerate(contacts.walls(sizes.size - 1), sizes)

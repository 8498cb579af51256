"""Segments of sections, linked to neurons by how much they overlap from section to section."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.building import build_hierarchy
from napari_emseg.segmentation.forest import build_forest
from napari_emseg.segmentation.hierarchy import Hierarchy
from napari_emseg.segmentation.segmentation import Table
from napari_emseg.volume import Volume

Ints = npt.NDArray[np.int64]
LINKING = "linking"
SECTION_H = 0.1


class Overlaps(NamedTuple):
    """Pairs of segments of consecutive sections that share pixels.

    Attributes
    ----------
    a, b : (P,) int64
        The segment in the earlier and in the later section.
    shared : (P,) int64
        Pixels in which both lie.
    size_a, size_b : (P,) int64
        Pixels of each.
    """

    a: Ints
    b: Ints
    shared: Ints
    size_a: Ints
    size_b: Ints

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """Intersection over union of each pair, (P,)."""
        iou: npt.NDArray[np.float64] = self.shared / (self.size_a + self.size_b - self.shared)
        return iou

    def take(self, which: npt.NDArray[np.bool_]) -> Overlaps:
        """Return some of the pairs."""
        return Overlaps(*(column[which] for column in self))


def link_sections(
    hierarchy: Hierarchy,
    h: float,
    min_size_voxels: int = 0,
    *,
    progress: Progress = NO_PROGRESS,
) -> Hierarchy:
    """Link the segments of each section to those of the next, for every threshold at once.

    Two segments of consecutive sections are as much the same neuron as they
    overlap: intersection over union. The links form a maximal spanning forest, so
    cutting the result at T joins all segments that links of an overlap of 1 - T or
    more connect.

    A link counts only if one of the two is the other's largest partner in that
    section. Segments of one section have no link, so they come together only
    through a segment of another section that is the largest partner of both, or
    whose largest partners they are: that is how branches are one neuron, and why
    grazing contacts are none.

    Parameters
    ----------
    hierarchy : Hierarchy
        Of mode "2d".
    h : float
        Where the sections are cut; from then on that is fixed.
    min_size_voxels : int
        As in :meth:`Hierarchy.cut`.
    progress : Progress
        Called once per section.

    Returns
    -------
    Hierarchy
        Of mode "3d", over the same fragments. Merges within a section have
        height 0, links 1 - intersection over union. Merges that the cut of the
        sections left out have height 1, for small segments to find a neighbour.

    Raises
    ------
    InputError
        If the hierarchy is not of sections, or a parameter is out of range.

    Notes
    -----
    Measured on two stacks with true ids: the best V_rand of any guard with
    intersection over union / over the larger / over the smaller is 0.877 / 0.873 /
    0.868 (30 nm sections) and 0.956 / 0.945 / 0.915 (10 nm). Linking mutual largest
    partners only cuts branches off: 0.871 and 0.915.

    Examples
    --------
    >>> from napari_emseg.segmentation import build_hierarchy
    >>> sections = np.array([[[0, 0, 0, 0.9, 0, 0]], [[0, 0, 0.9, 0, 0, 0]]])
    >>> linked = link_sections(build_hierarchy(sections, sigma_px=0), h=0.1)
    >>> linked.cut(0.0).n_segments, linked.cut(0.5).n_segments
    (4, 2)
    """
    if hierarchy.mode != "2d":
        raise InputError(
            "Only segments of sections can be linked, and this hierarchy runs through the volume; "
            "build it with each section by itself (2d)."
        )
    segment_of = hierarchy.cut(h, min_size_voxels).segment_of
    links = largest_partners(find_overlaps(hierarchy, segment_of, progress))
    starts = np.empty(0, np.int64)
    whole = replace(hierarchy, mode="3d", section_starts=starts)
    linked = _with_links(whole, segment_of, links)
    fragments = linked.fragments
    history: dict[str, Any] = {
        "mode": "3d",
        "section_grouping": hierarchy.grouping,
        "section_h": float(h),
        "section_min_size_voxels": int(min_size_voxels),
    }
    return replace(linked, fragments=fragments.derive(fragments.data, kind="fragments", **history))


def linking(
    hierarchy: Hierarchy,
    boundary: Volume,
    progress: Progress = NO_PROGRESS,
    *,
    h: float = SECTION_H,
) -> Hierarchy:
    """Flood each section by itself, cut it at `h`, and link; as a grouping.

    Parameters
    ----------
    hierarchy : Hierarchy
        Its smoothing and floor count. In mode "2d" nothing is linked.
    boundary : Volume
        The map.
    progress : Progress
        Called once per section and phase.
    h : float
        Where the sections are cut.
    """
    if hierarchy.mode == "2d":
        none = Overlaps(*np.zeros((len(Overlaps._fields), 0), np.int64))
        return _with_links(hierarchy, hierarchy.cut(h).segment_of, none)
    sections = build_hierarchy(
        boundary, sigma_px=hierarchy.sigma_px, floor=hierarchy.floor, progress=progress
    )
    return link_sections(sections, h, progress=progress)


def _with_links(hierarchy: Hierarchy, segment_of: Table, links: Overlaps) -> Hierarchy:
    """First merge the fragments of each segment, then along `links`, then what is left."""
    old = hierarchy.forest
    inside, outside = old.inside[old.order], old.outside[old.order]
    is_left = segment_of[inside] != segment_of[outside]
    edges = (
        np.concatenate([np.minimum(inside, outside), links.a]).astype(np.uint32),
        np.concatenate([np.maximum(inside, outside), links.b]).astype(np.uint32),
        np.concatenate([is_left * (1 + old.saddle[old.order]), 1 - links.iou]).astype(np.float32),
    )
    minimum = np.zeros_like(hierarchy.minimum)
    forest = build_forest(edges, minimum)
    ends = forest.outside > 0
    forest.height[ends] = np.minimum(forest.height[ends], 1)
    if hierarchy.mode == "2d":  # the merges of each section in a row
        section = np.searchsorted(hierarchy.section_starts, forest.order, side="right")
        forest = replace(forest, order=forest.order[np.argsort(section, kind="stable")])
    data = hierarchy.fragments.data
    return replace(
        hierarchy,
        fragments=hierarchy.fragments.derive(data, kind="fragments", grouping=LINKING),
        forest=forest,
        minimum=minimum,
        grouping=LINKING,
    )


def find_overlaps(
    hierarchy: Hierarchy, segment_of: Table, progress: Progress = NO_PROGRESS
) -> Overlaps:
    """Count the pixels that segments of consecutive sections share; 0 shares none.

    Parameters
    ----------
    hierarchy : Hierarchy
        Whose fragments are meant.
    segment_of : (F + 1,) uint32
        Segment of each fragment, in its section.
    progress : Progress
        Called once per section.
    """
    size = np.bincount(segment_of, hierarchy.fragment_sizes_voxels).astype(np.int64)
    n_z = hierarchy.fragments.shape[0]
    pairs, counts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    before = segment_of[hierarchy.fragments.read(0)]
    for z in range(1, n_z):
        here = segment_of[hierarchy.fragments.read(z)]
        both = (before > 0) & (here > 0)
        pair = (before[both].astype(np.uint64) << np.uint64(32)) | here[both]
        found, count = np.unique(pair, return_counts=True)
        pairs.append(found)
        counts.append(count)
        before = here
        progress.update(z, n_z - 1, "Linking sections")
    pair = np.concatenate(pairs)
    a, b = (pair >> np.uint64(32)).astype(np.int64), (pair & np.uint64(2**32 - 1)).astype(np.int64)
    return Overlaps(a, b, np.concatenate(counts), size[a], size[b])


def largest_partners(overlaps: Overlaps) -> Overlaps:
    """Keep the pairs in which one is the other's largest partner in that section.

    Examples
    --------
    >>> a, b, size = np.array([1, 1, 2]), np.array([3, 4, 4]), np.array([9, 9, 9])
    >>> largest_partners(Overlaps(a, b, np.array([6, 2, 4]), size, size)).b
    array([3, 4])
    """
    is_largest = np.zeros(overlaps.a.size, bool)
    for segment in (overlaps.a, overlaps.b):
        largest = np.zeros(int(segment.max(initial=0)) + 1, np.int64)
        np.maximum.at(largest, segment, overlaps.shared)
        is_largest |= overlaps.shared == largest[segment]
    return overlaps.take(is_largest)

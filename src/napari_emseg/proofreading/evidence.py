"""What speaks for two segments being one cell, or for one being two: numbers to judge by."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from napari_emseg.proofreading.contacts import Edges, add_edges
from napari_emseg.proofreading.necks import Necks
from napari_emseg.proofreading.profiles import Profiles
from napari_emseg.proofreading.runs import Ids
from napari_emseg.proofreading.survey import Survey, pair_keys

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FEATURES = {
    "merge": (
        *("bias", "wall", "gaps", "log10_faces", "log10_smaller", "log10_larger"),
        *("compactness", "enclosed", "rivals", "ends_inside", "one_section"),
    ),
    "split": ("bias", "wall", "thickness", "log10_smaller"),
    "jump": ("bias", "log2_area_ratio", "shift", "log10_smaller", "log10_area"),
}
"""Names of the columns for each question."""

_MIXED_IN = 20  # contacts for which the wall itself stands where few are there to compare with
_FLATTEST = 6.0
_KNOTS = 4096


@dataclass(frozen=True, eq=False)
class Scale:
    """What counts as a high wall in a volume: maps differ in how sure they are of themselves.

    Attributes
    ----------
    walls, closures : (n,) float64
        Means, and one less the openness, of all contacts between segments, ascending.
    """

    walls: Floats
    closures: Floats

    def wall(self, edges: Edges) -> Floats:
        """Return how high each wall is among all, in [0, 1]."""
        return _rank(self.walls, edges.mean)

    def gaps(self, edges: Edges) -> Floats:
        """Return how closed each contact is among all, in [0, 1]; 0 has the widest gaps."""
        return _rank(self.closures, 1 - edges.openness)


def scale_of(pairs: Edges) -> Scale:
    """Return the scale that contacts between segments give."""
    return Scale(_thinned(np.sort(pairs.mean)), _thinned(np.sort(1 - pairs.openness)))


def contacts_of_segments(survey: Survey) -> tuple[Edges, Ids, Ids]:
    """Sum contacts of fragments to those of segments.

    Returns
    -------
    pairs : Edges
        Of segments.
    one, two : (n,) uint32
        The fragments of the largest contact of each pair, in the order of the pair.
    """
    table, edges = survey.segment_of, survey.edges
    one, two = table[edges.a], table[edges.b]
    edges = edges.take(np.flatnonzero((one != two) & (one > 0) & (two > 0)))
    one, two = table[edges.a], table[edges.b]
    swapped = one > two
    low, high = np.where(swapped, two, one), np.where(swapped, one, two)
    keys = pair_keys(low, high)
    order = np.lexsort((-edges.count, keys))
    is_first = np.append(True, keys[order][1:] != keys[order][:-1])[: order.size]
    best = order[is_first]
    first = np.where(swapped, edges.b, edges.a)[best]
    second = np.where(swapped, edges.a, edges.b)[best]
    return add_edges(Edges(low, high, *edges.sums)), first, second


def merge_features(survey: Survey, pairs: Edges, scale: Scale, shown: Ints) -> Floats:
    """Return what speaks for pairs of segments being one cell.

    Parameters
    ----------
    survey : Survey
    pairs : Edges
        All contacts of segments.
    scale : Scale
    shown : (n,) int64
        Those asked about.

    Returns
    -------
    (n, 11) float64
        Columns as named in `FEATURES`.
    """
    size = survey.segment_size
    wall = scale.wall(pairs)
    surface = np.bincount(pairs.a, pairs.count, size.size)
    surface += np.bincount(pairs.b, pairs.count, size.size)
    lowest = np.ones(size.size)
    np.minimum.at(lowest, pairs.a, wall)
    np.minimum.at(lowest, pairs.b, wall)
    edges, wall = pairs.take(shown), wall[shown]
    first_is_smaller = size[edges.a] <= size[edges.b]
    smaller = np.where(first_is_smaller, edges.a, edges.b)
    n_smaller, n_larger = _both(size[edges.a], size[edges.b])
    n_sections = survey.box_high[smaller, 0] - survey.box_low[smaller, 0] + 1
    ends = survey.ends_inside
    return np.stack(
        [
            np.ones(shown.size),
            wall,
            scale.gaps(edges),
            np.log10(edges.count),
            np.log10(n_smaller),
            np.log10(n_larger),
            np.minimum(edges.count / n_smaller ** (2 / 3), _FLATTEST),
            edges.count / surface[smaller],
            wall - lowest[smaller],
            ends[edges.a].astype(float) + ends[edges.b],
            n_sections == 1,
        ],
        axis=1,
    )


def split_features(necks: Necks) -> Floats:
    """Return what speaks for both sides of necks being one cell.

    Returns
    -------
    (n, 4) float64
        Columns as named in `FEATURES`; the thickness is the decimal logarithm of the faces
        of the cut for a part of one voxel, growing as the area of a part does.
    """
    smaller = np.log10(np.minimum(necks.size_one, necks.size_two))
    return np.stack(
        [
            np.ones(smaller.size),
            necks.edges.mean,
            np.log10(necks.edges.count) - 2 / 3 * smaller,
            smaller,
        ],
        axis=1,
    )


@dataclass(frozen=True, eq=False)
class Jumps:
    """Places where a segment goes on otherwise in the next section.

    Attributes
    ----------
    segment : (n,) uint32
    section : (n,) int64
        The section after the jump.
    before, after : (n,) int64
        Voxels in the section before and in this one.
    shift : (n,) float64
        How far its middle moves, in radii of the smaller area.
    size_before, size_after : (n,) int64
        Voxels of the segment up to the jump, and from there on.
    """

    segment: Ids
    section: Ints
    before: Ints
    after: Ints
    shift: Floats
    size_before: Ints
    size_after: Ints

    def take(self, which: Ints) -> Jumps:
        """Return some of them."""
        return Jumps(*(getattr(self, part.name)[which] for part in fields(self)))

    @property
    def features(self) -> Floats:
        """What speaks for both sides being one cell; columns as named in `FEATURES`."""
        smaller_area = np.minimum(self.before, self.after)
        return np.stack(
            [
                np.ones(self.segment.size),
                np.abs(np.log2(self.after / self.before)),
                np.minimum(self.shift, 4.0),
                np.log10(np.minimum(self.size_before, self.size_after)),
                np.log10(smaller_area),
            ],
            axis=1,
        )


def find_jumps(survey: Survey) -> Jumps:
    """Return how each segment that is asked about goes on, section by section."""
    rows: Profiles = survey.profiles
    here = np.arange(1, rows.owner.size)
    follows = rows.owner[1:] == rows.owner[:-1]
    follows &= rows.section[1:] == rows.section[:-1] + 1
    here = here[follows & ~survey.is_closed[rows.owner[1:]]]
    up_to = np.cumsum(rows.area)
    start = np.searchsorted(rows.owner, rows.owner[here])
    before = up_to[here - 1] - up_to[start] + rows.area[start]
    middle = rows.place / rows.area[:, None]
    moved = np.hypot(*(middle[here] - middle[here - 1]).T)
    radius = np.sqrt(np.minimum(rows.area[here], rows.area[here - 1]) / np.pi)
    return Jumps(
        segment=rows.owner[here],
        section=rows.section[here],
        before=rows.area[here - 1].astype(np.int64),
        after=rows.area[here].astype(np.int64),
        shift=moved / np.maximum(radius, 1.0),
        size_before=before.astype(np.int64),
        size_after=survey.segment_size[rows.owner[here]] - before.astype(np.int64),
    )


def bits_of(one: Ints, two: Ints, n_voxels: float) -> Floats:
    """Return by how much joining two parts of one cell lowers the variation of information.

    The same is gained by cutting two cells of these sizes apart.

    Examples
    --------
    >>> bits_of(np.array([50]), np.array([50]), 100)
    array([1.])
    """
    parts = [n.astype(np.float64) for n in (one, two, one + two)]
    logs = [n * np.log2(n) for n in parts]
    gain: Floats = (logs[2] - logs[0] - logs[1]) / n_voxels
    return gain


def _both(one: Ints, two: Ints) -> tuple[Ints, Ints]:
    return np.minimum(one, two), np.maximum(one, two)


def _thinned(ascending: Floats) -> Floats:
    """Return fewer of many values, evenly, so that ranks among them are found quickly."""
    if ascending.size <= _KNOTS:
        return ascending
    thinned: Floats = ascending[np.linspace(0, ascending.size - 1, _KNOTS).astype(np.int64)]
    return thinned


def _rank(ascending: Floats, values: Floats) -> Floats:
    """Return the share of values below, pulled to the value itself where there are few."""
    low, high = (np.searchsorted(ascending, values, side=side) for side in ("left", "right"))
    ranked: Floats = ((low + high) / 2 + _MIXED_IN * values) / (ascending.size + _MIXED_IN)
    return ranked

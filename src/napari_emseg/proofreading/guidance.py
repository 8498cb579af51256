"""Places where the segmentation may be wrong, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.proofreading.belief import Belief, Floats
from napari_emseg.proofreading.contacts import Edges, add_edges
from napari_emseg.proofreading.necks import find_necks
from napari_emseg.proofreading.runs import Ids, Triple
from napari_emseg.proofreading.state import State

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Site:
    """A place to look at, and what to decide there.

    Attributes
    ----------
    kind : {"merge", "split"}
        Whether two segments may be one cell, or one segment two cells.
    position : (z, y, x)
        A voxel where the two sides touch.
    segments : tuple of int
        The two, or the one.
    fragments : (int, int)
        The fragments that touch there, one of each side.
    probability : float
        That something is wrong there, as far as the map and earlier decisions tell.
    bits : float
        Variation of information that the edit would take away if it is right.
    reason : str
        Why it is shown.
    suggestion : {"merge", "split", "keep"}
        The more likely decision.
    features : tuple of float
        What the classifier sees.
    """

    kind: Literal["merge", "split"]
    position: Triple
    segments: tuple[int, ...]
    fragments: tuple[int, int]
    probability: float
    bits: float
    reason: str
    suggestion: Literal["merge", "split", "keep"]
    features: tuple[float, ...]

    @property
    def score(self) -> float:
        """By which sites are ordered: bits to be gained, times how likely."""
        return self.probability * self.bits


@dataclass(frozen=True, eq=False)
class Candidates:
    """Sites as columns, before positions are looked up.

    Attributes
    ----------
    is_merge : (n,) bool
    one, two : (n,) uint32
        Fragments on both sides of the contact.
    features : (n, 6) float64
    probability, bits : (n,) float64
    """

    is_merge: npt.NDArray[np.bool_]
    one: Ids
    two: Ids
    features: Floats
    probability: Floats
    bits: Floats

    @property
    def order(self) -> Ints:
        """The sites, best first."""
        ranked: Ints = np.argsort(-(self.probability * self.bits), kind="stable")
        return ranked


def find_candidates(
    state: State, belief: Belief, kept: Sequence[tuple[int, int]] = ()
) -> Candidates:
    """Return all contacts at which a decision could be wrong.

    Parameters
    ----------
    state : State
    belief : Belief
    kept : sequence of (int, int)
        Pairs of fragments at whose contact was decided, so that it is not asked again.

    Returns
    -------
    Candidates
    """
    merges = _merge_candidates(state, belief, kept)
    splits = _split_candidates(state, belief, kept)
    return Candidates(
        is_merge=np.repeat([True, False], [merges[0].size, splits[0].size]),
        one=np.concatenate([merges[0], splits[0]]),
        two=np.concatenate([merges[1], splits[1]]),
        features=np.concatenate([merges[2], splits[2]]),
        probability=np.concatenate([merges[3], splits[3]]),
        bits=np.concatenate([merges[4], splits[4]]),
    )


def site_of(state: State, candidates: Candidates, k: int) -> Site:
    """Return one of the candidates with its position and words.

    Parameters
    ----------
    state : State
    candidates : Candidates
    k : int

    Returns
    -------
    Site
    """
    one, two = int(candidates.one[k]), int(candidates.two[k])
    kind: Literal["merge", "split"] = "merge" if candidates.is_merge[k] else "split"
    segments = tuple(dict.fromkeys(int(state.segment_of[f]) for f in (one, two)))
    probability = float(candidates.probability[k])
    features = tuple(float(v) for v in candidates.features[k])
    return Site(
        kind=kind,
        position=_contact_place(state, one, two),
        segments=segments,
        fragments=(one, two),
        probability=probability,
        bits=float(candidates.bits[k]),
        reason=_reason(kind, segments, features),
        suggestion=kind if probability >= 0.5 else "keep",
        features=features,
    )


def _merge_candidates(
    state: State, belief: Belief, kept: Sequence[tuple[int, int]]
) -> tuple[Ids, Ids, Floats, Floats, Floats]:
    edges = state.contacts.all()
    table = state.segment_of
    one, two = table[edges.a], table[edges.b]
    is_open = (one != two) & (one > 0) & (two > 0)
    is_open &= ~(
        _is_in(one, state.done | state.set_aside) | _is_in(two, state.done | state.set_aside)
    )
    edges = edges.take(np.flatnonzero(is_open))
    pairs, which = _pair_up(table, edges)
    decided = {_key(int(table[a]), int(table[b])) for a, b in kept}
    fresh = np.array(
        [_key(int(a), int(b)) not in decided for a, b in zip(pairs.a, pairs.b, strict=True)], bool
    )
    pairs, which = pairs.take(fresh), which[fresh]
    sizes = _sizes_by_id(state)
    features = _features(state, pairs, sizes, _ends_inside(state))
    bits = _bits(sizes[pairs.a], sizes[pairs.b], sizes.sum())
    return edges.a[which], edges.b[which], features, belief.probability(features), bits


def _split_candidates(
    state: State, belief: Belief, kept: Sequence[tuple[int, int]]
) -> tuple[Ids, Ids, Floats, Floats, Floats]:
    necks = find_necks(state, {_key(a, b) for a, b in kept})
    smaller = np.minimum(necks.size_one, necks.size_two)
    n = necks.edges.a.size
    features = np.stack(
        [
            np.ones(n),
            necks.edges.mean,
            np.log10(necks.edges.count),
            np.log10(smaller),
            necks.edges.count / smaller ** (2 / 3),
            np.zeros(n),
        ],
        axis=1,
    )
    bits = _bits(necks.size_one, necks.size_two, int(state.extents.size[1:].sum()))
    return necks.edges.a, necks.edges.b, features, 1 - belief.probability(features), bits


def _pair_up(table: Ids, edges: Edges) -> tuple[Edges, Ints]:
    """Sum contacts of fragments to those of segments; also return the largest one of each."""
    one, two = table[edges.a], table[edges.b]
    low, high = np.minimum(one, two), np.maximum(one, two)
    order = np.lexsort((-edges.count, high, low))
    low, high = low[order], high[order]
    is_first = np.append(True, (low[1:] != low[:-1]) | (high[1:] != high[:-1]))[: low.size]
    edges = edges.take(order)
    return add_edges(Edges(low, high, *edges.sums)), order[is_first]


def _sizes_by_id(state: State) -> Ints:
    table = state.segment_of
    sizes = np.bincount(table, state.extents.size[: table.size]).astype(np.int64)
    sizes[0] = 0
    return sizes


def _ends_inside(state: State) -> npt.NDArray[np.bool_]:
    """Whether each segment by id touches no border of the volume, as a neurite should."""
    table, extents = state.segment_of, state.extents
    last = np.array(state.fragments.shape) - 1
    low, high = extents.low[: table.size], extents.high[: table.size]
    at_rim = ((low <= 0) | (high >= last)).any(axis=1) & (extents.size[: table.size] > 0)
    inside = np.ones(int(table.max()) + 1, bool)
    inside[table[at_rim]] = False
    return inside


def _features(
    state: State, pairs: Edges, sizes: Ints, ends_inside: npt.NDArray[np.bool_]
) -> Floats:
    smaller = np.minimum(sizes[pairs.a], sizes[pairs.b])
    return np.stack(
        [
            np.ones(pairs.a.size),
            pairs.mean,
            np.log10(pairs.count),
            np.log10(smaller),
            pairs.count / smaller ** (2 / 3),
            ends_inside[pairs.a].astype(float) + ends_inside[pairs.b],
        ],
        axis=1,
    )


def _bits(one: Ints, two: Ints, n_voxels: float) -> Floats:
    """Return by how much joining two parts of one cell lowers the variation of information."""
    parts = [n.astype(np.float64) for n in (one, two, one + two)]
    logs = [n * np.log2(n) for n in parts]
    gain: Floats = (logs[2] - logs[0] - logs[1]) / n_voxels
    return gain


def _contact_place(state: State, one: int, two: int) -> Triple:
    """Return a voxel of fragment `one` that touches fragment `two`."""
    boxes = [state.extents.box(f) for f in (one, two)]
    z, y, x = (
        slice(max(0, max(a.start, b.start) - 1), min(a.stop, b.stop) + 1)
        for a, b in zip(*boxes, strict=True)
    )
    ids = state.fragments[z, y, x]
    is_one, is_two = ids == one, ids == two
    beside = np.zeros(ids.shape, bool)
    for axis in range(3):
        first, second = np.moveaxis(is_one, axis, 0), np.moveaxis(is_two, axis, 0)
        out = np.moveaxis(beside, axis, 0)
        out[:-1] |= first[:-1] & second[1:]
        out[1:] |= first[1:] & second[:-1]
    places = np.argwhere(beside)
    middle = places[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))].tolist()
    return z.start + middle[0], y.start + middle[1], x.start + middle[2]


def _reason(kind: str, segments: tuple[int, ...], features: tuple[float, ...]) -> str:
    _, wall, faces, smaller, _, inside = features
    n_faces, n_voxels = f"{10**faces:,.0f}", f"{10**smaller:,.0f}"
    if kind == "split":
        return (
            f"Segment {segments[0]} has a neck: {n_faces} faces with a wall of {wall:.2f} hold "
            f"{n_voxels} voxels."
        )
    words = f"The wall between {segments[0]} and {segments[1]} is {wall:.2f} over {n_faces} faces"
    if inside:
        words += "; one of them ends inside the volume"
    return f"{words}. The smaller has {n_voxels} voxels."


def _is_in(ids: Ids, some: set[int]) -> npt.NDArray[np.bool_]:
    return np.isin(ids, np.array(sorted(some), np.uint32))


def _key(one: int, two: int) -> tuple[int, int]:
    return (one, two) if one < two else (two, one)

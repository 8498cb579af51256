"""Places where the segmentation may be wrong, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_emseg.proofreading.belief import Question
from napari_emseg.proofreading.candidates import WORTH, Candidates
from napari_emseg.proofreading.edit import place_in
from napari_emseg.proofreading.reasons import Cause, cause_of, words_of
from napari_emseg.proofreading.runs import Ids, Triple
from napari_emseg.proofreading.survey import Survey, pair_keys
from napari_emseg.volume import ZYX

if TYPE_CHECKING:
    from napari_emseg.proofreading.state import State

_FIRST_WINDOW = 8


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
        One of each side: those that touch there, or large ones near a neck.
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
    question : {"merge", "split", "jump"}
        Which of the classifiers.
    cause : str
        What is most striking: "thin wall", "near the threshold", "ends inside", "one
        section", "tiny", "flat", "wall inside", "neck" or "jump".
    points : tuple of two tuples of (z, y, x)
        Where a split has to be between voxels of one fragment; otherwise empty.
    sides : tuple of two (n,) uint32
        At a neck, the fragments on either side, in the order of `fragments`.
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
    question: Question = "merge"
    cause: Cause = "thin wall"
    points: tuple[tuple[Triple, ...], ...] = ()
    sides: tuple[Ids, ...] = field(default=(), repr=False, compare=False)

    @property
    def score(self) -> float:
        """By which sites are ordered: bits that are expected to be gained."""
        return WORTH[self.question] * self.probability * self.bits


def best_sites(found: Candidates, limit: int, voxel_size_nm: ZYX | None = None) -> list[Site]:
    """Return the best sites; of cuts that part the same two ends, the best one only.

    Parameters
    ----------
    found : Candidates
    limit : int
    voxel_size_nm : (z, y, x), optional

    Returns
    -------
    list of Site
    """
    trees, sites = found.necks.trees, list[Site]()
    is_shown = np.zeros(trees.parent.size, bool)
    for k in found.order.tolist():
        if len(sites) >= limit:
            break
        question, row = found.at(k)
        if question == "split" and is_shown[found.necks.node[row]]:
            continue
        site = site_of(found, k, voxel_size_nm)
        sites.append(site)
        if question == "split":
            one, two = (np.array([f], np.uint32) for f in site.fragments)
            is_shown |= trees.on_the_way(one, two)
    return sites


def site_of(found: Candidates, k: int, voxel_size_nm: ZYX | None = None) -> Site:
    """Return one of the candidates with its position and words.

    Parameters
    ----------
    found : Candidates
    k : int
    voxel_size_nm : (z, y, x), optional
        Tells what is tiny.

    Returns
    -------
    Site
    """
    question, row = found.at(k)
    judged = found.judged[question]
    survey = found.survey
    points: tuple[tuple[Triple, ...], ...] = ()
    sides: tuple[Ids, ...] = ()
    if question == "merge":
        fragments = (int(found.one[row]), int(found.two[row]))
        position = contact_place(survey, *fragments)
    elif question == "split":
        one, two = sorted(found.necks.sides(row, survey.size))
        fragments = (one, two)
        position = contact_place(survey, *(int(e[row]) for e in found.necks.tree_ends))
        sides = _sides(found, row, one)
    else:
        fragments, points = _around_jump(found, row)
        position = points[1][0]
        points = points if fragments[0] == fragments[1] else ()
    kind: Literal["merge", "split"] = "merge" if question == "merge" else "split"
    probability = float(judged.probability[row])
    cause = cause_of(found, question, row, float(np.prod(voxel_size_nm)) if voxel_size_nm else None)
    return Site(
        kind=kind,
        position=position,
        segments=tuple(dict.fromkeys(int(survey.ids[survey.segment_of[f]]) for f in fragments)),
        fragments=fragments,
        probability=probability,
        bits=float(judged.bits[row]),
        reason=words_of(found, question, row, cause),
        suggestion=kind if probability >= 0.5 else "keep",
        features=tuple(float(v) for v in judged.features[row]),
        question=question,
        cause=cause,
        points=points,
        sides=sides,
    )


def _sides(found: Candidates, row: int, one: int) -> tuple[Ids, Ids]:
    """Return the fragments on either side of a neck, first those with fragment `one`."""
    below, table = found.necks.below(row), found.survey.segment_of
    above = np.setdiff1d(np.flatnonzero(table == table[one]).astype(np.uint32), below)
    return (below, above) if one in below else (above, below)


def cut_ends(state: State, site: Site) -> Sequence[Sequence[Triple]]:
    """Return voxels of both sides of a site, for the split it asks about."""
    return site.points or [[place_in(state, f)] for f in site.fragments]


def contact_place(survey: Survey, one: int, two: int) -> Triple:
    """Return a voxel of fragment `one` that touches fragment `two`, in the middle if it can be."""
    key = pair_keys(*(np.array([f], np.uint32) for f in (one, two)))
    row = int(np.searchsorted(survey.edges.keys, key[0]))
    edge = survey.edges.take(np.array([row]))
    middle = np.rint(edge.place[0] / edge.count[0]).astype(int)
    low = np.maximum(survey.low[[one, two]].max(axis=0) - 1, 0)
    high = np.minimum(survey.high[[one, two]].min(axis=0) + 1, np.array(survey.shape) - 1)
    reach = _FIRST_WINDOW
    while True:
        first, last = np.maximum(low, middle - reach), np.minimum(high, middle + reach)
        z, y, x = (slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))
        places = _touching(survey.fragments[z, y, x], one, two)
        if places.size:
            nearest = places[np.argmin(((places + first - middle) ** 2).sum(axis=1))] + first
            return int(nearest[0]), int(nearest[1]), int(nearest[2])
        reach *= 4


def _touching(ids: Ids, one: int, two: int) -> np.ndarray:
    is_one, is_two = ids == one, ids == two
    beside = np.zeros(ids.shape, bool)
    for axis in range(3):
        first, second = np.moveaxis(is_one, axis, 0), np.moveaxis(is_two, axis, 0)
        out = np.moveaxis(beside, axis, 0)
        out[:-1] |= first[:-1] & second[1:]
        out[1:] |= first[1:] & second[:-1]
    return np.argwhere(beside)


def _around_jump(
    found: Candidates, row: int
) -> tuple[tuple[int, int], tuple[tuple[Triple, ...], ...]]:
    """Return the fragments before and after a jump, and a voxel of each."""
    survey, jumps = found.survey, found.jumps
    segment, after = int(jumps.segment[row]), int(jumps.section[row])
    fragments, points = [], []
    y, x = (
        slice(int(a), int(b) + 1)
        for a, b in zip(survey.box_low[segment, 1:], survey.box_high[segment, 1:], strict=True)
    )
    for z in (after - 1, after):
        ids = survey.fragments[z, y, x]
        places = np.argwhere(survey.segment_of[ids] == segment)
        middle = places[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))]
        fragments.append(int(ids[tuple(middle)]))
        points.append(((z, y.start + int(middle[0]), x.start + int(middle[1])),))
    return (fragments[0], fragments[1]), (points[0], points[1])

"""All places where a decision could be wrong, and what correcting them is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_emseg.proofreading.belief import Belief, Question
from napari_emseg.proofreading.contacts import Edges
from napari_emseg.proofreading.evidence import (
    Jumps,
    Scale,
    bits_of,
    contacts_of_segments,
    find_jumps,
    merge_features,
    scale_of,
    split_features,
)
from napari_emseg.proofreading.necks import Necks, find_necks
from napari_emseg.proofreading.runs import Ids
from napari_emseg.proofreading.survey import Survey, pair_keys

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
QUESTIONS: tuple[Question, ...] = ("merge", "split", "jump")
# Bits are what an edit takes away where both sides are pure. Merges do nearly that on volumes
# with known neurons, cuts half of it: they often leave something of each cell on either side.
WORTH: dict[Question, float] = {"merge": 1.0, "split": 0.5, "jump": 0.5}
# Of so many contacts, those where most is at stake and the wall is lowest are looked at closely.
_LOOKED_AT = 60_000


@dataclass(frozen=True, eq=False)
class Judged:
    """Candidates of one question.

    Attributes
    ----------
    features : (n, k) float64
        As named in `FEATURES`.
    probability : (n,) float64
        That something is wrong.
    bits : (n,) float64
        Variation of information that the edit takes away if so.
    """

    features: Floats
    probability: Floats
    bits: Floats


@dataclass(frozen=True, eq=False)
class Candidates:
    """Everything that could be asked.

    Attributes
    ----------
    survey : Survey
    scale : Scale
    pairs : Edges
        Contacts of segments asked about.
    one, two : (n,) uint32
        The fragments of the largest contact of each.
    necks : Necks
    jumps : Jumps
    judged : dict
        Judgement of each question, in the order of `pairs`, `necks` and `jumps`.
    """

    survey: Survey
    scale: Scale
    pairs: Edges
    one: Ids
    two: Ids
    necks: Necks
    jumps: Jumps
    judged: dict[Question, Judged]

    @property
    def n(self) -> int:
        """How many there are."""
        return sum(part.bits.size for part in self.judged.values())

    @property
    def bits(self) -> Floats:
        """What each is worth if it is wrong; questions one after the other."""
        return np.concatenate([self.judged[q].bits for q in QUESTIONS])

    @property
    def score(self) -> Floats:
        """What each is expected to be worth: by this they are ordered."""
        return np.concatenate(
            [WORTH[q] * self.judged[q].probability * self.judged[q].bits for q in QUESTIONS]
        )

    @property
    def order(self) -> Ints:
        """The candidates, best first."""
        ranked: Ints = np.argsort(-self.score, kind="stable")
        return ranked

    def at(self, k: int) -> tuple[Question, int]:
        """Return the question of candidate `k`, and its number among those of the question."""
        for question in QUESTIONS:
            n = self.judged[question].bits.size
            if k < n:
                return question, k
            k -= n
        raise IndexError("there are not that many candidates")


def find_candidates(survey: Survey, belief: Belief) -> Candidates:
    """Return all that could be asked.

    Parameters
    ----------
    survey : Survey
    belief : Belief

    Returns
    -------
    Candidates
    """
    pairs, one, two = contacts_of_segments(survey)
    scale, shown = scale_of(pairs), _open_pairs(survey, pairs)
    size, n_voxels = survey.segment_size, survey.n_voxels
    bits = bits_of(size[pairs.a[shown]], size[pairs.b[shown]], n_voxels)
    if shown.size > _LOOKED_AT:
        promise = bits * (1.05 - scale.gaps(pairs.take(shown)))
        best = np.sort(np.argpartition(-promise, _LOOKED_AT)[:_LOOKED_AT])
        shown, bits = shown[best], bits[best]
    features = merge_features(survey, pairs, scale, shown)
    merges = Judged(features, belief.probability("merge", features), bits)
    necks, jumps = find_necks(survey), _open_jumps(survey)
    features = split_features(necks)
    splits = Judged(
        features,
        1 - belief.probability("split", features),
        bits_of(necks.size_one, necks.size_two, n_voxels),
    )
    features = jumps.features
    jumped = Judged(
        features,
        1 - belief.probability("jump", features),
        bits_of(jumps.size_before, jumps.size_after, n_voxels),
    )
    judged: dict[Question, Judged] = {"merge": merges, "split": splits, "jump": jumped}
    return Candidates(
        survey, scale, pairs.take(shown), one[shown], two[shown], necks, jumps, judged
    )


def _open_pairs(survey: Survey, pairs: Edges) -> Ints:
    is_open = ~survey.is_closed[pairs.a] & ~survey.is_closed[pairs.b]
    known = survey.decided[survey.decided[:, 1] < survey.segment_of.size]
    ends = survey.segment_of[known]
    is_open &= ~np.isin(pairs.keys, pair_keys(ends[:, 0], ends[:, 1]))
    return np.flatnonzero(is_open)


def _open_jumps(survey: Survey) -> Jumps:
    """Leave out jumps between fragments known to be one cell, and those that are none."""
    jumps = find_jumps(survey)
    ratio, shift = jumps.features[:, 1:3].T
    is_open = (ratio >= 1) | (shift >= 1)
    known = survey.decided[survey.decided[:, 1] < survey.segment_of.size]
    for one, two in known.tolist():
        segment = survey.segment_of[one]
        if segment == survey.segment_of[two]:
            first = min(int(survey.low[f, 0]) for f in (one, two))
            last = max(int(survey.high[f, 0]) for f in (one, two))
            inside = (jumps.section >= first) & (jumps.section <= last + 1)
            is_open &= ~(inside & (jumps.segment == segment))
    return jumps.take(np.flatnonzero(is_open))

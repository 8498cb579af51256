"""An oracle that knows the truth answers the queue: what guidance is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.evaluation.contingency import ContingencyBuilder
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.proofreading.belief import Belief, Lesson
from napari_emseg.proofreading.candidates import Candidates, find_candidates
from napari_emseg.proofreading.guidance import Site, site_of
from napari_emseg.proofreading.necks import Necks
from napari_emseg.proofreading.proofreader import Proofreader
from napari_emseg.proofreading.survey import take_survey
from napari_emseg.volume import Volume

Order = Literal["ours", "random", "largest error"]
Floats = npt.NDArray[np.float64]
_AT_RANDOM = 10


@dataclass(frozen=True, eq=False)
class Simulation:
    """Scores after each decision, the start first.

    Attributes
    ----------
    voi, adapted_rand_error : (n + 1,) float64
        Variation of information in bits; 1 - F-score over pairs of voxels.
    decisions : tuple of str
        "merge", "split" or "keep".
    """

    voi: Floats
    adapted_rand_error: Floats
    decisions: tuple[str, ...]


class Truth:
    """Which object each fragment lies in most, and scores of a table.

    Parameters
    ----------
    fragments : array-like
        (z, y, x) ids.
    truth : Volume
        (z, y, x) ids, 0 = not known.
    n_fragments : int
    """

    def __init__(self, fragments: Volume, truth: Volume, n_fragments: int) -> None:
        if fragments.shape != truth.shape:
            raise InputError(
                f"The ground truth has the shape {truth.shape}, the segmentation {fragments.shape}."
            )
        builder = ContingencyBuilder()
        for z in range(fragments.shape[0]):
            builder.add(fragments.read(z), truth.read(z))
        table = builder.build()
        self._fragment = table.segment.astype(np.int64)
        self._object = np.unique(table.truth, return_inverse=True)[1]
        self._count = table.count.astype(np.float64)
        self.owner = np.full(n_fragments + 1, -1, np.int64)
        ascending = np.argsort(self._count, kind="stable")
        self.owner[self._fragment[ascending]] = self._object[ascending]

    def objects_of(self, fragments: npt.NDArray[np.uint32]) -> int:
        """Return the object some fragments lie in most together; -1 where not known."""
        inside = np.isin(self._fragment, fragments)
        votes = np.bincount(self._object[inside], self._count[inside])
        return int(np.argmax(votes)) if votes.size and votes.max() > 0 else -1

    def of_segments(self, segment_of: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Return the object each segment by id lies in most; -1 where not known."""
        return self._most(segment_of.astype(np.int64), int(segment_of.max()) + 1)

    def of_sides(
        self, necks: Necks, segment_of: npt.NDArray[np.uint32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the object both sides of each neck lie in most; -1 where not known."""
        n_nodes, n_objects = segment_of.size, int(self._object.max()) + 1
        votes = np.zeros((n_nodes, n_objects), np.float64)
        np.add.at(votes, (self._fragment, self._object), self._count)
        whole = np.zeros((int(segment_of.max()) + 1, n_objects))
        np.add.at(whole, segment_of, votes)
        below = necks.trees.summed_up(votes)[necks.node]
        above = whole[segment_of[necks.node]] - below
        best = [np.where(v.max(axis=1) > 0.5, v.argmax(axis=1), -1) for v in (below, above)]
        return best[0], best[1]

    def _most(self, group: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
        """Return the object most voxels of each group of fragments lie in."""
        where = group[self._fragment]
        cells, inverse = np.unique(
            where * (int(self._object.max()) + 1) + self._object, return_inverse=True
        )
        votes = np.bincount(inverse.ravel(), self._count)
        ascending = np.argsort(votes, kind="stable")
        owner = np.full(n, -1, np.int64)
        n_objects = int(self._object.max()) + 1
        owner[cells[ascending] // n_objects] = cells[ascending] % n_objects
        return owner

    def lowest(self) -> tuple[float, float]:
        """Return the scores where each fragment is with the object it lies in most."""
        return self.scores((self.owner + 1).astype(np.uint32))

    def scores(self, segment_of: npt.NDArray[np.uint32]) -> tuple[float, float]:
        """Return VOI in bits and adapted Rand error of a table, over the known voxels."""
        segment = segment_of[self._fragment].astype(np.int64)
        alone = segment == 0
        segment[alone] = segment_of.max() + 1 + self._fragment[alone]
        n = self._count.sum()
        cells = np.unique(np.stack([segment, self._object]), axis=1, return_inverse=True)[1]
        joint, rows, columns = (
            np.bincount(ids.ravel(), self._count).astype(np.float64)
            for ids in (cells, np.unique(segment, return_inverse=True)[1], self._object)
        )
        voi = 2 * _entropy(joint, n) - _entropy(rows, n) - _entropy(columns, n)
        f_score = 2 * (joint**2).sum() / ((rows**2).sum() + (columns**2).sum())
        return voi, 1 - float(f_score)


def simulate(
    editor: Proofreader,
    truth: Volume,
    *,
    order: Order = "ours",
    n_decisions: int = 200,
    seed: int = 0,
    learn: bool = True,
    prior: Belief | None = None,
    until_voi: float | None = None,
    progress: Progress = NO_PROGRESS,
) -> Simulation:
    """Let an oracle answer one site after the other.

    Parameters
    ----------
    editor : Proofreader
        Edited as the oracle says.
    truth : Volume
        (z, y, x) ids.
    order : {"ours", "random", "largest error"}
        Which site is asked next; the last looks at the truth, as nobody can.
    n_decisions : int
    seed : int
        Of the random order.
    learn : bool
        Whether our order learns from the answers.
    prior : Belief, optional
        What our order knows beforehand; learns with it.
    until_voi : float, optional
        Ends when the variation of information is this low.
    progress : Progress
        Called once per decision.

    Returns
    -------
    Simulation
    """
    belief, asked = prior or Belief(), _Asked(editor, truth)
    random = np.random.default_rng(seed)
    scores = [asked.known.scores(editor.state.segment_of)]
    answers: list[str] = []
    decided: list[tuple[int, int]] = []
    listed: list[tuple[Candidates, int]] = []
    while len(answers) < n_decisions and (until_voi is None or scores[-1][0] > until_voi):
        if not listed:
            found = find_candidates(take_survey(editor.state, decided), belief)
            if found.n == 0:
                break
            listed = [(found, k) for k in _choose(found, order, asked, random)]
        found, chosen = listed.pop()
        site = site_of(found, chosen)
        if not asked.applies(site):
            continue
        answer = asked.answer(found, chosen, site)
        decided.append(site.fragments)  # whatever the answer
        if learn and order == "ours":
            is_one_cell = (answer == "merge") if site.kind == "merge" else (answer == "keep")
            belief.learn(Lesson(site.question, site.features, is_one_cell))
        answers.append(answer)
        scores.append(asked.known.scores(editor.state.segment_of))
        progress.update(len(answers), n_decisions, "Asking the oracle")
    voi, error = np.array(scores).T
    return Simulation(voi, error, tuple(answers))


def _choose(
    found: Candidates, order: Order, asked: _Asked, random: np.random.Generator
) -> list[int]:
    """Return what is asked next; at random, a few before looking anew."""
    if order == "ours":
        return [int(found.order[0])]
    if order == "largest error":
        return [asked.largest_error(found)]
    return [int(k) for k in random.permutation(found.n)[:_AT_RANDOM]]


class _Asked:
    """Somebody who knows the truth."""

    def __init__(self, editor: Proofreader, truth: Volume) -> None:
        self._editor, self._truth = editor, truth
        self._version = -1

    @property
    def known(self) -> Truth:
        """The truth of the present fragments."""
        state = self._editor.state
        if state.voxel_version != self._version:
            fragments = state.volume.derive(state.fragments, kind="fragments")
            self._known = Truth(fragments, self._truth, state.next_fragment - 1)
            self._version = state.voxel_version
        return self._known

    def applies(self, site: Site) -> bool:
        """Whether a site is as it was when it was listed."""
        table = self._editor.state.segment_of
        here = {int(table[f]) for f in site.fragments}
        return here == set(site.segments) and 0 not in here

    def answer(self, found: Candidates, chosen: int, site: Site) -> str:
        """Make the edit that the truth asks for, if any; say what was decided."""
        editor = self._editor
        one, two = self._both_sides(found, chosen, site)
        if site.kind == "merge":
            if one == two >= 0:
                editor.merge(site.segments, positions=[(0, 0, 0)] * 2)
                return "merge"
        elif one != two and min(one, two) >= 0:
            try:
                editor.commit(editor.preview_at(site, "split"))
            except InputError:  # nothing to cut between them
                return "keep"
            return "split"
        return "keep"

    def _both_sides(self, found: Candidates, chosen: int, site: Site) -> tuple[int, int]:
        """Return the objects both sides lie in most."""
        members = self._editor.state.members
        question, row = found.at(chosen)
        if question == "merge":
            one, two = (self.known.objects_of(members.of(s)) for s in site.segments)
            return one, two
        if question == "split":
            below = found.necks.below(row)
            above = np.setdiff1d(members.of(site.segments[0]), below)
            return self.known.objects_of(below), self.known.objects_of(above)
        z, segment = int(found.jumps.section[row]), site.segments[0]
        one, two = (self._object_in(segment, s) for s in (z - 1, z))
        return one, two

    def _object_in(self, segment: int, z: int) -> int:
        inside = self._editor.view[z] == segment
        ids, votes = np.unique(self._truth.read(z)[inside], return_counts=True)
        votes[ids == 0] = 0
        return int(ids[np.argmax(votes)]) if votes.any() else -1

    def largest_error(self, found: Candidates) -> int:
        """Return the candidate that is wrong and where most is to be gained."""
        table = found.survey.segment_of
        owner = self.known.of_segments(table)
        one, two = owner[found.pairs.a], owner[found.pairs.b]
        below, above = self.known.of_sides(found.necks, table)
        is_wrong = [
            (one == two) & (one >= 0),
            (below != above) & (np.minimum(below, above) >= 0),
            np.zeros(found.jumps.segment.size, bool),
        ]
        return int(np.argmax(np.where(np.concatenate(is_wrong), found.bits, -1)))


def _entropy(counts: Floats, n: float) -> float:
    share = counts[counts > 0] / n
    return float(-(share * np.log2(share)).sum())

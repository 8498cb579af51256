"""An oracle that knows the truth answers the queue: what guidance is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.evaluation.contingency import ContingencyBuilder
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.proofreading.belief import Belief
from napari_emseg.proofreading.edit import place_in
from napari_emseg.proofreading.guidance import Candidates, find_candidates, site_of
from napari_emseg.proofreading.proofreader import Proofreader
from napari_emseg.volume import Volume

Order = Literal["ours", "random", "largest error"]
Floats = npt.NDArray[np.float64]


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
    progress : Progress
        Called once per decision.

    Returns
    -------
    Simulation
    """
    state, belief = editor.state, Belief()
    known = Truth(state.volume, truth, state.next_fragment - 1)
    random = np.random.default_rng(seed)
    scores, answers = [known.scores(state.segment_of)], []
    kept: list[tuple[int, int]] = []
    choose = _chooser(order, known, editor, random)
    for k in range(n_decisions):
        found = find_candidates(state, belief, kept)
        if found.one.size == 0:
            break
        site = site_of(state, found, choose(found))
        answer = _answer(editor, known, site.kind, site.fragments)
        kept.append((min(site.fragments), max(site.fragments)))  # decided, whatever the answer
        if learn and order == "ours":
            is_one_cell = (answer == "merge") if site.kind == "merge" else (answer == "keep")
            belief.learn(np.array([site.features]), [is_one_cell])
        answers.append(answer)
        scores.append(known.scores(state.segment_of))
        progress.update(k + 1, n_decisions, "Asking the oracle")
    voi, error = np.array(scores).T
    return Simulation(voi, error, tuple(answers))


def _answer(
    editor: Proofreader,
    known: Truth,
    kind: str,
    fragments: tuple[int, int],
) -> str:
    """Make the edit that the truth asks for, if any; say what was decided."""
    state = editor.state
    one, two = fragments
    if kind == "merge":
        segments = [int(state.segment_of[f]) for f in fragments]
        objects = [known.objects_of(state.members.of(s)) for s in segments]
        if objects[0] == objects[1] >= 0:
            editor.merge(segments, positions=[(0, 0, 0)] * 2)
            return "merge"
    elif known.owner[one] != known.owner[two] and min(known.owner[[one, two]]) >= 0:
        try:
            editor.split([[place_in(state, one)], [place_in(state, two)]])
        except InputError:  # nothing to cut between them
            pass
        else:
            return "split"
    return "keep"


def _chooser(
    order: Order, known: Truth, editor: Proofreader, random: np.random.Generator
) -> Callable[[Candidates], int]:
    if order == "ours":
        return lambda found: int(found.order[0])
    if order == "random":
        return lambda found: int(random.integers(found.one.size))
    return lambda found: _largest_error(known, editor, found)


def _largest_error(known: Truth, editor: Proofreader, found: Candidates) -> int:
    state = editor.state
    table = state.segment_of
    best = np.zeros(int(table.max()) + 1, np.int64) - 1
    for segment in np.unique(table[np.concatenate([found.one, found.two])]).tolist():
        best[segment] = known.objects_of(state.members.of(segment))
    same_segment = best[table[found.one]] == best[table[found.two]]
    same_cell = known.owner[found.one] == known.owner[found.two]
    is_wrong = np.where(found.is_merge, same_segment & (best[table[found.one]] >= 0), ~same_cell)
    return int(np.argmax(np.where(is_wrong, found.bits, -1)))


def _entropy(counts: Floats, n: float) -> float:
    share = counts[counts > 0] / n
    return float(-(share * np.log2(share)).sum())

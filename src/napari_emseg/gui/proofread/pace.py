"""How far a proofreading is: share done, pace, what is left, and scores where truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.evaluation.contingency import Contingency
    from napari_emseg.proofreading import HistoryItem
    from napari_emseg.proofreading.state import State

PAUSE_S = 300.0  # who takes longer for an edit was away
_RECENT = 50
_FEWEST = 3
_WORTH = 0.8  # of all that decisions are expected to mend


@dataclass(frozen=True)
class Pace:
    """What was done so far, and how fast.

    Attributes
    ----------
    n_edits, n_decisions : int
    worked_s : float
        Time at work, pauses left out.
    decision_s : float or None
        Time for one decision of late; None before a few were made.
    """

    n_edits: int
    n_decisions: int
    worked_s: float
    decision_s: float | None


def pace_of(items: Sequence[HistoryItem]) -> Pace:
    """Tell the pace from the edits that count now.

    Parameters
    ----------
    items : sequence of HistoryItem
    """
    seconds = [min(item.seconds, PAUSE_S) for item in items]
    decided = [s for s, item in zip(seconds, items, strict=True) if item.decided is not None]
    recent = decided[-_RECENT:]
    return Pace(
        n_edits=len(items),
        n_decisions=len(decided),
        worked_s=sum(seconds),
        decision_s=median(recent) if len(recent) >= _FEWEST else None,
    )


def share_done(state: State) -> float:
    """Return the share of the segmented voxels that lie in segments marked as done."""
    table = state.segment_of
    sizes = np.where(table > 0, state.extents.size[: table.size], 0)
    total = int(sizes.sum())
    fragments = [state.members.of(segment) for segment in state.done]
    done = int(sizes[np.concatenate(fragments)].sum()) if fragments else 0
    return done / total if total else 0.0


def worth_deciding(scores: npt.NDArray[np.float64], share: float = _WORTH) -> int:
    """Return how many places hold a share of all that decisions are expected to mend.

    Parameters
    ----------
    scores : (n,) float64
        What each is worth, times how likely it is wrong; in any order.
    share : float

    Examples
    --------
    >>> worth_deciding(np.array([0.1, 8.0, 1.9]))
    1
    """
    best = np.sort(scores)[::-1].cumsum()
    if not best.size or best[-1] <= 0:
        return 0
    return int(np.searchsorted(best, share * best[-1] * (1 - 1e-12))) + 1


class TruthTable:
    """Which true object each fragment shares voxels with; scores follow in milliseconds.

    Parameters
    ----------
    fragments, truth : Volume
        (z, y, x) ids; where the truth is 0, or has no sections, nothing is known.
    sections : (first, stop), optional
    progress : Progress
        Called once per section.

    Raises
    ------
    InputError
        If sections differ in shape, or the truth is 0 everywhere.

    Examples
    --------
    >>> fragments = Volume(np.array([[[1, 1, 2, 2]]], np.uint32), kind="fragments")
    >>> truth = Volume(np.array([[[7, 7, 7, 7]]], np.uint32), kind="labels")
    >>> table = TruthTable(fragments, truth)
    >>> [table.scores(np.array(segment_of))["voi_split"] for segment_of in ([0, 5, 6], [0, 5, 5])]
    [1.0, 0.0]
    """

    def __init__(
        self,
        fragments: Volume,
        truth: Volume,
        sections: tuple[int, int] | None = None,
        *,
        progress: Progress = NO_PROGRESS,
    ) -> None:
        from napari_emseg.evaluation.contingency import ContingencyBuilder

        if fragments.shape[1:] != truth.shape[1:]:
            raise InputError("The ground truth is of another stack: choose one in step 4.")
        builder = ContingencyBuilder()
        first, stop = sections or (0, fragments.shape[0])
        stop = min(stop, fragments.shape[0], truth.shape[0])
        for z in range(first, stop):
            known = np.asarray(truth.data[z])
            if known.any():
                builder.add(np.asarray(fragments.data[z]), known)
            progress.update(z - first + 1, stop - first, "Comparing with the truth")
        self._pairs = builder.build()
        if not self._pairs.count.size:
            raise InputError("The ground truth is empty: there is nothing to compare with.")

    def scores(self, segment_of: npt.NDArray[np.integer]) -> dict[str, float]:
        """Return the scores of a table, as step 4 defines them.

        Parameters
        ----------
        segment_of : (F + 1,) integer

        Returns
        -------
        dict
            ``voi_split`` and ``voi_merge`` in bits, ``adapted_rand_error``.
        """
        from napari_emseg.evaluation.comparison import Comparison, MaskOverlap
        from napari_emseg.evaluation.metrics import adapted_rand_error, voi_merge, voi_split

        found = Comparison(self._regrouped(segment_of), MaskOverlap(), MaskOverlap())
        return {
            "voi_split": voi_split(found),
            "voi_merge": voi_merge(found),
            "adapted_rand_error": adapted_rand_error(found),
        }

    def _regrouped(self, segment_of: npt.NDArray[np.integer]) -> Contingency:
        from napari_emseg.evaluation.contingency import Contingency

        pairs = self._pairs
        segment = segment_of[pairs.segment.astype(np.int64)].astype(np.uint64)
        order = np.lexsort((pairs.truth, segment))
        segment, truth = segment[order], pairs.truth[order]
        is_first = np.ones(segment.size, bool)
        is_first[1:] = (segment[1:] != segment[:-1]) | (truth[1:] != truth[:-1])
        first = np.flatnonzero(is_first)
        return Contingency(segment[first], truth[first], np.add.reduceat(pairs.count[order], first))

"""How likely something is one cell: small classifiers that learn from decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.proofreading.evidence import FEATURES

Floats = npt.NDArray[np.float64]
Question = Literal["merge", "split", "jump"]

# In the order of FEATURES. Merges: learned from volumes with known neurons, see
# docs/proofreading.md; splits and jumps: set by hand, as few of those volumes' segments hold
# two cells.
PRIOR: dict[Question, tuple[float, ...]] = {
    "merge": (5.1, -1.1, -6.2, -1.5, 0.28, -0.56, 0.78, -0.73, -0.7, 0.04, 0.0),
    "split": (5.0, -7.4, 1.3, 0.47),
    "jump": (5.0, -0.7, -0.8, 0.0, 0.0),
}
_CERTAINTY, _CERTAINTY_OF_SHARE = 1.0, 0.1  # how many are wrong differs most between maps
_STEPS = 8


@dataclass(frozen=True)
class Lesson:
    """A decision, and what was to be seen.

    Attributes
    ----------
    question : {"merge", "split", "jump"}
    features : tuple of float
        As named in `FEATURES`.
    is_one_cell : bool
        The answer.
    """

    question: Question
    features: tuple[float, ...]
    is_one_cell: bool

    def as_json(self) -> list[Any]:
        """Return it as plain values, for the log."""
        return [self.question, list(self.features), self.is_one_cell]

    @classmethod
    def from_json(cls, found: Any) -> Lesson | None:
        """Return what :meth:`as_json` gave; None where it is of another version."""
        try:
            question, features, is_one_cell = found
            lesson = cls(question, tuple(float(v) for v in features), bool(is_one_cell))
        except (TypeError, ValueError):
            return None
        fits = question in PRIOR and len(lesson.features) == len(FEATURES[lesson.question])
        return lesson if fits and bool(np.isfinite(lesson.features).all()) else None


class Belief:
    """Logistic regressions around what is known beforehand, refitted after each decision.

    Parameters
    ----------
    prior : mapping, optional
        Weights for each question, in the order of `FEATURES`.
    lessons : sequence of Lesson
        What was learned already.

    Examples
    --------
    >>> belief = Belief()
    >>> seen = (1, 0.1, 0.1, 2, 3, 4, 0.5, 0.2, 0, 0, 0)
    >>> before = belief.probability("merge", np.array([seen]))[0]
    >>> belief.learn(*[Lesson("merge", seen, False)] * 5)
    >>> bool(belief.probability("merge", np.array([seen]))[0] < before)
    True
    """

    def __init__(
        self,
        prior: Mapping[Question, Sequence[float]] = PRIOR,
        lessons: Sequence[Lesson] = (),
    ) -> None:
        self._prior = {question: np.array(weights, float) for question, weights in prior.items()}
        self._weights = dict(self._prior)
        self._lessons: list[Lesson] = []
        if lessons:
            self.learn(*lessons)

    @property
    def n_learned(self) -> int:
        """How many decisions it has learned from."""
        return len(self._lessons)

    def weights(self, question: Question) -> Floats:
        """Return what each feature counts now."""
        return self._weights[question].copy()

    def probability(self, question: Question, features: Floats) -> Floats:
        """Return how likely each is one cell.

        Parameters
        ----------
        question : {"merge", "split", "jump"}
        features : (n, k) float64
            As named in `FEATURES`.

        Returns
        -------
        (n,) float64
        """
        return _logistic(features @ self._weights[question])

    def learn(self, *lessons: Lesson) -> None:
        """Learn from decisions."""
        self._lessons += lessons
        for question in dict.fromkeys(lesson.question for lesson in lessons):
            known = [lesson for lesson in self._lessons if lesson.question == question]
            x = np.array([lesson.features for lesson in known])
            y = np.array([lesson.is_one_cell for lesson in known], np.float64)
            # Set at once: another thread may be judging by them.
            self._weights[question] = _fit(x, y, self._prior[question], self._weights[question])


def _fit(x: Floats, y: Floats, prior: Floats, start: Floats) -> Floats:
    """Return the weights of highest probability, by Newton's method."""
    weights = start.copy()
    certainty = np.full(weights.size, _CERTAINTY)
    certainty[0] = _CERTAINTY_OF_SHARE
    for _ in range(_STEPS):
        p = _logistic(x @ weights)
        slope = x.T @ (y - p) - certainty * (weights - prior)
        curvature = (x.T * (p * (1 - p))) @ x + np.diag(certainty)
        step = np.linalg.solve(curvature, slope)
        weights += step / max(1.0, float(np.abs(step).max()))  # never leaps away
    return weights


def _logistic(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))

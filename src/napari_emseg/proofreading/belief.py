"""How likely two segments are one cell: a small classifier that learns from decisions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FEATURES = ("bias", "wall", "log10_faces", "log10_smaller", "compactness", "ends_inside")
# Milder than what fits gala_fib train (20, -23, -1.3, 0.4, 0.2, 0.8), whose map is very sure
# of itself; decisions move it to what holds for the map at hand.
_PRIOR = np.array([5.0, -8.0, 0.0, 0.2, 0.2, 0.5])
_CERTAINTY = np.array([0.3, 0.1, 1.0, 1.0, 1.0, 1.0])
_STEPS = 8


class Belief:
    """Logistic regression around what is known beforehand, refitted after each decision.

    Examples
    --------
    >>> belief = Belief()
    >>> thin = np.array([[1, 0.1, 2, 3, 0.5, 0]])
    >>> before = belief.probability(thin)[0]
    >>> belief.learn(np.repeat(thin, 5, axis=0), [False] * 5)
    >>> bool(belief.probability(thin)[0] < before)
    True
    """

    def __init__(self) -> None:
        self._weights = _PRIOR.copy()
        self._seen: list[Floats] = []
        self._answers: list[bool] = []

    @property
    def n_learned(self) -> int:
        """How many decisions it has learned from."""
        return len(self._answers)

    def probability(self, features: Floats) -> Floats:
        """Return how likely each contact is inside one cell.

        Parameters
        ----------
        features : (n, 6) float64
            As named in `FEATURES`.

        Returns
        -------
        (n,) float64
        """
        return _logistic(features @ self._weights)

    def learn(self, features: Floats, answers: Sequence[bool]) -> None:
        """Learn from decisions: maximum a posteriori by Newton's method.

        Parameters
        ----------
        features : (n, 6) float64
        answers : sequence of bool
            Whether they are one cell.
        """
        self._seen += list(np.asarray(features, np.float64))
        self._answers += [bool(a) for a in answers]
        x, y = np.array(self._seen), np.array(self._answers, np.float64)
        for _ in range(_STEPS):
            p = _logistic(x @ self._weights)
            slope = x.T @ (y - p) - _CERTAINTY * (self._weights - _PRIOR)
            curvature = (x.T * (p * (1 - p))) @ x + np.diag(_CERTAINTY)
            step = np.linalg.solve(curvature, slope)
            self._weights += step / max(1.0, float(np.abs(step).max()))  # never leaps away


def _logistic(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))

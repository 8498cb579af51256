"""Scores of a validation in one line: over all data sets, and by name."""

from __future__ import annotations

from collections.abc import Mapping

SCORE_NAMES = {"v_rand": "V_rand", "accuracy": "accuracy"}
"""What tells how good a model is, the best first, as people read it."""

Scores = Mapping[str, Mapping[str, float]]


def mean_scores(scores: Scores) -> dict[str, float]:
    """Return the mean of each score over the data sets that have it.

    Examples
    --------
    >>> mean_scores({"a": {"v_rand": 0.5, "h": 0.1}, "b": {"v_rand": 1.0}})
    {'v_rand': 0.75}
    """
    found = {key: [s[key] for s in scores.values() if key in s] for key in SCORE_NAMES}
    return {key: sum(values) / len(values) for key, values in found.items() if values}


def name_score(scores: Scores) -> str:
    """Name what the mean score is the mean of.

    Examples
    --------
    >>> name_score({"a": {"v_rand": 0.5}}), name_score({"a": {"accuracy": 0.5}})
    ('V_rand', 'accuracy')
    >>> name_score({"a": {"v_rand": 0.5}, "b": {"accuracy": 0.5}})
    'score'
    """
    found = mean_scores(scores)
    return SCORE_NAMES[next(iter(found))] if len(found) == 1 else "score"

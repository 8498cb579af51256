"""The ways to join basins, named for people: the same words in every list."""

from __future__ import annotations

GROUPING_NAMES = {
    "h_minima": "depth of basins (H-minima)",
    "mean_boundary": "mean wall",
    "quantile_boundary": "quantile of the wall",
    "multicut": "multicut",
    "greedy_additive": "multicut, greedy",
    "lifted_multicut": "lifted multicut",
    "mutex_watershed": "mutex watershed",
    "mean_affinity": "mean affinity",
    "zlateski_seung": "strongest affinity (Zlateski-Seung)",
    "linking": "overlap of sections",
}


def name_of(grouping: str) -> str:
    """Name a grouping as the list "Join by" does."""
    return GROUPING_NAMES.get(grouping, grouping.replace("_", " "))

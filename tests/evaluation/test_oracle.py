"""No cut is better than what the ground truth makes of the same fragments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.evaluation import evaluate
from napari_emseg.evaluation.contingency import ContingencyBuilder
from napari_emseg.evaluation.oracle import NAMES, score_oracle


def table_of(fragments: Any, truth: Any) -> Any:
    builder = ContingencyBuilder()
    builder.add(fragments, truth)
    return builder.build()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 5), st.booleans())
def test_it_scores_fragments_joined_by_their_largest_object(
    seed: int, n_fragments: int, n_objects: int, are_apart: bool
) -> None:
    rng = np.random.default_rng(seed)
    fragments = rng.integers(0, n_fragments + 1, (2, 6, 7))
    truth = rng.integers(0, n_objects + 1, (2, 6, 7))
    truth[0, 0] = 1
    joined = np.zeros_like(truth)
    for z in ([0], [1]) if are_apart else ([0, 1],):
        for fragment in np.unique(fragments[fragments > 0]):
            here = fragments[z] == fragment
            overlap = np.bincount(truth[z][here & (truth[z] > 0)])
            joined[z] = np.where(here, overlap.argmax() if overlap.size else 99, joined[z])
    kind: Any = "labels_2d" if are_apart else "labels"
    expected = evaluate(joined, truth, ground_truth_kind=kind, metrics=NAMES)
    tables = [table_of(fragments[z], truth[z]) for z in range(2)]
    found = score_oracle(tables, are_apart=are_apart)
    assert {name: found[name] for name in NAMES} == pytest.approx(expected)
    assert found["voi"] == pytest.approx(found["voi_split"] + found["voi_merge"])


def test_fragments_within_objects_lose_nothing() -> None:
    truth = np.repeat([1, 2, 3], 6)
    found = score_oracle([table_of(np.arange(18) // 2 + 1, truth)], are_apart=False)
    assert found["v_rand"] == 1
    assert found["voi"] == 0

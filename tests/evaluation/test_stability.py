"""The hint lies where nothing merges, and there is none where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.evaluation.stability import find_stable_range


def test_it_lies_between_noise_and_membranes() -> None:
    rng = np.random.default_rng(0)
    noise, membranes = rng.uniform(0, 0.1, 900), rng.uniform(0.5, 0.9, 100)
    heights = np.concatenate([noise, membranes, [np.inf]])
    rng.shuffle(heights)
    found = find_stable_range(heights, 1001)
    assert found is not None
    assert 0.08 < found.low < 0.11
    assert 0.5 < found.high < 0.56
    assert found.n_segments == 101


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.integers(0, 20),
    st.sampled_from([0.0, 0.1, 0.4]),
)
def test_no_more_than_the_share_allowed_vanishes(
    heights: list[float], extra: int, max_change: float
) -> None:
    n = len(heights) + 1 + extra
    found = find_stable_range(np.array(heights), n, max_change=max_change)
    if found is None:
        assert max(heights) <= 0.01
        return
    left = [n - int(np.sum(np.array(heights) <= h)) for h in (found.low, found.high)]
    assert left[0] * (1 - max_change) <= left[1] <= left[0]
    assert found.change == pytest.approx(1 - left[1] / left[0])
    assert found.n_segments == n - np.sum(np.array(heights) <= found.h)


def test_without_merges_there_is_no_hint() -> None:
    assert find_stable_range(np.array([np.inf, 0.0, 0.003]), 4) is None
    assert find_stable_range(np.zeros(0), 1) is None

"""Small maps on which everything can go wrong: plateaus, equal minima, thin shapes."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

LEVELS = 16  # values are multiples of 1/16, so that float arithmetic is exact

shapes = st.one_of(
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([(1, 1, 1), (1, 1, 30), (30, 1, 1), (2, 30, 1), (1, 12, 11), (6, 5, 4)]),
)


@st.composite
def maps(draw: st.DrawFn) -> np.ndarray:
    """(z, y, x) float32 with few distinct values, some sections constant."""
    shape = draw(shapes)
    top = draw(st.sampled_from([1, 2, 4, LEVELS]))
    grey = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, top)))
    if draw(st.booleans()):
        grey[draw(st.integers(0, shape[0] - 1))] = draw(st.integers(0, top))
    return (grey / LEVELS).astype(np.float32)


thresholds = st.integers(0, LEVELS).map(lambda level: level / LEVELS)
modes = st.sampled_from(["2d", "3d"])

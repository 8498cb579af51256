from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.blocks import iter_blocks

_sides = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(0, 3)), max_size=3)


@settings(max_examples=60, deadline=None)
@given(sides=_sides.filter(len))
def test_inner_blocks_tile_and_outer_blocks_hold_them(sides: list[tuple[int, int, int]]) -> None:
    shape, block_shape, halo = zip(*sides, strict=True)
    volume = np.arange(np.prod(shape)).reshape(shape)
    visits = np.zeros(shape, int)
    for block in iter_blocks(shape, block_shape, halo):
        visits[block.inner] += 1
        np.testing.assert_array_equal(
            volume[block.outer][block.inner_in_outer], volume[block.inner]
        )
        for inner, outer, size, margin in zip(block.inner, block.outer, shape, halo, strict=True):
            assert outer.start == max(0, inner.start - margin)
            assert outer.stop == min(size, inner.stop + margin)
    assert (visits == 1).all()


def test_the_last_axis_is_fastest() -> None:
    starts = [tuple(s.start for s in b.inner) for b in iter_blocks((4, 4), (2, 2), (0, 0))]
    assert starts == [(0, 0), (0, 2), (2, 0), (2, 2)]


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError):
        list(iter_blocks((4, 4), (2,), (0, 0)))

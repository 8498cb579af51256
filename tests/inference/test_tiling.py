"""Blocks tile the section, and each starts where the network pools."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.inference.tiling import add_rim, choose_block_shape, iter_section_blocks

SIZES = st.integers(1, 200)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(SIZES, SIZES),
    block=st.tuples(SIZES, SIZES),
    field=st.sampled_from([7, 21, 217]),
    multiple=st.sampled_from([1, 2, 16, 64]),
)
def test_blocks_see_what_they_need_and_keep_the_phase(
    shape: tuple[int, int], block: tuple[int, int], field: int, multiple: int
) -> None:
    section = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(1, *shape)
    rimmed = add_rim(section, multiple)
    rebuilt = np.full(shape, -1, np.float32)
    for part in iter_section_blocks(shape, block, (field, field), multiple):
        pixels = rimmed[0][part.outer]
        for outer, local, size in zip(
            part.outer, part.inner_in_outer, rimmed[0].shape, strict=True
        ):
            assert outer.start % multiple == outer.stop % multiple == 0
            assert local.start >= field // 2 or outer.start == 0
            assert outer.stop - outer.start - local.stop >= field // 2 or outer.stop == size
        assert (rebuilt[part.inner] == -1).all()
        rebuilt[part.inner] = pixels[part.inner_in_outer]
    np.testing.assert_array_equal(rebuilt, section[0])


@settings(max_examples=30, deadline=None)
@given(shape=st.tuples(SIZES, SIZES), multiple=st.sampled_from([1, 2, 16, 64]))
def test_the_rim_mirrors_sections_of_any_size(shape: tuple[int, int], multiple: int) -> None:
    rimmed = add_rim(np.random.default_rng(0).random((1, *shape), np.float32), multiple)
    assert all(size % multiple == 0 for size in rimmed.shape[1:])
    assert all(size >= n + 32 for size, n in zip(rimmed.shape[1:], shape, strict=True))


def test_the_block_shrinks_until_it_fits() -> None:
    y, x = choose_block_shape((5000, 900), (217, 217), 448, 2**28)
    assert (y + 217) * (x + 217) * 448 <= 2**28
    assert choose_block_shape((5000, 900), (217, 217), 448, 0) <= (64, 64)

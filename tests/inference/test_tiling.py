"""Blocks tile the section, and each starts where the network pools."""

from __future__ import annotations

from typing import cast

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.inference.tiling import SectionTiling, choose_block_shape
from napari_emseg.networks.base import Network

SIZES = st.integers(1, 200)


class Sizes:
    """What a tiling needs to know of a network."""

    def __init__(self, field: int, multiple: int, margin: int = 0, remainder: int = 0) -> None:
        self.receptive_field_px = (1, field, field)
        self.size_multiple_px = multiple
        self.margin_px = margin
        self.valid_remainder_px = remainder


def tile(sizes: Sizes, shape: tuple[int, int]) -> SectionTiling:
    return SectionTiling(cast(Network, sizes), shape)


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
    tiling = tile(Sizes(field, multiple), shape)
    rimmed = tiling.add_rim(section)
    assert rimmed.shape[1:] == tiling.rimmed_shape_px
    rebuilt = np.full(shape, -1, np.float32)
    for part in tiling.iter_blocks(block):
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


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(SIZES, SIZES),
    block=st.tuples(SIZES, SIZES),
    sizes=st.sampled_from([(95, 1, 47, 0), (215, 16, 92, 12), (47, 4, 20, 0)]),
)
def test_without_padding_each_block_brings_its_surroundings(
    shape: tuple[int, int], block: tuple[int, int], sizes: tuple[int, int, int, int]
) -> None:
    field, multiple, margin, remainder = sizes
    section = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(1, *shape)
    tiling = tile(Sizes(*sizes), shape)
    rimmed = tiling.add_rim(section)[0]
    rebuilt = np.full(shape, -1, np.float32)
    for part in tiling.iter_blocks(block):
        valid = rimmed[part.outer][margin:-margin, margin:-margin]
        for outer, local, size in zip(part.outer, part.inner_in_outer, rimmed.shape, strict=True):
            assert outer.start % multiple == 0
            assert (outer.stop - outer.start) % multiple == remainder
            assert local.start >= 0
            seen_after = outer.stop - outer.start - margin - local.stop
            assert seen_after >= field // 2 or outer.stop == size
        rebuilt[part.inner] = valid[part.inner_in_outer]
    np.testing.assert_array_equal(rebuilt, section[0])


@settings(max_examples=30, deadline=None)
@given(shape=st.tuples(SIZES, SIZES), multiple=st.sampled_from([1, 2, 16, 64]))
def test_the_rim_mirrors_sections_of_any_size(shape: tuple[int, int], multiple: int) -> None:
    section = np.random.default_rng(0).random((1, *shape), np.float32)
    rimmed = tile(Sizes(7, multiple), shape).add_rim(section)
    assert all(size % multiple == 0 for size in rimmed.shape[1:])
    assert all(size >= n + 32 for size, n in zip(rimmed.shape[1:], shape, strict=True))


def test_the_block_shrinks_until_it_fits() -> None:
    y, x = choose_block_shape((5000, 900), (217, 217), 448, 2**28)
    assert (y + 217) * (x + 217) * 448 <= 2**28
    assert choose_block_shape((5000, 900), (217, 217), 448, 0) <= (64, 64)

"""Blocks of a volume cover it once, with weights that sum to one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.inference.grid import Sizes, mirrored_index, plan_grid
from napari_emseg.networks.base import Network

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 300), st.integers(1, 300))


def network(field: Sizes, multiple: tuple[int, int], offsets: tuple[Sizes, ...] = ()) -> Network:
    sizes = SimpleNamespace(
        receptive_field_px=field,
        size_multiple_sections=multiple[0],
        size_multiple_px=multiple[1],
        offsets=offsets,
    )
    return cast(Network, sizes)


NETWORKS = st.sampled_from(
    [
        network((29, 317, 317), (1, 16), ((-4, 0, 0), (0, -27, 0))),
        network((103, 103, 103), (8, 8)),
        network((3, 5, 5), (1, 1)),
    ]
)


@settings(max_examples=80, deadline=None)
@given(
    shape=SIZES,
    some=NETWORKS,
    most=st.sampled_from([10**9, 2_000_000, 500_000]),
    largest=st.none() | SIZES,
    turned=st.booleans(),
)
def test_every_voxel_gets_a_whole_share_from_blocks_that_fit(
    shape: Sizes, some: Network, most: int, largest: Sizes | None, turned: bool
) -> None:
    grid = plan_grid(shape, some, most_voxels=most, largest=largest, turned=turned)
    assert grid is not None
    voxels = 1
    for axis, size in enumerate(shape):
        share = np.zeros(size)
        total = grid.rim[axis] * 2 + -(-size // grid.multiple[axis]) * grid.multiple[axis]
        longest = 0
        for span in grid.spans(axis):
            share[span.used] += 1 if span.weight is None else span.weight
            local = span.used_in_outer
            assert span.outer.start + local.start - grid.rim[axis] == span.used.start
            assert span.outer.start % grid.multiple[axis] == 0
            assert (span.outer.stop - span.outer.start) % grid.multiple[axis] == 0
            assert 0 <= span.outer.start < span.outer.stop <= total
            reach = grid.halo[axis] - grid.overlap[axis]
            assert local.start >= reach or span.outer.start == 0
            assert (
                span.outer.stop - span.outer.start - local.stop >= reach or span.outer.stop == total
            )
            longest = max(longest, span.outer.stop - span.outer.start)
        np.testing.assert_allclose(share, 1, atol=1e-6)
        voxels *= longest
    assert voxels <= grid.voxels <= most


def test_a_small_volume_is_one_block_and_a_large_one_brings_what_memory_allows() -> None:
    some = network((29, 317, 317), (1, 16))
    small = plan_grid((20, 200, 200), some, most_voxels=4_000_000)
    large = plan_grid((100, 2048, 2048), some, most_voxels=4_000_000)
    huge = plan_grid((100, 2048, 2048), some, most_voxels=400_000_000)
    assert small is not None
    assert small.is_whole
    assert huge is not None
    assert huge.overlap == (0, 0, 0), "blocks that see everything need no blending"
    assert large is not None
    assert 0 < large.overlap[1] < large.halo[1] < 317 // 2
    assert large.new_share >= 0.2


def test_too_little_memory_is_told() -> None:
    assert plan_grid((9, 99, 99), network((103, 103, 103), (8, 8)), most_voxels=1000) is None


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 9), before=st.integers(0, 30), after=st.integers(0, 30))
def test_the_mirror_is_that_of_numpy(size: int, before: int, after: int) -> None:
    expected = np.pad(np.arange(size), (before, after), mode="reflect")
    assert mirrored_index(range(-before, size + after), size) == expected.tolist()

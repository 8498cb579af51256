"""Tiles together give every voxel once, each from far enough inside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.errors import InputError
from napari_emseg.inference.bioimageio.geometry import Axis, has_square_tiles, plan_tiles
from napari_emseg.networks.bioimageio_model import Sizes

AXES = st.builds(
    lambda least, step, margin, halo: Axis(
        Sizes(max(least, 2 * (margin + halo) + 1), step), margin, halo
    ),
    st.integers(1, 40),
    st.sampled_from([0, 1, 2, 8, 9]),
    st.integers(0, 5),
    st.integers(0, 9),
)


@settings(deadline=None, max_examples=200)
@given(AXES, st.integers(1, 90), st.integers(1, 60))
def test_every_voxel_is_given_once_from_inside(axis: Axis, size: int, largest: int) -> None:
    one = Axis(Sizes(1, 1))
    grid = plan_tiles((1, 1, size), (one, one, axis), most_voxels=10**9, largest=(1, 1, largest))
    assert grid is not None
    given_by = np.zeros(size, int)
    for span in grid.spans(2):
        tile = span.outer.stop - span.outer.start
        assert tile == axis.sizes.at_least(tile) == axis.sizes.at_most(tile)
        given_by[span.used] += 1
        # the tile starts at a multiple of the step, as does the volume
        assert (span.outer.start - grid.rim[2]) % axis.step == -axis.lead % axis.step
        # what is used of the output is what it is for, and no nearer to its end than the halo
        first = span.outer.start - grid.rim[2] + axis.margin
        assert span.used_in_outer.start == span.used.start - first
        assert span.used_in_outer.start >= axis.halo
        assert span.used_in_outer.stop <= tile - 2 * axis.margin - axis.halo
    assert (given_by == 1).all()


@settings(deadline=None, max_examples=100)
@given(AXES, AXES, st.integers(1, 60), st.integers(1, 60), st.integers(100, 20_000))
def test_tiles_fit_into_memory_or_there_are_none(
    y: Axis, x: Axis, rows: int, columns: int, most: int
) -> None:
    grid = plan_tiles((1, rows, columns), (Axis(Sizes(1, 1)), y, x), most_voxels=most)
    smallest = y.tile_for(1) * x.tile_for(1)
    if grid is None:
        assert smallest > most
    else:
        assert grid.voxels <= most


def test_the_sizes_of_the_shrimp() -> None:
    axes = (Axis(Sizes(16, 8), 0, 4), Axis(Sizes(144, 72), 0, 36), Axis(Sizes(144, 72), 0, 36))
    grid = plan_tiles((125, 1250, 1250), axes, most_voxels=3_000_000)
    assert grid is not None
    assert [t % m for t, m in zip(grid.tile, (8, 72, 72), strict=True)] == [0, 0, 0]
    assert min(grid.block) > 0
    assert grid.voxels <= 3_000_000


def test_what_no_tile_can_keep_is_refused() -> None:
    fixed = Axis(Sizes(8), margin=0, halo=4)
    with pytest.raises(InputError, match="leaves nothing"):
        plan_tiles((1, 1, 5), (Axis(Sizes(1, 1)), Axis(Sizes(1, 1)), fixed), most_voxels=1000)
    assert has_square_tiles({"y": Sizes(64, 16), "x": Sizes(64, 16, "y")})
    assert not has_square_tiles({"y": Sizes(64, 16), "x": Sizes(64, 16)})
    with pytest.raises(InputError, match="depends on y"):
        has_square_tiles({"y": Sizes(64, 16), "x": Sizes(65, 16, "y")})


def test_square_tiles_are_square() -> None:
    side = Axis(Sizes(16, 8), 0, 2)
    grid = plan_tiles((1, 20, 90), (Axis(Sizes(1, 1)), side, side), most_voxels=2000, square=True)
    assert grid is not None
    assert grid.tile[1] == grid.tile[2]

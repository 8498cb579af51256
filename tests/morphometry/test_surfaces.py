"""Laws of surfaces: closed, where the voxels are, with the volume and area of what they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from napari_emseg.errors import InputError
from napari_emseg.morphometry.measures import area_nm2, euler_number, is_watertight, volume_nm3
from napari_emseg.morphometry.surfaces import Surface, factor_for, surface_of
from napari_emseg.morphometry.tiles import index_tiles

SIZE_NM = (40.0, 8.0, 6.0)


def make(labels: Any, segment: int, **options: Any) -> Surface:
    tiles = index_tiles(labels).of([segment])
    options = {"voxel_size_nm": SIZE_NM, **options}
    return surface_of(labels, segment, tiles, **options)


def ball(radius_nm: float, size_nm: Any) -> Any:
    n = [int(radius_nm / s) + 2 for s in size_nm]
    z, y, x = (s * np.arange(-m, m + 1) for s, m in zip(size_nm, n, strict=True))
    return z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius_nm**2


@pytest.mark.parametrize(
    ("size_nm", "tolerance"),
    [((40, 32, 32), 0.05), (SIZE_NM, 0.2)],  # sections leave steps, which have an area
)
def test_ball_has_its_volume_its_area_and_no_holes(size_nm: Any, tolerance: float) -> None:
    labels = np.where(ball(300, size_nm), 2**40 + 1, 9).astype(np.uint64)
    surface = make(labels, 2**40 + 1, voxel_size_nm=size_nm)
    assert volume_nm3(surface) == pytest.approx(4 / 3 * np.pi * 300**3, rel=0.02)
    assert area_nm2(surface) == pytest.approx(4 * np.pi * 300**2, rel=tolerance)
    assert is_watertight(surface)
    assert euler_number(surface) == 2


def test_box_is_where_its_voxels_are() -> None:
    labels = np.zeros((9, 40, 70), np.uint16)
    labels[2:6, 30:38, 20:66] = 5
    surface = make(labels, 5, offset_nm=(1000, 200, -50), smooth_rounds=0)
    low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
    size = np.array(SIZE_NM)
    np.testing.assert_allclose(low, (np.array([2, 30, 20]) - 0.5) * size + (1000, 200, -50))
    np.testing.assert_allclose(high, (np.array([5, 37, 65]) + 0.5) * size + (1000, 200, -50))
    assert volume_nm3(surface) == pytest.approx(4 * 8 * 46 * size.prod(), rel=0.06)  # cut edges


def test_ring_has_a_hole() -> None:
    labels = np.zeros((3, 40, 40), np.int32)
    labels[:, 5:36, 5:36] = 3
    labels[:, 15:20, 15:35] = 0
    labels[:, 33:, 33:] = 8
    assert euler_number(make(labels, 3)) == 0


def test_segment_that_fills_the_volume_is_closed_at_its_rim() -> None:
    labels = np.full((2, 33, 64), 4, np.uint8)
    surface = make(labels, 4, smooth_rounds=0)
    assert is_watertight(surface)
    assert euler_number(surface) == 2
    assert surface.vertices.min() == pytest.approx(-20)


@pytest.mark.parametrize("segment", [0, 3, 2**31])
def test_what_is_not_there_has_an_empty_surface(segment: int) -> None:
    surface = make(np.full((2, 3, 4), 7, np.uint32), segment)
    assert surface.vertices.shape == (0, 3)
    assert surface.faces.shape == (0, 3)
    assert volume_nm3(surface) == 0


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    share=st.floats(0.02, 0.9),
    factor=st.sampled_from([(1, 1, 1), (1, 2, 2), (2, 4, 8), (32, 1, 32)]),
)
def test_any_voxels_are_held_watertight_across_tiles(
    seed: int, share: float, factor: tuple[int, int, int]
) -> None:
    random = np.random.default_rng(seed)
    labels = (random.random((33, 20, 35)) < share).astype(np.uint8)
    surface = make(labels, 1, factor=factor, smooth_rounds=0)
    assert is_watertight(surface)
    assert volume_nm3(surface) > 0


def test_few_voxels_at_the_corners_of_tiles_are_all_held() -> None:
    labels = np.zeros((96, 96, 96), np.uint16)
    places = [(31, 31, 32), (31, 32, 31), (32, 31, 31), (64, 31, 63), (63, 64, 64), (0, 0, 0)]
    for place in places:
        labels[place] = 3
    surface = make(labels, 3, smooth_rounds=0)
    assert surface.n_faces == 8 * len(places)
    assert volume_nm3(surface) == pytest.approx(len(places) * np.prod(SIZE_NM) / 6)


def test_surface_is_the_same_however_the_volume_is_cut_into_tiles() -> None:
    random = np.random.default_rng(3)
    labels = (random.random((20, 20, 20)) < 0.5).astype(np.uint8)
    moved = np.zeros((60, 60, 60), np.uint8)
    moved[25:45, 20:40, 30:50] = labels
    one, two = make(labels, 1), make(moved, 1, offset_nm=-np.array([25, 20, 30]) * SIZE_NM)
    far, _ = cKDTree(one.vertices).query(two.vertices)
    assert far.max() < 0.01
    assert one.vertices.shape == two.vertices.shape
    assert one.n_faces == two.n_faces


@pytest.mark.parametrize(("rounds", "gap_nm"), [(0, 0.001), (2, 3)])
def test_surfaces_of_two_segments_meet(rounds: int, gap_nm: float) -> None:
    y, x = np.ogrid[:30, :30]
    labels = np.where(np.arange(24)[:, None, None] < 9 + 0.2 * x - 0.1 * y, 1, 2).astype(np.uint8)
    one, two = (make(labels, k, smooth_rounds=rounds).vertices for k in (1, 2))
    size = np.array(SIZE_NM)
    inner = one[((one > 3 * size) & (one < np.array([20, 26, 26]) * size)).all(axis=1)]
    far, _ = cKDTree(two).query(inner)
    assert len(inner) > 100
    assert far.max() < gap_nm


def test_only_boxes_around_the_segment_are_read() -> None:
    class Watched:
        dtype = np.dtype(np.uint8)

        def __init__(self, data: Any) -> None:
            self.data, self.shape, self.n_read = data, data.shape, 0

        def __getitem__(self, key: Any) -> Any:
            found = self.data[key]
            self.n_read += found.size
            return found

    labels = np.zeros((64, 128, 128), np.uint8)
    labels[3:9, 100:120, 4:30] = 6
    tiles = index_tiles(labels).of([6])
    watched = Watched(labels)
    surface_of(watched, 6, tiles, voxel_size_nm=SIZE_NM)
    assert 0 < watched.n_read <= len(tiles) * 34**3


def test_edited_voxels_are_looked_for_where_the_edit_was() -> None:
    labels = np.zeros((64, 64, 64), np.uint32)
    labels[0] = 1
    index = index_tiles(labels)
    labels[40, 40, 40] = 9
    box = (slice(40, 41),) * 3
    assert index.of([9]).size == 0
    assert index.noting(box).of([9]).tolist() == [[1, 1, 1]]
    assert index.noting(box).of([9], box=(slice(0, 3),) * 3).size == 0
    assert index.of([9]).size == 0
    index.note(box)
    assert index.of([9]).tolist() == [[1, 1, 1]]


def test_coarser_voxels_come_closer_to_cubes_and_divide_the_tiles() -> None:
    assert factor_for(1000, (50, 4, 4), 50_000) == (2, 16, 16)
    assert max(factor_for(10**9, (50, 4, 4), 10)) <= 32
    with pytest.raises(InputError, match="1, 2, 4"):
        make(np.ones((2, 2, 2), np.uint8), 1, factor=(3, 1, 1))

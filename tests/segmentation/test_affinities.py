"""Affinities made of a boundary map, and what is asked of those that come from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.segmentation.strategies import maps

from napari_emseg.errors import InputError
from napari_emseg.progress import Cancelled
from napari_emseg.segmentation.affinities import (
    LONG_RANGE,
    LONG_RANGE_ISOTROPIC,
    NEAREST,
    affinities_from_boundary,
    boundary_from_nearest,
    line,
    open_affinities,
)
from napari_emseg.volume import Volume

steps = st.integers(-4, 4)
offsets = st.tuples(steps, steps, steps).filter(any)


@given(offsets)
def test_a_line_takes_one_step_at_a_time_from_end_to_end(offset):
    points = np.array(line(offset))
    assert points[0].tolist() == [0, 0, 0]
    assert tuple(points[-1]) == offset
    assert np.abs(np.diff(points, axis=0)).max() == 1
    assert np.abs(points - np.linspace(0, offset, len(points))).max() <= 0.5


@settings(deadline=None, max_examples=60)
@given(maps(), offsets, st.sampled_from(["max", "mean"]))
def test_affinity_is_one_minus_the_wall_on_the_line(boundary, offset, along):
    affinities = affinities_from_boundary(boundary, [offset], along=along).data[0]
    reduce = np.max if along == "max" else np.mean
    for here in np.ndindex(boundary.shape):
        points = [tuple(np.add(here, step)) for step in line(offset)]
        inside = all(0 <= i < n for i, n in zip(points[-1], boundary.shape, strict=True))
        expected = 1 - reduce([boundary[p] for p in points]) if inside else 0
        assert affinities[here] == pytest.approx(expected, abs=1e-6)


def test_8_bit_means_255ths():
    boundary = np.array([[[0, 255, 51, 51]]], np.uint8)
    affinities = affinities_from_boundary(boundary, [(0, 0, -1)], along="max").data
    assert np.allclose(affinities[0, 0, 0], [0, 0, 0, 0.8])


def test_offsets_and_geometry_travel_along():
    boundary = Volume(np.zeros((2, 3, 4), np.float32), kind="boundary", voxel_size_nm=(50, 4, 4))
    affinities = affinities_from_boundary(boundary, [*NEAREST, (0, -2, 0)])
    assert affinities.voxel_size_nm == (50, 4, 4)
    assert open_affinities(affinities).offsets == (*NEAREST, (0, -2, 0))


def test_channels_are_found_by_their_offset():
    affinities = np.zeros((4, 2, 2, 2), np.float32)
    affinities[3, 1] = 0.75
    reader = open_affinities(affinities, [(0, 0, -1), (0, -1, 0), (0, -2, 0), (-1, 0, 0)])
    assert reader.behind(1).tolist() == [[0.75, 0.75], [0.75, 0.75]]


def test_boundary_from_nearest_leaves_out_edges_that_are_not_there():
    affinities = np.full((3, 2, 2, 2), 0.5, np.float32)
    affinities[0, 0] = affinities[1, :, 0] = affinities[2, :, :, 0] = 9e-1
    boundary = [boundary_from_nearest(open_affinities(affinities), z) for z in range(2)]
    assert np.allclose(boundary, 0.5)  # the very first voxel, which has none, is like the next
    alone = open_affinities(affinities[:, :1, :1, :1])
    assert boundary_from_nearest(alone, 0) == 0


@pytest.mark.parametrize("known", [LONG_RANGE, LONG_RANGE_ISOTROPIC])
def test_the_long_range_offsets_are_not_the_nearest(known):
    assert len(set(known)) == len(known)
    assert not set(known) & set(NEAREST)


@pytest.mark.parametrize(
    ("affinities", "offsets", "words"),
    [
        (np.zeros((2, 1, 4, 4)), None, "2 channels, but affinities need three or more"),
        (np.zeros((1, 1, 4, 4)), None, "1 channel, .* without --affinities"),
        (np.zeros((3, 1, 4, 4)), [*NEAREST, (0, 0, -5)], "3 channels but 4 offsets"),
        ([[[[0.5, 0.5], [0.5]]]], None, "its rows differ in length"),
        (np.zeros((3, 1, 4, 4)), [(0, 0, -1)] * 3, "more than once"),
        (np.zeros((3, 1, 4, 4)), [(1, 0, 0), (0, 1, 0), (0, 0, 1)], "nearest neighbours"),
        (np.zeros((3, 1, 4, 4)), [(0, 0, 0)], "three whole numbers"),
        (Volume(np.zeros((1, 4, 4)), kind="boundary"), None, "affinities_from_boundary"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(affinities, offsets, words):
    with pytest.raises(InputError, match=words):
        open_affinities(affinities, offsets)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5, 255])
def test_values_outside_the_range_name_the_section(bad):
    affinities = np.zeros((3, 4, 5, 5), np.float32)
    affinities[1, 2, 3, 3] = bad
    with pytest.raises(InputError, match="Section 2"):
        open_affinities(affinities).nearest(2)


def test_stopping_stops():
    class Stop:
        def update(self, done, total, message=""):
            raise Cancelled

    with pytest.raises(Cancelled):
        affinities_from_boundary(np.zeros((2, 3, 3)), progress=Stop())

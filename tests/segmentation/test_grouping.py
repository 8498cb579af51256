"""What every grouping must keep to, and the words for what cannot be grouped."""

from __future__ import annotations

from typing import get_args

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.segmentation.strategies import maps, modes, thresholds
from tests.segmentation.test_hierarchy import StopAfter, is_coarsening, is_connected

from napari_emseg.errors import InputError
from napari_emseg.evaluation import score_curve
from napari_emseg.progress import Cancelled
from napari_emseg.segmentation import GROUPINGS, Hierarchy, build_hierarchy, build_section, group
from napari_emseg.segmentation.grouping import OWN_FRAGMENTS
from napari_emseg.steps.segment import Grouping

quick = settings(deadline=None, max_examples=25)
every_grouping = pytest.mark.parametrize("grouping", ["h_minima", *GROUPINGS])


def test_the_step_offers_all_of_them():
    assert get_args(Grouping) == ("h_minima", *GROUPINGS)


@every_grouping
class TestEveryGrouping:
    @quick
    @given(height=maps(), mode=modes, h=thresholds, size=st.integers(0, 20))
    def test_a_table_over_fragments_of_connected_segments(self, grouping, height, mode, h, size):
        flooded = build_hierarchy(height, sigma_px=0, mode=mode)
        grouped = group(flooded, height, grouping=grouping)
        table = grouped.cut(h, size).segment_of
        assert grouping in OWN_FRAGMENTS or grouped.n_fragments == flooded.n_fragments
        assert table.shape == (grouped.n_fragments + 1,)
        assert table.dtype == np.uint32
        assert table[0] == 0
        ids = np.unique(table[1:])
        assert ids[0] > 0
        assert np.array_equal(table[ids], ids)  # a segment has the id of one of its fragments
        assert is_connected(grouped.cut(h, size).to_volume().data, mode)

    @quick
    @given(height=maps(), mode=modes, h=thresholds, other_h=thresholds)
    def test_raising_the_threshold_of_a_hierarchy_only_merges(
        self, grouping, height, mode, h, other_h
    ):
        h, other_h = sorted((h, other_h))
        grouped = group(build_hierarchy(height, sigma_px=0, mode=mode), height, grouping=grouping)
        if isinstance(grouped, Hierarchy):
            low, high = grouped.cut(h).segment_of, grouped.cut(other_h).segment_of
            assert is_coarsening(low, high)
            assert np.array_equal(low[np.unique(high)], np.unique(high))

    @quick
    @given(height=maps(), mode=modes, h=thresholds, size=st.integers(2, 20))
    def test_min_size_leaves_none_small(self, grouping, height, mode, h, size):
        grouped = group(build_hierarchy(height, sigma_px=0, mode=mode), height, grouping=grouping)
        counts = np.bincount(grouped.cut(h, size).to_volume().data.ravel())
        at_most = height[0].size if mode == "2d" else height.size
        assert counts[counts > 0].min() >= min(size, at_most)

    @quick
    @given(height=maps(), h=thresholds, size=st.integers(0, 20))
    def test_a_section_depends_on_itself_only(self, grouping, height, h, size):
        grouped = group(build_hierarchy(height, sigma_px=0.7), height, grouping=grouping)
        whole = grouped.cut(h, size)
        for z in range(height.shape[0]):
            ids = list(grouped.section_ids(z))
            assert np.array_equal(grouped.cut_section(z, h, size)[ids], whole.segment_of[ids])
            alone = group(build_section(height[z], 0.7), height[z : z + 1], grouping=grouping)
            preview = alone.cut(h, size).to_volume()
            assert np.array_equal(preview.data[0] + (ids[0] - 1), whole.view()[z])

    @pytest.mark.parametrize("mode", ["2d", "3d"])
    @pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 8), (3, 9, 8)])
    def test_blank_sections_and_twice_the_same(self, grouping, mode, shape):
        height = np.random.default_rng(0).random(shape).astype(np.float32)
        height[0] = 0.5
        flooded = build_hierarchy(height, mode=mode)
        one, two = (group(flooded, height, grouping=grouping).cut(0.4, 3) for _ in range(2))
        assert np.array_equal(one.segment_of, two.segment_of)
        assert np.unique(one.view()[0]).size == 1 or mode == "3d"

    @pytest.mark.parametrize("mode", ["2d", "3d"])
    def test_bytes_and_floats_mean_the_same(self, grouping, mode):
        grey = np.random.default_rng(0).integers(0, 256, (3, 12, 11), np.uint8)
        flooded = build_hierarchy(grey, mode=mode)
        tables = [
            group(flooded, boundary, grouping=grouping).cut(0.5).segment_of
            for boundary in (grey, grey / np.float32(255))
        ]
        assert np.array_equal(*tables)

    @pytest.mark.parametrize("mode", ["2d", "3d"])
    def test_reads_back_what_was_written(self, grouping, mode, tmp_path):
        height = np.random.default_rng(0).random((3, 9, 8)).astype(np.float32)
        grouped = group(build_hierarchy(height, mode=mode), height, grouping=grouping)
        with h5py.File(tmp_path / "session.h5", "w") as file:
            grouped.write(file.create_group("hierarchy"))
            copy = type(grouped).read(file["hierarchy"])
        assert (copy.grouping, copy.mode) == (grouping, mode)
        assert np.array_equal(copy.cut(0.3, 4).segment_of, grouped.cut(0.3, 4).segment_of)

    @pytest.mark.parametrize("mode", ["2d", "3d"])
    def test_has_a_score_curve(self, grouping, mode):
        height = np.random.default_rng(0).random((3, 9, 8)).astype(np.float32)
        truth = np.random.default_rng(1).integers(0, 4, height.shape)
        grouped = group(build_hierarchy(height, mode=mode), height, grouping=grouping)
        curve = score_curve(grouped, truth)
        h, value = curve.best()
        again = score_curve(build_hierarchy(height, mode=mode), truth)
        assert curve.at(0)["v_rand"] > 0
        assert value <= 1
        assert again.h[0] == curve.h[0] == 0
        assert 0 <= h <= 1


def test_a_wide_weak_wall_falls_before_a_narrow_gap_in_a_strong_one():
    """H-minima sees the gap only, the mean wall does not."""
    rooms = np.zeros((1, 9, 11), np.float32)
    rooms[0, :, 3] = 0.9
    rooms[0, 4, 3] = 0.1
    rooms[0, :, 7] = 0.4
    flooded = build_hierarchy(rooms, sigma_px=0)
    walls = group(flooded, rooms, grouping="mean_boundary")
    for hierarchy, together in ((flooded, (0, 5)), (walls, (5, 9))):
        labels = hierarchy.cut(0.3).view()[0, 0]
        assert labels[together[0]] == labels[together[1]]
        assert labels[0] != labels[9]


def test_what_cannot_be_grouped_is_refused_in_words():
    boundary = np.zeros((2, 5, 6), np.float32)
    flooded = build_hierarchy(boundary)
    with pytest.raises(InputError, match=r"no grouping named 'best'; choose one of: .*mean_bound"):
        group(flooded, boundary, grouping="best")
    with pytest.raises(InputError, match="the map that they were made from"):
        group(flooded, boundary[:1])
    with pytest.raises(InputError, match="by mean_boundary already"):
        group(group(flooded, boundary), boundary)


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_stops_when_asked(mode):
    boundary = np.zeros((5, 4, 3), np.float32)
    flooded = build_hierarchy(boundary, mode=mode)
    group(flooded, boundary, progress=StopAfter(100))
    for n_calls in (0, 3):
        with pytest.raises(Cancelled):
            group(flooded, boundary, progress=StopAfter(n_calls))


def test_walls_between_neurons_separate_them_better_than_depth(fib_boundary, fib_neurons):
    flooded = build_hierarchy(fib_boundary, mode="3d", sigma_px=1)
    walls = group(flooded, fib_boundary)
    scores = [score_curve(each, fib_neurons).best("v_rand")[1] for each in (flooded, walls)]
    assert scores[1] > scores[0]

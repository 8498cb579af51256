"""The mutex watershed of the library against the algorithm as it is printed."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.segmentation.literal_affinities import literal_mutex_watershed

from napari_emseg.errors import InputError
from napari_emseg.evaluation import score_curve
from napari_emseg.progress import Cancelled
from napari_emseg.segmentation import Partitions
from napari_emseg.segmentation.affinities import NEAREST, affinities_from_boundary
from napari_emseg.segmentation.mutex import common_fragments, mutex_labels, mutex_watershed

FAR = ((0, 0, -3), (0, -2, 2), (-2, 0, 0), (-1, 1, 1))
OFFSETS = (*NEAREST, *FAR)


def random_affinities(shape: tuple[int, ...], seed: int, n_channels: int = 7) -> np.ndarray:
    """(c, *shape) float32; no two edges are equally sure."""
    random = np.random.default_rng(seed)
    n = n_channels * int(np.prod(shape))
    values = (random.permutation(n) + 0.27) / n  # with 0.5, v and 1 - v' may be equal
    return values.reshape(n_channels, *shape).astype(np.float32)


def same_partition(one: np.ndarray, two: np.ndarray) -> bool:
    pairs = np.unique(np.stack([one.ravel(), two.ravel()]), axis=1).shape[1]
    return pairs == np.unique(one).size == np.unique(two).size


def literal(affinities: np.ndarray, offsets, threshold: float, strides=(1, 1, 1)) -> np.ndarray:
    shape = affinities.shape[1:]
    attractive, repulsive = [], []
    for channel, offset in enumerate(offsets):
        for here in np.ndindex(shape):
            there = tuple(np.add(here, offset))
            if not all(0 <= i < n for i, n in zip(there, shape, strict=True)):
                continue
            i, j = (int(np.ravel_multi_index(p, shape)) for p in (here, there))
            value = float(affinities[(channel, *here)])
            if offset in NEAREST:
                attractive.append((i, j, value + 2 * threshold - 1))
            elif not any(i % s for i, s in zip(here, strides, strict=True)):
                repulsive.append((i, j, 1 - value))
    n = int(np.prod(shape))
    return np.array(literal_mutex_watershed(attractive, repulsive, n)).reshape(shape)


@settings(deadline=None, max_examples=25)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6)),
    st.integers(0, 999),
    st.sampled_from([0.3, 0.5, 0.7]),
    st.sampled_from([(1, 1, 1), (1, 2, 2)]),
)
def test_labels_are_those_of_the_printed_algorithm(shape, seed, threshold, strides):
    affinities = random_affinities(shape, seed)
    labels = mutex_labels(affinities, OFFSETS, threshold=threshold, strides=strides)
    assert same_partition(labels, literal(affinities, OFFSETS, threshold, strides))
    assert np.array_equal(np.unique(labels), np.arange(1, labels.max() + 1))


def test_channels_may_come_in_any_order():
    affinities = random_affinities((2, 5, 6), 3)
    order = [5, 2, 0, 6, 1, 3, 4]
    shuffled = mutex_labels(affinities[order], [OFFSETS[channel] for channel in order])
    assert same_partition(shuffled, mutex_labels(affinities, OFFSETS))


def test_the_affinities_given_stay_as_they_are():
    affinities = random_affinities((1, 4, 4), 0)
    before = affinities.copy()
    mutex_labels(affinities, OFFSETS, threshold=0.8)
    assert np.array_equal(affinities, before)


def test_a_wall_with_a_gap_is_closed_by_what_is_seen_across_it():
    boundary = np.zeros((1, 9, 11), np.float32)
    boundary[0, :, 5] = 0.9
    boundary[0, 4, 5] = 0.3  # leaks in the watershed
    affinities = affinities_from_boundary(boundary, (*NEAREST, (0, 0, -4)), along="max")
    partitions = mutex_watershed(affinities, thresholds=[0.5, 1.0])
    fragments, tables = partitions.fragments.data, partitions.tables
    left, right = fragments[0, :, :5], fragments[0, :, 6:]
    assert not set(tables[0, left.ravel()]) & set(tables[0, right.ravel()])
    assert np.unique(tables[1, 1:]).size == 1


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_tables_say_what_each_threshold_gives(mode):
    affinities = random_affinities((3, 6, 7), 5)
    thresholds = (0.2, 0.5, 0.8)
    partitions = mutex_watershed(affinities, thresholds=thresholds, mode=mode, offsets=OFFSETS)
    fragments, tables = partitions.fragments.data, partitions.tables
    assert np.array_equal(np.unique(fragments), np.arange(1, tables.shape[1]))
    in_plane = [c for c, (dz, _, _) in enumerate(OFFSETS) if dz == 0 or c == 0]
    for table, threshold in zip(tables, thresholds, strict=True):
        segments = table[fragments]
        assert np.array_equal(table[table], table)  # an id is that of a fragment in it
        if mode == "3d":
            expected = mutex_labels(affinities, OFFSETS, threshold=threshold)
            assert same_partition(segments, expected)
            continue
        for z in range(3):
            alone = mutex_labels(
                affinities[in_plane, z : z + 1], [OFFSETS[c] for c in in_plane], threshold=threshold
            )
            assert same_partition(segments[z], alone)
            assert set(np.unique(fragments[z])) == set(partitions.section_ids(z))


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_partitions_are_cut_scored_and_stored_like_any(mode, tmp_path):
    affinities = random_affinities((3, 6, 7), 5)
    partitions = mutex_watershed(affinities, thresholds=(0.3, 0.6), mode=mode, offsets=OFFSETS)
    sizes = np.bincount(partitions.cut(0.3, 5).to_volume().data.ravel())
    assert sizes[sizes > 0].min() >= 5
    curve = score_curve(partitions, np.ones((3, 6, 7), np.uint32))
    assert curve.h.tolist() == pytest.approx([0, 0.45])
    with h5py.File(tmp_path / "session.h5", "w") as file:
        partitions.write(file.create_group("partitions"))
        again = Partitions.read(file["partitions"])
    assert np.array_equal(again.cut(0.6, 3).segment_of, partitions.cut(0.6, 3).segment_of)


def test_fragments_are_connected_and_shared():
    one = np.array([[[1, 1, 1, 2, 1]]])
    two = np.array([[[1, 2, 2, 2, 2]]])
    fragments, tables = common_fragments([one, two])
    assert fragments.tolist() == [[[1, 2, 2, 3, 4]]]
    assert tables.tolist() == [[0, 1, 1, 3, 1], [0, 1, 2, 2, 2]]


def test_nearest_edges_alone_are_not_enough():
    with pytest.raises(InputError, match="long-range"):
        mutex_watershed(np.zeros((3, 2, 4, 4), np.float32))
    with pytest.raises(InputError, match="long-range"):
        mutex_watershed(
            np.zeros((4, 2, 4, 4), np.float32), offsets=[*NEAREST, (-2, 0, 0)], mode="2d"
        )


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_stopping_stops(mode):
    class Stop:
        def update(self, done, total, message=""):
            raise Cancelled

    with pytest.raises(Cancelled):
        mutex_watershed(
            random_affinities((2, 4, 4), 0), offsets=OFFSETS, mode=mode, progress=Stop()
        )

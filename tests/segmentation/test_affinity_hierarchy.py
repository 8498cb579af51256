"""The affinity watershed against its definition, and the hierarchies built on it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.segmentation.literal_affinities import (
    grid_edges,
    literal_merging,
    steepest_edges,
    strong_components,
)
from tests.segmentation.strategies import LEVELS, shapes

from napari_emseg.errors import InputError
from napari_emseg.progress import Cancelled
from napari_emseg.segmentation import Hierarchy, build_hierarchy, group
from napari_emseg.segmentation.affinities import affinities_from_boundary, open_affinities
from napari_emseg.segmentation.affinity_hierarchy import build_affinity_hierarchy
from napari_emseg.segmentation.affinity_watershed import find_affinity_basins
from napari_emseg.segmentation.small_regions import PRESETS, Thresholds
from napari_emseg.volume import Volume

quick = settings(deadline=None, max_examples=40)
groupings = pytest.mark.parametrize("grouping", ["mean_affinity", "zlateski_seung"])


@st.composite
def affinity_maps(draw: st.DrawFn) -> np.ndarray:
    """(3, z, y, x) float32 with few distinct values, so with plateaus."""
    top = draw(st.sampled_from([1, 3, LEVELS]))
    grey = draw(hnp.arrays(np.uint8, (3, *draw(shapes)), elements=st.integers(0, top)))
    return (grey / LEVELS).astype(np.float32)


def random_affinities(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """(3, *shape) float32 in which no two values are equal."""
    n = 3 * int(np.prod(shape))
    order = np.random.default_rng(seed).permutation(n)
    return ((order + 1) / (n + 1)).astype(np.float32).reshape(3, *shape)


def flood(affinities: np.ndarray, low: float, high: float) -> tuple[np.ndarray, int]:
    labels = np.empty(affinities.shape[1:], np.uint32)
    return labels, find_affinity_basins(open_affinities(affinities), labels, low=low, high=high)


def same_partition(one: np.ndarray, two: np.ndarray) -> bool:
    pairs = np.unique(np.stack([one.ravel(), two.ravel()]), axis=1).shape[1]
    return pairs == np.unique(one).size == np.unique(two).size


# The watershed


@quick
@given(affinity_maps(), st.sampled_from([0, 2]), st.sampled_from([3, 9, 99]))
def test_every_basin_is_what_flows_into_one_plateau(affinities, low, high):
    low, high = low / LEVELS, high / LEVELS
    labels, n_basins = flood(affinities, low, high)
    edges = steepest_edges(affinities, low, high)
    flat = labels.reshape(-1)
    moving = np.unique([p for p, _ in edges]).astype(int)
    assert np.array_equal(np.flatnonzero(flat), moving)
    component, is_final = strong_components(edges, flat.size)
    final = {c for c in component[moving] if is_final[c]}
    assert n_basins == len(final) == flat.max()
    basin_of = {component[p]: flat[p] for p in moving if component[p] in final}
    assert sorted(basin_of.values()) == list(range(1, n_basins + 1))
    for p in moving:  # a way up inside the basin, so the basin is connected too
        if component[p] not in final:
            assert any(flat[q] == flat[p] for one, q in edges if one == p)
        else:
            assert flat[p] == basin_of[component[p]]


def test_a_plateau_is_divided_in_the_middle():
    affinities = np.zeros((3, 1, 1, 9), np.float32)
    affinities[2, 0, 0, 1:] = [0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.9]
    labels, _ = flood(affinities, 0, 1)
    assert labels[0, 0, :4].tolist() == [1] * 4
    assert labels[0, 0, 5:].tolist() == [2] * 4


def test_high_edges_join_and_low_ones_do_not_exist():
    affinities = np.zeros((3, 1, 1, 6), np.float32)
    affinities[2, 0, 0, 1:] = [0.95, 0.5, 0.99, 0.2, 0.1]
    assert flood(affinities, 0, 1)[0].tolist() == [[[1, 1, 2, 2, 2, 2]]]
    assert flood(affinities, 0, 0.5)[0].tolist() == [[[1, 1, 1, 1, 1, 1]]]
    assert flood(affinities, 0.15, 1)[0].tolist() == [[[1, 1, 2, 2, 2, 0]]]


@pytest.mark.parametrize(("low", "high"), [(0.0001, 0.9999), (0.3, 0.9), (0.6, 0.8)])
def test_same_partition_as_waterz(low, high, capfd):
    waterz = pytest.importorskip("waterz")
    affinities = random_affinities((5, 17, 23))
    labels, _ = flood(affinities, low, high)
    theirs = next(
        waterz.agglomerate(affinities.copy(), [0.0], aff_threshold_low=low, aff_threshold_high=high)
    )
    assert same_partition(labels, theirs)
    assert np.array_equal(labels == 0, theirs == 0)


@pytest.mark.parametrize("threshold", [0.2, 0.4, 0.5, 0.6])
def test_same_mean_affinity_segments_as_waterz(threshold, capfd):
    waterz = pytest.importorskip("waterz")
    affinities = random_affinities((5, 17, 23), seed=2)
    hierarchy = build_affinity_hierarchy(affinities, low=0.0001)
    theirs = next(waterz.agglomerate(affinities.copy(), [threshold]))
    assert same_partition(hierarchy.cut(threshold).to_volume().data, theirs)


# The hierarchies


@quick
@given(affinity_maps(), st.integers(0, 9), st.sampled_from([0, 1, 4]), st.integers(0, 9))
def test_small_regions_join_as_the_definition_says(affinities, size, weight, dust):
    affinities = affinities * np.float32(0.5) + random_affinities(affinities.shape[1:]) / 8
    thresholds = {"size_threshold_voxels": size, "weight_threshold": weight / LEVELS}
    hierarchy = build_affinity_hierarchy(affinities, dust_voxels=dust, **thresholds)
    labels, _ = flood(affinities, 0, 0.9999)
    expected = literal_merging(labels, affinities, size, weight / LEVELS, dust)
    fragments = hierarchy.fragments.data
    assert same_partition(fragments, expected)
    assert np.array_equal(fragments == 0, expected == 0)
    assert np.array_equal(hierarchy.fragment_sizes_voxels[1:], np.bincount(fragments.ravel())[1:])


@quick
@given(affinity_maps(), st.integers(0, LEVELS))
def test_zlateski_seung_is_single_linkage(affinities, level):
    hierarchy = build_affinity_hierarchy(affinities, grouping="zlateski_seung")
    h = level / LEVELS
    segments = hierarchy.cut(h).to_volume().data.reshape(-1)
    fragments = hierarchy.fragments.data.reshape(-1)
    joined = [
        (p, q) for p, q, v in grid_edges(affinities) if v >= 1 - h and fragments[p] * fragments[q]
    ]
    together = {(int(fragments[p]), int(fragments[p])) for p in range(fragments.size)}
    together |= {(int(fragments[p]), int(fragments[q])) for p, q in joined}
    together |= {(j, i) for i, j in together}
    component, _ = strong_components(together, hierarchy.n_fragments + 1)
    inside = fragments > 0
    if inside.any():
        assert same_partition(segments[inside], component[fragments[inside]])


def test_mean_affinity_weighs_every_edge_of_the_contact():
    # Three regions of 2 x 2 voxels in a row.
    affinities = np.zeros((3, 1, 2, 6), np.float32)
    affinities[1, 0, 1] = 0.99
    affinities[2, 0] = [[0, 0.99, 0.7, 0.99, 0.4, 0.99], [0, 0.99, 0.1, 0.99, 0.5, 0.99]]
    mean = build_affinity_hierarchy(affinities, grouping="mean_affinity", high=0.95)
    assert mean.cut(0.56).to_volume().data[0, 0, [0, 2, 4]].tolist() == [1, 2, 2]
    assert mean.tree.height.tolist() == pytest.approx([1 - (0.4 + 0.5) / 2, 1 - (0.7 + 0.1) / 2])
    strongest = build_affinity_hierarchy(affinities, grouping="zlateski_seung", high=0.95)
    assert strongest.cut(0.31).to_volume().data[0, 0, [0, 2, 4]].tolist() == [1, 1, 3]
    assert strongest.tree.height.tolist() == pytest.approx([1 - 0.7, 1 - 0.5])


@groupings
@quick
@given(affinity_maps(), st.integers(0, LEVELS), st.integers(0, 6))
def test_2d_is_each_section_by_itself(grouping, affinities, level, min_size):
    options = {"grouping": grouping, "low": 2 / LEVELS}
    h = level / LEVELS
    hierarchy = build_affinity_hierarchy(affinities, mode="2d", **options)
    stack = hierarchy.cut(h, min_size)
    assert hierarchy.section_starts[-1] == hierarchy.n_fragments + 1
    for z in range(affinities.shape[1]):
        alone = build_affinity_hierarchy(affinities[:, z : z + 1], **options)
        ours, expected = stack.to_volume().data[z], alone.cut(h, min_size).to_volume().data[0]
        assert same_partition(ours, expected)
        assert np.array_equal(ours == 0, expected == 0)
        table = hierarchy.cut_section(z, h, min_size)
        ids = list(hierarchy.section_ids(z))
        assert np.array_equal(table[ids], stack.segment_of[ids])


@groupings
@quick
@given(affinity_maps(), st.integers(0, LEVELS))
def test_higher_thresholds_only_merge(grouping, affinities, level):
    hierarchy = build_affinity_hierarchy(affinities, grouping=grouping)
    fine, coarse = (hierarchy.cut(k / LEVELS).segment_of for k in (level // 2, level))
    assert np.unique(np.stack([fine, coarse]), axis=1).shape[1] == np.unique(fine).size


@groupings
@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_storing_loses_nothing(grouping, mode):
    affinities = random_affinities((4, 9, 8))
    affinities[:, 1] = 0  # a section of background, and one in two halves
    affinities[1, 2, :, 4] = affinities[2, 2, :, 4] = affinities[2, 2, :, 5] = 0
    hierarchy = build_affinity_hierarchy(affinities, grouping=grouping, mode=mode, low=0.3)
    assert mode == "3d" or hierarchy.forest.order.size < hierarchy.n_fragments - 3
    with h5py.File.in_memory() as file:
        hierarchy.write(file.create_group("hierarchy"))
        again = Hierarchy.read(file["hierarchy"])
    assert again.grouping == grouping
    for h in (0.1, 0.3):
        assert np.array_equal(again.cut(h, 5).segment_of, hierarchy.cut(h, 5).segment_of)


def test_8_bit_affinities_are_255ths():
    values = np.round(random_affinities((3, 8, 9)) * 255).astype(np.uint8)
    ours, same = (build_affinity_hierarchy(a) for a in (values, values / np.float32(255)))
    assert np.array_equal(ours.fragments.data, same.fragments.data)
    assert np.array_equal(ours.forest.height, same.forest.height)


def test_nothing_but_background():
    hierarchy = build_affinity_hierarchy(np.zeros((3, 2, 3, 3), np.float32), mode="2d")
    assert hierarchy.n_fragments == 0
    assert hierarchy.cut(0.5, 10).to_volume().data.max() == 0


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_can_be_used(preset):
    thresholds = PRESETS[preset]
    labels, _ = flood(random_affinities((2, 20, 20)), thresholds.low, thresholds.high)
    assert labels.shape == (2, 20, 20)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"low": 0.9, "high": 0.3}, "below the high one"),
        ({"weight_threshold": 2}, "weight"),
        ({"size_threshold_voxels": -1}, "0 voxels or more"),
        ({"grouping": "best"}, "mean_affinity"),
        ({"mode": "4d"}, "2d"),
    ],
)
def test_bad_options_are_told_in_words(options, words):
    with pytest.raises(InputError, match=words):
        build_affinity_hierarchy(np.zeros((3, 1, 4, 4), np.float32), **options)


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_stopping_stops(mode):
    class Stop:
        def update(self, done, total, message=""):
            raise Cancelled

    with pytest.raises(Cancelled):
        build_affinity_hierarchy(random_affinities((2, 5, 5)), mode=mode, progress=Stop())


def test_real_map_is_grouped_about_as_well_as_by_h_minima(fib_boundary, fib_neurons):
    from tests.segmentation.literal import v_rand

    affinities = affinities_from_boundary(fib_boundary)
    for grouping, h in (("mean_affinity", 0.9), ("zlateski_seung", 0.4)):
        hierarchy = build_affinity_hierarchy(affinities, grouping=grouping)
        labels = hierarchy.cut(h).to_volume().data
        assert v_rand(labels, fib_neurons) > 0.95, grouping


def test_thresholds_refuse_what_cannot_be():
    with pytest.raises(InputError):
        Thresholds(low=-0.1)


@groupings
@pytest.mark.parametrize(("value", "fate"), [(0, "background (0)"), (1, "one fragment")])
def test_what_is_blank_is_told(grouping: str, value: float, fate: str) -> None:
    random = np.random.default_rng(2).random((3, 4, 9, 11)).astype(np.float32)
    affinities = random.copy()
    affinities[:, [1, 3]] = value
    flat = build_affinity_hierarchy(affinities, grouping=grouping, mode="2d")
    assert flat.fragments.provenance["notes"] == [f"2 blank sections, each {fate}: 1, 3."]
    blank = build_affinity_hierarchy(np.full_like(affinities, value), grouping=grouping)
    assert blank.fragments.provenance["notes"] == [f"The map is blank: the volume is {fate}."]
    assert np.unique(blank.fragments.read()).tolist() == [value]
    for mode in ("2d", "3d"):
        varied = build_affinity_hierarchy(random, grouping=grouping, mode=mode)
        assert "notes" not in varied.fragments.provenance


def test_a_blank_boundary_map_is_told_of_once() -> None:
    blank = Volume(np.zeros((2, 9, 11), np.float32), kind="boundary")
    grouped = group(build_hierarchy(blank, mode="3d"), blank, grouping="mean_affinity")
    assert grouped.fragments.provenance["notes"] == [
        "The map is blank: the volume is one fragment."
    ]

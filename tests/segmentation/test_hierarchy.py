"""The hierarchy against the literal method, and the laws that the sliders rely on."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tests.segmentation.literal import (
    fraction_moved,
    literal_minima,
    literal_stack,
    v_rand,
    variation_of_information,
)
from tests.segmentation.strategies import LEVELS, maps, modes, thresholds

from napari_emseg.errors import InputError
from napari_emseg.progress import Cancelled
from napari_emseg.segmentation import Hierarchy, build_hierarchy, build_section, group
from napari_emseg.volume import Volume

quick = settings(deadline=None, max_examples=60)


def is_connected(labels: np.ndarray, mode: str) -> bool:
    """Whether every id is one 4-connected (per section) or 6-connected piece."""
    faces = ndimage.generate_binary_structure(3, 1)
    if mode == "2d":
        faces[[0, 2]] = False
    ids = np.unique(labels[labels > 0])
    return all(ndimage.label(labels == i, faces)[1] == 1 for i in ids)


def count_literal(height: np.ndarray, h: float, mode: str) -> int:
    parts = [height] if mode == "3d" else list(height)
    return sum(literal_minima(part, h)[1] for part in parts)


def is_coarsening(fine: np.ndarray, coarse: np.ndarray) -> bool:
    """Whether each segment of the table `fine` lies in one segment of `coarse`."""
    pairs = np.unique(np.stack([fine, coarse]), axis=1)
    return pairs.shape[1] == np.unique(fine).size


# Against the literal method


@quick
@given(maps(), modes, st.sampled_from([0.0, 1 / LEVELS, 3 / LEVELS]))
def test_as_many_segments_as_minima_at_every_h(height, mode, floor):
    hierarchy = build_hierarchy(height, sigma_px=0, mode=mode, floor=floor)
    for level in range(LEVELS + 1):
        h = level / LEVELS
        assert hierarchy.cut(h).n_segments == count_literal(height, max(h, floor), mode)


def test_a_minimum_of_dynamics_exactly_h_is_merged():
    ridge = np.array([[[0, 4, 1, 8, 0]]], np.float32) / LEVELS
    hierarchy = build_hierarchy(ridge, sigma_px=0, floor=0)
    assert hierarchy.tree.height.tolist() == [3 / LEVELS, 8 / LEVELS]
    counts = [hierarchy.cut(h / LEVELS).n_segments for h in (0, 2.99, 3, 7.99, 8)]
    assert counts == [3, 3, 2, 2, 1]


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_real_map_close_to_literal(fib_boundary, fib_neurons, mode):
    truth = fib_neurons
    if mode == "2d":
        own_ids = np.arange(truth.shape[0])[:, None, None] * (truth.max() + 1)
        truth = np.where(truth > 0, truth + own_ids, 0)
    hierarchy = build_hierarchy(fib_boundary, mode=mode)
    for h in (0.05, 0.1, 0.2):
        expected = literal_stack(hierarchy.smoothed[:], h, mode)
        segmentation = hierarchy.cut(h)
        labels = segmentation.to_volume().data
        exact = segmentation.to_volume(exact_borders=True).data
        assert segmentation.n_segments == np.unique(expected).size
        assert variation_of_information(labels, expected) <= 0.1
        assert abs(v_rand(labels, truth) - v_rand(expected, truth)) <= 0.002
        assert fraction_moved(exact, expected) <= 1e-4


def test_noisy_map_close_to_literal(noisy_boundary):
    hierarchy = build_hierarchy(noisy_boundary)
    for h in (0.05, 0.1, 0.2):
        expected = literal_stack(hierarchy.smoothed[:], h, "2d")
        segmentation = hierarchy.cut(h)
        assert segmentation.n_segments == np.unique(expected).size
        assert variation_of_information(segmentation.to_volume().data, expected) <= 0.1
        exact = segmentation.to_volume(exact_borders=True).data
        assert fraction_moved(exact, expected) <= 1e-4


def test_real_map_same_count_at_many_h(fib_boundary):
    hierarchy = build_hierarchy(fib_boundary[:, :80, :90], mode="3d", floor=0)
    heights = np.unique(hierarchy.tree.height)
    between = (heights[1:] + heights[:-1]) / 2
    for h in between[:: len(between) // 12]:
        assert hierarchy.cut(h).n_segments == count_literal(hierarchy.smoothed[:], h, "3d")


# Laws


@quick
@given(maps(), modes, thresholds, st.integers(0, 20))
def test_fragments_and_segments_are_connected(height, mode, h, min_size):
    hierarchy = build_hierarchy(height, sigma_px=0, mode=mode)
    fragments = hierarchy.fragments.data
    assert np.array_equal(np.unique(fragments), np.arange(1, hierarchy.n_fragments + 1))
    assert is_connected(fragments, mode)
    segmentation = hierarchy.cut(h, min_size)
    assert is_connected(segmentation.to_volume().data, mode)
    exact = segmentation.to_volume(exact_borders=True).data
    assert is_connected(exact, mode)
    assert exact.min() > 0


@quick
@given(maps(), modes, thresholds, thresholds)
def test_raising_h_only_merges_and_ids_stay(height, mode, h, other_h):
    h, other_h = sorted((h, other_h))
    hierarchy = build_hierarchy(height, sigma_px=0, mode=mode, floor=0)
    low, high = hierarchy.cut(h).segment_of, hierarchy.cut(other_h).segment_of
    assert is_coarsening(low, high)
    kept = np.unique(high[1:])
    assert np.array_equal(low[kept], kept)
    assert np.array_equal(high[kept], kept)


@quick
@given(maps(), modes, thresholds, st.integers(0, 20), st.integers(0, 20))
def test_min_size_only_merges_and_leaves_none_small(height, mode, h, size, other_size):
    size, other_size = sorted((size, other_size))
    hierarchy = build_hierarchy(height, sigma_px=0, mode=mode)
    fine, coarse = hierarchy.cut(h, size), hierarchy.cut(h, other_size)
    assert is_coarsening(fine.segment_of, coarse.segment_of)
    counts = np.bincount(coarse.to_volume().data.ravel())
    at_most = height[0].size if mode == "2d" else height.size
    assert counts[counts > 0].min() >= min(other_size, at_most)


@quick
@given(maps(), modes, thresholds, st.integers(2, 20))
def test_min_size_never_joins_two_large_segments(height, mode, h, size):
    hierarchy = build_hierarchy(height, sigma_px=0, mode=mode)
    before, after = hierarchy.cut(h), hierarchy.cut(h, size)
    counts = np.bincount(before.to_volume().data.ravel())
    large = np.flatnonzero(counts >= size)
    assert np.unique(after.segment_of[large]).size == large.size


def test_small_segment_joins_neighbour_it_is_least_separated_from():
    row = np.array([[[0, 0, 0, 9, 3, 7, 0, 0, 0, 0]]], np.float32) / LEVELS
    hierarchy = build_hierarchy(row, sigma_px=0)
    assert hierarchy.cut(0).n_segments == 3
    labels = hierarchy.cut(0, min_size_voxels=3).to_volume().data.ravel()
    assert labels[4] == labels[-1]
    assert labels[4] != labels[0]
    assert labels[-1] == hierarchy.cut(0).view()[0, 0, -1]  # the larger keeps its id


@quick
@given(maps(), modes)
def test_merges_join_adjacent_fragments_in_ascending_height(height, mode):
    hierarchy = build_hierarchy(height, sigma_px=0, mode=mode)
    tree, fragments = hierarchy.tree, hierarchy.fragments.data
    faces = set()
    for axis in (0, 1, 2) if mode == "3d" else (1, 2):
        one, two = (np.delete(fragments, end, axis).ravel() for end in (0, -1))
        faces |= {frozenset(pair) for pair in zip(one.tolist(), two.tolist(), strict=True)}
    assert all(frozenset(pair) in faces for pair in np.stack([tree.a, tree.b], 1).tolist())
    assert (np.diff(tree.height) >= 0).all()
    roots = 1 if mode == "3d" else height.shape[0]
    assert tree.height.size == tree.n_fragments - roots


@quick
@given(maps(), thresholds, st.integers(0, 20))
def test_section_is_cut_and_previewed_as_in_the_stack(height, h, min_size):
    hierarchy = build_hierarchy(height, sigma_px=0.7)
    whole = hierarchy.cut(h, min_size)
    for z in range(height.shape[0]):
        ids = list(hierarchy.section_ids(z))
        table = hierarchy.cut_section(z, h, min_size)
        assert np.array_equal(np.unique(hierarchy.fragments.data[z]), ids)
        assert np.array_equal(table[ids], whole.segment_of[ids])
        assert not np.delete(table, ids).any()
        preview = build_section(height[z], sigma_px=0.7).cut(h, min_size).to_volume()
        assert np.array_equal(preview.data[0] + (ids[0] - 1), whole.view()[z])


@quick
@given(maps(), modes, thresholds)
def test_sizes_and_minima_are_those_of_the_fragments(height, mode, h):
    hierarchy = build_hierarchy(height, sigma_px=0.5, mode=mode)
    fragments, smoothed = hierarchy.fragments.data.ravel(), np.ravel(hierarchy.smoothed)
    assert np.array_equal(hierarchy.fragment_sizes_voxels, np.bincount(fragments))
    for i in range(1, hierarchy.n_fragments + 1):
        assert hierarchy.minimum[i] == smoothed[fragments == i].min()


@quick
@given(maps(), st.sampled_from([0.0, 1 / LEVELS, 3 / LEVELS]), st.integers(1, 4))
def test_slabs_of_any_thickness_give_the_same_hierarchy(height, floor, thickness):
    whole = build_hierarchy(height, sigma_px=0.7, mode="3d", floor=floor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_emseg.segmentation.parallel.SLAB", thickness)
        patch.setattr("napari_emseg.segmentation.parallel.usable_cpus", lambda: 3)
        patch.setattr("napari_emseg.segmentation.smoothing._CHUNK", thickness)
        slabs = build_hierarchy(height, sigma_px=0.7, mode="3d", floor=floor)
    assert np.array_equal(slabs.fragments.data, whole.fragments.data)
    for name in ("inside", "outside", "saddle", "height", "order"):
        assert np.array_equal(getattr(slabs.forest, name), getattr(whole.forest, name))


@pytest.mark.parametrize("sigma_px", [0, 1.5])
def test_real_map_in_slabs_is_the_same(fib_boundary, monkeypatch, sigma_px):
    boundary = fib_boundary[:, :60, :70]
    whole = build_hierarchy(boundary, sigma_px=sigma_px, mode="3d")
    for thickness in (1, 5):
        monkeypatch.setattr("napari_emseg.segmentation.parallel.SLAB", thickness)
        slabs = build_hierarchy(boundary, sigma_px=sigma_px, mode="3d")
        assert np.array_equal(slabs.fragments.data, whole.fragments.data)
        assert np.array_equal(slabs.forest.outside, whole.forest.outside)


# What may come in


def test_blank_sections_are_one_fragment_each_and_noted():
    boundary = np.zeros((3, 5, 4), np.float32)
    boundary[1, :, 2] = 1
    hierarchy = build_hierarchy(boundary, sigma_px=0)
    assert [len(hierarchy.section_ids(z)) for z in range(3)] == [1, 2, 1]
    assert hierarchy.fragments.provenance["notes"] == ["2 blank sections, each one fragment: 0, 2."]
    assert hierarchy.cut(1.0).n_segments == 3


def test_blank_volume_is_one_fragment():
    hierarchy = build_hierarchy(np.ones((3, 4, 5), np.uint8) * 7, mode="3d")
    assert hierarchy.cut(0.1).n_segments == 1
    assert "blank" in hierarchy.fragments.provenance["notes"][0]


def test_geometry_and_notes_are_kept():
    volume = Volume(
        np.zeros((2, 3, 4), np.uint8),
        kind="boundary",
        voxel_size_nm=(50, 4, 4),
        offset_nm=(100, 0, 8),
        provenance={"notes": ["flipped"]},
    )
    labels = build_hierarchy(volume).cut(0.1, 5).to_volume()
    assert labels.voxel_size_nm == (50, 4, 4)
    assert labels.offset_nm == (100, 0, 8)
    assert labels.provenance["notes"][0] == "flipped"
    assert labels.provenance["h"] == 0.1
    assert labels.provenance["min_size_voxels"] == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boundary": np.full((3, 4, 5), np.nan)}, "Section 0 .* 20 values that are NaN"),
        ({"boundary": np.full((3, 4, 5), 3.5)}, "Section 0 .* from 3.5 to 3.5"),
        ({"boundary": np.full((3, 4, 5), -1, np.float16)}, "Section 0 .* from -1"),
        ({"boundary": np.zeros((4, 5))}, "3 axes"),
        ({"boundary": np.zeros((3, 4, 5), np.int16)}, "int16"),
        ({"boundary": np.zeros((3, 0, 5))}, "no voxels"),
        ({"boundary": Volume(np.zeros((3, 4, 5), np.uint8))}, "kind 'raw'"),
        ({"boundary": Volume(np.zeros((3, 4, 5), np.uint8), kind="labels")}, "kind 'labels'"),
        ({"sigma_px": -1}, "sigma"),
        ({"sigma_px": float("nan")}, "sigma"),
        ({"floor": 1.5}, "floor"),
        ({"mode": "4d"}, "4d"),
    ],
)
def test_bad_input_is_refused_in_words(change, message):
    arguments = {"boundary": np.zeros((3, 4, 5), np.float32), **change}
    with pytest.raises(InputError, match=message):
        build_hierarchy(arguments.pop("boundary"), **arguments)


@pytest.mark.parametrize(("h", "size"), [(-0.1, 0), (1.1, 0), (float("nan"), 0), (0.1, -1)])
def test_bad_cut_is_refused(h, size):
    hierarchy = build_hierarchy(np.zeros((1, 4, 5), np.float32))
    with pytest.raises(InputError):
        hierarchy.cut(h, size)
    with pytest.raises(InputError):
        hierarchy.cut_section(0, h, size)


@pytest.mark.parametrize("dtype", [bool, np.float16, np.float64, np.uint8, ">f4"])
def test_any_dtype_of_a_map_gives_the_same_fragments(dtype):
    binary = np.random.default_rng(1).integers(0, 2, (2, 9, 8))
    scale = 255 if dtype is np.uint8 else 1
    labels = build_hierarchy((binary * scale).astype(dtype), sigma_px=0).fragments.data
    expected = build_hierarchy(binary.astype(np.float32), sigma_px=0).fragments.data
    assert np.array_equal(labels, expected)


def test_input_is_not_written_to_and_may_be_read_only():
    boundary = np.random.default_rng(0).random((2, 7, 6)).astype(np.float32)[:, ::-1, ::2]
    before = boundary.copy()
    boundary.flags.writeable = False
    for sigma_px in (0, 1):
        for mode in ("2d", "3d"):
            build_hierarchy(boundary, sigma_px=sigma_px, mode=mode)
    assert np.array_equal(boundary, before)


class StopAfter:
    def __init__(self, n_calls: int) -> None:
        self.n_calls = n_calls

    def update(self, done: int, total: int, message: str = "") -> None:
        assert 0 <= done <= total
        self.n_calls -= 1
        if self.n_calls < 0:
            raise Cancelled


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_stops_when_asked(mode):
    boundary = np.zeros((5, 4, 3), np.float32)
    build_hierarchy(boundary, mode=mode, progress=StopAfter(1000))
    for n_calls in (0, 3):
        with pytest.raises(Cancelled):
            build_hierarchy(boundary, mode=mode, progress=StopAfter(n_calls))


# Storage


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_reads_back_what_was_written(tmp_path, mode):
    boundary = Volume(
        np.random.default_rng(0).random((3, 9, 8)), kind="boundary", voxel_size_nm=(40, 4, 4)
    )
    hierarchy = build_hierarchy(boundary, mode=mode)
    with h5py.File(tmp_path / "session.h5", "w") as file:
        hierarchy.write(file.create_group("hierarchy"))
        copy = Hierarchy.read(file["hierarchy"])
    assert copy.fragments.voxel_size_nm == (40, 4, 4)
    assert copy.fragments.provenance == hierarchy.fragments.provenance
    assert (copy.mode, copy.sigma_px, copy.floor) == (mode, 1.5, 1 / 255)
    one, two = hierarchy.cut(0.05, 3), copy.cut(0.05, 3)
    assert np.array_equal(one.segment_of, two.segment_of)
    for exact in (False, True):
        assert np.array_equal(one.to_volume(exact).data, two.to_volume(exact).data)


def test_damaged_storage_is_refused(tmp_path):
    hierarchy = build_hierarchy(np.random.default_rng(0).random((2, 9, 8)))
    with h5py.File(tmp_path / "session.h5", "w") as file:
        with pytest.raises(InputError, match="holds no hierarchy"):
            Hierarchy.read(file)
        hierarchy.write(file)
        file["forest/outside"][1] = 10**6
        with pytest.raises(InputError, match="damaged"):
            Hierarchy.read(file)
        del file["forest/outside"]
        with pytest.raises(InputError, match="damaged"):
            Hierarchy.read(file)


def test_nested_lists_are_as_good_as_an_array():
    rows = [[[0.0, 0.1, 0.0, 0.9, 0.2]]]
    hierarchy = build_hierarchy(rows, sigma_px=0)
    assert hierarchy.fragments.read().tolist() == [[[1, 1, 2, 2, 3]]]
    assert group(hierarchy, rows).cut(0.3).n_segments == 2
    with pytest.raises(InputError, match="3 axes"):
        build_hierarchy([0.1, 0.2])
    with pytest.raises(InputError, match="rows differ in length"):
        build_hierarchy([[[0.1, 0.2], [0.3]]])

"""Expected run length: hand-made neurons, the definition by dictionaries, and skeletons."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from bioimage_cpp.skeleton import teasar_labels
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_emseg.errors import InputError
from napari_emseg.evaluation import (
    Skeletons,
    evaluate,
    expected_run_length,
    skeletonize_truth,
)
from napari_emseg.progress import Cancelled
from napari_emseg.volume import Volume

VOXEL_NM = (40.0, 16.0, 8.0)
Ids = npt.NDArray[Any]


def straight(*neurons: int) -> Skeletons:
    """One neuron a row along x, 11 nodes, 100 nm long at 10 nm a voxel."""
    nodes = [[0.0, 10.0 * y, 10.0 * x] for y in range(len(neurons)) for x in range(11)]
    edges = [[11 * y + x, 11 * y + x + 1] for y in range(len(neurons)) for x in range(10)]
    return Skeletons(np.array(nodes), np.array(edges), np.repeat(neurons, 11).astype(np.uint64))


def rows(*values: list[int]) -> Ids:
    return np.array([values], np.uint64)


WHOLE, LOWER = [3] * 11, [4] * 11


@pytest.mark.parametrize(
    ("labels", "expected_nm", "lengths"),
    [
        # correct, split, merged, omitted (nm)
        (rows(WHOLE, LOWER), 100.0, (200, 0, 0, 0)),
        # one split: runs of 40 and 50 nm, the edge between belongs to neither
        (rows([3] * 5 + [5] * 6, LOWER), (40**2 + 50**2 + 100**2) / 200, (190, 10, 0, 0)),
        # back in the same segment after a split: one run of 40 + 30 nm
        (rows([3] * 5 + [5] * 2 + [3] * 4, LOWER), (70**2 + 10**2 + 100**2) / 200, (180, 20, 0, 0)),
        # a merger costs both neurons all that lies in the segment
        (rows(WHOLE, WHOLE), 0.0, (0, 0, 200, 0)),
        # so it does where one of them only touches; the rest of that one is correct
        (rows(WHOLE, [3] + [4] * 10), 90**2 / 200, (90, 0, 110, 0)),
        # no segment
        (rows(WHOLE, [0] * 6 + [4] * 5), (100**2 + 40**2) / 200, (140, 0, 0, 60)),
        # 0 is no segment, so it merges nothing
        (rows([0] * 11, [0] * 11), 0.0, (0, 0, 0, 200)),
    ],
)
def test_run_lengths_by_hand(
    labels: Ids, expected_nm: float, lengths: tuple[int, int, int, int]
) -> None:
    result = expected_run_length(labels, straight(1, 2), voxel_size_nm=(10, 10, 10))
    assert result.expected_nm == pytest.approx(expected_nm)
    found = (result.correct_nm, result.split_nm, result.merged_nm, result.omitted_nm)
    assert found == pytest.approx(lengths)
    assert result.best_nm == pytest.approx(100)
    assert result.n_neurons == 2


def test_a_touch_may_be_forgiven() -> None:
    touching = rows(WHOLE, [3, *LOWER[1:]])
    skeletons = straight(1, 2)
    strict = expected_run_length(touching, skeletons, voxel_size_nm=(10, 10, 10))
    kind = expected_run_length(touching, skeletons, voxel_size_nm=(10, 10, 10), merge_nodes=2)
    assert (strict.n_merging_segments, kind.n_merging_segments) == (1, 0)
    assert kind.expected_nm == (100**2 + 90**2) / 200


def test_at_the_border_of_a_neuron_nothing_tells_of_a_merger() -> None:
    touching = rows(WHOLE, [3, *LOWER[1:]])
    depth = np.full(22, 100.0)
    depth[11] = 24.0
    skeletons = replace(straight(1, 2), depth_nm=depth)
    forgiven = expected_run_length(touching, skeletons, voxel_size_nm=(10, 10, 10))
    assert forgiven.n_merging_segments == 0
    assert forgiven.expected_nm == (100**2 + 90**2) / 200
    strict = expected_run_length(touching, skeletons, voxel_size_nm=(10, 10, 10), border_nm=24)
    assert strict.n_merging_segments == 1


def test_a_thin_neurite_tells_of_a_merger_where_it_is_long_enough() -> None:
    thin = replace(straight(1, 2), depth_nm=np.full(22, 10.0))
    options: dict[str, Any] = {"voxel_size_nm": (10, 10, 10), "border_nm": 12}
    both = expected_run_length(rows(WHOLE, WHOLE), thin, **options)
    assert (both.n_merging_segments, both.expected_nm) == (1, 0.0)
    part = expected_run_length(rows(WHOLE, [3] * 9 + [4] * 2), thin, **options)
    assert part.n_merging_segments == 0  # 80 nm of 96


def test_borders_drawn_a_little_aside_cost_little() -> None:
    _, y, x = np.indices((12, 60, 80))
    truth = y // 20 * 4 + x // 20 + 1
    jitter = gaussian_filter(np.random.default_rng(0).normal(size=truth.shape), 3)
    moved = np.rint(1.2 * jitter / jitter.std()).astype(int)
    labels = np.take_along_axis(truth, np.clip(x + moved, 0, 79), axis=2)
    assert np.mean(labels != truth) > 0.02
    scores = evaluate(
        labels, truth, metrics="expected_run_length_share", voxel_size_nm=(40, 10, 10)
    )
    assert scores["expected_run_length_share"] > 0.8


def run_length_by_definition(segment: Ids, skeletons: Skeletons) -> float:
    """Januszewski 2018, node by node with dictionaries."""
    neurons = defaultdict(set)
    for s, neuron in zip(segment.tolist(), skeletons.neuron.tolist(), strict=True):
        neurons[s].add(neuron)
    runs: dict[tuple[int, int], float] = defaultdict(float)
    total = 0.0
    for (a, b), length in zip(skeletons.edges, skeletons.edge_length_nm, strict=True):
        total += length
        is_same = segment[a] == segment[b] != 0
        if is_same and len(neurons[int(segment[a])]) == 1:
            runs[int(skeletons.neuron[a]), int(segment[a])] += length
    return sum(length**2 for length in runs.values()) / total


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=33, max_size=33))
def test_the_run_length_is_that_of_the_definition(values: list[int]) -> None:
    labels = np.array(values, np.uint64).reshape(1, 3, 11)
    skeletons = straight(7, 8, 9)
    result = expected_run_length(labels, skeletons, voxel_size_nm=(10, 10, 10))
    expected = run_length_by_definition(labels.ravel(), skeletons)
    assert result.expected_nm == pytest.approx(expected)
    lengths = (result.correct_nm, result.split_nm, result.merged_nm, result.omitted_nm)
    assert sum(lengths) == pytest.approx(300)


def tubes() -> Ids:
    """Two bent tubes, thick along z, ids huge; a blank section at the end."""
    truth = np.zeros((7, 20, 41), np.uint64)
    truth[1:4, 2:7, 1:39] = 2**63 + 9
    truth[1:4, 12:17, 4:36] = 5
    return truth


def test_skeletons_run_along_the_objects() -> None:
    skeletons = skeletonize_truth(tubes(), voxel_size_nm=VOXEL_NM)
    assert set(skeletons.neuron.tolist()) == {5, 2**63 + 9}
    voxel = np.rint(skeletons.nodes_nm / VOXEL_NM).astype(int)
    np.testing.assert_array_equal(tubes()[tuple(voxel.T)], skeletons.neuron)
    long = skeletons.neuron[skeletons.edges[:, 0]] == 2**63 + 9
    # From end to end, 38 voxels of 8 nm.
    assert skeletons.edge_length_nm[long].sum() >= 37 * 8


def test_object_by_object_the_skeletons_are_those_of_the_whole_volume() -> None:
    truth = tubes()[:, :17].astype(np.int64) % 1000  # the second tube ends where the volume does
    expected = teasar_labels(truth, spacing=VOXEL_NM, scale=1.5, constant=100.0)
    found = skeletonize_truth(truth, voxel_size_nm=VOXEL_NM)
    assert found.depth_nm is not None
    for neuron, (vertices, pairs, radii) in expected.items():
        own = found.neuron == neuron
        np.testing.assert_allclose(found.nodes_nm[own], vertices)
        np.testing.assert_allclose(found.depth_nm[own], radii)
        first = np.flatnonzero(own)[0]
        edges = found.edges[own[found.edges[:, 0]]]
        np.testing.assert_array_equal(edges - first, pairs)


def test_drawing_skeletons_can_be_stopped() -> None:
    class Stop:
        def update(self, done: int, total: int, message: str = "") -> None:
            assert (done, total) == (1, 2)
            raise Cancelled

    with pytest.raises(Cancelled):
        skeletonize_truth(tubes(), voxel_size_nm=VOXEL_NM, progress=Stop())


@pytest.mark.parametrize("dtype", ["?", "i1", ">u2", "<i8", "u8"])
def test_ids_may_be_of_any_type(dtype: str) -> None:
    truth = (tubes() != 0).astype(dtype)
    expected = skeletonize_truth(truth.astype(np.uint8), voxel_size_nm=VOXEL_NM)
    found = skeletonize_truth(truth, voxel_size_nm=VOXEL_NM)
    np.testing.assert_array_equal(found.nodes_nm, expected.nodes_nm)
    result = expected_run_length(truth, found, voxel_size_nm=VOXEL_NM)
    assert result.expected_nm == result.best_nm


def test_short_objects_are_left_out() -> None:
    truth = tubes()
    truth[6, 19, 40] = 77
    assert 77 not in skeletonize_truth(truth, voxel_size_nm=VOXEL_NM).neuron
    long = skeletonize_truth(truth, voxel_size_nm=VOXEL_NM, min_length_nm=10_000)
    with pytest.raises(InputError, match="no skeleton"):
        expected_run_length(truth, long, voxel_size_nm=VOXEL_NM)


def test_the_offset_of_a_volume_counts() -> None:
    options: dict[str, Any] = {"kind": "labels", "voxel_size_nm": VOXEL_NM}
    truth = Volume(tubes(), offset_nm=(400, 0, 80), **options)
    skeletons = skeletonize_truth(truth)
    result = expected_run_length(truth, skeletons)
    assert result.expected_nm == result.best_nm
    with pytest.raises(InputError, match="lie outside the segmentation"):
        expected_run_length(Volume(tubes(), **options), skeletons)


def test_the_metric_is_1_for_the_truth_and_falls_with_a_split() -> None:
    truth = tubes()
    names = ["expected_run_length_nm", "expected_run_length_share"]
    options: dict[str, Any] = {"metrics": names, "voxel_size_nm": VOXEL_NM}
    perfect = evaluate(truth, truth, **options)
    assert perfect["expected_run_length_share"] == 1.0
    halves = truth.copy()
    halves[:, :, 20:][halves[:, :, 20:] != 0] += 1
    split = evaluate(halves, truth, **options)
    assert 0.4 < split["expected_run_length_share"] < 0.55
    assert split["expected_run_length_nm"] < perfect["expected_run_length_nm"]
    merged = evaluate((truth != 0).astype(int), truth, **options)
    assert merged == {"expected_run_length_nm": 0.0, "expected_run_length_share": 0.0}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"voxel_size_nm": None}, "give the voxel size"),
        ({"average": "sections"}, "must be labels whose ids run through"),
        ({"ground_truth_kind": "labels_2d"}, "must be labels whose ids run through"),
        ({"sections": [1, 3]}, "without a gap"),
    ],
)
def test_what_has_no_run_length_is_said(options: dict[str, Any], says: str) -> None:
    options = {"metrics": "expected_run_length_nm", "voxel_size_nm": VOXEL_NM, **options}
    with pytest.raises(InputError, match=says):
        evaluate(tubes(), tubes(), **options)

"""The metrics against the definitions, computed the slow way, and against the laws they obey."""

from __future__ import annotations

import json
from collections import Counter
from math import isfinite, log2, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import adapted_rand_error as skimage_rand_error
from skimage.metrics import variation_of_information as skimage_voi

from napari_emseg.evaluation import (
    LOWER_IS_BETTER,
    METRICS,
    ON_REQUEST,
    cremi_protocol,
    evaluate,
    isbi_protocol,
    snemi3d_protocol,
)
from napari_emseg.registry import resolve

Ids = npt.NDArray[np.int64]
PERFECT = {name: 0.0 if name in LOWER_IS_BETTER else 1.0 for name in METRICS}
SPLIT_PARTS = ("v_rand_split", "v_info_split", "voi_split")
MERGE_PARTS = ("v_rand_merge", "v_info_merge", "voi_merge")


def ids(max_id: int = 4, min_id: int = 0) -> st.SearchStrategy[Ids]:
    return arrays(np.int64, (2, 3, 5), elements=st.integers(min_id, max_id))


def pairs(min_id: int = 0) -> st.SearchStrategy[tuple[Ids, Ids]]:
    return st.tuples(ids(min_id=min_id), ids()).filter(lambda pair: pair[1].any())


def entropy(counts: Counter[Any], n: int) -> float:
    return -sum(c / n * log2(c / n) for c in counts.values())


def scores_by_definition(segmentation: Ids, truth: Ids) -> dict[str, float]:
    """Arganda-Carreras 2015 and CREMI, voxel by voxel with dictionaries."""
    labels = [(int(s), int(t)) for s, t in zip(segmentation.flat, truth.flat, strict=True) if t]
    n = len(labels)
    singletons = [(s or ("alone", k), t) for k, (s, t) in enumerate(labels)]
    joint, s, t = (Counter(c) for c in (singletons, *zip(*singletons, strict=True)))
    sums = {"j": joint, "s": s, "t": t}
    squares = {name: sum(c * c for c in sizes.values()) for name, sizes in sums.items()}
    h_joint, h_s, h_t = (entropy(c, n) for c in (joint, s, t))
    label_joint, label_s = Counter(labels), Counter(s for s, _ in labels)
    v_rand = 2 * squares["j"] / (squares["s"] + squares["t"])
    voi = entropy(label_joint, n) - h_t, entropy(label_joint, n) - entropy(label_s, n)
    pair_count = {name: value - n for name, value in squares.items()}
    pair_total = pair_count["s"] + pair_count["t"]
    return {
        "v_rand": v_rand,
        "v_rand_split": squares["j"] / squares["t"],
        "v_rand_merge": squares["j"] / squares["s"],
        "v_info": 2 * (h_s + h_t - h_joint) / (h_s + h_t) if h_s + h_t else 1.0,
        "v_info_split": (h_s + h_t - h_joint) / h_s if h_s else 1.0,
        "v_info_merge": (h_s + h_t - h_joint) / h_t if h_t else 1.0,
        "rand_error": 1 - 2 * pair_count["j"] / pair_total if pair_total else 0.0,
        "adapted_rand_error": 1 - v_rand,
        "voi_split": voi[0],
        "voi_merge": voi[1],
        "cremi_score": sqrt(max(0.0, (1 - v_rand) * sum(voi))),
    }


def vector_arrays(case: dict[str, Any]) -> tuple[Ids, Ids]:
    if "seg" in case:
        return np.array(case["seg"]), np.array(case["gt"])
    i, j = np.mgrid[:48, :64]
    truth = np.where((i % 12 == 0) | (j % 16 == 0), 0, (i // 12) * 4 + j // 16 + 1)
    return np.where((i % 16 == 0) | (j % 8 == 3), 0, (i // 16) * 8 + j // 8 + 1), truth


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    return dict(json.loads((Path(__file__).parent / "metric_vectors.json").read_text())["cases"])


def test_metrics_equal_the_vectors(vectors: dict[str, Any]) -> None:
    for name, case in vectors.items():
        scores = evaluate(*vector_arrays(case))
        singletons, label = case["seg0_singletons"], case["seg0_as_label"]
        expected = {
            "v_rand": singletons["v_rand"],
            "v_rand_split": singletons["rand_split"],
            "v_rand_merge": singletons["rand_merge"],
            "v_info": singletons["v_info"],
            # 0/0 in the vectors; the limit is "no error of this sort".
            "v_info_split": 1.0 if singletons["info_split"] is None else singletons["info_split"],
            "v_info_merge": 1.0 if singletons["info_merge"] is None else singletons["info_merge"],
            "adapted_rand_error": singletons["arand_error"],
            "voi_split": label["voi_split"],
            "voi_merge": label["voi_merge"],
        }
        assert {key: scores[key] for key in expected} == pytest.approx(expected, abs=1e-12), name


@settings(deadline=None, max_examples=100)
@given(pairs())
def test_metrics_equal_their_definitions(pair: tuple[Ids, Ids]) -> None:
    scores = evaluate(*pair)
    expected = scores_by_definition(*pair)
    assert {key: scores[key] for key in expected} == pytest.approx(expected, abs=1e-9)


def test_scores_equal_scikit_image_where_segments_are_large_and_nothing_is_zero() -> None:
    i, j = np.mgrid[:60, :80]
    truth, segmentation = (i // 20) * 4 + j // 20 + 1, (i // 15) * 4 + (j + 7) // 25 + 1
    scores = evaluate(segmentation, truth)
    assert scores["rand_error"] == pytest.approx(skimage_rand_error(truth, segmentation)[0])
    assert (scores["voi_split"], scores["voi_merge"]) == pytest.approx(
        tuple(skimage_voi(truth, segmentation))
    )
    assert abs(scores["rand_error"] - scores["adapted_rand_error"]) < 0.003


@settings(deadline=None, max_examples=50)
@given(pairs())
def test_every_metric_is_finite_and_in_its_range(pair: tuple[Ids, Ids]) -> None:
    scores = evaluate(*pair)
    assert list(scores) == list(METRICS)
    for name, value in scores.items():
        assert isfinite(value), name
        assert value >= 0, name
        assert value <= 1 or name in ("voi_split", "voi_merge", "cremi_score"), name


@settings(deadline=None, max_examples=50)
@given(ids(min_id=1))
def test_a_perfect_segmentation_is_perfect_by_every_metric(truth: Ids) -> None:
    assert evaluate(truth + 10, truth) == PERFECT


@settings(deadline=None, max_examples=50)
@given(pairs(), st.permutations(range(1, 5)), st.integers(0, 2**63))
def test_renaming_ids_changes_nothing(pair: tuple[Ids, Ids], names: list[int], offset: int) -> None:
    segmentation, truth = pair
    table = np.array([0, *(name + offset for name in names)], np.uint64)
    expected = evaluate(segmentation, truth)
    assert evaluate(table[segmentation], table[truth]) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(pairs(min_id=1))
def test_voi_is_zero_only_for_the_same_partition(pair: tuple[Ids, Ids]) -> None:
    segmentation, truth = pair
    scores = evaluate(segmentation, truth, metrics=["voi_split", "voi_merge"])
    inside = truth != 0
    joint = np.unique(np.stack([segmentation[inside], truth[inside]]), axis=1).shape[1]
    n_segments, n_objects = np.unique(segmentation[inside]).size, np.unique(truth[inside]).size
    assert (scores["voi_split"] == 0) == (joint == n_objects)
    assert (scores["voi_merge"] == 0) == (joint == n_segments)


def test_every_metric_says_what_it_is_and_which_way_is_better() -> None:
    registry = METRICS | ON_REQUEST
    for name in registry:
        assert (resolve(registry, name, "metric").__doc__ or "").strip(), name
    assert LOWER_IS_BETTER - set(registry) == {"voi"}  # a sum that only the curve knows


TRUTH = np.repeat(np.array([[[1, 1, 2, 2, 3, 3]]]), 4, axis=1)


def test_a_split_shows_in_split_scores_only() -> None:
    split = TRUTH.copy()
    split[:, :2][split[:, :2] == 2] = 9
    scores = evaluate(split, TRUTH)
    assert all(scores[name] != PERFECT[name] for name in SPLIT_PARTS)
    assert all(scores[name] == PERFECT[name] for name in MERGE_PARTS)


def test_a_merge_shows_in_merge_scores_only() -> None:
    merged = np.where(TRUTH == 3, 2, TRUTH)
    scores = evaluate(merged, TRUTH)
    assert all(scores[name] != PERFECT[name] for name in MERGE_PARTS)
    assert all(scores[name] == PERFECT[name] for name in SPLIT_PARTS)


@pytest.mark.parametrize(
    ("segmentation", "truth", "expected"),
    [
        # nothing to split, nothing to merge
        ([[1, 1]], [[1, 1]], {"v_info": 1, "v_info_split": 1, "v_info_merge": 1, "rand_error": 0}),
        # one voxel of foreground
        ([[1, 1]], [[1, 0]], {"v_rand": 1, "v_info": 1, "rand_error": 0, "cremi_score": 0}),
        # the segmentation found nothing: all singletons, but one label for VOI
        ([[0, 0]], [[1, 1]], {"v_rand": 2 / 3, "v_info": 0, "rand_error": 1, "voi_split": 0}),
        # each voxel by itself, and rightly so
        ([[1, 2]], [[3, 4]], {"v_rand": 1, "v_info": 1, "rand_error": 0}),
    ],
)
def test_degenerate_cases_have_finite_scores(
    segmentation: list[list[int]], truth: list[list[int]], expected: dict[str, float]
) -> None:
    scores = evaluate(np.array(segmentation), np.array(truth))
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    assert all(isfinite(value) for value in scores.values())


def test_pixel_error_and_dice_by_hand() -> None:
    truth = np.array([[1, 1, 0, 2, 2]])
    shifted = np.array([[1, 0, 2, 2, 2]])
    scores = evaluate(shifted, truth, metrics=["pixel_error", "dice"])
    # boundaries: 0 1 1 1 0 in the truth, 1 1 1 0 0 in the segmentation
    assert scores["pixel_error"] == pytest.approx(1 - 2 * 2 / (3 + 3))
    assert scores["dice"] == pytest.approx(2 * 3 / (4 + 4))


def test_every_key_is_explained_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
    ids_3d = np.repeat(np.arange(1, 4), 20).reshape(1, 3, 20).repeat(2, axis=0)
    membranes = np.zeros((1, 20, 20))
    membranes[:, 9] = 1
    keys = {
        *METRICS,
        *ON_REQUEST,
        *isbi_protocol(membranes, membranes),
        *snemi3d_protocol(ids_3d, ids_3d),
        *cremi_protocol(ids_3d, ids_3d, (40, 4, 4), border_nm=-1),
    }
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []

"""The curve from one walk equals recomputing at every cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from napari_emseg.errors import InputError
from napari_emseg.evaluation import ScoreCurve, evaluate, membranes_to_labels, score_curve
from napari_emseg.evaluation.curve import SCORE_NAMES

RNG = np.random.default_rng(0)


@dataclass
class Tree:
    a: npt.NDArray[np.uint32]
    b: npt.NDArray[np.uint32]
    height: npt.NDArray[np.float32]


@dataclass
class Fragmented:
    """A hierarchy made by hand, with the plainest possible cut."""

    fragments: npt.NDArray[np.uint32]
    tree: Tree

    def cut(self, h: float) -> npt.NDArray[np.int64]:
        low = self.tree.height <= np.float32(h)
        n = int(max(self.fragments.max(), self.tree.a.max(), self.tree.b.max())) + 1
        links = coo_matrix((np.ones(low.sum()), (self.tree.a[low], self.tree.b[low])), (n, n))
        segment_of = connected_components(links, directed=False)[1] + 1
        segment_of[0] = 0
        return np.asarray(segment_of[self.fragments], np.int64)


@st.composite
def hierarchies(draw: st.DrawFn) -> tuple[Fragmented, npt.NDArray[np.int64]]:
    """Fragments in any places, any tree (even with cycles, equal heights and height 0)."""
    seed = draw(st.integers(0, 2**32 - 1))
    n_fragments = draw(st.integers(2, 40))
    n_edges = draw(st.integers(1, 60))
    levels = draw(st.sampled_from([2, 10, 1000]))
    lowest_fragment = draw(st.integers(0, 1))
    rng = np.random.default_rng(seed)
    shape = (3, 5, 7)
    a, b = rng.integers(1, n_fragments + 1, (2, n_edges)).astype(np.uint32)
    height = np.sort(rng.integers(0, levels, n_edges) / levels).astype(np.float32)
    fragments = rng.integers(lowest_fragment, n_fragments + 1, shape).astype(np.uint32)
    truth = rng.integers(0, draw(st.integers(1, 12)) + 1, shape)
    truth[0, 0, 0] = 1
    return Fragmented(fragments, Tree(a, b, height)), truth


@settings(deadline=None, max_examples=40)
@given(hierarchies())
def test_curve_equals_evaluating_every_cut(
    case: tuple[Fragmented, npt.NDArray[np.int64]],
) -> None:
    hierarchy, truth = case
    curve = score_curve(hierarchy, truth)
    assert curve.h[0] == 0
    assert (np.diff(curve.h) > 0).all()
    assert set(curve.h) == {0, *hierarchy.tree.height}
    for h in [*curve.h[:: 1 + curve.h.size // 20], 2.0]:
        expected = evaluate(hierarchy.cut(h), truth, metrics=SCORE_NAMES)
        assert curve.at(h) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    hierarchies(),
    st.lists(st.integers(0, 2), min_size=1, max_size=3),
    st.sampled_from(["labels", "membranes"]),
    st.sampled_from(["stack", "sections"]),
)
def test_curve_of_some_sections_against_either_kind_by_either_average(
    case: tuple[Fragmented, npt.NDArray[np.int64]], sections: list[int], kind: Any, average: Any
) -> None:
    hierarchy, truth = case  # its fragments and clusters run through sections
    if kind == "membranes":
        truth = (truth % 3 == 0).astype(np.int64)
        truth[:, 0, :2] = [0, 1]
    else:
        truth[sections[0], 0, 0] = 1
    options: dict[str, Any] = {
        "ground_truth_kind": kind,
        "average": average,
        "sections": sections,
        "invert": False,
    }
    curve = score_curve(hierarchy, truth, **options)
    for h in RNG.random(5):
        expected = evaluate(hierarchy.cut(h), truth, metrics=SCORE_NAMES, **options)
        assert curve.at(h) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(hierarchies())
def test_curve_of_sections_apart_is_the_same_against_membranes_and_their_labels(
    case: tuple[Fragmented, npt.NDArray[np.int64]],
) -> None:
    hierarchy, truth = case
    membranes = (truth % 3 == 0).astype(np.uint8)
    membranes[:, 0, :2] = [0, 1]
    n = int(max(hierarchy.fragments.max(), hierarchy.tree.a.max(), hierarchy.tree.b.max()))
    sections = np.arange(3, dtype=np.uint32)
    offset = sections[:, np.newaxis, np.newaxis] * np.uint32(n)
    apart = np.where(hierarchy.fragments, hierarchy.fragments + offset, 0)
    a, b = (
        (ends + n * sections[:, np.newaxis]).astype(np.uint32).ravel()
        for ends in (hierarchy.tree.a, hierarchy.tree.b)
    )
    tree = Tree(a, b, np.tile(hierarchy.tree.height, 3))
    hierarchy = Fragmented(apart, tree)
    labels = membranes_to_labels(membranes, invert=False)[0]
    curve = score_curve(hierarchy, membranes, ground_truth_kind="membranes", invert=False)
    expected = score_curve(hierarchy, labels)
    for name in ("h", *SCORE_NAMES):
        np.testing.assert_array_equal(getattr(curve, name), getattr(expected, name))


def test_more_voxels_than_64_bits_can_square_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_emseg.evaluation.curve.MAX_VOXELS", 5)
    row = replace(ROW, fragments=np.repeat(ROW.fragments, 2, axis=0))
    drawn = np.array([[[0, 0, 1, 0]]] * 2)
    options: dict[str, Any] = {"ground_truth_kind": "membranes", "invert": False}
    with pytest.raises(InputError, match="at most 5 voxels"):
        score_curve(row, drawn, **options)
    score_curve(row, drawn, average="sections", **options)


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_curve_equals_evaluating_20_cuts_of_a_real_map(shared_data: Path, mode: Any) -> None:
    from napari_emseg.segmentation import build_hierarchy

    folder = shared_data / "gala_fib"
    boundary = tifffile.imread(folder / "train_boundary.tif")[:20]
    truth = tifffile.imread(folder / "train_neurons.tif")[:20]
    hierarchy = build_hierarchy(boundary, sigma_px=1.0, mode=mode)
    curve = score_curve(hierarchy, truth)
    for h in RNG.random(20) ** 2:
        labels = hierarchy.cut(float(h)).to_volume()
        expected = evaluate(labels, truth, metrics=SCORE_NAMES)
        assert curve.at(float(h)) == pytest.approx(expected, abs=1e-10)
    h, value = curve.best("v_rand")
    best = evaluate(hierarchy.cut(h).to_volume(), truth, metrics=["v_rand"])["v_rand"]
    assert value == best == curve.v_rand.max()
    assert best < curve.best_possible["v_rand"] < 1
    assert curve.voi.min() > curve.best_possible["voi"] > 0


ROW = Fragmented(
    np.array([[[1, 2, 3, 4]]], np.uint32),
    Tree(
        np.array([1, 3, 2], np.uint32),
        np.array([2, 4, 3], np.uint32),
        np.array([0.1, 0.3, 0.7], np.float32),
    ),
)


def test_a_row_of_four_fragments_by_hand() -> None:
    curve = score_curve(ROW, np.array([[[5, 5, 6, 6]]]))
    np.testing.assert_array_equal(curve.h, np.array([0, 0.1, 0.3, 0.7], np.float32))
    np.testing.assert_allclose(curve.v_rand_split, [0.5, 0.75, 1, 1])
    np.testing.assert_allclose(curve.v_rand_merge, [1, 1, 1, 0.5])
    np.testing.assert_allclose(curve.voi_split, [1, 0.5, 0, 0], atol=1e-15)
    np.testing.assert_allclose(curve.voi_merge, [0, 0, 0, 1], atol=1e-15)
    np.testing.assert_array_equal(curve.voi, curve.voi_split + curve.voi_merge)


@pytest.mark.parametrize("metric", ["v_rand", "v_info", "voi", "adapted_rand_error"])
def test_best_is_a_short_number_in_the_middle_of_the_best_interval(metric: str) -> None:
    curve = score_curve(ROW, np.array([[[5, 5, 6, 6]]]))
    h, value = curve.best(metric)
    assert h == 0.5
    assert value == (1.0 if metric.startswith("v_") else 0.0)


def test_best_at_either_end_of_the_tree() -> None:
    apart = score_curve(ROW, np.array([[[1, 2, 3, 4]]]))
    assert apart.best() == (0.05, 1.0)
    together = score_curve(ROW, np.array([[[1, 1, 1, 1]]]))
    h, value = together.best()
    assert (np.float32(h), value) == (np.float32(0.7), 1)
    assert together.at(together.best()[0])["v_rand"] == 1


def ramp(n: int, best: int) -> ScoreCurve:
    height = np.linspace(0, 1, n, dtype=np.float32)
    values = -np.abs(np.arange(n) - best) / n
    scores: dict[str, Any] = dict.fromkeys(SCORE_NAMES, values)
    return ScoreCurve(height, **scores)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 3000), st.data())
def test_best_height_gives_the_best_value_even_in_single_precision(n: int, data: Any) -> None:
    curve = ramp(n, data.draw(st.integers(0, n - 1)))
    h, value = curve.best()
    assert curve.at(h)["v_rand"] == curve.at(float(np.float32(h)))["v_rand"] == value


@given(st.integers(1, 500), st.integers(3, 60), st.data())
def test_thinning_keeps_ends_and_best(n: int, n_points: int, data: Any) -> None:
    curve = ramp(n + 1, data.draw(st.integers(0, n)))
    thin = curve.thin(n_points)
    assert thin.h.size <= max(n_points, 3)
    assert {curve.h[0], curve.h[-1]} <= set(thin.h)
    assert thin.v_rand.max() == curve.v_rand.max()


def test_a_tree_without_merges_has_one_point() -> None:
    none = np.zeros(0, np.uint32)
    hierarchy = replace(ROW, tree=Tree(none, none, none.astype(np.float32)))
    curve = score_curve(hierarchy, np.array([[[5, 5, 6, 6]]]))
    assert curve.h.tolist() == [0]
    assert curve.best() == (0.0, curve.v_rand[0])


@pytest.mark.parametrize("h", [-0.1, float("nan")])
def test_a_height_that_is_none_is_refused(h: float) -> None:
    with pytest.raises(InputError, match="h must be 0 or more"):
        score_curve(ROW, np.array([[[5, 5, 6, 6]]])).at(h)


def test_other_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="no score curve of 'dice'"):
        score_curve(ROW, np.array([[[5, 5, 6, 6]]])).best("dice")
    with pytest.raises(InputError, match="ground truth is empty"):
        score_curve(ROW, np.array([[[0, 0, 0, 0]]]))
    with pytest.raises(InputError, match="but the ground truth has shape"):
        score_curve(ROW, np.array([[[5, 5, 6]]]))


def test_a_long_chain_of_merges_into_one_object_stays_fast_and_exact() -> None:
    # the worst case for merging tables into each other: one cluster swallows all, one by one
    n = 60_000
    fragments = np.arange(1, n + 1, dtype=np.uint32).reshape(1, 200, 300)
    chain = Tree(
        np.arange(1, n, dtype=np.uint32),
        np.arange(2, n + 1, dtype=np.uint32),
        np.linspace(0, 1, n - 1, dtype=np.float32),
    )
    truth = fragments.astype(np.int64) % 1000 + 1
    curve = score_curve(Fragmented(fragments, chain), truth)
    assert curve.v_rand_split[-1] == 1
    assert curve.v_rand_merge[-1] == pytest.approx(1 / 1000)
    assert curve.voi_split[-1] == 0
    assert curve.voi_merge[-1] == pytest.approx(np.log2(1000))

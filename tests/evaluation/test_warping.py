"""Warping: what simple points are, that topology stays, and errors one can see."""

from __future__ import annotations

import heapq
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import gaussian_filter, label

from napari_emseg.errors import InputError
from napari_emseg.evaluation import evaluate, membranes_to_labels, warp_section
from napari_emseg.evaluation.topology import connectivity_number
from napari_emseg.evaluation.warping import KINDS, WarpingCounts, find_cells

Mask = npt.NDArray[np.bool_]
CORNERS_TOO = np.ones((3, 3))


def count_components(cells: Mask) -> tuple[int, int]:
    """Components of cells (sides) and of membrane (corners too), outside included."""
    framed = np.pad(cells, 1)
    return label(framed)[1], label(~framed, CORNERS_TOO)[1]


def flipped(cells: Mask, place: tuple[int, int]) -> Mask:
    other = cells.copy()
    other[place] = not other[place]
    return other


def sections() -> st.SearchStrategy[tuple[Mask, Mask, Mask, npt.NDArray[np.float64]]]:
    def with_shape(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
        mask = arrays(bool, shape)
        certainty = arrays(np.float64, shape, elements=st.sampled_from([0.0, 0.5, 1.0]))
        return st.tuples(mask, mask, mask, certainty)

    return array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(with_shape)


def warp_slowly(truth: Mask, target: Mask, mask: Mask, certainty: npt.NDArray[np.float64]) -> Mask:
    """Flip by the definition: a flip is allowed if no number of components changes."""
    image, n, queued = truth.copy(), 0, set()
    queue: list[tuple[float, int, tuple[int, int]]] = []

    def push(place: tuple[int, int]) -> None:
        nonlocal n
        if image[place] != target[place] and mask[place] and place not in queued:
            heapq.heappush(
                queue, (-round(255 * certainty[place] / (certainty.max() or 1)), n, place)
            )
            queued.add(place)
            n += 1

    for place in product(*map(range, image.shape)):
        push(place)
    while queue:
        y, x = heapq.heappop(queue)[2]
        queued.remove((y, x))
        if count_components(flipped(image, (y, x))) != count_components(image):
            continue
        image[y, x] = target[y, x]
        for v, u in product((y - 1, y, y + 1), (x - 1, x, x + 1)):
            if 0 <= v < image.shape[0] and 0 <= u < image.shape[1]:
                push((v, u))
    return image


def test_a_pixel_is_simple_if_no_number_of_components_changes() -> None:
    for ring in product((False, True), repeat=8):
        image = np.insert(np.array(ring), 4, True).reshape(3, 3)
        is_simple = count_components(image) == count_components(flipped(image, (1, 1)))
        framed = np.pad(image, 1).astype(np.uint8)
        assert (connectivity_number(framed, 2, 2) == 1) == is_simple, image


@settings(deadline=None, max_examples=80)
@given(sections())
def test_warping_equals_the_definition_and_keeps_the_topology(case: Any) -> None:
    truth, target, mask, certainty = case
    result = warp_section(truth, target, mask=mask, certainty=certainty)
    np.testing.assert_array_equal(result.warped, warp_slowly(truth, target, mask, certainty))
    assert count_components(result.warped) == count_components(truth)
    np.testing.assert_array_equal(result.kind != 0, result.warped != target)
    np.testing.assert_array_equal(result.warped[~mask], truth[~mask])


@settings(deadline=None, max_examples=80)
@given(sections())
def test_more_starts_keep_the_topology_and_never_end_worse(case: Any) -> None:
    truth, target, mask, certainty = case
    options: dict[str, Any] = {"mask": mask, "certainty": certainty}
    one = warp_section(truth, target, **options)
    best = warp_section(truth, target, **options, thicken_px=(0, 1, 2))
    assert best.counts.error() <= one.counts.error()
    assert count_components(best.warped) == count_components(truth)
    np.testing.assert_array_equal(best.warped[~mask], truth[~mask])


@settings(deadline=None, max_examples=80)
@given(sections())
def test_each_kind_is_what_flipping_the_pixel_would_do(case: Any) -> None:
    truth, target, mask, _ = case
    result = warp_section(truth, target, mask=mask)
    objects, holes = count_components(result.warped)
    for place in zip(*np.nonzero(result.kind), strict=True):
        name = KINDS[result.kind[place] - 1]
        others, other_holes = count_components(flipped(result.warped, place))
        more_objects, more_holes = others - objects, other_holes - holes
        is_so = {
            "split": more_objects > 0 and result.warped[place],
            "merge": more_objects < 0 and not result.warped[place],
            "hole_added": more_objects == 0 and more_holes > 0,
            "hole_deleted": more_objects == 0 and more_holes < 0,
            "object_added": more_objects == 1 and not result.warped[place],
            "object_deleted": more_objects == -1 and result.warped[place],
            "masked": (more_objects, more_holes) == (0, 0) and not mask[place],
        }
        assert is_so[name], name


def picture(text: str) -> Mask:
    """Cells are dots, membranes are hashes."""
    return np.array([[c == "." for c in line] for line in text.split()])


TWO_CELLS = picture("""
    ....#....
    ....#....
    ....#....
    ....#....""")
ONE_CELL = np.ones_like(TWO_CELLS)
DOT = picture("......... ....#.... ......... .........")
ISLE = picture("######### ###..#### ######### #########")
THICK = picture("..###.... ..###.... ..###.... ..###....")


@pytest.mark.parametrize(
    ("truth", "segmented", "pixels", "sites"),
    [
        # the membrane lies one pixel aside, in part: no error
        (TWO_CELLS, np.roll(TWO_CELLS, 1, axis=1), {}, {}),
        (TWO_CELLS, picture("....#.... ...#..... ...#..... ....#...."), {}, {}),
        # thick membranes may lie further aside, if only they overlap
        (np.roll(THICK, 2, axis=1), THICK, {}, {}),
        # a gap of one pixel joins the cells; a gap of three is still one merger
        (TWO_CELLS, picture("....#.... ......... ....#.... ....#...."), {"merge": 1}, {"merge": 1}),
        (TWO_CELLS, picture("....#.... ......... ......... ........."), {"merge": 3}, {"merge": 1}),
        # the membrane is all there, but the truth has none: cut through, one pixel is left to cut
        (ONE_CELL, TWO_CELLS, {"split": 1}, {"split": 1}),
        # a dot of membrane in a cell, and the other way round
        (ONE_CELL, DOT, {"hole_added": 1}, {"hole_added": 1}),
        (DOT, ONE_CELL, {"hole_deleted": 1}, {"hole_deleted": 1}),
        # a small cell in the membrane, and the other way round
        (~ONE_CELL, ISLE, {"object_added": 2}, {"object_added": 1}),
        (ISLE, ~ONE_CELL, {"object_deleted": 1}, {"object_deleted": 1}),
    ],
)  # fmt: skip
def test_errors_one_can_see(
    truth: Mask, segmented: Mask, pixels: dict[str, int], sites: dict[str, int]
) -> None:
    counts = warp_section(truth, segmented).counts
    assert counts.n_pixels == truth.size
    assert {k: n for k, n in zip(KINDS, counts.pixels, strict=True) if n} == pixels
    assert {k: n for k, n in zip(KINDS, counts.sites, strict=True) if n} == sites
    assert counts.error() == sum(pixels.values()) / truth.size


def test_where_the_mask_forbids_it_even_a_shift_costs() -> None:
    shifted = np.roll(TWO_CELLS, 1, axis=1)
    fixed = warp_section(TWO_CELLS, shifted, mask=np.zeros_like(TWO_CELLS)).counts
    assert fixed.error() == np.mean(shifted != TWO_CELLS)
    assert fixed.error("split", "merge", "masked") == fixed.error()


def test_membranes_touch_at_corners_too_so_that_a_gap_in_a_slanting_one_is_one_error() -> None:
    slanting = ~np.eye(6, 8, 1, dtype=bool)
    counts = warp_section(slanting, np.ones_like(slanting)).counts
    assert counts.error("merge") == 6 / slanting.size
    assert counts.n_sites() == counts.n_sites("merge") == 1


def test_a_membrane_thickened_by_k_pixels_meets_one_k_and_1_pixels_aside() -> None:
    truth = np.ones((5, 30), bool)
    truth[:, 15] = False
    for shift in range(5):
        is_met = [
            warp_section(truth, np.roll(truth, shift, axis=1), thicken_px=[k]).counts.error() == 0
            for k in range(4)
        ]
        assert is_met == [shift <= k + 1 for k in range(4)]


def test_counts_of_sections_add_up() -> None:
    gap = picture("....#.... ......... ....#.... ....#....")
    one = warp_section(TWO_CELLS, gap).counts
    both = WarpingCounts().plus(one).plus(warp_section(TWO_CELLS, TWO_CELLS).counts)
    assert both.error() == one.error() / 2
    assert both.n_sites() == both.n_sites("merge") == 1


@settings(deadline=None, max_examples=50)
@given(arrays(np.int64, (5, 6), elements=st.integers(0, 3)))
def test_cells_of_two_ids_never_touch_by_a_side(ids: npt.NDArray[np.int64]) -> None:
    cells = find_cells(ids)
    assert not cells[ids == 0].any()
    components = label(cells)[0]
    for component in range(1, components.max() + 1):
        assert np.unique(ids[components == component]).size == 1


def test_the_metric_is_the_sum_of_its_parts_and_moved_borders_cost_nothing() -> None:
    truth = np.repeat(np.arange(1, 5), 6)[np.newaxis, np.newaxis].repeat(20, axis=1)
    names = [f"warping_{kind}_error" for kind in ("split", "merge", "hole", "object")]
    moved = truth.copy()
    moved[:, 3:9, 6:8] = 1  # a border drawn two pixels aside
    assert evaluate(moved, truth, metrics="warping_error") == {"warping_error": 0.0}
    merged = np.where(truth == 2, 1, truth)
    scores = evaluate(merged, truth, metrics=["warping_error", *names])
    assert scores["warping_error"] == scores["warping_merge_error"] == 20 / truth.size
    assert scores["warping_error"] == sum(scores[name] for name in names)


def test_the_mean_over_sections_is_that_of_single_ones() -> None:
    rng = np.random.default_rng(0)
    segmentation, truth = rng.integers(0, 3, (2, 3, 8, 9))
    options: dict[str, Any] = {"metrics": "warping_error"}
    single = [
        evaluate(s, t, **options)["warping_error"] for s, t in zip(segmentation, truth, strict=True)
    ]
    mean = evaluate(segmentation, truth, average="sections", **options)["warping_error"]
    assert mean == pytest.approx(np.mean(single))
    assert evaluate(segmentation, truth, **options)["warping_error"] == pytest.approx(mean)


def test_membranes_are_warped_as_drawn() -> None:
    membranes = np.zeros((1, 30, 30), np.uint8)
    membranes[:, 10:14] = 1
    cells = membranes_to_labels(membranes)[0]
    cells[:, 10:14] = np.where(np.arange(4)[:, np.newaxis] < 1, 1, 2)
    options: dict[str, Any] = {"ground_truth_kind": "membranes", "metrics": "warping_error"}
    assert evaluate(cells, membranes, **options) == {"warping_error": 0.0}


@pytest.mark.parametrize("shapes", [((3, 4), (3, 5)), ((2, 3, 4), (2, 3, 4))])
def test_only_two_sections_of_one_shape_can_be_warped(shapes: Any) -> None:
    truth, segmented = (np.ones(shape) for shape in shapes)
    with pytest.raises(InputError, match="shape"):
        warp_section(truth, segmented)


@pytest.mark.parametrize("name", ["mask", "certainty"])
def test_mask_and_certainty_must_fit_the_section(name: str) -> None:
    options: dict[str, Any] = {name: np.ones((4, 8))}
    with pytest.raises(InputError, match=f"the {name} "):
        warp_section(TWO_CELLS, TWO_CELLS, **options)


def test_real_membranes_jittered_have_far_fewer_errors_of_topology(shared_data: Path) -> None:
    path = shared_data / "isbi2012/train_membranes_z00-23.tif"
    truth = tifffile.imread(path, key=0) > 0
    noise = gaussian_filter(np.random.default_rng(0).normal(size=truth.shape), 3)
    jittered = gaussian_filter(truth.astype(float), 2) + 2 * noise > 0.5
    result = warp_section(truth, jittered)
    assert np.mean(jittered != truth) > 0.05
    assert 0 < result.counts.error() < 0.01
    assert count_components(result.warped) == count_components(truth)

"""Warps, and that grey values and ids go through them together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.training.augment_lookup import OUTSIDE, spread
from napari_emseg.training.augment_params import WarpParams
from napari_emseg.training.augment_warp import STILL, Warp, draw_warp
from napari_emseg.training.stacks import SECTIONS, HeldStack, Stack
from napari_emseg.training.warped import (
    Place,
    fold_sections,
    mirrored_span,
    pick_box,
    pick_sections,
    read_box,
    read_sections,
)

FULL = WarpParams(affine_fraction=1, misaligned_fraction=1)
QUIET = WarpParams(affine_fraction=0, elastic_sigma_px=0, misaligned_fraction=0)
SEEDS = st.integers(0, 2**31)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ramps(shape: tuple[int, int, int], order=SECTIONS) -> list[tuple[Stack, Stack]]:
    """For each axis, grey values and ids that both tell the position along it."""
    found = []
    for position in np.indices(shape):
        stacks = [
            HeldStack(0, shape[0], shape[1:], order, position.astype(dtype), 0)
            for dtype in (np.float32, np.uint64)
        ]
        found.append((stacks[0], stacks[1]))
    return found


def still(shape: tuple[int, int, int]) -> Warp:
    return draw_warp(
        rng(), shape, QUIET.model_copy(update={"orientations": False}), field_px=shape[1]
    )


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, y=st.integers(-9, 60), x=st.integers(-9, 40), size=st.integers(2, 40))
def test_ids_go_where_the_picture_goes_also_beyond_the_edge(seed, y, x, size) -> None:
    warp = draw_warp(rng(seed), (3, size, size), FULL, field_px=size)
    place = Place(np.array([1.0, y, x]), warp, (0, 3))
    sections = np.array([0, 1, 3])
    for grey, ids in ramps((4, 53, 31)):
        shown = read_sections(grey, place, sections, size)
        picked = pick_sections(ids, place, sections, size)
        assert np.abs(shown - picked).max() <= 0.5 + 1e-3


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, depth=st.integers(1, 9), at=st.tuples(*[st.integers(-3, 30)] * 3))
def test_ids_go_where_the_picture_goes_in_volumes(seed, depth, at) -> None:
    shape = (depth, 12, 12)
    warp = draw_warp(rng(seed), shape, FULL, field_px=16, field_sections=depth + 4, is_cubic=True)
    place = Place(np.array(at, float), warp, (1, 17))
    for grey, ids in ramps((20, 25, 22)):
        shown, picked = read_box(grey, place, shape), pick_box(ids, place, shape)
        assert np.abs(shown - picked).max() <= 0.5 + 1e-3


def test_a_run_is_not_left_in_volumes() -> None:
    warp = draw_warp(rng(3), (8, 8, 8), FULL, field_px=8, field_sections=8, is_cubic=True)
    place = Place(np.array([5.0, 10, 10]), warp, (4, 7))
    grey, ids = ramps((20, 25, 22))[0]
    assert set(np.unique(pick_box(ids, place, (8, 8, 8)))) <= {4, 5, 6, 7}
    assert 4 <= read_box(grey, place, (8, 8, 8)).min() <= 7


@pytest.mark.parametrize(("any_order", "count"), [pytest.param(False, 16), pytest.param(True, 48)])
def test_orientations(any_order, count) -> None:
    sections = 5 if any_order else 0
    drawn = {
        draw_warp(
            rng(seed), (5, 5, 5), QUIET, field_px=5, field_sections=sections, is_cubic=any_order
        ).matrix.tobytes()
        for seed in range(600)
    }
    assert len(drawn) == count


def test_all_can_be_switched_off() -> None:
    warp = still((1, 6, 6))
    assert np.array_equal(warp.matrix, np.eye(3))
    assert not warp.field.any()
    assert np.array_equal(warp.slips, STILL[None])


def test_switching_one_off_leaves_the_others() -> None:
    full = draw_warp(rng(5), (3, 30, 30), FULL, field_px=30, middle=1)
    for change, same in (
        ({"elastic_sigma_px": 0}, ("matrix", "slips")),
        ({"affine_fraction": 0}, ("field", "slips")),
        ({"misaligned_fraction": 0}, ("matrix", "field")),
    ):
        other = draw_warp(
            rng(5), (3, 30, 30), FULL.model_copy(update=change), field_px=30, middle=1
        )
        for name in ("matrix", "field", "slips"):
            equal = np.array_equal(getattr(full, name), getattr(other, name))
            assert equal == (name in same), (change, name)


def test_scale_keeps_within_its_limits() -> None:
    params = QUIET.model_copy(update={"affine_fraction": 1.0, "shear": 0.0})
    sizes = [
        1 / np.sqrt(abs(np.linalg.det(draw_warp(rng(s), (1, 2, 2), params, field_px=2).matrix)))
        for s in range(300)
    ]
    assert 0.7 - 1e-6 <= min(sizes) < 0.75
    assert 1.35 < max(sizes) <= 1.4 + 1e-6


def test_the_papers_field_has_a_still_border() -> None:
    params = QUIET.model_copy(
        update={"elastic_sigma_px": 4.0, "elastic_nodes": 12, "elastic_zero_border": True}
    )
    field = draw_warp(rng(), (1, 111, 111), params, field_px=111).field
    for edge in (field[0], field[-1], field[:, 0], field[:, -1]):
        assert not edge.any()
    # the nodes themselves have the strength asked for: 12 nodes on 111 px lie 10 apart
    assert field[10:-10:10, 10:-10:10].std() == pytest.approx(4, rel=0.15)


def test_nodes_are_as_far_apart_as_asked_for() -> None:
    def field(**changes: int) -> np.ndarray:
        params = QUIET.model_copy(update={"elastic_sigma_px": 4.0, **changes})
        return draw_warp(rng(), (1, 111, 111), params, field_px=111).field

    # 12 nodes on 111 px lie 10 apart
    assert np.array_equal(field(elastic_spacing_px=10), field(elastic_nodes=12))
    assert np.array_equal(field(elastic_spacing_px=11), field(elastic_nodes=11))
    assert np.array_equal(field(elastic_spacing_px=110), field(elastic_nodes=2))


def test_fields_are_as_torch_draws_them() -> None:
    nodes = rng().standard_normal((5, 5, 2), np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(nodes).permute(2, 0, 1)[None],
        size=(41, 41),
        mode="bicubic",
        align_corners=True,
    )
    found = torch.from_numpy(spread(nodes, (41, 41))).permute(2, 0, 1)[None]
    assert torch.allclose(found, expected, atol=1e-5)


def test_the_predicted_section_is_never_misaligned() -> None:
    moved = np.zeros(5)
    for seed in range(300):
        slips = draw_warp(rng(seed), (5, 4, 4), FULL, field_px=4, middle=2).slips
        hit = ~np.isclose(slips, STILL).all(axis=(1, 2))
        assert hit.any()
        assert not hit[2]
        if hit.sum() > 1:  # a slip goes on to the end of the stack
            assert hit.tolist() in ([False] * 3 + [True] * 2, [True] * 2 + [False] * 3)
        moved += hit
    assert (moved[[0, 1, 3, 4]] > 30).all()


def test_in_volumes_any_section_may_be_misaligned_but_never_all() -> None:
    moved = np.zeros(4)
    for seed in range(100):
        slips = draw_warp(rng(seed), (4, 4, 4), FULL, field_px=4).slips
        hit = ~np.isclose(slips, STILL).all(axis=(1, 2))
        assert 0 < hit.sum() < 4
        moved += hit
    assert (moved > 5).all()


def test_a_slip_shifts_one_section_and_its_ids_alike() -> None:
    shift = np.array([[1.0, 0, 2], [0, 1, -3]])
    warp = still((3, 9, 9))
    slips = warp.slips.copy()
    slips[1] = shift
    warp = Warp(warp.matrix, warp.field, slips)
    place = Place(np.array([1.0, 20, 20]), warp, (0, 3))
    for axis, (grey, ids) in enumerate(ramps((4, 53, 31))):
        shown = read_sections(grey, place, np.array([0, 1, 2]), 9)
        assert np.array_equal(shown, pick_sections(ids, place, np.array([0, 1, 2]), 9))
        step = (1, 2, -3)[axis]
        assert (shown[1] - shown[0] == step).all()


def test_the_halo_is_not_mirrored() -> None:
    place = Place(np.array([0.0, 0, 0]), still((1, 5, 5)), (0, 0))
    ids = HeldStack(0, 1, (9, 9), SECTIONS, np.ones((1, 9, 9), np.uint8), 0)
    mirrored = pick_sections(ids, place, np.array([0, OUTSIDE]), 5)
    assert mirrored[0].all()
    assert not mirrored[1].any()
    opened = pick_sections(ids, place, np.array([0]), 5, halo=1)[0]
    # rows and columns -2 to 2: the rim is 0 where it lies outside, the rest is mirrored
    assert opened.tolist() == [[0] * 5, [0, 1, 1, 1, 0], *[[0, 1, 1, 1, 1]] * 2, [0, 0, 1, 1, 1]]


@given(st.lists(st.integers(-50, 50), min_size=1), st.integers(-5, 5), st.integers(0, 9), st.data())
def test_mirrored_sections_lie_within_and_a_span_holds_them(sections, first, length, data) -> None:
    last = first + length
    folded = fold_sections(sections, first, last)
    assert folded.min() >= first
    assert folded.max() <= last
    start, stop = mirrored_span(min(sections), max(sections), first, last)
    assert first <= start <= folded.min()
    assert folded.max() < stop <= last + 1


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_a_block_of_a_turned_stack_is_the_turned_block(order) -> None:
    volume = rng().integers(0, 255, (7, 6, 5), np.uint8)
    held = HeldStack(2, 6, (6, 5), order, volume[1:], 1)
    block, origin = held.block((1, 1, 1), (3, 3, 3))
    expected = volume[2:6].transpose(order)
    assert held.shape == expected.shape
    assert np.array_equal(block, expected)
    assert not origin.any()

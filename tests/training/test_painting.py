"""Paint: what is painted is known, the rest is not, and patches are drawn where it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from tests.training.still import STILL

from napari_emseg.errors import InputError
from napari_emseg.inference.sections import standardise
from napari_emseg.training import TrainingPair, TrainParams, hold_out
from napari_emseg.training.batch_arrays import make_arrays
from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.known import find_known
from napari_emseg.training.painting import INSIDE, MEMBRANE, paint_target, painted_sections
from napari_emseg.training.pair_checks import check_ids, notes_on_pair
from napari_emseg.training.pairs import make_target
from napari_emseg.training.sources import open_sources
from napari_emseg.training.stacks import SECTIONS, HeldStack, SparseStack
from napari_emseg.training.targets import IGNORED, affinity_target, kernel_target
from napari_emseg.volume import Volume

HUGE = 2**63 + 5
PAINT = nps.arrays(
    np.uint64,
    st.tuples(*[st.integers(1, 9)] * 2),
    elements=st.sampled_from([0, 0, MEMBRANE, INSIDE, 7, HUGE]),
)
SPECS = {
    "sections": InputSpec(in_sections=3),
    "margin": InputSpec(margin_px=6),
    "volume": InputSpec(dimensions=3),
    "affinities": InputSpec(dimensions=3, offsets=((-1, 0, 0), (0, -1, 0), (0, 0, -1))),
}


def strokes(shape=(9, 300, 301), sections=(2, 7), dtype=np.uint32) -> np.ndarray:
    """A stroke of membrane of 50 px and one of inside in each of the sections."""
    paint = np.zeros(shape, dtype)
    for n, z in enumerate(sections):
        y = 5 + n * shape[1] // 2
        paint[z, y, 10:60] = MEMBRANE
        paint[z, y + 10 : y + 13, 10:60] = INSIDE + n
    return paint


def painted(paint: np.ndarray, size=(50.0, 4.0, 4.0), **changes: Any) -> TrainingPair:
    raw = np.random.default_rng(3).integers(1, 250, paint.shape).astype(np.uint8)
    options = {"train_sections": painted_sections(Volume(paint, kind="labels")), **changes}
    return TrainingPair(
        Volume(raw, voxel_size_nm=size), Volume(paint, kind="labels"), "painted", **options
    )


def small(**changes: Any) -> TrainParams:
    options = {"patch_px": 48, "patch_sections": 4, "batch_size": 4, "workers": 0, **changes}
    return TrainParams(**options)


@settings(max_examples=60, deadline=None)
@given(PAINT, st.integers(1, 3))
def test_what_is_not_painted_is_not_known_and_membrane_is_membrane(paint, boundary_px):
    target = paint_target(paint, boundary_px)
    assert np.array_equal(target == IGNORED, paint == 0)
    assert (target[paint == MEMBRANE] == 1).all()
    cells = paint >= INSIDE
    ids = np.unique(paint[cells])
    if len(ids) < 2:
        assert (target[cells] == 0).all()
    for y, x in np.argwhere(cells & (target == 1)):
        near = paint[
            max(0, y - boundary_px) : y + boundary_px + 1,
            max(0, x - boundary_px) : x + boundary_px + 1,
        ]
        assert len(set(near[near >= INSIDE].tolist())) > 1


def test_two_cells_that_touch_have_a_boundary_on_both_sides_and_a_rim_has_none():
    paint = np.array([[0, 5, 5, 5, 9, 9, 9, 0, 5, 1, 9]])
    assert paint_target(paint)[0].tolist() == [255, 0, 0, 1, 1, 0, 0, 255, 0, 1, 0]
    assert paint_target(paint, 2)[0].tolist() == [255, 0, 1, 1, 1, 1, 0, 255, 0, 1, 0]
    kernel = paint_target(paint[None], kernel="l3")[0, 0]
    assert kernel.tolist() == [255, 0, 0, 1, 1, 0, 0, 255, 0, 1, 0]


def test_painted_sections_of_any_kind_of_array():
    paint = strokes(dtype=np.int16)
    assert painted_sections(Volume(paint, kind="labels")) == (2, 7)

    class Lazy:
        shape, dtype = paint.shape, paint.dtype

        def __getitem__(self, key: Any) -> np.ndarray:
            assert isinstance(key, int), "one section at a time"
            return paint[key]

    assert painted_sections(Volume(Lazy(), kind="labels")) == (2, 7)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("size", [(50.0, 4.0, 4.0), (10.0, 10.0, 10.0)])
def test_every_patch_shows_paint_however_little_there_is(name, size):
    pair = painted(strokes(shape=(9, 1000, 1001)), size)
    params, spec = small(), SPECS[name]
    sources = open_sources([pair], params, spec)
    for step in range(3):
        _, targets = make_arrays(sources, params, spec, step)
        known = targets != IGNORED
        assert known.reshape(len(targets), -1).any(axis=1).all()
        assert known.mean() < 0.5


@pytest.mark.parametrize("name", ["sections", "volume"])
def test_both_kinds_come_equally_often(name):
    paint = strokes()
    paint[2, 100:300, 50:300] = INSIDE  # a thousand times as much as membrane
    params, spec = small(patch_px=16, patch_sections=2), SPECS[name]
    sources = open_sources([painted(paint)], params, spec)
    shows_membrane = [
        (target == 1).any()
        for step in range(12)
        for target in make_arrays(sources, params, spec, step)[1]
    ]
    assert 0.3 < np.mean(shows_membrane) < 0.7


def test_a_window_has_its_middle_on_a_pixel_of_the_kind_that_is_wanted():
    params = small(sampling="windows", class_balance=True, batch_size=8)
    spec = InputSpec(margin_px=5)
    _, targets = make_arrays(open_sources([painted(strokes())], params, spec), params, spec, 0)
    assert targets.tolist() == [0, 1] * 4


def test_without_changes_a_patch_is_a_part_of_the_painted_section():
    pair = painted(strokes(shape=(5, 90, 91), sections=(2,)))
    params, spec = small(augment=STILL, patch_px=20), InputSpec()
    images, targets = make_arrays(open_sources([pair], params, spec), params, spec, 0)
    section, target = standardise(pair.raw.read(2)), paint_target(pair.labels.read(2))
    views = np.lib.stride_tricks.sliding_window_view(section, (20, 20))
    inner = 0
    for image, shown in zip(images[:, 0], targets[:, 0], strict=True):
        for y, x in np.argwhere(np.isclose(views, image, atol=1e-4).all(axis=(2, 3))):
            assert np.array_equal(shown, target[y : y + 20, x : x + 20])
            inner += 1
    assert inner  # others show what is mirrored at the edge


def test_held_out_paint_teaches_nothing_though_its_raw_data_is_seen():
    pair = painted(strokes(shape=(9, 60, 61), sections=(2, 4)), train_sections=(2,))
    pair = replace(pair, validation_sections=(4,))
    spec, params = SPECS["volume"], small(patch_px=32, patch_sections=6)
    source = open_sources([pair], params, spec)[0]
    assert source.run_of(2)[1] >= 4
    truth, _ = source.truth.block((0, 0, 0), source.truth.shape)
    painted_in = np.flatnonzero(truth.any(axis=(1, 2))) + source.truth.start
    assert painted_in.tolist() == [2]


def test_paint_in_a_view_from_the_side_is_learned_along_all_axes():
    paint = np.zeros((40, 50, 60), np.uint16)
    paint[5:35, 20, 10:50] = MEMBRANE
    paint[5:35, 20, 25:30] = INSIDE
    params, spec = small(patch_px=32), InputSpec()
    sources = open_sources([painted(paint, (10, 10, 10), axes="zyx")], params, spec)
    assert len(sources) == 3
    across_y = sources[1]
    assert set(across_y.known.boundary[:, 0].tolist()) == {20}
    for step in range(3):
        for target in make_arrays([across_y], params, spec, step)[1]:
            assert (target != IGNORED).sum() > 200  # a whole sheet of paint, not a line


def test_only_sections_around_paint_are_read_of_files():
    paint = strokes(shape=(50, 60, 61), sections=(10, 40))
    pair, asked = painted(paint), []

    class Lazy:
        shape, dtype = pair.raw.shape, pair.raw.dtype

        def __getitem__(self, key: Any) -> np.ndarray:
            asked.append(key)
            return pair.raw.data[key]

    lazy = replace(pair, raw=Volume(Lazy(), voxel_size_nm=(50, 4, 4)))
    params, spec = small(), SPECS["sections"]
    sources = open_sources([lazy], params, spec)
    assert sorted(set(asked)) == [9, 10, 11, 39, 40, 41]
    held = open_sources([pair], params, spec)
    for step in range(3):
        for one, other in zip(
            make_arrays(sources, params, spec, step),
            make_arrays(held, params, spec, step),
            strict=True,
        ):
            assert np.array_equal(one, other)


@settings(max_examples=30, deadline=None)
@given(st.permutations([0, 1, 2]), st.data())
def test_a_sparse_stack_is_the_full_one(order, data):
    array = strokes(shape=(7, 8, 9), sections=()).astype(np.uint16)
    array[3] = np.arange(72).reshape(8, 9)
    array[5, 2] = 9
    full = HeldStack(1, 7, (8, 9), SECTIONS, array[1:], 1).turned(tuple(order))
    sparse = SparseStack(1, 7, (8, 9), SECTIONS, {3: array[3], 5: array[5]}).turned(tuple(order))
    low = [data.draw(st.integers(0, n - 1)) for n in full.shape]
    high = [data.draw(st.integers(a + 1, n)) for a, n in zip(low, full.shape, strict=True)]
    block, origin = sparse.block(low, high)
    assert origin.tolist() == low
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    assert np.array_equal(block, full.block(low, high)[0][box])


def test_the_affinity_of_membrane_is_none_and_of_the_unpainted_not_known():
    paint = np.array([[[5, 5, 6, 1, 1, 0, 5]]])
    target = affinity_target(paint, [(0, 0, -1)], membrane=MEMBRANE)
    assert target.ravel().tolist() == [255, 1, 0, 0, 0, 0, 255]


def test_two_painted_sections_are_both_learned_from_and_of_four_the_last_is_held_out():
    raw = Volume(np.zeros((30, 20, 20), np.uint8))

    def sections(*painted_in: int) -> TrainingPair:
        paint = np.zeros(raw.shape, np.uint8)
        paint[list(painted_in), 3] = 1
        return hold_out(raw, Volume(paint, kind="labels"), labels_kind="painted")

    assert sections(3, 20).train_sections == (3, 20)
    assert sections(3, 20).validation_sections == ()
    assert sections(1, 2, 3, 9).train_sections == (1, 2, 3)
    assert sections(1, 2, 3, 9).validation_sections == (9,)
    with pytest.raises(InputError, match="nothing is painted; paint membrane with 1"):
        sections()


def test_paint_of_one_kind_only_is_refused_with_what_is_missing():
    paint = strokes()
    check_ids(painted(paint))
    with pytest.raises(InputError, match="some strokes of the inside of cells"):
        check_ids(painted(np.where(paint == 1, paint, 0)))
    with pytest.raises(InputError, match=r"some strokes of membrane \(1\)"):
        check_ids(painted(np.where(paint > 1, paint, 0)))
    touching = np.where(paint > 1, paint, 0)
    touching[2, 18:20, 10:60] = 9
    check_ids(painted(touching))  # where they touch is a boundary


def test_notes_tell_how_much_is_painted():
    assert notes_on_pair(painted(strokes())) == [
        "data: 2 of 9 sections are painted and used.",
        "data: no section is left for validation, so nothing is scored on it.",
    ]


def test_classes_to_ignore_are_no_paint():
    paint = strokes()
    classes = np.zeros(paint.shape, np.uint8)
    classes[:, :, :30] = 4
    pair = painted(paint, ignore=Volume(classes, kind="labels"), ignore_values=(4,))
    assert (make_target(pair, 2)[:, :30] == IGNORED).all()
    params, spec = small(), InputSpec()
    known = open_sources([pair], params, spec)[0].known
    assert known.boundary[:, 2].min() == 30


def test_of_very_many_pixels_some_are_kept_from_everywhere(monkeypatch):
    monkeypatch.setattr("napari_emseg.training.known._MOST_PIXELS", 100)
    known = find_known({z: np.zeros((50, 60), np.uint8) for z in (1, 4)})
    assert len(known) == 100
    assert known.inside.min(axis=0).tolist() == [1, 0, 0]
    assert known.inside.max(axis=0).tolist() == [4, 49, 59]


@pytest.mark.parametrize("kernel", ["c3", "c5"])
def test_kernels_are_drawn_around_painted_cells(kernel):
    paint = np.zeros((3, 9, 9), np.uint32)
    paint[1, :, :4], paint[1, :, 4:8] = 3, 4
    expected = kernel_target(paint, kernel)
    target = paint_target(paint, kernel=kernel)
    assert np.array_equal(target[paint > 0], expected[paint > 0])
    assert (target[paint == 0] == IGNORED).all()

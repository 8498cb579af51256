"""Patches, volumes and windows: the right place, the right target, unknown stays unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.still import STILL

from napari_emseg.errors import InputError
from napari_emseg.inference.sections import SectionReader, standardise
from napari_emseg.networks import build_network
from napari_emseg.training import AugmentParams, TrainingPair, TrainParams, windows
from napari_emseg.training.batches import make_batch
from napari_emseg.training.boxes import draw_box
from napari_emseg.training.input_spec import InputSpec, describe_input
from napari_emseg.training.patches import Sample, draw_patch
from napari_emseg.training.sources import Source, open_sources
from napari_emseg.training.stacks import SECTIONS, HeldStack, ReadStack
from napari_emseg.training.targets import affinity_target, kernel_target, label_target
from napari_emseg.training.tones import Tones
from napari_emseg.training.windows import draw_window
from napari_emseg.volume import Volume

SHAKEN = STILL.model_copy(
    update={"orientations": True, "affine_fraction": 0.7, "elastic_sigma_px": 3.0}
)
OFFSETS = ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (-2, 0, 0), (0, 3, 0))
CUBE = (10.0, 10.0, 10.0)
SECTIONED = (50.0, 4.0, 4.0)


def pair_of(raw: Any, labels: Any, size=SECTIONED, **changes: Any) -> TrainingPair:
    kind = changes.setdefault("labels_kind", "labels")
    options = {"train_sections": tuple(range(len(labels))), **changes}
    truth = Volume(labels, kind="labels" if kind == "labels" else "raw", voxel_size_nm=size)
    return TrainingPair(Volume(raw, voxel_size_nm=size), truth, **options)


def noise(shape=(5, 47, 61), dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(1).integers(1, 250, shape).astype(dtype)


def cells(shape=(5, 47, 61)) -> np.ndarray:
    z, y, x = np.indices(shape)
    return ((y + z) // 9 * 100 + (x + z) // 9 + 1).astype(np.uint32)


def opened(pair: TrainingPair, params: TrainParams, spec: InputSpec) -> Source:
    return open_sources([pair], params, spec)[0]


def small(**changes: Any) -> TrainParams:
    options = {"patch_px": 20, "patch_sections": 4, "augment": STILL, "workers": 0, **changes}
    return TrainParams(**options)


def position_of(part: np.ndarray, whole: np.ndarray) -> tuple[int, ...]:
    """Where an array is in a larger one; exactly one place."""
    views = np.lib.stride_tricks.sliding_window_view(whole, part.shape)
    axes = tuple(range(whole.ndim, 2 * whole.ndim))
    found = np.argwhere(np.isclose(views, part, atol=1e-4).all(axis=axes))
    assert len(found) == 1
    return tuple(found[0].tolist())


def drawn(function: Any, source: Source, params: TrainParams, spec: InputSpec, seed=0) -> Sample:
    sample = function(np.random.default_rng(seed), source, params, spec)
    assert sample is not None
    return sample


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float64])
@pytest.mark.parametrize("margin_px", [0, 7])
def test_without_changes_a_patch_is_a_part_of_the_standardised_section(dtype, margin_px):
    raw, ids = noise(dtype=dtype), cells()
    spec, params = InputSpec(margin_px=margin_px), small()
    source = opened(pair_of(raw, ids, train_sections=(2,)), params, spec)
    section = mirrored(standardise(raw[2]), 10 + margin_px)
    target = label_target(mirrored(ids[2], 10))
    for seed in range(4):
        sample = drawn(draw_patch, source, params, spec, seed)
        y, x = position_of(sample.image[0], section)
        expected = target[y : y + 20, x : x + 20]
        assert np.array_equal(sample.target[0], expected)


def test_neighbours_are_those_of_prediction_and_blank_ones_the_middle():
    raw = noise()
    raw[1] = 7
    spec, params = InputSpec(in_sections=3), small(patch_px=40)
    pair = pair_of(raw, cells(), train_sections=(0, 1, 2))
    source = opened(pair, params, spec)
    assert source.sections.tolist() == [0, 2]  # the blank one teaches nothing
    reader = SectionReader(pair.raw, 3, None)
    expected = {z: reader.read(z) for z in (0, 2)}
    for seed in range(6):
        image = drawn(draw_patch, source, params, spec, seed).image
        found = [z for z, whole in expected.items() if is_part(image, mirrored(whole, 20))]
        assert len(found) == 1


def mirrored(section: np.ndarray, by: int) -> np.ndarray:
    return np.pad(section, [(0, 0)] * (section.ndim - 2) + [(by, by)] * 2, mode="reflect")


def is_part(part: np.ndarray, whole: np.ndarray) -> bool:
    views = np.lib.stride_tricks.sliding_window_view(whole, part.shape)
    return bool(np.isclose(views, part, atol=1e-4).all(axis=(-3, -2, -1)).any())


@pytest.mark.parametrize("kernel", ["l3", "c3", "c5"])
def test_boundary_kernels_of_a_section_see_its_neighbours(kernel):
    raw, ids = noise(), cells()
    spec, params = InputSpec(), small(boundary_kernel=kernel)
    source = opened(pair_of(raw, ids, train_sections=(1, 2, 3)), params, spec)
    wanted = kernel_target(mirrored(ids[1:4], 10), kernel)  # of the training sections alone
    sections = np.stack([mirrored(standardise(section), 10) for section in raw[1:4]])
    for seed in range(6):
        sample = drawn(draw_patch, source, params, spec, seed)
        z, y, x = position_of(sample.image, sections)
        expected = wanted[z, y : y + 20, x : x + 20]
        assert np.array_equal(sample.target[0], expected)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_a_membrane_stays_on_its_pixels_under_every_warp(seed):
    truth = np.zeros((3, 60, 70), np.uint8)
    truth[:, 20:26] = truth[:, :, 33:40] = 255
    pair = pair_of(truth, truth, labels_kind="membranes", invert=False)
    spec, params = InputSpec(), small(patch_px=48, augment=SHAKEN)
    source = opened(pair, params, spec)
    sample = drawn(draw_patch, source, params, spec, seed)
    low, high = standardise(truth[0]).min(), standardise(truth[0]).max()
    share = (sample.image[0] - low) / (high - low)
    assert np.array_equal(share[share > 0.76] > 0, sample.target[0][share > 0.76] == 1)
    assert (sample.target[0][share < 0.24] == 0).all()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), in_3d=st.booleans(), cubic=st.booleans())
def test_ignored_voxels_stay_ignored_under_every_warp(seed, in_3d, cubic):
    shape = (6, 50, 50)
    classes = np.zeros(shape, np.uint8)
    classes[:, 15:30, 10:40] = 159
    pair = pair_of(
        classes,
        cells(shape),
        size=CUBE if cubic else SECTIONED,
        ignore=Volume(classes, kind="labels"),
        ignore_values=(159, 7),
    )
    spec = InputSpec(dimensions=3) if in_3d else InputSpec()
    params = small(patch_px=32, augment=SHAKEN)
    source = opened(pair, params, spec)
    sample = drawn(draw_box if in_3d else draw_patch, source, params, spec, seed)
    low, high = standardise(classes[0]).min(), standardise(classes[0]).max()
    share = (sample.image[0] - low) / (high - low)
    target = sample.target[0]
    assert (target[share > 0.9] == 255).all()
    assert (target[share < 0.1] != 255).all()


@pytest.mark.parametrize("size", [CUBE, SECTIONED])
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_affinities_belong_to_the_ids_shown_however_turned(size, seed):
    ids = noise((9, 25, 27)) % 4
    # section by section of one deviation: the grey value tells the id, 0 is unlabelled
    ids[:, 0, :4] = [0, 1, 2, 3]
    raw = Volume(ids.astype(np.float32) * 50, voxel_size_nm=size)
    huge = np.where(ids, ids + np.uint64(2**63), np.uint64(0))  # apart in the last bits only
    pair = replace(pair_of(ids, huge, size=size), raw=raw)
    spec = InputSpec(dimensions=3, offsets=OFFSETS)
    params = small(patch_px=16, augment=STILL.model_copy(update={"orientations": True}))
    source = opened(pair, params, spec)
    tones = source.tones.of(range(9))
    mean, scale = (float(np.mean(values)) for values in tones)
    # one tone for all, so that the id can be read back
    source.tones._found = dict.fromkeys(range(9), (mean, scale))
    sample = drawn(draw_box, source, params, spec, seed)
    shown = np.rint((sample.image[0] / scale + mean) / 50).astype(int)
    expected = affinity_target(shown, OFFSETS)
    known = expected != 255
    assert np.array_equal(sample.target[known], expected[known])
    inside = sample.target[:, 2:-2, 3:-3, 3:-3] != 255
    partner_known = expected[:, 2:-2, 3:-3, 3:-3] != 255
    assert np.array_equal(inside, partner_known)


def test_affinities_reach_beyond_the_patch_but_not_beyond_the_labels():
    ids = cells((12, 40, 40))
    spec, params = InputSpec(dimensions=3, offsets=OFFSETS), small(patch_px=16)
    pair = pair_of(noise((12, 40, 40)), ids, train_sections=tuple(range(2, 9)))
    source = opened(pair, params, spec)
    wanted = affinity_target(ids[2:9], OFFSETS)
    met = []
    for seed in range(10):
        sample = drawn(draw_box, source, params, spec, seed)
        whole = np.stack([standardise(section) for section in pair.raw.read(slice(2, 9))])
        if not is_part(sample.image[0], whole):
            continue  # over the edge
        z, y, x = position_of(sample.image[0], whole)
        expected = wanted[:, z : z + 4, y : y + 16, x : x + 16]
        assert np.array_equal(sample.target, expected)
        met.append(z)
    assert len(set(met)) > 1


@pytest.mark.parametrize("size", [CUBE, SECTIONED])
def test_the_middle_section_of_a_volume_is_never_blank(size):
    raw = noise((9, 40, 40))
    raw[3:6] = 0
    spec, params = InputSpec(dimensions=3), small(patch_sections=3, patch_px=16)
    source = opened(pair_of(raw, cells(raw.shape), size=size), params, spec)
    samples = [draw_box(np.random.default_rng(s), source, params, spec) for s in range(30)]
    assert any(sample is None for sample in samples)
    assert all(sample.image[0, 1].std() > 0.2 for sample in samples if sample is not None)


@pytest.mark.parametrize(("dtype", "value"), [(np.int8, -1), (">i2", -1), (">u2", 3), ("u1", 255)])
def test_classes_to_ignore_are_found_in_any_type(dtype, value):
    classes = np.zeros((1, 40, 40), dtype)
    classes[:, :, 20:] = value
    ignore = Volume(classes, kind="labels")
    pair = pair_of(noise((1, 40, 40)), cells((1, 40, 40)), ignore=ignore, ignore_values=(value,))
    spec, params = InputSpec(), small(patch_px=16)
    source = opened(pair, params, spec)
    met = [drawn(draw_patch, source, params, spec, seed).target for seed in range(8)]
    assert 0.1 < np.mean([target == 255 for target in met]) < 0.9


def test_volumes_smaller_than_the_patch_are_mirrored():
    spec, params = InputSpec(dimensions=3, offsets=OFFSETS), small(patch_sections=9, patch_px=32)
    for size in (CUBE, SECTIONED):
        pair = pair_of(noise((3, 11, 13)), cells((3, 11, 13)), size=size)
        sample = drawn(draw_box, opened(pair, params, spec), params, spec)
        assert sample.image.shape == (1, 9, 32, 32)
        assert sample.target.shape == (5, 9, 32, 32)
        assert sample.image.std() > 0.5


def test_labels_of_a_misaligned_section_move_with_it_in_volumes_only():
    ids = cells((9, 60, 60))
    augment = STILL.model_copy(update={"misaligned_fraction": 1.0, "misaligned_degrees": 0.0})
    raw = (ids % 7 * 30).astype(np.uint8)
    pair = pair_of(raw, ids)
    volume, flat = InputSpec(dimensions=3, offsets=((-1, 0, 0),)), InputSpec(in_sections=3)
    params = small(patch_px=24, augment=augment, boundary_kernel="c3")
    still = small(patch_px=24, boundary_kernel="c3")
    moved = [drawn(draw_box, opened(pair, params, volume), params, volume, s) for s in range(4)]
    in_place = [drawn(draw_box, opened(pair, still, volume), still, volume, s) for s in range(4)]
    assert any((a.target != b.target).any() for a, b in zip(moved, in_place, strict=True))
    for seed in range(4):
        shown = drawn(draw_patch, opened(pair, params, flat), params, flat, seed)
        expected = drawn(draw_patch, opened(pair, still, flat), still, flat, seed)
        assert np.array_equal(shown.image[1], expected.image[1])
        assert not np.array_equal(shown.image, expected.image)
        assert np.array_equal(shown.target, expected.target)


def test_slices_along_all_axes_stay_within_the_training_sections():
    raw, ids = noise((8, 20, 21)), cells((8, 20, 21))
    pair = pair_of(
        raw, ids, CUBE, axes="zyx", train_sections=(0, 2, 3, 4, 5), validation_sections=(1, 6)
    )
    params = small(patch_px=16)
    sources = open_sources([pair], params, InputSpec())
    assert [source.raw.shape for source in sources] == [(6, 20, 21), (20, 4, 21), (21, 4, 20)]
    assert sum(source.weight for source in sources) == pytest.approx(1)
    for axis in (1, 2):
        block, _ = sources[axis].raw.block((0, 0, 0), sources[axis].raw.shape)
        assert np.array_equal(block, np.moveaxis(raw[2:6], axis, 0))
        sample = drawn(draw_patch, sources[axis], params, InputSpec())
        assert sample.image.shape == (1, 16, 16)
    with pytest.raises(InputError, match="far from cubic"):
        pair_of(raw, ids, SECTIONED, axes="zyx")


@pytest.mark.parametrize("options", [{}, {"nonuniform": True}, {"foveated": True}])
@pytest.mark.parametrize("at", [(60, 60), (3, 130)])
def test_windows_are_what_the_network_reads(options, at, monkeypatch):
    network = build_network("n4", **options)
    spec = describe_input(network)
    raw, ids = noise((2, 120, 131)), cells((2, 120, 131))
    params = small(sampling="windows", class_balance=True)
    source = opened(pair_of(raw, ids, train_sections=(1,)), params, spec)
    monkeypatch.setattr(windows, "_find_pixel", lambda *_: (0, *at, 1))
    sample = drawn(draw_window, source, params, spec)
    section = torch.from_numpy(standardise(raw[1])[None])
    expected = network.read_windows(section, torch.tensor([at]))[0]
    assert torch.allclose(expected, torch.from_numpy(sample.image), atol=1e-4)
    assert sample.target.tolist() == [1]


def test_the_middle_of_a_window_is_what_its_target_says():
    truth = (cells((1, 90, 90)) % 2 * 200 + 20).astype(np.uint8)
    spec = InputSpec(margin_px=8)
    params = small(sampling="windows", augment=SHAKEN)
    source = opened(pair_of(truth, truth, labels_kind="membranes", invert=False), params, spec)
    for seed in range(20):
        sample = drawn(draw_window, source, params, spec, seed)
        assert (sample.image[0, 8, 8] > 0) == sample.target[0]


def test_half_of_the_windows_show_boundary_where_it_is_rare():
    ids = np.ones((1, 90, 90), np.uint8)
    ids[:, :, 45:] = 2
    spec = describe_input(build_network("n4"))
    params = small(sampling="windows", class_balance=True, batch_size=10, augment=SHAKEN)
    batch = make_batch([opened(pair_of(noise((1, 90, 90)), ids), params, spec)], params, spec, 0)
    assert batch.images.shape == (10, 1, 95, 95)
    assert batch.targets.tolist() == [0, 1] * 5
    unbalanced = params.model_copy(update={"class_balance": False, "batch_size": 30})
    batch = make_batch(
        [opened(pair_of(noise((1, 90, 90)), ids), params, spec)], unbalanced, spec, 0
    )
    assert batch.targets.float().mean() < 0.3


def test_single_windows_show_boundary_and_inside_in_turn():
    spec, params = describe_input(build_network("n4")), small(sampling="windows")
    params = params.model_copy(update={"class_balance": True, "batch_size": 1})
    sources = [opened(pair_of(noise((1, 90, 90)), cells((1, 90, 90))), params, spec)]
    targets = [make_batch(sources, params, spec, step).targets.item() for step in range(4)]
    assert targets == [0, 1, 0, 1]


class Stored:
    """As an array in a file: only boxes of it can be read."""

    def __init__(self, array: np.ndarray) -> None:
        self._array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        return self._array[key].copy()


def stored(pair: TrainingPair) -> TrainingPair:
    volumes = {name: getattr(pair, name) for name in ("raw", "labels", "ignore", "maps")}
    return replace(
        pair,
        **{name: replace(v, data=Stored(v.data)) for name, v in volumes.items() if v is not None},
    )


@pytest.mark.parametrize("size", [CUBE, SECTIONED])
@pytest.mark.parametrize("labels_kind", ["labels", "membranes"])
@pytest.mark.parametrize(
    ("spec", "changes"),
    [
        (InputSpec(in_sections=3, in_maps=3, margin_px=5), {}),
        (InputSpec(dimensions=3), {}),
        (InputSpec(margin_px=12), {"sampling": "windows", "class_balance": True}),
    ],
)
def test_what_is_read_patch_by_patch_is_what_is_held(size, labels_kind, spec, changes):
    shape = (14, 80, 90)
    raw, ids = noise(shape, np.uint16), cells(shape)
    pair = pair_of(
        raw,
        ids if labels_kind == "labels" else (ids % 3 == 0).astype(np.uint8),
        size,
        labels_kind=labels_kind,
        train_sections=(0, *range(2, 12)),
        axes="zyx" if size == CUBE else "z",
        ignore=Volume((ids % 11 == 0).astype(np.uint8), kind="labels"),
        ignore_values=(1,),
        maps=Volume(raw.astype(np.float32) / 250, kind="boundary"),
    )
    params = small(augment=AugmentParams(), batch_size=6, **changes)
    held = open_sources([pair], params, spec)
    read = open_sources([stored(pair)], params, spec, memory_bytes=0)
    assert isinstance(held[0].raw, HeldStack)
    assert isinstance(read[0].raw, ReadStack)
    for step in range(3):
        expected, found = (make_batch(sources, params, spec, step) for sources in (held, read))
        assert torch.equal(expected.images, found.images)
        assert torch.equal(expected.targets, found.targets)


def test_large_sections_are_judged_whole_in_memory_and_by_tiles_in_files():
    raw = np.random.default_rng(2).normal(100, 20, (2, 1100, 1500)).astype(np.float32)
    raw[1] = 3
    held = HeldStack(0, 2, (1100, 1500), SECTIONS, raw, 0)
    read = ReadStack(0, 2, (1100, 1500), SECTIONS, Stored(raw), holds_ids=False)
    mean, scale = Tones(held, "a").of([0, 1])
    assert mean[0] == pytest.approx(raw[0].mean(), rel=1e-6)
    assert scale.tolist() == pytest.approx([1 / raw[0].std(), 0], rel=1e-5)
    near_mean, near_scale = Tones(read, "a").of([0, 1])
    assert near_mean[0] != mean[0]
    assert near_mean == pytest.approx(mean, rel=1e-2)
    assert near_scale == pytest.approx(scale, rel=1e-2)


def test_maps_of_an_earlier_network_are_cut_alike():
    raw = noise()
    maps = Volume(raw.astype(np.float32) / 250, kind="boundary")
    spec = InputSpec(in_sections=5, in_maps=5)
    params = small(augment=SHAKEN)
    pair = replace(pair_of(raw, cells()), maps=maps)
    source = opened(pair, params, spec)
    image = drawn(draw_patch, source, params, spec).image
    assert image.shape == (10, 20, 20)
    for section, shown in zip(image[:5], image[5:], strict=True):
        assert np.corrcoef(section.ravel(), shown.ravel())[0, 1] > 0.999
        assert 0 <= shown.min() < shown.max() <= 1
    with pytest.raises(InputError, match="maps_from"):
        opened(replace(pair, maps=None), params, spec)


def test_what_cannot_be_learned_from_membranes_is_refused():
    pair = pair_of(noise(), (cells() % 2 * 255).astype(np.uint8), labels_kind="membranes")
    with pytest.raises(InputError, match="affinities are learned from ids"):
        opened(pair, small(), InputSpec(dimensions=3, offsets=OFFSETS))
    with pytest.raises(InputError, match="boundary kernel l3"):
        opened(pair, small(boundary_kernel="l3"), InputSpec())


def test_blank_and_broken_sections_are_explained():
    blank = pair_of(np.full((2, 9, 9), 7, np.uint8), cells((2, 9, 9)), name="mine")
    with pytest.raises(InputError, match="mine: all training sections are blank"):
        opened(blank, small(), InputSpec())
    raw = noise((2, 9, 9), np.float32)
    raw[1, 2, 3] = np.nan
    with pytest.raises(InputError, match="Section 1 of mine holds values that are not numbers"):
        opened(pair_of(raw, cells((2, 9, 9)), name="mine"), small(), InputSpec())

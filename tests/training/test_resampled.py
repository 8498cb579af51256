"""Pairs on the grid of a model: ids stay ids, membranes stay closed, nothing is copied in vain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from scipy.ndimage import label

from napari_emseg.errors import InputError
from napari_emseg.progress import Cancelled
from napari_emseg.training import TrainingPair, TrainParams
from napari_emseg.training.batch_arrays import make_arrays
from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.pairs import make_target
from napari_emseg.training.resampled import at_voxel_size
from napari_emseg.training.sources import open_sources
from napari_emseg.training.targets import IGNORED
from napari_emseg.volume import Volume

MODEL = (50.0, 4.0, 4.0)


def pair_of(labels: np.ndarray, kind: str, size: Any = (40.0, 8.0, 8.0), **changes: Any):
    raw = np.random.default_rng(0).integers(1, 250, labels.shape).astype(np.uint8)
    options = {"train_sections": tuple(range(len(labels))), **changes}
    truth = Volume(labels, kind="raw" if kind == "membranes" else "labels", voxel_size_nm=size)
    return TrainingPair(Volume(raw, voxel_size_nm=size), truth, kind, **options)


def ids(shape=(3, 41, 53)) -> np.ndarray:
    z, y, x = np.indices(shape)
    return (2**40 + (y + z) // 9 * 100 + x // 11).astype(np.uint64)


@pytest.mark.parametrize("size", [(40.0, 5.0, 5.0), None])
def test_sizes_that_prediction_takes_as_they_are_are_left(size):
    pair = pair_of(ids(), "labels", size)
    assert at_voxel_size(pair, MODEL) is pair
    assert at_voxel_size(pair, None) is pair


def test_each_axis_has_its_own_ratio_and_all_volumes_go_along():
    labels = ids()
    pair = pair_of(
        labels, "labels", (40.0, 8.0, 2.0),
        ignore=Volume((labels % 3).astype(np.uint8), kind="labels"), ignore_values=(1,),
        maps=Volume((labels % 5 / 5).astype(np.float32), kind="boundary"),
    )  # fmt: skip
    made = at_voxel_size(pair, MODEL)
    shape = (3, 82, 26)
    for volume in (made.raw, made.labels, made.ignore, made.maps):
        assert volume.shape == volume.read().shape == shape
        assert volume.dtype == volume.read(1).dtype
        assert volume.voxel_size_nm == (40.0, 4.0, 4.0)
    assert made.raw.dtype == np.uint8


@settings(max_examples=30, deadline=None)
@given(
    nps.arrays(np.uint64, (2, 7, 9), elements=st.sampled_from([0, 1, 2**63 + 7, 4])),
    st.floats(1.2, 30),
    st.floats(1.2, 30),
)
def test_no_id_is_made_up_and_growing_keeps_all(values, y_nm, x_nm):
    pair = pair_of(values, "painted", (40.0, y_nm, x_nm))
    made = at_voxel_size(pair, MODEL).labels.read()
    assert set(np.unique(made)) <= set(np.unique(values))
    if y_nm >= MODEL[1] and x_nm >= MODEL[2]:
        assert set(np.unique(made)) == set(np.unique(values))


def test_a_whole_factor_repeats_pixels_and_its_inverse_gives_them_back():
    labels = ids((2, 8, 10))
    twice = at_voxel_size(pair_of(labels, "labels"), MODEL).labels.read()
    assert np.array_equal(twice, labels.repeat(2, axis=1).repeat(2, axis=2))
    half = at_voxel_size(pair_of(twice, "labels", MODEL), (50.0, 8.0, 8.0)).labels.read()
    assert np.array_equal(half, labels)


@pytest.mark.parametrize("pixel_nm", [8.0, 10.0, 13.7, 2.0])
@pytest.mark.parametrize("bright", [True, False])
def test_thin_membranes_stay_closed_and_two_valued_of_either_polarity(pixel_nm, bright):
    y, x = np.indices((90, 95))
    membrane = (np.abs(np.hypot(y - 45, x - 47) - 30) < 0.8) | (y == x)
    drawn = np.where(membrane == bright, 250, 3).astype(np.uint8)[None]
    pair = pair_of(drawn, "membranes", MODEL)
    made = at_voxel_size(pair, (50.0, pixel_nm, pixel_nm))
    assert set(np.unique(made.labels.read())) == {0, 255}
    target = make_target(made, 0)
    assert target.mean() < 0.5
    assert label(target == 0)[1] == label(~membrane)[1]


def test_a_section_that_is_not_drawn_stays_unknown():
    drawn = np.zeros((2, 30, 30), np.uint8)
    drawn[0, 15] = 255
    made = at_voxel_size(pair_of(drawn, "membranes"), MODEL)
    assert (make_target(made, 1) == IGNORED).all()
    assert (make_target(made, 0) == 1).any()


def test_grey_values_keep_mean_and_type():
    pair = pair_of(ids(), "labels", (40.0, 2.0, 2.0))
    for dtype in (np.uint8, np.uint16, np.int16, np.float64):
        raw = replace(pair, raw=replace(pair.raw, data=pair.raw.data.astype(dtype))).raw
        made = at_voxel_size(replace(pair, raw=raw), MODEL).raw
        assert made.dtype == (np.float32 if dtype == np.float64 else dtype)
        assert made.read(0).mean() == pytest.approx(pair.raw.read(0).mean(), abs=3)


def test_only_sections_to_train_on_are_resampled_at_once():
    pair, asked = pair_of(ids((9, 20, 20)), "labels", train_sections=(2,)), []

    class Lazy:
        shape, dtype = pair.raw.shape, pair.raw.dtype

        def __getitem__(self, key: Any) -> np.ndarray:
            asked.append(key)
            return pair.raw.data[key]

    made = at_voxel_size(replace(pair, raw=replace(pair.raw, data=Lazy())), MODEL)
    assert asked == [2]
    for _ in range(2):
        made.raw.read(2)
    assert asked == [2]
    assert np.array_equal(made.raw.read(slice(1, 4))[1], made.raw.read(2))
    assert np.array_equal(
        made.raw.read((slice(1, 4), slice(3, 9), 5)), made.raw.read()[1:4, 3:9, 5]
    )


def test_what_is_resampled_can_be_trained_on():
    made = at_voxel_size(pair_of(ids(), "labels"), MODEL)
    params, spec = TrainParams(patch_px=32, batch_size=2), InputSpec(in_sections=3)
    images, targets = make_arrays(open_sources([made], params, spec), params, spec, 0)
    assert images.shape == (2, 3, 32, 32)
    assert set(np.unique(targets)) == {0, 1}


def test_voxels_that_are_cubic_no_more_are_sliced_along_z_only():
    cubic = pair_of(ids(), "labels", (10.0, 10.0, 10.0), axes="zyx")
    assert at_voxel_size(cubic, MODEL).axes == "z"
    assert at_voxel_size(cubic, (10.0, 9.0, 9.0)).axes == "zyx"


def test_an_absurd_size_is_one_sentence():
    with pytest.raises(InputError, match=r"is 12.5 times that of the model to start from"):
        at_voxel_size(pair_of(ids(), "labels", (50.0, 50.0, 50.0)), MODEL)


def test_resampling_can_be_stopped():
    class Stop:
        def update(self, done: int, total: int, message: str = "") -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        at_voxel_size(pair_of(ids(), "labels"), MODEL, progress=Stop())

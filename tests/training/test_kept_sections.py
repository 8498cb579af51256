"""Sections that travel through files, and pairs without their voxels."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.errors import InputError
from napari_emseg.progress import Cancelled
from napari_emseg.training import TrainingPair, TrainParams
from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.kept_sections import KeptSections, keep_sections
from napari_emseg.training.outlines import PairOutline, first_sections, further_sections
from napari_emseg.training.shared_arrays import MappedArray, pack, unpack
from napari_emseg.volume import Volume

SHAPE = (6, 5, 4)
slices = st.builds(
    slice,
    st.none() | st.integers(-7, 7),
    st.none() | st.integers(-7, 7),
    st.none() | st.sampled_from([1, 2, -1]),
)


@settings(deadline=None, max_examples=60)
@given(
    kept=st.sets(st.integers(0, 5)), z=slices, inside=st.tuples(slices, slices | st.integers(0, 3))
)
def test_indexing_is_that_of_the_array_with_nothing_where_nothing_is_kept(kept, z, inside):
    array = np.arange(1, 121, dtype=np.uint16).reshape(SHAPE)
    array[sorted(set(range(6)) - kept)] = 0
    sections = KeptSections(SHAPE, np.uint16, {n: array[n] for n in kept})
    assert np.array_equal(sections[(z, *inside)], array[(z, *inside)])
    for n in kept:
        assert np.array_equal(sections[(n, *inside)], array[(n, *inside)])
    assert np.array_equal(Volume(sections).read(), array)


def test_a_section_that_was_not_brought_along_is_missed():
    with pytest.raises(KeyError):
        KeptSections(SHAPE, np.uint8, {})[3]


def test_only_the_sections_wanted_are_read_and_they_stay_as_they_were(tmp_path):
    class Huge:
        shape, dtype = (10**6, 3, 4), np.dtype(">i4")

        def __init__(self):
            self.read = []

        def __getitem__(self, key):
            self.read.append(key)
            return np.full((3, 4), key, self.dtype)

    data = Huge()
    opened = keep_sections(Volume(data), (999_999, 7, 7), tmp_path / "a.npy").open()
    assert data.read == [7, 999_999]
    assert {z: int(section[0, 0]) for z, section in opened.items()} == {7: 7, 999_999: 999_999}
    edited = np.zeros((2, 3, 4), np.uint8)
    kept = keep_sections(Volume(edited), (1,), tmp_path / "b.npy")
    edited[:] = 9
    assert not kept.open()[1].any()


def test_reading_can_be_stopped_and_what_cannot_be_read_is_told(tmp_path):
    class Stop:
        def update(self, done, total, message=""):
            raise Cancelled

    class Broken:
        shape, dtype = SHAPE, np.dtype(np.uint8)

        def __getitem__(self, key):
            raise KeyError("chunk 3")

    with pytest.raises(Cancelled):
        keep_sections(Volume(np.zeros(SHAPE)), (1, 2), tmp_path / "a.npy", progress=Stop())
    with pytest.raises(InputError, match="Section 2 of stack cannot be read"):
        keep_sections(Volume(Broken(), name="stack"), (2,), tmp_path / "b.npy")


def test_batch_processes_find_the_sections_in_the_file(tmp_path):
    array = np.random.default_rng(0).integers(0, 255, (3, 300, 300), np.uint8)
    sections = keep_sections(Volume(array), (0, 2), tmp_path / "a.npy").open()
    packed = pack(KeptSections(array.shape, np.uint8, sections), memory_bytes=0)
    assert all(isinstance(part, MappedArray) for part in packed.arrays)
    assert np.array_equal(unpack(packed)[2], array[2])


def test_an_outline_filled_again_is_the_pair(cells: TrainingPair, tmp_path: Path) -> None:
    classes = Volume(np.zeros(cells.labels.shape, np.uint8), kind="labels")
    pair = replace(cells, ignore=classes, ignore_values=(3,), weight=2.0, train_sections=(0, 2))
    outline = pickle.loads(pickle.dumps(PairOutline.of(pair)))
    assert len(pickle.dumps(outline)) < 5000
    files = {
        name: [keep_sections(getattr(pair, name), first_sections(pair), tmp_path / f"{name}.npy")]
        for name in ("raw", "labels", "ignore")
    }
    filled = outline.fill(files)
    for name in ("train_sections", "validation_sections", "weight", "ignore_values", "name"):
        assert getattr(filled, name) == getattr(pair, name)
    assert filled.raw.voxel_size_nm == pair.raw.voxel_size_nm
    assert filled.labels.kind == "labels"
    assert filled.maps is None
    for z in (0, 2, 3, 4):
        assert np.array_equal(filled.raw.read(z), pair.raw.read(z))
        assert np.array_equal(filled.labels.read(z), pair.labels.read(z))


@pytest.mark.parametrize(
    ("spec", "reach", "further"),
    [
        (InputSpec(in_sections=1), 0, set()),
        (InputSpec(in_sections=3), 1, {9, 11, 99, 101, 199}),
        (InputSpec(dimensions=3), 2, {198, 199}),
    ],
)
def test_only_what_the_network_looks_at_around_is_asked_for(spec, reach, further):
    raw = Volume(np.broadcast_to(np.uint8(0), (201, 8, 8)))
    labels = replace(raw, kind="labels")
    pair = TrainingPair(raw, labels, "labels", (10, 100), (200,))
    params = TrainParams()
    assert further_sections(pair, "raw", params, spec, reach) == further
    assert further_sections(pair, "labels", params, spec, reach) == set()

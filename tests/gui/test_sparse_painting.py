"""Paint on a stack of any size is read and written as in an array, and takes no room."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.painting.layer import PaintCount, add_painting
from napari_emseg.gui.painting.sparse import SparsePainting, make_blank
from napari_emseg.sectionwise import SectionwiseArray
from napari_emseg.training.painting import painted_sections
from napari_emseg.volume import Volume

SHAPE = (5, 7, 9)
LARGE = (1_000_000, 1024, 1024)


class Raw(SectionwiseArray):
    """A terabyte of grey."""

    def section(self, z: int) -> Any:
        return np.full(self.shape[1:], z % 256, self.dtype)


def ranges(length: int) -> st.SearchStrategy[slice]:
    ends = st.integers(0, length)
    return st.tuples(ends, ends).map(lambda two: slice(min(two), max(two)))


boxes = st.tuples(*map(ranges, SHAPE))
points = st.lists(st.tuples(*(st.integers(0, n - 1) for n in SHAPE)), min_size=1, max_size=9)
keys = st.one_of(
    boxes, points.map(lambda at: tuple(np.array(axis) for axis in zip(*at, strict=True)))
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(keys, st.integers(0, 3)), max_size=6), keys)
def test_it_is_an_array(strokes: list[tuple[Any, int]], asked: Any) -> None:
    array, paint = np.zeros(SHAPE, np.uint8), SparsePainting(SHAPE, np.uint8)
    for key, label in strokes:
        array[key] = label
        paint[key] = np.full_like(array[key], label)
    assert np.array_equal(np.asarray(paint), array)
    assert np.array_equal(paint[asked], array[asked])
    assert np.array_equal(paint[2], array[2])
    assert paint[1, 2, 3] == array[1, 2, 3]
    assert paint.painted_sections == tuple(np.flatnonzero(array.any(axis=(1, 2))))


def test_a_terabyte_is_painted_on() -> None:
    viewer = ViewerModel()
    raw = add_volume(viewer, Volume(Raw(LARGE, np.uint8), name="brain", voxel_size_nm=(30, 4, 4)))
    layer = add_painting(viewer, raw)
    viewer.dims.set_current_step(0, 3000)
    layer.brush_size = 9
    layer.paint((3000, 500, 500), 1)
    layer.paint((3000, 500, 504), 2)
    assert np.unique(layer.data[3000, 490:510, 490:510]).tolist() == [0, 1, 2]
    assert painted_sections(Volume(layer.data, kind="labels")) == (3000,)
    assert PaintCount(layer.data).describe().startswith("1 section, < 0.1 % painted")
    layer.undo()
    layer.undo()
    assert layer.data.painted_sections == ()


@pytest.mark.parametrize(("shape", "kind"), [(SHAPE, np.ndarray), (LARGE, SparsePainting)])
def test_small_paintings_are_arrays(shape: tuple[int, ...], kind: type) -> None:
    assert isinstance(make_blank(shape, np.uint8), kind)

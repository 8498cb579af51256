from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_emseg.io.lazy import AxesView, MapArray, PlaneArray, StoredArray

_SHAPE = (4, 5, 6)
_VALUES = np.arange(120, dtype=np.uint16).reshape(_SHAPE)


def _planes() -> PlaneArray:
    return PlaneArray(_SHAPE, np.uint16, lambda number: _VALUES[number], source="a")


@settings(max_examples=150, deadline=None)
@given(
    key=hnp.basic_indices(_SHAPE, allow_ellipsis=True)
    | hnp.integer_array_indices(_SHAPE, dtype=np.intp)
    | st.lists(st.booleans(), min_size=4, max_size=4).map(np.array)
)
def test_any_index_gives_what_numpy_gives(key: object) -> None:
    expected = _VALUES[key]  # type: ignore[index]
    for array in (_planes(), StoredArray(_VALUES.astype(">u2"), source="a")):
        values = array[key]
        assert np.shape(values) == np.shape(expected)
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("key", [4, -5, (0, 0, 0, 0), (0, 9), ([0, 7],), (..., ...)])
def test_an_index_outside_is_an_index_error(key: object) -> None:
    with pytest.raises(IndexError):
        _planes()[key]


def test_it_behaves_as_an_array() -> None:
    array = _planes()
    assert (array.ndim, array.size, array.nbytes, len(array)) == (3, 120, 240, 4)
    np.testing.assert_array_equal(np.asarray(array), _VALUES)
    assert np.asarray(array, dtype=float).dtype == float
    assert sum(plane.sum() for plane in array) == _VALUES.sum()


def test_changing_what_was_read_does_not_change_what_is_read_next() -> None:
    array = _planes()
    array[1][:] = 0
    np.testing.assert_array_equal(array[1], _VALUES[1])


def test_a_view_picks_orders_and_adds_axes() -> None:
    channels = np.arange(2 * 3 * 4 * 5).reshape(2, 1, 3, 4, 5)
    view = AxesView(channels, [2, 0, 3, 4], source="a")
    np.testing.assert_array_equal(view[...], channels[:, 0].transpose(1, 0, 2, 3))
    np.testing.assert_array_equal(view[1, 0, 2:4, 3], channels[0, 0, 1, 2:4, 3])
    section = AxesView(channels[0, 0, 0], [None, 0, 1], source="a")
    assert section.shape == (1, 4, 5)
    np.testing.assert_array_equal(section[0], channels[0, 0, 0])
    assert section[0:0].shape == (0, 4, 5)


@pytest.mark.parametrize(
    ("values", "top", "flipped"),
    [
        (np.array([0, 55, 255], np.uint8), None, [255, 200, 0]),
        (np.array([0, 0.25, 1], np.float32), None, [1, 0.75, 0]),
        (np.array([False, True, True]), None, [True, False, False]),
        (np.array([0, 65535, 13107], np.uint16), 65535, [1, 0, 0.8]),
    ],
)
def test_a_map_is_flipped_while_it_is_read(
    values: np.ndarray, top: float | None, flipped: list[float]
) -> None:
    values = values.reshape(1, 1, 3)
    view = MapArray(values, flip=True, top=top, source="a")
    assert view[...].dtype == view.dtype == (values.dtype if top is None else np.float32)
    np.testing.assert_allclose(view[0, 0], flipped, rtol=1e-6)

"""16-bit levels: 8-bit maps stay exact, anything else is within half a level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_emseg.segmentation.levels import TOP, LevelMap, from_levels, levels_of, to_levels

LEVELS = np.random.default_rng(0).integers(0, TOP + 1, (3, 7, 5)).astype(np.uint16)


def test_8_bit_values_are_whole_levels():
    bytes_map = np.arange(256)
    assert np.array_equal(to_levels(bytes_map / 255), bytes_map * 256)
    assert np.array_equal(from_levels(to_levels(bytes_map / 255)), np.float32(bytes_map / 255))


@given(st.floats(0, 1))
def test_any_value_is_off_by_half_a_level_at_most(value):
    assert abs(to_levels(np.array(value)) / TOP - value) <= 0.5 / TOP + 1e-12


def test_every_level_reads_back_as_itself():
    levels = np.arange(TOP + 1).astype(np.uint16)
    assert np.array_equal(to_levels(from_levels(levels)), levels)


def test_a_map_reads_as_the_values_it_stands_for():
    held, values = LevelMap(LEVELS), from_levels(LEVELS)
    assert (held.shape, held.ndim, held.size, len(held)) == ((3, 7, 5), 3, 105, 3)
    assert np.array_equal(np.asarray(held), values)
    assert np.array_equal(held[1, 2:, ::2], values[1, 2:, ::2])
    assert np.asarray(held, np.float64).dtype == np.float64
    assert (held.min(), held.max()) == (values.min(), values.max())
    assert levels_of(held) is LEVELS
    assert np.array_equal(levels_of(values), LEVELS)
    with pytest.raises(ValueError, match="uncopied"):
        np.array(held, copy=False)

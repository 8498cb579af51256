"""Indexing section by section reads what indexing the whole would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_emseg.sectionwise import SectionwiseArray


class Counted(SectionwiseArray):
    def __init__(self, whole: np.ndarray) -> None:
        super().__init__(whole.shape, whole.dtype)
        self.whole, self.computed = whole, []

    def section(self, z: int) -> np.ndarray:
        self.computed.append(z)
        return self.whole[z]


WHOLE = np.random.default_rng(0).integers(0, 2**40, (4, 5, 7))
KEYS: list[Any] = [
    2,
    -1,
    np.int8(1),
    (),
    (1, 2, 3),
    (1, slice(1, 3)),
    (1, [0, 3], [2, 2]),
    slice(1, 3),
    slice(None, None, -2),
    (slice(None), 2),
    (slice(2), slice(None), -1),
    ([0, 2], slice(None), 1),
    ([0, 2], [1, 1], [3, 4]),
    [3, 0],
    np.array([True, False, True, False]),
    WHOLE % 2 == 0,
    ...,
    (..., 0),
    None,
    slice(4, 4),
]


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_every_key_reads_what_it_would_of_an_array(key: Any) -> None:
    read = Counted(WHOLE)[key]
    np.testing.assert_array_equal(read, WHOLE[key])
    assert np.asarray(read).dtype == WHOLE.dtype


def test_only_what_is_looked_at_is_computed() -> None:
    array = Counted(WHOLE)
    array[-2, 1:3]
    array[::3]
    assert array.computed == [2, 0, 3]


@pytest.mark.parametrize("key", [4, -5, (9, 0)])
def test_out_of_range_is_an_index_error(key: Any) -> None:
    with pytest.raises(IndexError):
        Counted(WHOLE)[key]


def test_it_cannot_be_had_uncopied() -> None:
    with pytest.raises(ValueError, match="computed"):
        np.asarray(Counted(WHOLE), copy=False)

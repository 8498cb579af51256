"""Labels over fragments are the same labels, whatever was painted over them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_emseg.errors import InputError
from napari_emseg.proofreading.overlay import lay_over
from napari_emseg.volume import Volume

SHAPE = (2, 5, 7)


def labels_of(values: np.ndarray) -> Volume:
    return Volume(values, kind="labels", voxel_size_nm=(40, 4, 4))


@settings(max_examples=60, deadline=None)
@given(
    labels=hnp.arrays(np.int64, SHAPE, elements=st.sampled_from([0, 3, 4, 10**6])),
    fragments=hnp.arrays(np.uint32, SHAPE, elements=st.integers(0, 5)),
)
def test_the_view_is_the_labels(labels: np.ndarray, fragments: np.ndarray) -> None:
    made = lay_over(labels_of(labels), Volume(fragments, kind="fragments"))
    assert np.array_equal(made.view()[...], labels)
    parts = made.fragments.read()
    assert made.segment_of[0] == 0
    for part in np.unique(parts[parts > 0]):
        inside = parts == part
        assert np.unique(labels[inside]).size == 1
        assert np.unique(fragments[inside]).size == 1


def test_fragments_are_not_copied_where_they_fit() -> None:
    fragments = Volume(np.arange(1, 71, dtype=np.uint32).reshape(SHAPE), kind="fragments")
    labels = labels_of((fragments.read() > 30).astype(np.int32) * 7)
    made = lay_over(labels, fragments)
    assert made.fragments.data is fragments.data
    assert made.fragments.voxel_size_nm == (40, 4, 4)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="voxels"):
        lay_over(labels_of(np.ones(SHAPE, int)), Volume(np.ones((2, 5, 8), int), kind="fragments"))

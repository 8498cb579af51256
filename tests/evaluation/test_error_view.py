"""The picture of the errors shows what the list says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_emseg.evaluation.error_sites import find_errors
from napari_emseg.evaluation.error_view import IS_MERGE, IS_OTHER, IS_PART, IS_SPLIT, ErrorView

TRUTH = np.zeros((3, 8, 31), np.uint16)
TRUTH[:2, :, :10], TRUTH[:2, :, 11:] = 1, 2
SEGMENTATION = np.full((4, 8, 31), 4, np.uint64)  # over both: a merge
SEGMENTATION[:, :, 24:] = 5  # an end of neuron 2: a split


@pytest.fixture
def view() -> ErrorView:
    errors = find_errors(SEGMENTATION, TRUTH, sections=range(2))
    return ErrorView(SEGMENTATION, TRUTH, errors)


def test_split_and_merge_have_their_values(view: ErrorView) -> None:
    row = np.array([IS_MERGE] * 10 + [0] + [0] * 13 + [IS_SPLIT] * 7)
    np.testing.assert_array_equal(view[:2], np.broadcast_to(row, (2, 8, 31)))
    assert not view[2:].any()  # not compared
    assert (view.shape, view.dtype, len(view), view.size) == ((4, 8, 31), np.uint8, 4, 992)


def test_both_sides_of_the_error_chosen_are_marked(view: ErrorView) -> None:
    errors = find_errors(SEGMENTATION, TRUTH, sections=range(2))
    before = view[0]
    for site in errors.sites:
        view.select(site)
        assert view[site.position] == IS_PART
        assert view[site.other_position] == IS_OTHER
        assert (view[0][view[0] < IS_PART] == before[view[0] < IS_PART]).all()
    view.select(None)
    np.testing.assert_array_equal(view[0], before)


@pytest.mark.parametrize(
    "key", [1, -1, (0, slice(2, 5)), slice(None, None, 2), (slice(0, 3), 4, 7), ..., (0, 3, 4)]
)
def test_it_is_indexed_like_an_array(view: ErrorView, key: Any) -> None:
    np.testing.assert_array_equal(view[key], np.asarray(view)[key])


def test_sections_apart_are_looked_up_apart() -> None:
    truth = np.zeros((2, 6, 20), int)
    truth[0], truth[1, :, :12], truth[1, :, 12:] = 1, 1, 2
    segmentation = np.ones_like(truth)
    errors = find_errors(segmentation, truth, ground_truth_kind="labels_2d")
    view = ErrorView(segmentation, truth, errors, ground_truth_kind="labels_2d")
    assert not view[0].any()
    np.testing.assert_array_equal(view[1] == IS_MERGE, truth[1] == 2)

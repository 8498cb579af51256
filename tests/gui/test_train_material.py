"""What is learned from: sections as typed, labels as they were, refusals in one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.errors import InputError
from napari_emseg.gui.train.material import (
    Material,
    hold_out_last,
    make_pairs,
    parse_sections,
)
from napari_emseg.volume import Volume

RAW = Volume(
    np.random.default_rng(0).integers(0, 255, (7, 20, 31), np.uint8),
    name="cortex",
    voxel_size_nm=(50, 4, 4),
)


def paint(*sections: int, values: tuple[int, ...] = (1, 2), depth: int = 7) -> Volume:
    data = np.zeros((depth, 20, 31), np.uint8)
    for z in sections:
        for place, value in enumerate(values):
            data[z, 3 + 5 * place : 5 + 5 * place, 4:25] = value
    return Volume(data, kind="labels", name="strokes")


@settings(deadline=None, max_examples=50)
@given(st.sets(st.integers(0, 40), min_size=1))
def test_sections_are_read_as_they_are_written(sections: set[int]) -> None:
    text = ", ".join(map(str, sorted(sections, reverse=True)))
    assert parse_sections(text, 41) == tuple(sorted(sections))


@pytest.mark.parametrize(
    ("text", "found"),
    [("", ()), (" 3 ", (3,)), ("3, 7-9", (3, 7, 8, 9)), ("7 - 9;3", (3, 7, 8, 9)), ("2-2", (2,))],
)
def test_sections_may_be_ranges(text: str, found: tuple[int, ...]) -> None:
    assert parse_sections(text, 10) == found


@pytest.mark.parametrize("text", ["a", "3-", "-3", "1.5", "1-2-3", "²"])
def test_what_is_no_list_of_sections_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no list of sections; write it like 3, 7-9"):
        parse_sections(text, 10)


@pytest.mark.parametrize("text", ["10", "3-10", "9-7"])
def test_sections_that_there_are_not_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="there are 0 to 9"):
        parse_sections(text, 10)


@given(st.sets(st.integers(0, 99)))
def test_held_out_are_the_last_of_four_or_more(sections: set[int]) -> None:
    ordered = tuple(sorted(sections))
    held = hold_out_last(ordered)
    assert ordered[len(ordered) - len(held) :] == held
    assert bool(held) == (len(ordered) >= 4)
    assert len(held) <= len(ordered) / 4


def test_painted_sections_are_found_and_split() -> None:
    pair = Material(RAW, paint(0, 2, 3, 6), "painted").pair()
    assert (pair.train_sections, pair.validation_sections) == ((0, 2, 3), (6,))
    assert pair.name == "cortex"
    typed = Material(RAW, paint(0, 2, 3, 6), "painted", sections="0,2,6", held_out="2").pair()
    assert (typed.train_sections, typed.validation_sections) == ((0, 6), (2,))


def test_paint_changed_later_does_not_reach_a_training() -> None:
    labels = paint(1, 4)
    before = labels.read().copy()
    pair = Material(RAW, labels, "painted").pair()
    labels.data[:] = 2
    for z in (1, 4):
        assert np.array_equal(pair.labels.read(z), before[z])
    assert not pair.labels.read(0).any()  # not asked for, so not kept
    assert pair.labels.shape == labels.shape


def test_labels_may_end_before_the_stack_does() -> None:
    pair = Material(RAW, paint(0, 1, depth=3, values=(5, 900 % 256)), "labels").pair()
    assert pair.train_sections == (0, 1)


def test_pairs_of_one_stack_have_names_of_their_own() -> None:
    pairs = make_pairs([Material(RAW, paint(0), "painted"), Material(RAW, paint(3), "painted")])
    assert [pair.name for pair in pairs] == ["cortex", "cortex 2"]


REFUSALS: list[tuple[Any, str]] = [
    (Material(RAW, paint(), "painted"), "'strokes' is empty: draw along"),
    (Material(RAW, paint(2, values=(1,)), "painted"), "Only membrane is painted in 'strokes'"),
    (Material(RAW, paint(2, values=(2,)), "painted"), "Only cells are painted in 'strokes'"),
    (Material(RAW, paint(), "labels"), "'strokes' is empty: label"),
    (Material(RAW, paint(1, values=(7,)), "labels"), "holds the number 7 only"),
    (Material(RAW, paint(1), "painted", held_out="1"), "Every labelled section is held out"),
    (Material(RAW, paint(1), "painted", sections="0"), "There are no labels in section 0 of"),
    (
        Material(RAW, paint(1, depth=9), "painted"),
        "'strokes' is 9 × 20 × 31 voxels but the stack 7 × 20 × 31",
    ),
]


@pytest.mark.parametrize(("material", "words"), REFUSALS)
def test_what_cannot_be_learned_from_is_refused(material: Material, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        material.pair()
    assert str(refused.value).count(". ") == 0
    assert str(refused.value).endswith(".")


def test_cells_that_touch_show_a_boundary_without_any_membrane() -> None:
    labels = paint(2, values=(2, 3))
    assert Material(RAW, labels, "painted").pair().train_sections == (2,)


def test_all_sections_of_an_image_of_membranes_count() -> None:
    drawing = Volume(np.zeros((3, 20, 31), np.uint8), name="membranes")
    assert Material(RAW, drawing, "membranes").pair().train_sections == (0, 1, 2)

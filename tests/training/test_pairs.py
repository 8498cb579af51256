"""Pairs of raw data and labels: what fits together, what is held out, what is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.training import TrainingPair, hold_out
from napari_emseg.training.pair_checks import check_ids, notes_on_pair
from napari_emseg.training.pairs import make_target
from napari_emseg.training.targets import IGNORED
from napari_emseg.volume import Volume


def pair(**changes) -> TrainingPair:
    raw = Volume(np.zeros((4, 5, 6), np.uint8))
    labels = Volume(np.ones((3, 5, 6), np.uint8), kind="labels")
    options = {"train_sections": (0, 1), "validation_sections": (2,), **changes}
    return TrainingPair(raw, labels, "labels", **options)


def test_ignored_classes_teach_nothing():
    classes = np.zeros((3, 5, 6), np.uint8)
    classes[1, :, :2] = 159
    with_classes = pair(ignore=Volume(classes, kind="labels"), ignore_values=(159,))
    assert (make_target(with_classes, 1) == IGNORED).sum() == 10
    assert (make_target(with_classes, 0) == IGNORED).sum() == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_sections": ()}, "no sections to train on"),
        ({"train_sections": (3,)}, "section 3"),
        ({"train_sections": (-1,)}, "section -1"),
        ({"validation_sections": (1,)}, "both for training and for validation"),
        ({"ignore": Volume(np.zeros((3, 5, 7), np.uint8))}, "ignore"),
    ],
)
def test_sections_that_do_not_fit_are_explained(changes, words):
    with pytest.raises(InputError, match=words):
        pair(**changes)


def test_raw_and_labels_of_different_size_are_refused():
    with pytest.raises(InputError, match=r"5 x 6 px .* 5 x 7 px"):
        hold_out(Volume(np.zeros((2, 5, 6))), Volume(np.ones((2, 5, 7), int), kind="labels"))


def test_labels_beyond_the_raw_sections_are_refused():
    with pytest.raises(InputError, match="3 sections of labels but only 2 of raw"):
        hold_out(Volume(np.zeros((2, 5, 6))), Volume(np.ones((3, 5, 6), int), kind="labels"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, 255], "--labels-kind membranes"),
        ([0, 1], "--labels-kind membranes"),
        ([7, 7], r"one id only \(7\), so there is no boundary"),
        ([0, 0], "no ids, so there is no boundary"),
        ([0, 1, 2], None),
        ([1, 2], None),
    ],
)
def test_a_drawing_is_not_taken_as_ids(values, words):
    data = np.resize(values, (2, 6, 6)).astype(np.uint8)
    made = hold_out(Volume(np.zeros((2, 6, 6))), Volume(data, kind="labels"))
    if words:
        with pytest.raises(InputError, match=words):
            check_ids(made)
    else:
        check_ids(made)
    check_ids(hold_out(made.raw, made.labels, labels_kind="membranes"))


def test_unused_sections_and_missing_validation_are_noted():
    raw = Volume(np.zeros((3, 4, 4), np.uint8))
    ones = np.ones((3, 4, 4), np.uint8)
    assert notes_on_pair(hold_out(raw, Volume(ones, kind="labels"))) == []
    first, second = notes_on_pair(hold_out(raw, Volume(ones[:1], kind="labels")))
    assert "only section 0 has labels" in first
    assert "no section is left for validation" in second


@pytest.mark.parametrize(("count", "held"), [(1, 0), (2, 1), (7, 1), (30, 4)])
def test_the_last_sections_are_held_out(count, held):
    volume = Volume(np.zeros((count, 4, 4), np.uint8))
    made = hold_out(volume, Volume(np.ones((count, 4, 4), np.uint8), kind="labels"))
    assert made.validation_sections == tuple(range(count - held, count))
    assert made.train_sections == tuple(range(count - held))


def test_membrane_far_from_any_cell_teaches_nothing():
    membranes = np.zeros((1, 3, 12), np.uint8)
    membranes[..., 1:10] = 255  # a filled area 9 px wide
    made = TrainingPair(
        Volume(membranes), Volume(membranes), "membranes", train_sections=(0,), invert=False
    )
    assert make_target(made, 0)[1].tolist() == [0, *[1] * 9, 0, 0]
    reached = make_target(made, 0, membrane_reach_px=3)[1].tolist()
    assert reached == [0, 1, 1, 1, IGNORED, IGNORED, IGNORED, 1, 1, 1, 0, 0]
    filled = Volume(np.full((1, 3, 12), 255, np.uint8))
    alone = TrainingPair(filled, filled, "membranes", train_sections=(0,), invert=True)
    assert (make_target(alone, 0, membrane_reach_px=3) == IGNORED).all()


def test_maps_of_another_size_are_refused():
    maps = Volume(np.zeros((3, 5, 6), np.uint8), kind="boundary")
    with pytest.raises(InputError, match="boundary maps are 3 x 5 x 6 voxels"):
        pair(maps=maps)


def test_slices_along_all_axes_need_cubic_voxels(tmp_path):
    def cubic(size: tuple[float, float, float], **changes) -> TrainingPair:
        return replace(pair(axes="zyx", **changes), raw=volume(size))

    def volume(size: tuple[float, float, float] | None) -> Volume:
        return Volume(np.zeros((4, 5, 6), np.uint8), voxel_size_nm=size)

    assert cubic((8, 8, 8)).axes == "zyx"
    assert cubic((10, 8, 8)).axes == "zyx"
    assert replace(pair(axes="zyx"), raw=volume(None)).axes == "zyx"
    with pytest.raises(InputError, match=r"voxels of 50 x 4 x 4 nm are far from cubic"):
        cubic((50, 4, 4))
    gap = cubic((8, 8, 8), train_sections=(0, 2), validation_sections=(1,))
    assert any("sections 0 to 0 only" in note for note in notes_on_pair(gap))
    assert not any("only, the longest" in note for note in notes_on_pair(cubic((8, 8, 8))))


def test_of_a_stack_labelled_in_part_only_labelled_sections_count():
    raw = Volume(np.zeros((9, 4, 4), np.uint8))

    def held(kind: str, *sections: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        labels = np.zeros(raw.shape, np.uint8)
        for z in sections:
            labels[z, 1:] = 200
        made = hold_out(
            raw, Volume(labels, kind="raw" if kind == "membranes" else "labels"), labels_kind=kind
        )
        return made.train_sections, made.validation_sections

    for kind in ("labels", "membranes"):
        assert held(kind, 3, 8) == ((3, 8), ())
        assert held(kind, 1, 3, 5, 8) == ((1, 3, 5), (8,))


def test_a_section_without_a_drawing_teaches_nothing():
    drawn = np.zeros((2, 6, 6), np.uint8)
    drawn[0, 2] = 255
    made = TrainingPair(Volume(drawn), Volume(drawn), "membranes", (0, 1))
    assert (make_target(made, 0)[2] == 1).all()
    assert (make_target(made, 1) == IGNORED).all()


def test_decimal_numbers_are_no_classes_and_no_paint():
    decimal = Volume(np.zeros((3, 5, 6), np.float32))
    with pytest.raises(InputError, match="classes to ignore are decimal numbers"):
        pair(ignore=decimal, ignore_values=(1,))
    with pytest.raises(InputError, match="the labels are decimal numbers"):
        TrainingPair(decimal, decimal, "painted", (0,))
    assert TrainingPair(decimal, decimal, "membranes", (0,)).labels is decimal


def test_ids_that_look_like_strokes_are_told_of():
    raw = Volume(np.zeros((4, 40, 40), np.uint8))
    strokes = np.zeros(raw.shape, np.uint8)
    strokes[:, 5:9, 5:30], strokes[:, 20:24, 5:30] = 3, 4
    (note,) = notes_on_pair(hold_out(raw, Volume(strokes, kind="labels")))
    assert "only 12% of section 0 has ids" in note
    assert "say painted" in note
    strokes[strokes == 0] = 7
    assert notes_on_pair(hold_out(raw, Volume(strokes, kind="labels"))) == []

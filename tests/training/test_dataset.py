from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_emseg.errors import InputError
from napari_emseg.training import TrainingPair, hold_out, load_training_set
from napari_emseg.training.dataset import (
    IGNORED,
    check_ids,
    label_target,
    make_target,
    membrane_target,
    notes_on_pair,
    read_training_set,
)
from napari_emseg.volume import Volume


def pair(**changes) -> TrainingPair:
    raw = Volume(np.zeros((4, 5, 6), np.uint8))
    labels = Volume(np.ones((3, 5, 6), np.uint8), kind="labels")
    options = {"train_sections": (0, 1), "validation_sections": (2,), **changes}
    return TrainingPair(raw, labels, "labels", **options)


def test_boundaries_lie_where_ids_meet_however_large_the_ids():
    big = 2**63 + 5
    section = np.array([[7, 7, big, big], [7, 7, big, big]], np.uint64)
    assert label_target(section).tolist() == [[0, 1, 1, 0]] * 2


def test_thin_gaps_are_membrane_and_large_unlabelled_areas_unknown():
    section = np.array([[3, 3, 0, 4, 4, 0, 0, 0, 0]])
    assert label_target(section).tolist() == [[0, 1, 1, 1, 1, 1, IGNORED, IGNORED, IGNORED]]


@settings(deadline=None, max_examples=50)
@given(
    hnp.arrays(
        np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3)
    ),
    st.integers(1, 3),
)
def test_target_does_not_depend_on_orientation_or_on_names_of_ids(section, boundary_px):
    target = label_target(section, boundary_px=boundary_px)
    turned = label_target(np.rot90(section), boundary_px=boundary_px)
    assert np.array_equal(np.rot90(target), turned)
    renamed = np.array([0, 900, 17, 5])[section]
    assert np.array_equal(label_target(renamed, boundary_px=boundary_px), target)


def test_both_polarities_of_membranes_give_the_same_target():
    membranes = np.zeros((9, 9), np.uint8)
    membranes[4] = 255
    dark = 255 - membranes
    assert membrane_target(membranes).sum() == 9
    assert np.array_equal(membrane_target(membranes), membrane_target(dark))
    assert np.array_equal(membrane_target(membranes, invert=True), 1 - membrane_target(membranes))


def test_a_blank_membrane_section_has_no_membrane():
    assert membrane_target(np.full((3, 4), 255, np.uint8)).sum() == 0


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


ENTRY = """  - name: mine
    raw: raw.tif
    labels: labels.tif
    voxel_size_nm: [40, 8, 8]
    train_sections: 0-1
    validation_sections: 2
    weight: 3
"""
SET = f"""
sets:
{ENTRY}params: {{width: 4}}
"""


def test_a_training_set_is_opened_from_the_data_folder(tmp_path, monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    data = tmp_path / "data"
    data.mkdir()
    tifffile.imwrite(data / "raw.tif", np.arange(100, dtype=np.uint8).reshape(5, 4, 5))
    tifffile.imwrite(data / "labels.tif", np.ones((5, 4, 5), np.uint16))
    path = tmp_path / "set.yaml"
    path.write_text(SET)
    monkeypatch.setenv("EMSEG_DATA", str(data))
    (made,) = load_training_set(path)
    assert made.raw.voxel_size_nm == (40, 8, 8)
    assert made.labels.kind == "labels"
    assert (made.train_sections, made.validation_sections) == ((0, 1), (2,))
    assert made.weight == 3
    assert read_training_set(path).params == {"width": 4}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("sets: []", "sets"),
        ("{", "not a YAML file"),
        (SET.replace("0-1", "first"), "no range of sections"),
        (SET.replace("0-1", "1-0"), "no range of sections"),
        (SET.replace("0-1", "0-99999999999"), "no range of sections"),
        (SET.replace("params", ENTRY + "params"), "two data sets are named 'mine'"),
        (SET.replace("weight: 3", "weight: 0"), "weight"),
        (SET.replace("weight: 3", "weight: .inf"), "weight"),
        (SET.replace("labels: labels.tif", ""), "labels"),
        ("just words", "needs a list 'sets'"),
        ("sets: 3", "needs a list 'sets'"),
        ("sets: [a.tif]", "data set 1 needs names"),
        (
            SET.replace("labels: labels.tif", "label: labels.tif"),
            "'labels' of data set 1 is missing",
        ),
        (SET.replace("weight: 3", "weihgt: 3"), "'weihgt' of data set 1 is not a known name"),
        (SET.replace("weight: 3", "labels_kind: ids"), "must be 'labels', 'membranes' or 'painted'"),
        (
            SET.replace("[40, 8, 8]", "[40, 8, wide]"),
            "voxel_size_nm of data set 1 cannot be 'wide'",
        ),
        (SET.replace("weight: 3", "weight: heavy"), "weight of data set 1 cannot be 'heavy'"),
        ("!!python/object/apply:os.system ['true']", "not a YAML file"),
    ],
)
def test_a_wrong_training_set_is_one_sentence(tmp_path, content, words):
    path = tmp_path / "set.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_training_set(path)


def test_a_missing_training_set_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="Cannot read"):
        read_training_set(tmp_path / "none.yaml")


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


def test_maps_of_another_size_are_refused():
    maps = Volume(np.zeros((3, 5, 6), np.uint8), kind="boundary")
    with pytest.raises(InputError, match="boundary maps are 3 x 5 x 6 voxels"):
        pair(maps=maps)


def test_the_axes_of_a_set_are_read_from_its_file(tmp_path):
    entry = "- {name: a, raw: r.tif, labels: l.tif, train_sections: 0-1, axes: %s}"
    path = tmp_path / "set.yaml"
    path.write_text("sets:\n" + entry % "zyx")
    assert read_training_set(path).sets[0].axes == "zyx"
    path.write_text("sets:\n" + entry % "xy")
    with pytest.raises(InputError, match="axes of data set 1 must be 'z' or 'zyx', not 'xy'"):
        read_training_set(path)

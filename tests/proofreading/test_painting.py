"""Brush, eraser and fill, and what they cut apart."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emseg import InputError, Proofreader, Volume
from napari_emseg.proofreading.painting import paint, unpack_mask


def _bar(length: int = 20) -> Proofreader:
    """Segment 3, a bar of one voxel; segment 8 beside it."""
    labels = np.zeros((2, 3, length), np.uint8)
    labels[0, 1], labels[1, 1] = 3, 0
    labels[0, 2] = 8
    return Proofreader(Volume(labels, kind="labels"))


def _mask(*columns: int, length: int = 20) -> np.ndarray:
    mask = np.zeros((1, 1, length), bool)
    mask[..., list(columns)] = True
    return mask


def test_a_stroke_is_a_new_fragment_of_its_segment() -> None:
    editor = _bar()
    before = editor.state.fragments[...]
    told = editor.paint(_mask(4, 5, 6), 3, origin=(0, 2, 0)).words
    assert told.startswith("Painted 3 voxels of segment 3. That parts 1 piece")  # of segment 8
    assert editor.view[0, 2].tolist() == [8] * 4 + [3] * 3 + [8] * 13
    assert editor.state.next_fragment == int(before.max()) + 3  # the stroke, and a piece of 8
    editor.undo()
    np.testing.assert_array_equal(editor.state.fragments[...], before)


def test_what_a_stroke_cuts_apart_stays_in_its_segment_as_fragments() -> None:
    editor = _bar()
    told = editor.paint(_mask(4), 0, origin=(0, 1, 0)).words
    assert told == "Erased 1 voxel. That parts 1 piece from the rest of a segment."
    row, fragments = editor.view[0, 1], editor.state.fragments[0, 1]
    assert row.tolist() == [3] * 4 + [0] + [3] * 15
    assert len({*fragments[:4]}) == len({*fragments[5:]}) == 1
    assert fragments[0] != fragments[19]
    assert fragments[19] == 3  # the larger keeps the id


def test_a_bend_far_from_the_stroke_holds_a_fragment_together() -> None:
    """A long U cut at one arm's end only seems apart until looked at widely."""
    labels = np.zeros((1, 40, 90), np.uint8)
    labels[0, 4, :] = labels[0, 30, :] = labels[0, 4:31, 89] = labels[0, 4:31, 0] = 1
    editor = Proofreader(Volume(labels, kind="labels"))
    mask = np.zeros((40, 90), bool)
    mask[4, 44] = True
    editor.paint(mask, 0)  # a ring stays in one piece
    assert np.unique(editor.state.fragments[...]).tolist() == [0, 1]
    mask[:] = False
    mask[30, 44] = True
    editor.paint(mask, 0)  # now it is two
    assert np.unique(editor.state.fragments[...]).tolist() == [0, 1, 2]
    assert np.unique(editor.view[...]).tolist() == [0, 1]


def test_painting_over_all_of_a_segment_removes_it() -> None:
    editor = _bar()
    editor.paint(np.ones((3, 20), bool), 8)
    assert np.unique(editor.view[0]).tolist() == [8]
    assert list(editor.state.members) == [8]
    with pytest.raises(InputError, match="no segment 3"):
        editor.merge([3, 8])
    editor.undo()
    assert list(editor.state.members) == [3, 8]


def test_locked_segments_are_left_out_and_it_is_said() -> None:
    editor = _bar()
    editor.mark_done([8])
    told = editor.paint(np.ones((3, 20), bool), 3).words
    assert told == "Painted 20 voxels of segment 3. Left out 20 voxels of 8, marked as done."
    assert {*editor.view[0, 2]} == {8}
    with pytest.raises(InputError, match="Segment 8 is marked as done"):
        editor.paint(_mask(1), 3, origin=(0, 2, 0))
    with pytest.raises(InputError, match="Segment 8 is marked as done"):
        editor.paint(_mask(1), 8, origin=(0, 1, 0))


def test_a_new_segment_can_be_painted_in_several_parts() -> None:
    editor = _bar()
    preview = editor.paint(_mask(1, 2, 9), None, origin=(1, 0, 0))
    assert preview.edit.after == (9,)
    assert editor.view[1, 0].tolist() == [0, 9, 9, 0, 0, 0, 0, 0, 0, 9] + [0] * 10
    assert editor.state.members.of(9).size == 2  # each fragment is in one piece


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mask": _mask(), "segment": 3}, "The stroke is empty"),
        ({"mask": _mask(19), "segment": 3, "origin": (0, 0, 5)}, "reaches out"),
        ({"mask": _mask(2), "segment": 3, "origin": (0, 1, 0)}, "is segment 3 already"),
        ({"mask": _mask(2), "segment": 0, "origin": (1, 0, 0)}, "nothing to erase"),
        ({"mask": _mask(2), "segment": 99}, "no segment 99"),
    ],
)
def test_strokes_that_change_nothing_are_refused(options: dict, sentence: str) -> None:
    editor = _bar()
    with pytest.raises(InputError, match=sentence):
        editor.paint(**options)


def test_the_log_knows_the_stroke_as_drawn() -> None:
    mask = np.random.default_rng(0).random((2, 3, 7)) < 0.4
    edit = paint(_bar().state, mask, 3, origin=(0, 0, 11))
    again, origin = unpack_mask(edit.arguments)
    whole = np.zeros((2, 3, 20), bool)
    whole[:, :, 11:18] = mask
    z, y, x = origin
    n_z, n_y, n_x = again.shape
    np.testing.assert_array_equal(whole[z : z + n_z, y : y + n_y, x : x + n_x], again)
    assert again.sum() == mask.sum()

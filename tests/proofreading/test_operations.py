"""Merges and the like: what they do, what they say, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emseg import InputError, Proofreader, Segmentation, Volume
from napari_emseg.proofreading import Change


@pytest.fixture
def editor() -> Proofreader:
    """Fragments 1 to 6 in a row, segments 10 (1, 2), 20 (3), 30 (4, 5) and none (6)."""
    fragments = Volume(np.array([[[1, 1, 2, 3, 4, 4, 4, 5, 6, 0]]], np.uint32), kind="fragments")
    table = np.array([0, 10, 10, 20, 30, 30, 0], np.uint32)
    return Proofreader(Segmentation(fragments, table))


def _row(editor: Proofreader) -> list[int]:
    row: list[int] = editor.view[0, 0].tolist()
    return row


def test_a_merge_keeps_the_id_of_the_largest(editor: Proofreader) -> None:
    assert editor.merge([10, 20, 30]).words == "Merged segments 10 and 20 into 30."
    assert _row(editor) == [30] * 8 + [0, 0]
    editor.undo()
    assert _row(editor) == [10, 10, 10, 20, 30, 30, 30, 30, 0, 0]


def test_a_merge_of_what_does_not_touch_says_so(editor: Proofreader) -> None:
    editor.prepare()
    assert "do not touch" in editor.preview("merge", [10, 30]).words
    assert "do not touch" not in editor.preview("merge", [10, 20, 30]).words


def test_absorb_detach_and_delete(editor: Proofreader) -> None:
    editor.absorb([6, 4], 20)
    assert _row(editor) == [10, 10, 10, 20, 20, 20, 20, 30, 20, 0]
    assert editor.detach([1]).edit.after == (10, 31)
    assert _row(editor)[:3] == [31, 31, 10]
    editor.delete([20, 31])
    assert _row(editor) == [0, 0, 10, 0, 0, 0, 0, 30, 0, 0]
    assert list(editor.state.members) == [10, 30]


def test_an_id_is_never_given_twice_even_after_undo(editor: Proofreader) -> None:
    editor.detach([1])
    editor.undo()
    editor.detach([5])
    assert _row(editor) == [10, 10, 10, 20, 30, 30, 30, 32, 0, 0]


def test_a_locked_segment_refuses_every_edit(editor: Proofreader) -> None:
    editor.mark_done([20])
    row = _row(editor)
    for operation, arguments in {
        "merge": ([20, 10],),
        "absorb": ([1], 20),
        "detach": ([3],),
        "delete": ([20],),
        "split": ([[(0, 0, 3)], [(0, 0, 3)]],),
    }.items():
        with pytest.raises(InputError, match="Segment 20 is marked as done"):
            editor.preview(operation, *arguments)
    with pytest.raises(InputError, match="Segment 20 is marked as done"):
        editor.absorb([3], 10)
    assert _row(editor) == row
    editor.mark_done([20], False)
    editor.merge([20, 10])


def test_flags_and_names_are_edits_like_others(editor: Proofreader) -> None:
    editor.rename(20, "  axon  of cell 3 ")
    editor.set_aside([10, 30])
    assert editor.state.names == {20: "axon of cell 3"}
    assert editor.state.set_aside == {10, 30}
    editor.undo()
    assert editor.state.set_aside == set()
    editor.merge([20, 30])
    assert editor.state.names[30] == "axon of cell 3"  # a name outlives a merge
    editor.jump_to(0)
    assert editor.state.names == {}
    with pytest.raises(InputError, match="so already"):
        editor.set_aside([10], False)


@pytest.mark.parametrize(
    ("operation", "arguments", "sentence"),
    [
        ("merge", ([10],), "two different segments"),
        ("merge", ([10, 10],), "two different segments"),
        ("merge", ([10, 0],), "no segment at that place"),
        ("merge", ([10, 99],), "no segment 99"),
        ("absorb", ([1], 10), "part of segment 10 already"),
        ("absorb", ([77], 10), "no fragment at that place"),
        ("absorb", ([], 10), "No fragment was chosen"),
        ("detach", ([3],), "all of segment 20 already"),
        ("delete", ([99],), "no segment 99"),
    ],
)
def test_refusals_are_sentences(
    editor: Proofreader, operation: str, arguments: tuple, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        editor.preview(operation, *arguments)


def test_a_preview_shows_the_section_and_changes_nothing(editor: Proofreader) -> None:
    row = _row(editor)
    preview = editor.preview("split", [[(0, 0, 4)], [(0, 0, 6)]])
    shown = preview.section_view(0)[0].tolist()
    assert _row(editor) == row
    editor.commit(preview)
    assert _row(editor) == shown != row


def test_an_outdated_preview_is_refused(editor: Proofreader) -> None:
    preview = editor.preview("merge", [10, 20])
    editor.merge([20, 30])
    with pytest.raises(InputError, match="preview it again"):
        editor.commit(preview)


def test_windows_are_told_what_changed(editor: Proofreader) -> None:
    changes: list[Change] = []
    stop = editor.on_change(changes.append)
    editor.merge([10, 20])
    editor.rename(30, "x")
    editor.undo()
    assert changes[0] == Change(range(1), (10, 20), "Merged segment 20 into 10.")
    assert changes[1].sections == range(0)
    assert changes[2].words == "Undone: Named segment 30 'x'."
    stop()
    editor.redo()
    assert len(changes) == 3


def test_time_between_edits_is_counted() -> None:
    seconds = iter([0.0, 4.0, 4.0, 10.0, 10.0])
    labels = Volume(np.array([[[1, 2]]], np.uint8), kind="labels")
    editor = Proofreader(labels, clock=lambda: next(seconds))
    editor.merge([1, 2])
    editor.undo()
    assert editor.seconds == 10
    assert editor.history[0].seconds == 4


def test_an_export_sees_one_state_while_edits_go_on(editor: Proofreader) -> None:
    before = editor.segmentation
    row = _row(editor)
    editor.merge([10, 20])
    editor.paint(np.ones((1, 10), bool), 30)
    assert before.to_volume().data[0, 0].tolist() == row
    assert editor.segmentation.to_volume().data[0, 0].tolist() == [30] * 10


def test_nothing_to_undo_or_redo_is_said(editor: Proofreader) -> None:
    with pytest.raises(InputError, match="Nothing to undo"):
        editor.undo()
    with pytest.raises(InputError, match="Nothing to redo"):
        editor.redo()
    with pytest.raises(InputError, match="no edit 3"):
        editor.jump_to(3)


def test_labels_keep_their_ids_however_large() -> None:
    ids = np.array([[[0, 7, 4_000_000_000, 4_000_000_000, 2**40, 7]]], np.uint64)
    editor = Proofreader(Volume(ids[..., [0, 1, 2, 3, 5]], kind="labels"))
    assert _row(editor) == [0, 7, 4_000_000_000, 4_000_000_000, 7]
    editor.merge([7, 4_000_000_000])
    assert len({*_row(editor)}) == 2
    editor = Proofreader(Volume(ids, kind="labels"))  # past 32 bits: numbered anew, and said
    assert _row(editor) == [0, 1, 2, 2, 3, 1]
    assert "too large" in editor.segmentation.fragments.provenance["notes"][0]


def test_a_segment_with_the_last_id_leaves_room_for_new_ones() -> None:
    ids = np.array([[[5, 5, 9, 2**32 - 1]]], np.uint32)
    editor = Proofreader(Volume(ids, kind="labels"))
    editor.split([[(0, 0, 0)], [(0, 0, 1)]])
    assert len({*_row(editor)}) == 4


def test_negative_ids_are_refused() -> None:
    with pytest.raises(InputError, match="-3 in section 0"):
        Proofreader(Volume(np.array([[[0, -3]]]), kind="labels", name="cells"))

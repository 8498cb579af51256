"""Logs carried over to other segmentations, and two people's logs joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.proofreading.worlds import edit_at_random, make_segmentation

from napari_emseg import Proofreader, Volume
from napari_emseg.proofreading import carry_over, join_logs


def _labels(row: str) -> Volume:
    """One voxel a letter; a is 1, a blank is background."""
    ids = [0 if c == " " else ord(c) - 96 for c in row]
    return Volume(np.array([[ids]], np.uint8), kind="labels", voxel_size_nm=(50, 4, 4))


def _row(editor: Proofreader) -> str:
    return "".join(" " if i == 0 else chr(96 + int(i)) for i in editor.view[0, 0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_edits_are_made_again_where_the_positions_fit(folder: Path) -> None:
    editor = Proofreader(_labels("aaabbb cccc dd"), log=folder / "log", who="Ada")
    editor.merge([1, 2])
    editor.split([[(0, 0, 7)], [(0, 0, 10)]])
    editor.rename(4, "glia")
    editor.delete([4])
    editor.undo()
    again = carry_over(
        folder / "log", _labels("bbbcccaffff dd"), new_log=folder / "new"
    )  # all ids are others now
    assert (again.n_carried, again.n_needless, again.not_carried) == (3, 0, ())
    assert _row(again.editor) == "bbbbbbaffgg dd"
    assert again.editor.state.names == {4: "glia"}
    assert [i.who for i in again.editor.history] == ["Ada"] * 3
    assert len(Proofreader.replay(folder / "new", _labels("bbbcccaffff dd")).history) == 3


def test_what_is_so_already_is_needless_and_what_does_not_fit_is_told(folder: Path) -> None:
    editor = Proofreader(_labels("aaabbb cccc dddddd"), log=folder / "log")
    editor.merge([1, 2])
    editor.split([[(0, 0, 7)], [(0, 0, 10)]])
    editor.mark_done([4])
    editor.delete([5])
    again = carry_over(folder / "log", _labels("aaaaaa bb      d  "))
    assert (again.n_carried, again.n_needless) == (0, 1)
    told = [(lost.words, lost.reason) for lost in again.not_carried]
    assert told[0][1] == "The points of one side are on no segment any more."
    assert told[1] == ("Locked segment 4.", "The segment there has 1 voxels now, not 6.")
    assert told[2][1] == "There is no segment any more at 0, 0, 40 nm (z, y, x)."


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=6)
def test_carried_over_to_the_same_segmentation_nearly_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    log = tmp_path_factory.mktemp("log") / "log"
    segmentation, boundary = make_segmentation(seed % 3)
    editor = Proofreader(segmentation, boundary=boundary, log=log)
    edit_at_random(editor, np.random.default_rng(seed), 8)
    again = carry_over(log, segmentation, boundary=boundary)
    assert not again.not_carried
    if again.n_needless == 0:
        assert _same_partition(again.editor.view[...], editor.view[...])


def _same_partition(one: np.ndarray, two: np.ndarray) -> bool:
    pairs = np.unique(np.stack([one.ravel(), two.ravel()]), axis=1)
    return pairs.shape[1] == np.unique(one).size == np.unique(two).size


def _two(folder: Path, row: str, start: tuple[int, int] | None = None) -> list[Proofreader]:
    """Two people on the same labels, after a merge that both have where `start` says so."""
    if start is not None:
        Proofreader(_labels(row), log=folder / "one", who="Ada").merge(start)
        (folder / "two").write_bytes((folder / "one").read_bytes())
    names = (("one", "Ada"), ("two", "Bob"))
    return [Proofreader(_labels(row), log=folder / n, who=who) for n, who in names]


def test_edits_of_two_people_in_different_places_all_count(folder: Path) -> None:
    row = "aabbccddeeffgg"
    one, two = _two(folder, row, start=(1, 2))
    one.merge([3, 4])
    two.split([[(0, 0, 8)], [(0, 0, 9)]])
    one.split([[(0, 0, 10)], [(0, 0, 11)]])  # both give the id 8 away
    two.merge([int(two.view[0, 0, 9]), 7])
    joined = join_logs(folder / "one", folder / "two", _labels(row))
    assert joined.not_carried == ()
    assert joined.n_carried == 5
    seen = _row(joined.editor)
    assert seen[:8] == "aaaacccc"
    assert seen[9] == seen[12] == seen[13]
    assert len({*seen[8:12]}) == 4
    assert sorted(i.who for i in joined.editor.history) == ["Ada"] * 3 + ["Bob"] * 2


def test_a_merge_reaches_what_the_other_has_merged_on(folder: Path) -> None:
    one, two = _two(folder, "aabbbbcc")
    one.merge([1, 2])  # Ada: a goes to b
    two.merge([1, 3])  # Bob: c goes to a
    joined = join_logs(folder / "one", folder / "two", _labels("aabbbbcc"))
    assert _row(joined.editor) == "bbbbbbbb"


def test_the_same_decision_twice_is_needless(folder: Path) -> None:
    one, two = _two(folder, "aabb")
    one.merge([1, 2])
    two.merge([2, 1])
    joined = join_logs(folder / "one", folder / "two", _labels("aabb"))
    assert (joined.n_carried, joined.n_needless, joined.not_carried) == (1, 1, ())


def test_conflicts_are_listed_with_who_and_why(folder: Path) -> None:
    one, two = _two(folder, "aaaabbcc")
    one.split([[(0, 0, 0)], [(0, 0, 3)]])
    two.merge([1, 2])  # to which part of a?
    one.mark_done([3])
    two.merge([3, 1])
    joined = join_logs(folder / "one", folder / "two", _labels("aaaabbcc"))
    assert [(lost.who, lost.n) for lost in joined.not_carried] == [("Bob", 1), ("Bob", 2)]
    assert "split or deleted segment 1" in joined.not_carried[0].reason
    assert "split or deleted segment 1" in joined.not_carried[1].reason
    assert joined.editor.position == 2


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=8)
def test_joining_never_loses_an_edit_silently(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    segmentation, boundary = make_segmentation(seed % 3)
    logs = [folder / "one", folder / "two"]
    n_edits = 0
    for k, log in enumerate(logs):
        editor = Proofreader(segmentation, boundary=boundary, log=log)
        edit_at_random(editor, np.random.default_rng(seed + 1000 * k), 6)
        n_edits += editor.position
    joined = join_logs(*logs, segmentation, boundary=boundary, new_log=folder / "new")
    assert joined.n_carried + joined.n_needless + len(joined.not_carried) == n_edits
    again = Proofreader.replay(folder / "new", segmentation)
    np.testing.assert_array_equal(again.view[...], joined.editor.view[...])
    alone = join_logs(logs[0], logs[0], segmentation)
    assert alone.not_carried == ()
    assert _same_partition(
        alone.editor.view[...], Proofreader.replay(logs[0], segmentation).view[...]
    )

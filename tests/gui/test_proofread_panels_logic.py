"""What the panels of proofreading tell, without a window."""

from __future__ import annotations

import doctest
import importlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qtpy.QtCore import Qt
from qtpy.QtTest import QAbstractItemModelTester

from napari_emseg import Proofreader, Segmentation, Volume, evaluate
from napari_emseg.errors import InputError
from napari_emseg.gui.proofread.actions import ACTIONS, GROUPS, OWN_KEYS
from napari_emseg.gui.proofread.facts import facts_of, neighbours_of, place_wanted
from napari_emseg.gui.proofread.history import HistoryModel
from napari_emseg.gui.proofread.keymap import Keymap, Named
from napari_emseg.gui.proofread.order import Order
from napari_emseg.gui.proofread.pace import PAUSE_S, TruthTable, pace_of, share_done, worth_deciding
from napari_emseg.proofreading.guidance import Site
from napari_emseg.proofreading.history import HistoryItem

LEFT_HAND = set("QWERTASDFGZXCVB")
SHAPE = (3, 6, 24)
ROOMS = np.broadcast_to(np.repeat(np.arange(1, 5, dtype=np.uint32), 6), SHAPE)


def _editor(*table: int, size: tuple[float, float, float] | None = None) -> Proofreader:
    """Four rooms in a row; the walls between them are 0.2, 0.9 and 0.6."""
    wall = np.zeros(SHAPE, np.float32)
    for x, height in {6: 0.2, 12: 0.9, 18: 0.6}.items():
        wall[:, :, x - 1 : x + 1] = height
    fragments = Volume(ROOMS, kind="fragments", voxel_size_nm=size, offset_nm=(0, 0, 100))
    segmentation = Segmentation(fragments, np.array([0, *table], np.uint32))
    return Proofreader(segmentation, boundary=Volume(wall, kind="boundary"))


def _site(one: int, two: int, kind: str = "merge", score: float = 1.0) -> Site:
    return Site(
        kind=kind,  # type: ignore[arg-type]
        position=(0, 0, 0),
        segments=(one, two),
        fragments=(one, two),
        probability=1.0,
        bits=score,
        reason="",
        suggestion="keep",
        features=(),
    )


def _pairs(order: Order) -> list[tuple[int, int]]:
    return [site.fragments for site in order.sites]


@pytest.mark.parametrize(
    "name", ["facts", "history", "keymap", "order", "pace", "progress", "queue"]
)
def test_the_examples_run(name: str) -> None:
    module = importlib.import_module(f"napari_emseg.gui.proofread.{name}")
    assert doctest.testmod(module).failed == 0


def test_each_action_has_one_key_and_each_key_one_action() -> None:
    keys = Counter(action.key for action in ACTIONS)
    assert max(keys.values()) == 1
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert {action.group for action in ACTIONS} == set(GROUPS)
    assert not set(keys) & {key for key, _ in OWN_KEYS}


def test_what_is_done_all_the_time_is_under_the_left_hand() -> None:
    seldom = {"accept", "drop", "next_site", "previous_site", "cheat_sheet"}
    often = {action.key[-1] for action in ACTIONS if action.id not in seldom}
    assert often <= LEFT_HAND


def test_an_own_key_is_there_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "keys.json"
    Keymap(ACTIONS, path).set_key("merge", "h")
    again = Keymap(ACTIONS, path)
    assert (again.key_of("merge"), again.key_of("split")) == ("H", "S")
    assert again.action_of("h") == "merge"
    again.reset()
    assert Keymap(ACTIONS, path).is_usual


def test_a_key_that_does_something_else_is_refused_in_words(tmp_path: Path) -> None:
    keymap = Keymap(ACTIONS, tmp_path / "keys.json")
    with pytest.raises(InputError, match="S is the key of “Split: click points on both cells”"):
        keymap.set_key("merge", "S")
    with pytest.raises(InputError, match=r"P belongs to napari \(paint\)"):
        keymap.set_key("merge", "p", {"P": "paint"})
    with pytest.raises(InputError, match="press one key"):
        keymap.set_key("merge", "Shift")
    assert keymap.is_usual


@pytest.mark.parametrize(
    "content", ["", "[]", '{"keys": 3}', '{"keys": {"one": "B"}}', '{"keys": {"one": ["x"]}}']
)
def test_a_damaged_file_of_keys_gives_the_usual_ones(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    keymap = Keymap((Named("one", "One", "A"), Named("two", "Two", "B")), path)
    keys = [keymap.key_of(name) for name in ("one", "two")]
    assert keys == ["A", "B"]


def test_a_new_list_leaves_what_was_walked_through_where_it_is() -> None:
    order, state = Order(), _editor(1, 2, 3, 4).state
    order.renew([_site(1, 2), _site(2, 3), _site(3, 4)], state)
    order.step(1)
    order.renew([_site(3, 4), _site(2, 3), _site(1, 2)], state)
    assert _pairs(order) == [(1, 2), (2, 3), (3, 4)]
    assert order.at == 1
    order.go(0)
    order.renew([_site(3, 4), _site(2, 3), _site(1, 2)], state)
    assert _pairs(order) == [(1, 2), (3, 4), (2, 3)]


def test_what_is_put_off_stays_last_and_the_next_one_takes_its_row() -> None:
    order, state = Order(), _editor(1, 2, 3, 4).state
    found = [_site(1, 2), _site(2, 3), _site(3, 4)]
    order.renew(found, state)
    order.put_off()
    assert order.current == found[1]
    order.renew(found, state)
    assert _pairs(order) == [(2, 3), (3, 4), (1, 2)]
    assert order.is_late(order.sites[-1])


def test_a_place_that_is_settled_goes_and_comes_back_with_its_undo() -> None:
    editor, order = _editor(1, 2, 3, 4), Order()
    order.renew([_site(1, 2), _site(2, 3), _site(3, 4)], editor.state)
    order.step(1)
    editor.merge([2, 3])
    assert not order.follow(editor.state, ())
    assert _pairs(order) == [(1, 2), (3, 4)]
    assert order.current is not None
    assert order.current.segments == (2, 4)  # segment 3 is part of 2 now, the larger one
    editor.undo()
    assert order.follow(editor.state, ())
    assert order.current is not None
    assert order.current.fragments == (2, 3)


def test_what_was_decided_or_locked_is_no_longer_asked() -> None:
    editor, order = _editor(1, 2, 3, 4), Order()
    order.renew([_site(1, 2), _site(2, 3), _site(3, 4)], editor.state)
    order.follow(editor.state, [(2, 1)])
    editor.mark_done([4])
    order.follow(editor.state, [(2, 1)])
    assert _pairs(order) == [(2, 3)]


def test_the_last_place_may_be_settled() -> None:
    editor, order = _editor(1, 2, 3, 4), Order()
    order.renew([_site(1, 2)], editor.state)
    editor.merge([1, 2])
    order.follow(editor.state, ())
    order.step(1)
    assert order.current is None


def test_neighbours_are_those_that_touch_with_their_walls() -> None:
    editor = _editor(1, 2, 3, 3)
    found = {n.segment: n for n in neighbours_of(editor.state, 2)}
    assert set(found) == {1, 3}
    assert found[1].n_faces == 18
    assert (round(found[1].wall, 1), round(found[3].wall, 1)) == (0.2, 0.9)
    assert found[1].place[2] in (5, 6)
    editor.merge([1, 2])
    assert [n.segment for n in neighbours_of(editor.state, 1)] == [3]


def test_a_segment_without_neighbours_has_none() -> None:
    assert neighbours_of(_editor(1, 1, 1, 1).state, 1) == ()


def test_facts_follow_edits() -> None:
    editor = _editor(1, 2, 3, 4)
    editor.merge([1, 2])
    editor.rename(1, "axon")
    editor.mark_done([1])
    facts = facts_of(editor.state, 1)
    assert (facts.size, facts.n_fragments, facts.sections) == (216, 2, (0, 2))
    assert (facts.name, facts.is_done, facts.is_aside) == ("axon", True, False)


def test_going_to_an_id_or_a_position() -> None:
    state = _editor(1, 2, 3, 4, size=(50, 4, 4)).state
    assert place_wanted(" 3 ", state, (50, 4, 4)) == 3
    assert place_wanted("1, 2, 20", state, None) == (1, 2, 20)
    assert place_wanted("50 8 180 nm", state, (50, 4, 4)) == (1, 2, 20)  # x begins at 100 nm


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("9", "no segment 9"),
        ("1, 2", "Type the id"),
        ("axon", "Type the id"),
        ("1, 2, 99", "outside the volume"),
        ("1, 2, 3 nm", "size of the voxels is not known"),
    ],
)
def test_places_that_are_none_are_refused_in_words(words: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        place_wanted(words, _editor(1, 2, 3, 4).state, None)


def _item(n: int, seconds: float = 2.0, decided: tuple[int, int] | None = (1, 2)) -> HistoryItem:
    return HistoryItem(n, "merge", f"Edit {n}.", "me", "", seconds, (), (), None, b"", decided)


def test_who_was_away_is_not_slow() -> None:
    pace = pace_of([_item(1, 4), _item(2, 8), _item(3, 1e5), _item(4, 6, None)])
    assert (pace.n_edits, pace.n_decisions) == (4, 3)
    assert pace.worked_s == 4 + 8 + PAUSE_S + 6
    assert pace.decision_s == 8
    assert pace_of([_item(1)]).decision_s is None


def test_the_share_done_is_that_of_voxels() -> None:
    editor = _editor(1, 2, 0, 4)
    assert share_done(editor.state) == 0
    editor.mark_done([1])
    assert share_done(editor.state) == pytest.approx(1 / 3)


@given(st.lists(st.floats(0, 100), max_size=20))
@settings(deadline=None, max_examples=50)
def test_the_places_worth_deciding_hold_most_and_no_fewer_do(scores: list[float]) -> None:
    n = worth_deciding(np.array(scores))
    best = sorted(scores, reverse=True)
    assert sum(best[:n]) >= 0.8 * sum(scores) * (1 - 1e-9)
    assert n == 0 or sum(best[: n - 1]) <= 0.8 * sum(scores)


@given(st.lists(st.integers(0, 3), min_size=4, max_size=4))
@settings(deadline=None, max_examples=20)
def test_scores_by_fragments_are_those_of_the_labels(table: list[int]) -> None:
    truth = np.zeros(SHAPE, np.uint32)
    truth[:2, :, :9], truth[:2, :, 9:] = 7, 2**31
    known = Volume(truth, kind="labels")
    segment_of = np.array([0, *table], np.uint32)
    found = TruthTable(Volume(ROOMS, kind="fragments"), known).scores(segment_of)
    labels = Volume(segment_of[ROOMS], kind="labels")
    expected = evaluate(labels, known, metrics=tuple(found))
    assert found == pytest.approx({name: expected[name] for name in found})


def test_a_truth_that_says_nothing_is_refused_in_words() -> None:
    fragments = Volume(ROOMS, kind="fragments")
    with pytest.raises(InputError, match="is empty"):
        TruthTable(fragments, Volume(np.zeros(SHAPE, np.uint32), kind="labels"))
    with pytest.raises(InputError, match="of another stack"):
        TruthTable(fragments, Volume(np.ones((1, 2, 2), np.uint32), kind="labels"))


def test_the_history_shows_the_newest_first_and_greys_what_was_undone(qapp: object) -> None:
    model = HistoryModel()
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    items = tuple(_item(n) for n in range(1, 10_001))
    model.follow(items, len(items))
    assert (model.rowCount(), model.row_now) == (10_001, 0)
    first, last = model.index(0, 0), model.index(10_000, 0)
    assert (model.data(first), model.data(last)) == ("Edit 10000.", "As it was opened")
    grey = Qt.ItemDataRole.ForegroundRole
    assert model.data(first, grey) is None
    model.follow(items, 9_990)
    assert model.row_now == 10
    assert model.data(first, grey) is not None
    assert model.data(model.index(10, 0), grey) is None


def test_one_more_edit_adds_one_row_to_the_history(qapp: object) -> None:
    model, rows = HistoryModel(), []
    items = tuple(_item(n) for n in range(1, 6))
    model.follow(items, 5)
    model.rowsInserted.connect(lambda _, first, last: rows.append(("in", first, last)))
    model.rowsRemoved.connect(lambda _, first, last: rows.append(("out", first, last)))
    model.follow((*items, _item(6)), 6)
    assert rows == [("in", 0, 0)]
    model.follow((*items[:3], replace(_item(4), words="Other.")), 4)
    assert rows[1:] == [("out", 0, 2), ("in", 0, 0)]
    assert model.data(model.index(0, 0)) == "Other."

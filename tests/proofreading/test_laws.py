"""What holds whatever is edited: undo, replay, a valid partition, exact contacts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from tests.proofreading.worlds import edit_at_random, make_segmentation

from napari_emseg import Proofreader
from napari_emseg.proofreading.contacts import Edges, measure_contacts
from napari_emseg.proofreading.extents import measure_extents

seeds = st.integers(0, 10_000)


def _state(editor: Proofreader) -> tuple[np.ndarray, np.ndarray, set, set, dict]:
    state = editor.state
    table = np.trim_zeros(state.segment_of, "b").copy()
    return state.fragments[...], table, {*state.done}, {*state.set_aside}, {**state.names}


def _assert_same(one: tuple, two: tuple) -> None:
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    assert one[2:] == two[2:]


@given(seeds)
@settings(deadline=None, max_examples=15)
def test_undoing_everything_gives_back_the_start(seed: int) -> None:
    random = np.random.default_rng(seed)
    segmentation, boundary = make_segmentation(seed % 3)
    before = segmentation.fragments.read().copy(), segmentation.segment_of.copy()
    editor = Proofreader(segmentation, boundary=boundary)
    start = _state(editor)
    edit_at_random(editor, random, 12)
    end = _state(editor)
    position = editor.position
    while editor.position:
        editor.undo()
    _assert_same(_state(editor), start)
    editor.jump_to(position)
    _assert_same(_state(editor), end)
    np.testing.assert_array_equal(segmentation.fragments.read(), before[0])
    np.testing.assert_array_equal(segmentation.segment_of, before[1])


@given(seeds)
@settings(deadline=None, max_examples=10)
def test_a_replay_is_the_live_state_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    log: Path = tmp_path_factory.mktemp("log") / "edits.jsonl"
    segmentation, boundary = make_segmentation(seed % 3)
    editor = Proofreader(segmentation, boundary=boundary, log=log)
    edit_at_random(editor, np.random.default_rng(seed), 12)
    again = Proofreader.replay(log, segmentation, boundary=boundary)
    _assert_same(_state(again), _state(editor))
    for name in ("next_fragment", "next_segment"):
        assert getattr(again.state, name) == getattr(editor.state, name)
    assert [i.packed for i in again.history] == [i.packed for i in editor.history]
    assert again.position == editor.position
    np.testing.assert_array_equal(again.view[...], editor.view[...])
    np.testing.assert_array_equal(again.segmentation.to_volume().data, editor.view[...])


@given(seeds)
@settings(deadline=None, max_examples=12)
def test_the_partition_and_all_that_is_kept_of_it_stay_valid(seed: int) -> None:
    segmentation, boundary = make_segmentation(seed % 3)
    editor = Proofreader(segmentation, boundary=boundary)
    editor.prepare()
    given_away: list[tuple[int, int]] = []
    random = np.random.default_rng(seed)
    apart_before = _fragments_in_parts(editor)
    for _ in range(10):
        edit_at_random(editor, random, 1)
        given_away.append((editor.state.next_fragment, editor.state.next_segment))
        _check_kept(editor)
    assert given_away == sorted(given_away)  # ids are never given twice
    assert _fragments_in_parts(editor) <= apart_before
    background = segmentation.fragments.read() == 0
    painted = any(item.operation == "paint" for item in editor.history)
    if not painted:
        assert not editor.view[...][background].any()


def _fragments_in_parts(editor: Proofreader) -> set[int]:
    fragments = editor.state.fragments[...]
    return {int(f) for f in np.unique(fragments) if f and label(fragments == f)[1] > 1}


def _check_kept(editor: Proofreader) -> None:
    """Sizes, boxes, members and contacts are as if measured anew, to the bit."""
    state = editor.state
    fragments = state.fragments[...]
    extents = measure_extents(fragments, state.next_fragment - 1)
    np.testing.assert_array_equal(state.extents.size[: state.next_fragment], extents.size)
    there = extents.size[1:] > 0
    low = state.extents.low[1 : state.next_fragment][there]
    high = state.extents.high[1 : state.next_fragment][there]
    assert (low <= extents.low[1:][there]).all()
    assert (high >= extents.high[1:][there]).all()
    for segment in np.unique(state.segment_of[1:]).tolist():
        expected = 1 + np.flatnonzero(state.segment_of[1:] == segment)
        if segment:
            np.testing.assert_array_equal(state.members.of(segment), expected)
    assert {*state.members} == {*np.unique(state.segment_of).tolist()} - {0}
    _assert_same_edges(state.contacts.all(), measure_contacts(fragments, state.wall))


def _assert_same_edges(one: Edges, two: Edges) -> None:
    for name in ("a", "b", "total", "count", "gaps", "place"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))

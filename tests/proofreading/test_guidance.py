"""The queue of places to look at, and an oracle that answers it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_emseg import Proofreader, Segmentation, Volume, build_hierarchy, open_volume
from napari_emseg.proofreading.belief import Belief, Lesson
from napari_emseg.proofreading.carrying import carry_over
from napari_emseg.proofreading.necks import find_necks
from napari_emseg.proofreading.simulation import Truth, simulate
from napari_emseg.proofreading.survey import take_survey
from napari_emseg.segmentation import group

# Four rooms in a row, 6 voxels each; walls of 0.05, 0.95 and 0.6 between them.
WALLS = {6: 0.05, 12: 0.95, 18: 0.6}


def _rooms(*table: int) -> Proofreader:
    shape = (3, 6, 24)
    rooms = np.broadcast_to(np.repeat(np.arange(1, 5, dtype=np.uint32), 6), shape)
    wall = np.zeros(shape, np.float32)
    for x, height in WALLS.items():
        wall[:, :, x - 1 : x + 1] = height
    segmentation = Segmentation(Volume(rooms, kind="fragments"), np.array([0, *table], np.uint32))
    return Proofreader(segmentation, boundary=Volume(wall, kind="boundary"))


def test_the_thinnest_wall_between_segments_comes_first() -> None:
    sites = _rooms(1, 2, 3, 4).suspicious_sites()
    assert [s.segments for s in sites] == [(1, 2), (3, 4), (2, 3)]
    first = sites[0]
    assert (first.kind, first.suggestion) == ("merge", "merge")
    assert first.position[2] in (5, 6)
    assert "the wall to 2 is 0.05 over 18 faces" in first.reason
    assert sites[-1].suggestion == "keep"


def test_a_high_wall_inside_a_segment_is_a_neck() -> None:
    editor = _rooms(1, 1, 1, 4)
    site = editor.suspicious_sites(1)[0]
    assert (site.kind, site.segments, site.fragments) == ("split", (1,), (2, 3))
    assert site.cause == "wall inside"
    assert "A wall of 0.95 runs through segment 1: 108 voxels lie behind it" in site.reason
    editor.decide(site, "split")
    row = editor.view[0, 0]
    assert len({*row[:12]}) == len({*row[12:18]}) == 1
    assert row[0] != row[12]
    left = {s.fragments for s in editor.suspicious_sites()}
    assert (2, 3) not in left  # decided: neither to be split nor to be merged again


def test_necks_know_the_sizes_of_both_parts() -> None:
    necks = find_necks(take_survey(_rooms(1, 1, 1, 1).state))
    parts = {
        tuple(sorted(p)) for p in zip(necks.size_one.tolist(), necks.size_two.tolist(), strict=True)
    }
    assert parts == {(108, 324), (216, 216)}
    assert necks.edges.a.size == 3


def test_what_was_kept_is_not_asked_again_and_is_in_the_log(tmp_path: Path) -> None:
    editor = _rooms(1, 2, 3, 3)
    with_log = Proofreader(editor.segmentation, log=tmp_path / "log")
    for site in with_log.suspicious_sites():
        with_log.decide(site, "keep")
    assert with_log.suspicious_sites() == []
    with_log.close()
    again = Proofreader(editor.segmentation, log=tmp_path / "log")
    assert again.suspicious_sites() == []
    again.undo()
    assert len(again.suspicious_sites()) == 1
    carried = carry_over(tmp_path / "log", _rooms(1, 2, 3, 4).segmentation)
    assert carried.not_carried == ()
    assert carried.editor.belief.n_learned == 2
    assert [site.segments for site in carried.editor.suspicious_sites()] == [(3, 4)]


def test_locked_and_set_aside_segments_are_left_alone() -> None:
    editor = _rooms(1, 2, 3, 3)
    editor.mark_done([1])
    editor.set_aside([3])
    assert editor.suspicious_sites() == []


def test_belief_follows_the_answers() -> None:
    """Where answers say that only walls below 0.3 are none, that is what is expected."""
    belief, random = Belief(), np.random.default_rng(0)
    features = np.column_stack(
        [np.ones(80), random.uniform(0, 1, 80), *random.uniform(0, 3, (9, 80))]
    )
    is_one_cell = features[:, 1] < 0.3
    belief.learn(
        *(Lesson("merge", tuple(f), bool(a)) for f, a in zip(features, is_one_cell, strict=True))
    )
    right = (belief.probability("merge", features) > 0.5) == is_one_cell
    assert right.mean() > 0.9


def test_what_was_learned_comes_back_with_the_log_and_goes_with_an_undo(tmp_path: Path) -> None:
    segmentation = _rooms(1, 2, 3, 4).segmentation
    editor = Proofreader(segmentation, log=tmp_path / "log")
    for site in editor.suspicious_sites(2):
        editor.decide(site, "keep")
    learned = editor.belief.weights("merge")
    assert (editor.belief.n_learned, (learned != Belief().weights("merge")).any()) == (2, True)
    editor.close()
    again = Proofreader(segmentation, log=tmp_path / "log")
    np.testing.assert_allclose(again.belief.weights("merge"), learned, atol=1e-3)
    replayed = Proofreader.replay(tmp_path / "log", segmentation)
    np.testing.assert_array_equal(replayed.belief.weights("merge"), again.belief.weights("merge"))
    again.jump_to(0)
    assert again.belief.n_learned == 0
    again.redo()
    assert again.belief.n_learned == 1


def test_the_oracles_scores_are_those_of_the_tables() -> None:
    editor = _rooms(1, 1, 3, 3)
    truth = Volume(np.where(editor.view[...] == 1, 7, 9), kind="labels")
    known = Truth(editor.state.volume, truth, 4)
    assert known.scores(editor.state.segment_of) == pytest.approx((0, 0))
    voi, error = known.scores(np.array([0, 1, 1, 1, 1], np.uint32))
    assert (voi, error) == pytest.approx((1, 1 / 3))  # two halves taken for one: one bit


def test_an_oracle_repairs_rooms_in_as_many_decisions_as_there_are_errors() -> None:
    editor = _rooms(1, 2, 2, 4)
    truth = Volume(np.repeat([[[5, 6]]], 12, axis=2) + np.zeros((3, 6, 1), int), kind="labels")
    run = simulate(editor, truth, n_decisions=10)
    assert run.voi[-1] == pytest.approx(0, abs=1e-9)
    assert sorted(run.decisions[:3]) == ["merge", "merge", "split"]


def test_our_order_beats_random_order_on_real_tissue(shared_data: Path) -> None:
    folder = shared_data / "gala_fib"
    part = (slice(0, 20), slice(0, 80), slice(0, 80))
    boundary = open_volume(folder / "train_boundary.tif", kind="boundary")
    boundary = boundary.derive(boundary.read(part), kind="boundary")
    truth = open_volume(folder / "train_neurons.tif", kind="labels")
    truth = truth.derive(truth.read(part), kind="labels")
    hierarchy = build_hierarchy(boundary, sigma_px=0.7, mode="3d")
    segmentation = group(hierarchy, boundary, grouping="mean_boundary").cut(0.4, 50)
    runs = {}
    for order in ("ours", "random"):
        editor = Proofreader(segmentation, boundary=boundary)
        runs[order] = simulate(editor, truth, order=order, n_decisions=40).voi  # type: ignore[arg-type]
    assert runs["ours"][0] == runs["random"][0]
    assert runs["ours"][0] - runs["ours"][-1] > 2 * (runs["random"][0] - runs["random"][-1])

"""Splits one can check by eye."""

from __future__ import annotations

import numpy as np
import pytest
from tests.proofreading.worlds import VOXEL_SIZE_NM

from napari_emseg import InputError, Proofreader, Segmentation, Volume
from napari_emseg.proofreading.flooding import flood_seeds
from napari_emseg.proofreading.graph_cut import RegionEdges, cut_graph


def _row(*walls: float, faces: int = 4) -> tuple[Segmentation, Volume]:
    """A segment 9 of fragments side by side, 3 voxels wide each, with walls between them."""
    n = len(walls) + 1
    fragments = np.repeat(np.arange(1, n + 1, dtype=np.uint32), 3)
    wall = np.zeros(3 * n, np.float32)
    for k, height in enumerate(walls):
        wall[3 * k + 2 : 3 * k + 4] = height
    shape = (1, faces, 3 * n)
    return (
        Segmentation(
            Volume(np.broadcast_to(fragments, shape), kind="fragments"),
            np.append(0, np.full(n, 9)).astype(np.uint32),
        ),
        Volume(np.broadcast_to(wall, shape), kind="boundary"),
    )


def test_a_split_by_points_cuts_the_strongest_wall_between_them() -> None:
    segmentation, boundary = _row(0.1, 0.8, 0.3)
    editor = Proofreader(segmentation, boundary=boundary)
    told = editor.split([[(0, 0, 0)], [(0, 3, 11)]]).words
    assert editor.view[0, 0].tolist() == [9] * 6 + [10] * 6
    assert told == "Split segment 9 into 9 (24 voxels), 10 (24 voxels)."
    assert editor.state.fragments.is_patched is False


def test_a_wide_contact_holds_better_than_a_narrow_one_of_the_same_wall() -> None:
    i, j = np.array([0, 1, 2, 3]), np.array([1, 2, 3, 4])
    graph = RegionEdges(5, i, j, np.array([50, 50, 3, 50]), np.full(4, 0.3))
    assert cut_graph(graph, [np.array([0]), np.array([4])]).side.tolist() == [0, 0, 0, 1, 1]


def test_a_small_fragment_under_the_click_takes_its_surroundings_along() -> None:
    """The cheapest cut alone would take out just the clicked fragment 0."""
    i, j = np.array([0, 1, 2, 3]), np.array([1, 2, 3, 4])
    faces, wall = np.array([2, 90, 30, 90]), np.array([0.0, 0.0, 0.6, 0.0])
    side = cut_graph(RegionEdges(5, i, j, faces, wall), [np.array([0]), np.array([4])]).side
    assert side.tolist() == [0, 0, 0, 1, 1]


def test_three_groups_become_three_segments_and_the_largest_keeps_the_id() -> None:
    segmentation, boundary = _row(0.9, 0.1, 0.9)
    editor = Proofreader(segmentation, boundary=boundary)
    editor.split([[(0, 0, 0)], [(0, 0, 5)], [(0, 0, 11)]])
    assert editor.view[0, 0].tolist() == [10] * 3 + [9] * 6 + [11] * 3


def test_a_fragment_clicked_on_both_sides_is_cut_in_its_neck() -> None:
    dumbbell = np.zeros((1, 9, 21), np.uint32)
    dumbbell[:, 1:8, 1:8] = dumbbell[:, 1:8, 13:20] = 7
    dumbbell[:, 4, 8:13] = 7
    editor = Proofreader(Volume(dumbbell, kind="labels"))
    editor.split([[(0, 2, 2)], [(0, 6, 18)]])
    view = editor.view[0]
    assert {*view[1:8, 1:8].ravel()} == {7}
    assert {*view[1:8, 13:20].ravel()} == {8}
    assert sorted({*view[4, 8:13]}) == [7, 8]
    assert (view > 0).sum() == (dumbbell > 0).sum()


def test_a_wall_of_the_map_outweighs_the_distance_to_the_clicks() -> None:
    wall = np.zeros((1, 5, 30), np.float32)
    wall[:, :, 8] = 0.9
    wall[:, 2, 8] = 0.3  # a hole in the wall
    labels = Volume(np.ones((1, 5, 30), np.uint16), kind="labels")
    editor = Proofreader(labels, boundary=Volume(wall, kind="boundary"))
    editor.split([[(0, 2, 6)], [(0, 2, 27)]])
    row = editor.view[0, 0]
    assert {*row[:8]} == {2}
    assert {*row[9:]} == {1}


def test_voxels_count_in_nm_not_in_steps() -> None:
    """Sections of 50 nm: five sections away is further than forty pixels of 4 nm."""
    mask = np.ones((6, 1, 60), bool)
    seeds = [np.array([[5, 0, 0]]), np.array([[0, 0, 40]])]
    side = flood_seeds(mask, seeds, np.zeros(mask.shape, np.float32), VOXEL_SIZE_NM)
    assert side[0, 0, 0] == 2
    assert flood_seeds(mask, seeds, None, (1, 1, 1))[0, 0, 0] == 1


def test_what_lies_outside_the_fragment_stays() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (3, 20, 20)).astype(np.uint16)
    labels[:, 5:15, 5:15] = 9
    editor = Proofreader(Volume(labels, kind="labels"))
    editor.split([[(0, 6, 6)], [(2, 13, 13)]])
    view = editor.view[...]
    np.testing.assert_array_equal(view[labels != 9], labels[labels != 9])
    assert sorted({*view[labels == 9]}) == [9, 10]


def test_parts_no_seed_reaches_go_to_the_nearer_side_and_it_is_said() -> None:
    labels = np.zeros((1, 3, 30), np.uint8)
    labels[:, :, :12] = labels[:, :, 14:18] = 5
    labels[:, :, 25:] = 5
    editor = Proofreader(Volume(labels, kind="labels"))
    told = editor.split([[(0, 0, 0)], [(0, 0, 29)]]).words
    view = editor.view[0, 0]
    assert {*view[:12]} == {*view[14:18]} != {*view[25:]}
    assert "1 separate part, touching neither side, went to the nearer one." in told


def test_a_line_across_splits_there_exactly() -> None:
    labels = Volume(np.full((3, 20, 30), 4, np.uint8), kind="labels", voxel_size_nm=VOXEL_SIZE_NM)
    editor = Proofreader(labels)
    editor.split_by_line(1, [(-2, 9.6), (25, 9.8)])
    row = editor.view[1, 7]
    assert len({*row[:10]}) == len({*row[11:]}) == 1
    assert row[0] != row[29]
    assert {*editor.view[0, :, 0], *editor.view[2, :, 0]} == {row[0]}


def test_a_line_that_ends_inside_is_refused() -> None:
    editor = Proofreader(Volume(np.full((1, 20, 30), 4, np.uint8), kind="labels"))
    with pytest.raises(InputError, match="does not separate segment 4"):
        editor.split_by_line(0, [(-2, 10), (12, 10)])
    with pytest.raises(InputError, match="runs across no segment"):
        editor.split_by_line(0, [(-5, -5), (-1, -1)])
    with pytest.raises(InputError, match="no section 3"):
        editor.split_by_line(3, [(0, 0), (1, 1)])


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ([[(0, 0, 0)]], "both sides"),
        ([[(0, 0, 0)], []], "both sides"),
        ([[(0, 0, 0)], [(0, 0, 4)]], "is on segment 2, not on segment 1"),
        ([[(0, 0, 0)], [(0, 1, 1)]], "on no segment"),
        ([[(0, 0, 0)], [(0, 0, 0)]], "in two groups"),
        ([[(0, 0, 0)], [(0, 0, 7)]], "outside the volume"),
    ],
)
def test_points_that_make_no_sense_are_refused_in_words(groups: list, sentence: str) -> None:
    labels = np.array([[[1, 1, 1, 2, 2, 2], [0, 0, 0, 0, 0, 0]]], np.uint8)
    editor = Proofreader(Volume(labels, kind="labels"))
    with pytest.raises(InputError, match=sentence):
        editor.split(groups)
    assert editor.history == ()

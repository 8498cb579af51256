"""Each kind of suspicious place, in a picture one can check by eye."""

from __future__ import annotations

import threading

import numpy as np

from napari_emseg import Proofreader, Segmentation, Volume
from napari_emseg.proofreading.guidance import Site
from napari_emseg.proofreading.profiles import ProfileMeter
from napari_emseg.proofreading.survey import take_survey

SIZE_NM = (30.0, 30.0, 30.0)


def _editor(
    fragments: np.ndarray, table: list[int] | None = None, wall: np.ndarray | None = None
) -> Proofreader:
    fragments = fragments.astype(np.uint32)
    segment_of = np.array(table or range(int(fragments.max()) + 1), np.uint32)
    volume = Volume(fragments, kind="fragments", voxel_size_nm=SIZE_NM)
    high = np.zeros(fragments.shape, np.float32) if wall is None else wall.astype(np.float32)
    boundary = Volume(high, kind="boundary", voxel_size_nm=SIZE_NM)
    return Proofreader(Segmentation(volume, segment_of), boundary=boundary)


def _site(editor: Proofreader, cause: str) -> Site:
    found = [site for site in editor.suspicious_sites() if site.cause == cause]
    assert found, {site.cause for site in editor.suspicious_sites()}
    return found[0]


def _two_cells() -> tuple[np.ndarray, np.ndarray]:
    """Cells 1 and 2 from end to end, side by side, 12 pixels wide each, a wall between them."""
    ids = np.ones((12, 24, 24), np.uint32)
    ids[:, :, 12:] = 2
    wall = np.zeros(ids.shape)
    wall[:, :, 11:13] = 0.9
    return ids, wall


def test_a_piece_that_ends_on_all_sides_inside() -> None:
    ids, wall = _two_cells()
    ids[3:9, 6:18, 3:9] = 3
    site = _site(_editor(ids, wall=wall), "ends inside")
    assert (site.kind, site.segments, site.suggestion) == ("merge", (1, 3), "merge")
    assert "Segment 3 (432 voxels) ends inside the volume on all sides" in site.reason


def test_a_piece_in_one_section_only() -> None:
    ids, wall = _two_cells()
    ids[5, 4:20, 2:10] = 3
    site = _site(_editor(ids, wall=wall), "one section")
    assert site.segments == (1, 3)
    assert "Segment 3 is in section 5 only (128 voxels)" in site.reason


def test_a_tiny_piece() -> None:
    ids, wall = _two_cells()
    ids[4:7, 8:11, 5:8] = 3
    site = _site(_editor(ids, wall=wall), "tiny")
    assert site.segments == (1, 3)
    assert "Segment 3 is tiny (27 voxels); the wall to 1 is 0.00 over 54 faces" in site.reason


def test_a_flat_piece() -> None:
    ids, wall = _two_cells()
    ids[:, 2:22, 5] = 3
    site = _site(_editor(ids, wall=wall), "flat")
    assert site.segments == (1, 3)
    assert "Segment 3 is flat, 1 voxel thick (240 voxels)" in site.reason


def test_a_thin_wall_and_one_that_is_hard_to_tell() -> None:
    ids = np.repeat(np.arange(1, 5), 12)[None, None, :] + np.zeros((12, 12, 1), int)
    wall = np.zeros(ids.shape)
    for x, height in ((12, 0.1), (24, 0.95), (36, 0.5)):
        wall[:, :, x - 1 : x + 1] = height
    sites = _editor(ids, wall=wall).suspicious_sites()
    assert [(s.segments, s.cause) for s in sites] == [
        ((1, 2), "thin wall"),
        ((3, 4), "near the threshold"),
        ((2, 3), "near the threshold"),
    ]
    assert sites[1].reason == (
        "The wall between 3 and 4 is 0.50 over 144 faces: neither clearly there nor clearly "
        "missing. 3 has 1,728 voxels."
    )


def test_without_a_map_no_wall_is_spoken_of() -> None:
    labels = np.ones((6, 20, 40), np.uint32)
    labels[:, :, 20:] = 2
    editor = Proofreader(Volume(labels, kind="labels", voxel_size_nm=SIZE_NM))
    (site,) = [each for each in editor.suspicious_sites() if each.kind == "merge"]
    assert "wall of" not in site.reason
    assert "touches 2 over 120 faces; there is no boundary map" in site.reason


def test_a_neck_between_two_bodies() -> None:
    """A dumbbell of four fragments: two balls, and a bridge of two pieces two pixels thick."""
    ids = np.zeros((10, 10, 30), int)
    ids[:, :, :12], ids[:, :, 18:] = 1, 2
    ids[4:6, 4:6, 12:15], ids[4:6, 4:6, 15:18] = 3, 4
    editor = _editor(ids, [0, 7, 7, 7, 7])
    sites = editor.suspicious_sites()
    assert [(s.kind, s.cause, s.fragments) for s in sites] == [("split", "neck", (1, 2))]
    assert "Segment 7 has a neck: " in sites[0].reason
    assert "hang on 4 faces (about 2 voxels across)" in sites[0].reason
    assert 12 <= sites[0].position[2] <= 18
    editor.decide(sites[0], "keep")
    assert editor.suspicious_sites() == []  # nor is it asked at the other end of the bridge
    editor.undo()
    editor.decide(sites[0], "split")
    row = editor.view[5, 5]
    assert row[0] != row[29]
    assert set(editor.view[...].ravel().tolist()) == {0, *row.tolist()}


def test_a_wall_inside_a_segment_is_found_over_several_contacts() -> None:
    """Four fragments in a square; the wall between left and right is two contacts."""
    ids = np.ones((6, 20, 20), int)
    ids[:, 10:, :10], ids[:, :10, 10:], ids[:, 10:, 10:] = 2, 3, 4
    wall = np.zeros(ids.shape)
    wall[:, :, 9:11] = 0.8
    editor = _editor(ids, [0, 5, 5, 5, 5], wall)
    site = _site(editor, "wall inside")
    assert site.reason == "A wall of 0.80 runs through segment 5: 1,200 voxels lie behind it."
    assert site.position[2] in (9, 10)
    # The cut that is made is the one that is asked about, whatever else was easier to cut.
    editor.decide(site, "split")
    view = editor.view[0]
    assert {tuple(np.unique(half)) for half in (view[:, :10], view[:, 10:])} == {(5,), (6,)}


def test_at_a_neck_the_cut_is_made_that_is_asked_about() -> None:
    """A long rod of eight fragments, a wall across it, and a crumb that hangs on by less."""
    ids = np.zeros((6, 14, 80), int)
    for k in range(8):
        ids[:, 4:14, 10 * k : 10 * (k + 1)] = k + 1
    ids[2:4, 2:4, 4:6] = 9  # touches fragment 1 by four faces
    wall = np.zeros(ids.shape)
    wall[:, :, 29:31] = 0.8
    editor = _editor(ids, [0, *[5] * 9], wall)
    site = _site(editor, "wall inside")
    assert [sorted(side.tolist()) for side in site.sides] in (
        [[1, 2, 3, 9], [4, 5, 6, 7, 8]],
        [[4, 5, 6, 7, 8], [1, 2, 3, 9]],
    )
    asked = editor.preview_at(site, "split").edit
    editor.decide(site, "split")
    assert editor.history[0].delta.fragments.tolist() == asked.delta.fragments.tolist()
    table = editor.state.segment_of
    sides = [set(table[side].tolist()) for side in site.sides]
    assert [len(side) for side in sides] == [1, 1]
    assert sides[0] != sides[1]


def test_a_jump_from_one_section_to_the_next() -> None:
    """One fragment is small and left up to section 5, large and right from section 6 on."""
    ids = np.zeros((12, 20, 40), int)
    ids[:6, 8:12, 2:8] = 1
    ids[6:, 2:18, 6:38] = 1
    editor = _editor(ids)
    site = _site(editor, "jump")
    assert (site.kind, site.segments, site.position[0]) == ("split", (1,), 6)
    assert "Segment 1 jumps from section 5 to 6: its area goes from 24 to 512 pixels" in site.reason
    made = editor.decide(site, "split")
    assert made.words.startswith("Split segment 1 into")
    view = editor.view[...]
    assert len({int(view[2, 10, 4]), int(view[9, 10, 30])}) == 2


def test_profiles_follow_voxel_edits_and_their_undo() -> None:
    ids, wall = _two_cells()
    editor = _editor(ids, wall=wall)
    editor.prepare()
    mask = np.ones((2, 5, 7), bool)
    editor.paint(mask, 2, origin=(3, 4, 2))
    editor.paint(mask, 0, origin=(6, 9, 9))
    for _ in range(2):
        meter = ProfileMeter(editor.state.next_fragment)
        for z in range(len(ids)):
            meter.look(z, editor.state.fragments[z])
        fresh, kept = meter.profiles(), editor.state.profiles.summed()
        for name in ("owner", "section", "area", "place"):
            np.testing.assert_array_equal(getattr(kept, name), getattr(fresh, name))
        editor.jump_to(0)


def test_the_list_can_be_made_in_another_thread_while_edits_go_on() -> None:
    from tests.proofreading.worlds import edit_at_random, make_segmentation

    segmentation, boundary = make_segmentation(0)
    editor = Proofreader(segmentation, boundary=boundary)
    failed: list[BaseException] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            try:
                for site in editor.suspicious_sites(5):
                    assert len(site.reason) > 20
            except BaseException as error:
                failed.append(error)
                return

    thread = threading.Thread(target=look)
    thread.start()
    edit_at_random(editor, np.random.default_rng(3), 40)
    stop.set()
    thread.join()
    assert failed == []


def test_a_survey_stays_as_it_was() -> None:
    ids, wall = _two_cells()
    editor = _editor(ids, wall=wall)
    survey = take_survey(editor.state)
    before = survey.segment_of.copy()
    editor.merge([1, 2])
    np.testing.assert_array_equal(survey.segment_of, before)
    assert int(survey.segment_size[1]) == 12 * 24 * 12


def test_ids_may_be_huge() -> None:
    """Tables of segments are as long as there are segments, not as the largest id."""
    ids, wall = _two_cells()
    usual, huge = (_editor(ids, wall=wall), _editor(ids, wall=wall))
    top = 4_000_000_000
    labels = np.where(usual.view[...] > 0, usual.view[...].astype(np.int64) + top, 0)
    huge = Proofreader(
        Volume(labels.astype(np.uint32), kind="labels", voxel_size_nm=SIZE_NM),
        boundary=Volume(wall.astype(np.float32), kind="boundary", voxel_size_nm=SIZE_NM),
    )
    plain = Proofreader(
        Volume(np.asarray(usual.view[...]), kind="labels", voxel_size_nm=SIZE_NM),
        boundary=Volume(wall.astype(np.float32), kind="boundary", voxel_size_nm=SIZE_NM),
    )
    few, many = plain.suspicious_sites(), huge.suspicious_sites()
    assert [[s + top for s in site.segments] for site in few] == [list(s.segments) for s in many]
    assert [site.score for site in few] == [site.score for site in many]
    assert all(str(site.segments[0]) in site.reason for site in many)
    huge.mark_done(many[0].segments[:1])
    assert all(many[0].segments[0] not in site.segments for site in huge.suspicious_sites())

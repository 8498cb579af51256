"""Linking sections, on drawings one can check by eye."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.segmentation.strategies import LEVELS, maps

from napari_emseg.errors import InputError
from napari_emseg.evaluation import evaluate, score_curve
from napari_emseg.progress import Cancelled
from napari_emseg.segmentation import Hierarchy, build_hierarchy
from napari_emseg.segmentation.linking import find_overlaps, link_sections, linking
from napari_emseg.volume import Volume

quick = settings(deadline=None, max_examples=60)


def draw(*sections: str) -> Hierarchy:
    """Sections of one row: '|' is membrane, the rest inside."""
    rows = [[[0.9 if c == "|" else 0.0 for c in section]] for section in sections]
    return build_hierarchy(np.array(rows, np.float32), sigma_px=0)


def labels(hierarchy: Hierarchy, threshold: float) -> np.ndarray:
    return hierarchy.cut(threshold).to_volume().data


def same(one: np.ndarray, two: np.ndarray) -> bool:
    pairs = np.unique(np.stack([one.ravel(), two.ravel()]), axis=1).shape[1]
    return pairs == np.unique(one).size == np.unique(two).size


def test_segments_are_linked_where_they_overlap_most():
    linked = link_sections(draw("aaaa|bbbb|c", "aaaa|bbbb|c"), h=0.1)
    assert linked.mode == "3d"
    joined = labels(linked, 0.5)
    assert np.array_equal(joined[0], joined[1])
    assert np.unique(joined).size == 3


def test_height_is_one_minus_intersection_over_union():
    hierarchy = draw("aaaaa|b", "aaa|bbb")
    linked = link_sections(hierarchy, h=0.1)
    table = hierarchy.cut(0.1).segment_of
    overlaps = find_overlaps(hierarchy, table)
    sections = table[hierarchy.fragments.data[:, 0]]
    for a, b, iou in zip(overlaps.a, overlaps.b, overlaps.iou, strict=True):
        shared = np.count_nonzero((sections[0] == a) & (sections[1] == b))
        union = np.count_nonzero((sections[0] == a) | (sections[1] == b))
        assert iou == shared / union
    heights = set(linked.tree.height.tolist())
    assert heights <= {0, 1, *(1 - overlaps.iou).astype(np.float32).tolist()}


def test_a_branch_joins_two_segments_through_a_third():
    linked = link_sections(draw("aaaaa|bbbbb", "ccccccccccc"), h=0.1)
    assert linked.cut(0.4).n_segments == 3
    assert linked.cut(0.7).n_segments == 1


def test_a_grazing_contact_is_no_link():
    # b grazes d, but a is d's largest partner and e is b's.
    linked = link_sections(draw("aaaaaaaaa|bbbbbbbb", "ddddddddddd|eeeeee"), h=0.1)
    assert linked.cut(0.999).n_segments == 2


def test_two_segments_of_one_section_are_never_linked_directly():
    hierarchy = draw("aaa|bbb|ccc", "aaa|bbb|ccc", "||||||||||a")
    linked = link_sections(hierarchy, h=0.1)
    section_of = np.zeros(hierarchy.n_fragments + 1, int)
    for z in range(3):
        section_of[list(hierarchy.section_ids(z))] = z
    tree = linked.tree
    apart = np.abs(section_of[tree.a] - section_of[tree.b])
    is_link = (tree.height > 0) & (tree.height < 1)
    assert is_link.any()
    assert (apart[is_link] == 1).all()
    assert (apart[tree.height == 1] == 0).all()


@quick
@given(maps(), st.integers(0, LEVELS), st.integers(0, 6))
def test_at_0_only_copies_are_linked(boundary, level, min_size):
    hierarchy = build_hierarchy(boundary, sigma_px=0)
    h = level / LEVELS
    linked = link_sections(hierarchy, h, min_size)
    segments, neurons = (x.to_volume().data for x in (hierarchy.cut(h, min_size), linked.cut(0.0)))
    for i in np.unique(neurons):
        drawn = [section == i for section in neurons if (section == i).any()]
        assert all(np.array_equal(mask, drawn[0]) for mask in drawn)
        assert np.unique(segments[neurons == i]).size == len(drawn)


def test_the_curve_agrees_with_the_cuts():
    hierarchy = draw("aa|bb|cccc", "aaa|b|cccc", "aaaaa|cccc")
    truth = np.array([[[1] * 5 + [2] * 5], [[1] * 5 + [2] * 5], [[1] * 5 + [2] * 5]], np.uint32)
    linked = link_sections(hierarchy, h=0.1)
    curve = score_curve(linked, truth)
    for h, value in zip(curve.h, curve.v_rand, strict=True):
        assert evaluate(linked.cut(float(h)).to_volume(), truth)["v_rand"] == pytest.approx(value)


def test_storing_loses_nothing():
    linked = link_sections(draw("aaa|bbb", "aa|bbbb", "aaaaa|b"), h=0.1)
    with h5py.File.in_memory() as file:
        linked.write(file.create_group("hierarchy"))
        again = Hierarchy.read(file["hierarchy"])
    assert again.grouping == "linking"
    assert np.array_equal(again.cut(0.5).segment_of, linked.cut(0.5).segment_of)


def test_one_section_has_no_links():
    linked = link_sections(draw("aa|bb"), h=0.1)
    assert linked.cut(0.999).n_segments == 2


def test_a_small_piece_joins_its_neighbour_in_the_section_rather_than_none():
    linked = link_sections(draw("aaaaa|||b", "aaaaaaa||"), h=0.1)
    assert linked.cut(0.5, min_size_voxels=4).n_segments == 1


def test_linking_as_a_grouping_floods_the_sections_itself():
    drawing = draw("aaaaa|bb", "aaaa|bbb")
    boundary = Volume(np.array(drawing.smoothed[:]), kind="boundary")
    volume = build_hierarchy(boundary, sigma_px=0, mode="3d")
    grouped = linking(volume, boundary, h=0.2)
    assert (grouped.mode, grouped.grouping) == ("3d", "linking")
    assert same(labels(grouped, 0.5), labels(link_sections(drawing, 0.2), 0.5))
    assert same(labels(linking(drawing, boundary), 0.5), labels(drawing, 0.1))


def test_a_volume_cannot_be_linked():
    volume = build_hierarchy(np.zeros((2, 3, 3), np.float32), mode="3d")
    with pytest.raises(InputError, match="2d"):
        link_sections(volume, 0.1)


def test_stopping_stops():
    class Stop:
        def update(self, done, total, message=""):
            raise Cancelled

    with pytest.raises(Cancelled):
        link_sections(draw("aa", "aa"), 0.1, progress=Stop())

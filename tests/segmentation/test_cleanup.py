"""Cleaning up changes the table only, and does to each segment what a look at the voxels asks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_emseg import InputError, Segmentation, Volume
from napari_emseg.progress import Cancelled
from napari_emseg.segmentation import build_hierarchy
from napari_emseg.segmentation.adjacency import measure_adjacency
from napari_emseg.segmentation.cleanup import CleanupReport, cleanup


def _segmentation(ids: np.ndarray, table: list[int] | None = None) -> Segmentation:
    ids = np.asarray(ids, np.uint32)
    ids = ids[None] if ids.ndim == 2 else ids
    segment_of = np.arange(ids.max() + 1) if table is None else np.array(table)
    return Segmentation(Volume(ids, kind="fragments"), segment_of.astype(np.uint32))


def _labels(segmentation: Segmentation) -> np.ndarray:
    return segmentation.segment_of[segmentation.fragments.read()]


RING = [
    [1, 1, 1, 1, 1, 1, 1, 6],
    [1, 2, 2, 2, 2, 2, 1, 6],
    [1, 2, 3, 3, 3, 2, 1, 6],
    [1, 2, 3, 4, 3, 2, 1, 6],
    [1, 2, 3, 3, 3, 2, 1, 6],
    [1, 2, 2, 2, 2, 2, 1, 6],
    [1, 1, 1, 1, 1, 1, 1, 6],
    [1, 1, 1, 1, 5, 1, 1, 6],
]


class TestHoles:
    def test_rings_in_rings_are_filled_from_within(self) -> None:
        cleaned, report = cleanup(_segmentation(RING), fill_holes=True, mode="2d")
        np.testing.assert_array_equal(cleaned.segment_of, [0, 1, 1, 1, 1, 5, 6])
        assert report == CleanupReport(holes=3)

    def test_what_lies_at_the_border_is_no_hole(self) -> None:
        """5 has the neighbour 1 only but one side open."""
        ids = np.array([[1, 1, 1], [1, 5, 1]])
        cleaned, _ = cleanup(_segmentation(ids), fill_holes=True, mode="2d")
        np.testing.assert_array_equal(cleaned.segment_of, [0, 1, 0, 0, 0, 5])

    def test_the_larger_holes_can_be_spared(self) -> None:
        cleaned, report = cleanup(
            _segmentation(RING), fill_holes=True, max_hole_voxels=1, mode="2d"
        )
        np.testing.assert_array_equal(cleaned.segment_of, [0, 1, 2, 3, 3, 5, 6])
        assert report.holes == 1

    def test_in_3d_a_tube_through_the_stack_is_no_hole_but_a_bubble_is(self) -> None:
        ids = np.ones((5, 5, 5), np.uint32)
        ids[:, 2, 2] = 2
        bubble = ids.copy()
        bubble[[0, 4], 2, 2] = 1
        assert cleanup(_segmentation(ids), fill_holes=True)[1].holes == 0
        assert cleanup(_segmentation(bubble), fill_holes=True)[1].holes == 1
        assert cleanup(_segmentation(ids), fill_holes=True, mode="2d")[1].holes == 1

    def test_a_segment_surrounded_by_nothing_stays(self) -> None:
        ids = np.zeros((5, 5), np.uint32)
        ids[2, 2] = 1
        cleaned, report = cleanup(_segmentation(ids), fill_holes=True, mode="2d")
        assert report.holes == 0
        assert cleaned.segment_of[1] == 1

    def test_fragments_of_one_segment_are_one(self) -> None:
        """2 and 3 are one segment, which touches 1 only."""
        ids = np.array([[1, 1, 1, 1], [1, 2, 3, 1], [1, 1, 1, 1]])
        joined = _segmentation(ids, [0, 1, 7, 7])
        cleaned, report = cleanup(joined, fill_holes=True, mode="2d")
        np.testing.assert_array_equal(cleaned.segment_of, [0, 1, 1, 1])
        assert report.holes == 1
        assert cleanup(_segmentation(ids), fill_holes=True, mode="2d")[1].holes == 0


class TestShort:
    def _stack(self) -> np.ndarray:
        """1 and 2 run through; 3 is in section 1 only, over 2 and beside 1."""
        ids = np.ones((4, 6, 6), np.uint32)
        ids[:, :, 3:] = 2
        ids[1, 1:5, 3:] = 3
        return ids

    def test_it_joins_the_neighbour_with_the_largest_contact(self) -> None:
        cleaned, report = cleanup(_segmentation(self._stack()), min_sections=2)
        np.testing.assert_array_equal(cleaned.segment_of, [0, 1, 2, 2])
        assert report == CleanupReport(short=1)

    def test_or_is_dropped(self) -> None:
        cleaned, _ = cleanup(_segmentation(self._stack()), min_sections=2, fate="drop")
        np.testing.assert_array_equal(cleaned.segment_of, [0, 1, 2, 0])

    def test_what_runs_through_a_shallow_volume_is_not_short(self) -> None:
        ids = self._stack()[:2]
        cleaned, report = cleanup(_segmentation(ids), min_sections=5, fate="drop")
        np.testing.assert_array_equal(cleaned.segment_of, [0, 1, 2, 0])
        assert report.short == 1

    def test_of_single_sections_all_are_short_so_it_does_not_apply(self) -> None:
        stack = self._stack() + 10 * np.arange(4, dtype=np.uint32)[:, None, None]
        segmentation = _segmentation(stack)
        cleaned, report = cleanup(segmentation, min_sections=2, mode="2d")
        assert report == CleanupReport()
        np.testing.assert_array_equal(_labels(cleaned), stack)

    def test_two_that_point_at_each_other_become_one_and_go_on(self) -> None:
        """4 and 5 share most faces with each other, together they join 1."""
        ids = np.ones((3, 4, 7), np.uint32)
        ids[1, :, 3] = 4
        ids[1, :, 4] = 5
        ids[[0, 2], :, 3:5] = 0
        cleaned, report = cleanup(_segmentation(ids), min_sections=2)
        np.testing.assert_array_equal(cleaned.segment_of[[1, 4, 5]], [1, 1, 1])
        assert report.short == 2

    def test_where_there_is_nobody_to_join_it_stays(self) -> None:
        ids = np.zeros((3, 4, 4), np.uint32)
        ids[1, 1:3, 1:3] = 1
        cleaned, report = cleanup(_segmentation(ids), min_sections=2, min_size_voxels=100)
        assert cleaned.segment_of[1] == 1
        assert report == CleanupReport()


def _literal_small(labels: np.ndarray, min_size: int) -> set[int]:
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    return set(ids[counts < min_size].tolist())


blobs = st.integers(0, 10_000).map(
    lambda seed: ndimage.zoom(
        np.random.default_rng(seed).integers(0, 9, (2, 4, 5)), (2, 3, 3), order=0
    ).astype(np.uint32)
)


@given(blobs, st.integers(0, 200), st.sampled_from(["join", "drop"]), st.sampled_from(["2d", "3d"]))
@settings(max_examples=50, deadline=None)
def test_nothing_small_remains_and_large_segments_keep_their_voxels(
    ids: np.ndarray, min_size: int, fate: str, mode: str
) -> None:
    segmentation = _segmentation(ids)
    cleaned, report = cleanup(segmentation, min_size_voxels=min_size, fate=fate, mode=mode)
    before, after = _labels(segmentation), _labels(cleaned)
    small, left = _literal_small(before, min_size), _literal_small(after, min_size)
    for label in set(np.unique(before).tolist()) - small - {0}:
        assert (after[before == label] == label).all()
    if fate == "drop":
        assert not left
        np.testing.assert_array_equal(after == 0, np.isin(before, [0, *small]))
    else:
        np.testing.assert_array_equal(after == 0, before == 0)
        for label in left:  # it has no neighbour it could join
            grown = _grown(after == label, mode)
            assert set(np.unique(after[grown]).tolist()) <= {0, label}
    assert report.small == len(np.unique(before)) - len(np.unique(after)) + (
        (0 in after) - (0 in before)
    )


def _grown(mask: np.ndarray, mode: str) -> np.ndarray:
    faces = ndimage.generate_binary_structure(3, 1)
    if mode == "2d":
        faces[[0, 2]] = False
    return ndimage.binary_dilation(mask, faces)


@given(blobs, st.sampled_from(["2d", "3d"]))
@settings(max_examples=30, deadline=None)
def test_contacts_and_extents_are_those_of_the_voxels(ids: np.ndarray, mode: str) -> None:
    found = measure_adjacency(Volume(ids, kind="fragments"), mode=mode)
    expected: dict[tuple[int, int], int] = {}
    for axis in (0, 1, 2) if mode == "3d" else (1, 2):
        one = np.moveaxis(ids, axis, 0)[:-1].ravel()
        two = np.moveaxis(ids, axis, 0)[1:].ravel()
        for p, q in zip(one.tolist(), two.tolist(), strict=True):
            if p != q:
                expected[min(p, q), max(p, q)] = expected.get((min(p, q), max(p, q)), 0) + 1
    pairs = zip(found.a.tolist(), found.b.tolist(), strict=True)
    assert dict(zip(pairs, found.faces.tolist(), strict=True)) == expected
    inner = (slice(1, -1) if mode == "3d" else slice(None), slice(1, -1), slice(1, -1))
    outside = np.ones(ids.shape, bool)
    outside[inner] = False
    for label in np.unique(ids):
        where = np.argwhere(ids == label)
        assert found.size[label] == len(where)
        assert (found.first[label], found.last[label]) == (where[:, 0].min(), where[:, 0].max())
        assert found.at_rim[label] == outside[ids == label].any()


def test_a_cut_is_cleaned_up_in_its_own_mode_and_the_labels_tell(noisy: Volume) -> None:
    for mode in ("2d", "3d"):
        segmentation = build_hierarchy(noisy, sigma_px=0, mode=mode).cut(0.02)
        cleaned, report = cleanup(segmentation, fill_holes=True, min_sections=2, min_size_voxels=9)
        assert cleaned.n_segments < segmentation.n_segments
        assert (report.short > 0) == (mode == "3d")
        assert cleaned.fragments.data is segmentation.fragments.data
        history = cleaned.to_volume().provenance
        assert history["cleanup"]["h"] == 0.02
        assert cleaned.n_segments == segmentation.n_segments - sum(
            (report.holes, report.short, report.small)
        )


@pytest.fixture
def noisy() -> Volume:
    noise = np.random.default_rng(3).random((4, 50, 55))
    smooth = ndimage.gaussian_filter(noise, (0, 1, 1))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return Volume(smooth.astype(np.float32), kind="boundary")


def test_measured_once_is_enough(noisy: Volume) -> None:
    hierarchy = build_hierarchy(noisy, sigma_px=0.5, mode="3d")
    adjacency = measure_adjacency(hierarchy.fragments)
    for h in (0.01, 0.1):
        once, _ = cleanup(hierarchy.cut(h), min_size_voxels=20, adjacency=adjacency)
        anew, _ = cleanup(hierarchy.cut(h), min_size_voxels=20)
        np.testing.assert_array_equal(once.segment_of, anew.segment_of)


@pytest.mark.parametrize("wrong", [-1, 10**15])
def test_ids_that_are_no_fragments_are_told(wrong: int) -> None:
    ids = np.array([[[1, 1], [wrong, 2]]])
    with pytest.raises(InputError, match="number them from 1 on"):
        measure_adjacency(Volume(ids, kind="fragments", name="alien"))


def test_what_is_wrong_is_told(noisy: Volume) -> None:
    segmentation = _segmentation(RING)
    with pytest.raises(InputError, match="sections cannot be negative"):
        cleanup(segmentation, min_sections=-1)
    with pytest.raises(InputError, match="join or drop"):
        cleanup(segmentation, fate="burn")


def test_it_stops_when_told() -> None:
    class Stop:
        def update(self, done: int, total: int, message: str = "") -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        cleanup(_segmentation(RING), fill_holes=True, progress=Stop())

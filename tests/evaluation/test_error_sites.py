"""Errors are found where they are, and mending one changes the scores as announced."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.errors import InputError
from napari_emseg.evaluation import evaluate
from napari_emseg.evaluation.error_cells import CellFinder
from napari_emseg.evaluation.error_sites import Errors, ErrorSite, find_errors
from napari_emseg.progress import Cancelled

Ids = npt.NDArray[Any]
HUGE = 2**63 + 5


def two_neurons() -> Ids:
    """Two neurons side by side, 3 sections of 9x20 with a membrane of 2 pixels between."""
    truth = np.zeros((3, 9, 20), np.uint64)
    truth[:, :, :9] = 7
    truth[:, :, 11:] = HUGE
    return truth


def mend(segmentation: Ids, truth: Ids, errors: Errors, site: ErrorSite) -> Ids:
    """Change the voxels as one edit would."""
    mended = segmentation.astype(np.uint64)
    where = np.ones(truth.shape, bool)
    if errors.cells.are_apart:
        where[:] = False
        where[site.section] = True
    if site.kind == "split":
        mended[where & (mended == site.segments[0])] = site.segments[1]
    else:
        mended[where & (mended == site.segments[0]) & (truth == site.objects[0])] = 2**50
    return mended


def test_one_segment_over_two_neurons_is_one_merge_error() -> None:
    truth = two_neurons()
    errors = find_errors(np.full(truth.shape, 3, np.uint8), truth)
    assert (errors.n_split, errors.n_merge, len(errors.sites)) == (0, 1, 1)
    site = errors.sites[0]
    assert (site.kind, site.segments, site.n_voxels) == ("merge", (3,), 3 * 81)
    assert set(site.objects) == {7, HUGE}
    assert errors.share_of_loss(site) == pytest.approx(1)
    assert site.gain_voi == pytest.approx(errors.voi)
    columns = sorted((site.position[2], site.other_position[2]))
    assert columns == [8, 11]  # on either side of the membrane, not in it
    assert site.position[1] == 4  # in the middle of the contact


def test_a_neuron_cut_across_the_sections_is_one_split_error() -> None:
    truth = two_neurons()
    segmentation = np.where(truth == 7, 1, 2)
    segmentation[2, :, :9] = 5
    errors = find_errors(segmentation, truth)
    assert [site.kind for site in errors.sites] == ["split"]
    site = errors.sites[0]
    assert (site.segments, site.objects, site.n_voxels) == ((5, 1), (7,), 81)
    assert (site.position[0], site.other_position[0]) == (2, 1)
    assert site.n_faces == 9 * 10  # the nearer column of the membrane counts, too


def test_a_piece_joins_the_largest_piece_it_touches() -> None:
    truth = np.ones((1, 6, 30), int)
    segmentation = np.repeat([1, 2, 3], [16, 8, 6])[np.newaxis, np.newaxis].repeat(6, axis=1)
    errors = find_errors(segmentation, truth)
    assert {site.segments for site in errors.sites} == {(2, 1), (3, 2)}


def test_sides_that_do_not_touch_have_places_inside() -> None:
    truth = np.zeros((1, 7, 50), int)
    truth[..., :10], truth[..., 20:30], truth[..., 40:] = 1, 2, 3
    segmentation = np.ones_like(truth)
    segmentation[..., 15:35] = 9
    errors = find_errors(segmentation, truth)
    (site,) = errors.sites
    assert (site.kind, site.n_faces) == ("merge", 0)
    assert {truth[site.position], truth[site.other_position]} == {1, 3}


def test_a_shifted_border_is_no_merge_error() -> None:
    truth = np.repeat([1, 2], 20)[np.newaxis, np.newaxis].repeat(30, axis=1)
    segmentation = np.roll(truth, 4, axis=2)
    segmentation[..., :4] = 1
    errors = find_errors(segmentation, truth)
    assert (errors.n_merge, errors.n_border_shifts, errors.sites) == (0, 1, ())
    assert find_errors(segmentation, truth, min_width_px=3).n_merge == 1


def test_voxels_without_a_segment_are_no_error() -> None:
    truth = two_neurons()
    segmentation = np.where(truth == 7, 4, 0)
    errors = find_errors(segmentation, truth)
    assert errors.sites == ()
    assert errors.v_rand < 1


@st.composite
def stacks(draw: st.DrawFn) -> tuple[Ids, Ids, str]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (3, 6, 7)
    truth = rng.integers(0, draw(st.integers(1, 5)) + 1, shape)
    truth[0, 0, 0] = 1
    segmentation = rng.integers(draw(st.integers(0, 1)), draw(st.integers(1, 9)) + 1, shape)
    blank = draw(st.integers(0, 3))
    truth[1:][blank : blank + 1] = 0
    return segmentation, truth, draw(st.sampled_from(["labels", "labels_2d"]))


@settings(deadline=None, max_examples=40)
@given(stacks())
def test_mending_gains_what_was_announced(case: tuple[Ids, Ids, str]) -> None:
    segmentation, truth, kind = case
    options: dict[str, Any] = {"ground_truth_kind": kind}
    errors = find_errors(segmentation, truth, min_width_px=1, **options)
    before = evaluate(segmentation, truth, **options)
    assert errors.v_rand == pytest.approx(before["v_rand"])
    assert errors.voi == pytest.approx(before["voi_split"] + before["voi_merge"])
    assert errors.n_split + errors.n_merge == len(errors.sites)
    gains = [site.gain_v_rand for site in errors.sites]
    assert gains == sorted(gains, reverse=True)
    for site in errors.sites[:6]:
        after = evaluate(mend(segmentation, truth, errors, site), truth, **options)
        assert site.gain_v_rand == pytest.approx(after["v_rand"] - before["v_rand"], abs=1e-12)
        voi = after["voi_split"] + after["voi_merge"]
        assert site.gain_voi == pytest.approx(errors.voi - voi, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(stacks())
def test_places_lie_inside_both_sides(case: tuple[Ids, Ids, str]) -> None:
    segmentation, truth, kind = case
    errors = find_errors(segmentation, truth, min_width_px=1, ground_truth_kind=kind)  # type: ignore[arg-type]
    for site in errors.sites:
        places = (site.position, site.other_position)
        ids = [(int(segmentation[p]), int(truth[p])) for p in places]
        if site.kind == "split":
            assert ids == [(s, site.objects[0]) for s in site.segments]
        else:
            assert ids == [(site.segments[0], t) for t in site.objects]


@settings(deadline=None, max_examples=30)
@given(stacks())
def test_mending_all_errors_leaves_none(case: tuple[Ids, Ids, str]) -> None:
    segmentation, truth, kind = case
    segmentation = np.maximum(segmentation, 1)
    for _ in range(200):
        errors = find_errors(segmentation, truth, min_width_px=1, ground_truth_kind=kind)  # type: ignore[arg-type]
        if not errors.sites:
            break
        merges = [site for site in errors.sites if site.kind == "merge"]
        site = (merges or errors.sites)[0]
        segmentation = mend(segmentation, truth, errors, site)
        _, segmentation = np.unique(segmentation, return_inverse=True)
        segmentation = segmentation.reshape(truth.shape) + 1
    assert errors.v_rand == pytest.approx(1)


def test_the_list_is_cut_but_counted() -> None:
    rng = np.random.default_rng(0)
    truth, segmentation = rng.integers(1, 9, (2, 2, 20, 20))
    every = find_errors(segmentation, truth, min_width_px=1)
    few = find_errors(segmentation, truth, min_width_px=1, limit=3)
    assert few.sites == every.sites[:3]
    assert (few.n_split, few.n_merge) == (every.n_split, every.n_merge)


def test_every_voxel_has_its_cell() -> None:
    rng = np.random.default_rng(1)
    truth, segmentation = rng.integers(0, 5, (2, 3, 11, 8))
    errors = find_errors(segmentation, truth, sections=[0, 2])
    finder = CellFinder(errors.cells)
    for z in (2, 0):
        cell = finder.map_section(z, segmentation[z], truth[z])
        assert ((cell >= 0) == (truth[z] != 0)).all()
        inside = cell >= 0
        np.testing.assert_array_equal(errors.cells.segment[cell[inside]], segmentation[z][inside])
        np.testing.assert_array_equal(errors.cells.truth[cell[inside]], truth[z][inside])
    strange = finder.map_section(0, segmentation[0] + 100, truth[0])
    assert (strange == -1).all()


def test_it_can_be_stopped_in_either_pass() -> None:
    class Stop:
        def __init__(self, at: int) -> None:
            self.at = at

        def update(self, done: int, total: int, message: str = "") -> None:
            assert total == 6
            if done == self.at:
                raise Cancelled

    truth = two_neurons()
    for at in (2, 5):
        with pytest.raises(Cancelled):
            find_errors(truth, truth, progress=Stop(at))


def test_an_empty_truth_is_refused() -> None:
    with pytest.raises(InputError, match="ground truth is empty"):
        find_errors(np.ones((1, 4, 4), int), np.zeros((1, 4, 4), int))

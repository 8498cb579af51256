"""The challenges' protocols against their published definitions, written out the slow way."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt, gaussian_filter, label
from skimage.metrics import variation_of_information as skimage_voi

from napari_emseg.errors import InputError
from napari_emseg.evaluation import (
    PROTOCOLS,
    cremi_protocol,
    evaluate,
    isbi_protocol,
    snemi3d_protocol,
    warp_section,
)
from napari_emseg.evaluation.isbi import thin_membranes
from napari_emseg.evaluation.protocols import find_border
from napari_emseg.registry import resolve
from napari_emseg.volume import Volume

Ids = npt.NDArray[Any]
VOXEL_NM = (40.0, 4.0, 4.0)


def ids(min_id: int = 0) -> st.SearchStrategy[Ids]:
    return arrays(np.int64, (2, 3, 7), elements=st.integers(min_id, 4))


def blocks(seed: int, shape: tuple[int, int, int] = (3, 45, 61)) -> Ids:
    """Random smooth regions, ids from 1."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = gaussian_filter(noise, (1, 4, 4))
    return np.digitize(smooth, np.quantile(smooth, [0.2, 0.4, 0.6, 0.8])) + 1


def crosstab(segmentation: Ids, truth: Ids) -> npt.NDArray[np.float64]:
    """Voxels by true id (rows) and segment (columns), zeros included."""
    table = np.zeros((truth.max() + 1, segmentation.max() + 1))
    np.add.at(table, (truth.ravel(), segmentation.ravel()), 1)
    return table


def snemi_script(segmentation: Ids, truth: Ids) -> float:
    """Follow the SNEMI3D script line by line, slip included."""
    p_ij = crosstab(segmentation, truth)
    a, b, c = p_ij[1:], p_ij[1:, 1:], p_ij[1:, 0]
    slip = c.sum() / truth.size
    sum_a = (a.sum(axis=1) ** 2).sum()
    sum_b = (b.sum(axis=0) ** 2).sum() + slip
    sum_ab = (b**2).sum() + slip
    precision, recall = sum_ab / sum_b, sum_ab / sum_a
    return float(1 - 2 * precision * recall / (precision + recall))


@settings(deadline=None, max_examples=80)
@given(ids(), ids().filter(np.any))
def test_snemi3d_as_published_and_as_meant(segmentation: Ids, truth: Ids) -> None:
    published = snemi3d_protocol(segmentation, truth, as_published=True)
    assert published["adapted_rand_error"] == pytest.approx(snemi_script(segmentation, truth))
    meant = snemi3d_protocol(segmentation, truth)["adapted_rand_error"]
    assert meant == evaluate(segmentation, truth)["adapted_rand_error"]
    if not ((segmentation == 0) & (truth != 0)).any():
        assert meant == pytest.approx(published["adapted_rand_error"])


def test_a_merger_costs_precision_and_a_split_recall() -> None:
    truth = np.array([[[1, 1, 2, 2]]])
    merged = snemi3d_protocol(np.ones_like(truth), truth)
    assert (merged["rand_precision"], merged["rand_recall"]) == (0.5, 1.0)
    split = snemi3d_protocol(np.array([[[1, 2, 3, 4]]]), truth)
    assert (split["rand_precision"], split["rand_recall"]) == (1.0, 0.5)


def cremi_border(section: Ids, max_dist_px: float) -> npt.NDArray[np.bool_]:
    """Mask of cremi_python: padded at the edge, distance in pixels."""
    padded = np.pad(section, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    inner = np.logical_and.reduce([section == other for other in neighbours])
    return np.asarray(distance_transform_edt(inner) <= max_dist_px)


@pytest.mark.parametrize("border_nm", [0.0, 4.0, 5.7, 25.0])
def test_the_border_is_that_of_cremi(border_nm: float) -> None:
    for section in blocks(0):
        expected = cremi_border(section, border_nm / 4)
        np.testing.assert_array_equal(find_border(section, (4, 4), border_nm), expected)


def test_a_section_of_one_object_has_no_border() -> None:
    assert not find_border(np.ones((5, 6), int), (4, 4), 100).any()


def test_cremi_equals_scikit_image_on_what_the_border_leaves() -> None:
    truth, segmentation = blocks(1), blocks(2)
    masked = np.stack([np.where(cremi_border(z, 25 / 4), 0, z) for z in truth])
    scores = cremi_protocol(segmentation, truth, VOXEL_NM, border_nm=25)
    split, merge = skimage_voi(masked, segmentation, ignore_labels=(0,))
    assert (scores["voi_split"], scores["voi_merge"]) == pytest.approx((split, merge))
    assert scores["adapted_rand_error"] == pytest.approx(snemi_script(segmentation, masked))
    expected = sqrt(scores["adapted_rand_error"] * (split + merge))
    assert scores["cremi_score"] == pytest.approx(expected)


def test_cremi_equals_elf() -> None:
    elf = pytest.importorskip("elf.evaluation")
    truth, segmentation = blocks(3), blocks(4)
    truth[0] = 0
    scores = cremi_protocol(segmentation, truth, VOXEL_NM, border_nm=-1)
    expected = elf.cremi_score(segmentation, truth, ignore_gt=[0])
    names = ("voi_split", "voi_merge", "adapted_rand_error", "cremi_score")
    assert [scores[name] for name in names] == pytest.approx(expected)


def test_cremi_marks_are_no_objects() -> None:
    truth = blocks(5).astype(np.uint64)
    segmentation = np.roll(truth, 3, axis=2)
    expected = cremi_protocol(segmentation[1:], truth[1:], VOXEL_NM)
    truth[0] = 2**64 - 3
    assert cremi_protocol(segmentation, truth, VOXEL_NM) == pytest.approx(expected)


def test_a_border_drawn_aside_costs_nothing_within_the_mask() -> None:
    truth = np.ones((2, 30, 40), int)
    truth[:, :, 20:] = 2
    moved = np.ones_like(truth)
    moved[:, :, 24:] = 2
    assert cremi_protocol(moved, truth, VOXEL_NM, border_nm=25)["cremi_score"] == 0
    assert cremi_protocol(moved, truth, VOXEL_NM, border_nm=10)["cremi_score"] > 0


def test_the_voxel_size_comes_with_the_volume_or_is_asked_for() -> None:
    truth, segmentation = blocks(1), blocks(2)
    volumes = [Volume(a, kind="labels", voxel_size_nm=VOXEL_NM) for a in (segmentation, truth)]
    assert cremi_protocol(*volumes) == cremi_protocol(segmentation, truth, VOXEL_NM)
    with pytest.raises(InputError, match="give the voxel size"):
        cremi_protocol(segmentation, truth)
    with pytest.raises(InputError, match="smaller border distance"):
        cremi_protocol(segmentation, truth, VOXEL_NM, border_nm=1000)


# ISBI ------------------------------------------------------------------------------------------


def rooms(seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Rooms with walls; one wall is faint, so that thresholds differ. Map and truth."""
    membranes = np.zeros((3, 37, 50), np.uint8)
    membranes[:, 10:13] = membranes[:, :, 20:23] = membranes[:, :, 35:37] = 1
    membranes[2] = membranes[2].T[:37, :37].T.repeat(2, axis=1)[:, :50]
    height = np.where(np.arange(50) > 30, 0.45, 0.85)
    noise = np.random.default_rng(seed).random(membranes.shape) * 0.1
    return (membranes * height + noise).astype(np.float32), membranes


def isbi_slowly(boundary: Any, membranes: Any, names: tuple[str, ...]) -> dict[str, float]:
    """Best over thresholds of the mean over sections of the scores of thinned components."""
    best: dict[str, float] = {}
    for threshold in np.arange(11) / 10:
        grown = np.stack([thin_membranes(1 - section > threshold) for section in boundary])
        truth = np.stack([label(section == 0)[0] for section in membranes])
        scores = [evaluate(s, t) for s, t in zip(grown, truth, strict=True)]
        for name in names:
            mean = float(np.mean([score[name] for score in scores]))
            best[name] = max(best.get(name, 0.0), mean)
    return best


def test_isbi_is_the_best_threshold_of_the_mean_over_sections() -> None:
    boundary, membranes = rooms()
    scores = isbi_protocol(boundary, membranes)
    expected = isbi_slowly(boundary, membranes, ("v_rand", "v_info"))
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    assert scores["v_rand"] == pytest.approx(1.0)
    # Cells are interior > threshold: the faint wall is at 0.45 to 0.55 of it.
    assert 0.5 <= scores["v_rand_threshold"] <= 0.8


def test_the_older_isbi_scores_by_their_definitions() -> None:
    boundary, membranes = rooms(1)
    scores = isbi_protocol(boundary, membranes)
    truth = membranes == 0
    pixel, mse, rand, warped = [], [], [], []
    for threshold in np.arange(11) / 10:
        cells = np.float32(1) - boundary > threshold
        tp, wrong = np.sum(cells & truth), np.sum(cells != truth)
        pixel.append(1 - 2 * tp / (2 * tp + wrong))
        mse.append(np.mean((cells.astype(int) - truth) ** 2))
        components = np.stack([label(section)[0] for section in cells])
        score = evaluate(components, membranes, ground_truth_kind="membranes")
        rand.append(score["rand_error"])
        if cells.any(axis=(1, 2)).all():
            counts = [warp_section(t, c).counts for t, c in zip(truth, cells, strict=True)]
            warped.append(np.mean([c.error("split", "merge") for c in counts]))
    expected = {"pixel_error": min(pixel), "pixel_error_mse": min(mse), "rand_error": min(rand)}
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    # The order in which pixels are flipped differs, so the number left may a little.
    assert scores["warping_error"] == pytest.approx(min(warped), abs=1e-3)


def test_only_splits_and_mergers_are_warping_errors_of_the_challenge() -> None:
    membranes = rooms()[1]
    boundary = membranes.astype(np.float32)
    boundary[:, 5, 5] = 1  # a dot in a cell, at every threshold below 1
    scores = isbi_protocol(boundary, membranes)
    assert scores["warping_error"] == scores["warping_splits"] == 0
    assert scores["pixel_error"] > 0


def test_a_perfect_map_is_perfect_in_either_polarity_and_type() -> None:
    membranes = rooms()[1]
    for boundary in (membranes.astype(np.float32), membranes * np.uint8(255), membranes > 0):
        for drawing, invert in ((membranes, False), (1 - membranes, True)):
            scores = isbi_protocol(boundary, drawing, invert=invert)
            assert scores["v_rand"] == scores["v_info"] == 1
            for name in ("rand_error", "pixel_error", "pixel_error_mse", "warping_error"):
                assert scores[name] == 0
            assert scores["warping_splits"] == scores["warping_mergers"] == 0


def test_a_map_of_nothing_is_one_segment_and_all_membrane_is_no_warping_score() -> None:
    membranes = rooms()[1]
    nothing = isbi_protocol(np.zeros(membranes.shape, np.float32), membranes)
    assert nothing["v_rand_split"] == 1
    assert nothing["v_rand"] < 0.6
    assert nothing["warping_error"] > 0
    full = isbi_protocol(np.ones(membranes.shape, np.float32), membranes)
    assert full["v_rand"] == nothing["v_rand"]
    assert "warping_error" not in full


def test_thinned_membranes_are_lines_of_one_pixel() -> None:
    cells = np.ones((7, 12), bool)
    cells[:, 4:9] = False
    np.testing.assert_array_equal(thin_membranes(cells), np.tile([1] * 6 + [0] + [2] * 5, (7, 1)))
    assert (thin_membranes(np.zeros((3, 4), bool)) == 1).all()


@pytest.mark.parametrize(
    ("boundary", "says"),
    [
        (np.full((3, 37, 50), 2.0), "outside 0 to 1"),
        (np.ones((3, 37, 50), np.uint16), "needs a map of probabilities"),
        (np.ones((3, 37, 49)), "boundary map has shape"),
        (np.full((3, 37, 50), np.nan), "outside 0 to 1"),
    ],
)
def test_what_is_no_boundary_map_is_refused(boundary: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        isbi_protocol(boundary, rooms()[1])


def test_ids_are_no_membranes() -> None:
    with pytest.raises(InputError, match="looks like ids"):
        isbi_protocol(np.zeros((3, 45, 61)), blocks(0))


def test_sections_may_be_chosen_and_blank_ones_do_not_count() -> None:
    boundary, membranes = rooms()
    expected = isbi_protocol(boundary[1:], membranes[1:])
    assert isbi_protocol(boundary, membranes, sections=[1, 2]) == pytest.approx(expected)
    membranes[0] = 1
    assert isbi_protocol(boundary, membranes, invert=False) == pytest.approx(expected)


def test_jittered_real_membranes_score_as_a_second_annotator_would(shared_data: Path) -> None:
    path = shared_data / "isbi2012/train_membranes_z00-23.tif"
    drawing = tifffile.imread(path, key=0)[np.newaxis, :256, :256]
    noise = gaussian_filter(np.random.default_rng(0).normal(size=drawing.shape), (0, 3, 3))
    boundary = np.clip(gaussian_filter((drawing == 0).astype(np.float32), (0, 2, 2)) + noise, 0, 1)
    scores = isbi_protocol(boundary, drawing)
    assert 0.9 < scores["v_rand"] < 1
    assert 0 < scores["warping_error"] < scores["pixel_error_mse"] / 5


def test_every_protocol_says_what_it_is_and_returns_plain_numbers() -> None:
    boundary, membranes = rooms()
    arguments: dict[str, tuple[Any, ...]] = {
        "isbi": (boundary, membranes),
        "snemi3d": (blocks(1), blocks(2)),
        "cremi": (blocks(1), blocks(2), VOXEL_NM),
    }
    for name in PROTOCOLS:
        protocol = resolve(PROTOCOLS, name, "protocol")
        assert "http" in protocol.__doc__
        assert all(type(value) is float for value in protocol(*arguments[name]).values())

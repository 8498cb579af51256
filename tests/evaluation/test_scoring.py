"""`evaluate`: what it takes, what it refuses, and how membranes are scored."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_emseg.errors import InputError
from napari_emseg.evaluation import METRICS, evaluate, membranes_to_labels
from napari_emseg.progress import Cancelled
from napari_emseg.volume import Volume

TRUTH = np.repeat(np.repeat(np.arange(1, 25).reshape(2, 3, 4), 9, axis=1), 8, axis=2)
MEMBRANES = np.zeros((3, 30, 41), np.uint8)
MEMBRANES[:, ::10] = MEMBRANES[:, :, ::10] = 255

Ids = npt.NDArray[Any]
HUGE_IDS = np.array([0, 1, 7, 2**40, 2**63 + 5, 2**64 - 1], np.uint64)


def noise(shape: tuple[int, ...] = (2, 40, 40)) -> Any:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ((TRUTH, TRUTH[:, 1:]), {}, r"shape \(2, 27, 32\) but the ground truth has .*26, 32\)"),
        ((TRUTH, TRUTH[:1]), {}, "Choose the sections that both have"),
        ((TRUTH, np.zeros_like(TRUTH)), {}, "ground truth is empty"),
        ((TRUTH, TRUTH), {"metrics": ["v_rnd"]}, "no metric named 'v_rnd'.*v_rand"),
        ((TRUTH, TRUTH), {"sections": [2]}, "Section 2 does not exist; there are sections 0 to 1"),
        ((TRUTH, TRUTH), {"sections": []}, "No section is chosen"),
        (
            (TRUTH, TRUTH),
            {"ground_truth_kind": "cells"},
            "choose one of: labels, labels_2d",
        ),
        ((TRUTH, TRUTH), {"ground_truth_kind": "membranes"}, "choose labels as the kind"),
        ((TRUTH, TRUTH), {"average": "mean"}, "choose stack or sections"),
        ((TRUTH / 2, TRUTH), {}, "segmentation holds decimal numbers"),
        ((TRUTH, TRUTH * 1.0), {}, "ground truth holds decimal numbers"),
        ((TRUTH, -TRUTH), {}, "negative ids in section 0"),
        ((noise(), noise()), {}, "segmentation looks like a raw grey image"),
        ((np.ones((2, 40, 40), int), noise()), {}, "ground truth looks like a raw grey image"),
        ((TRUTH[np.newaxis], TRUTH[np.newaxis]), {}, "z, y, x are needed"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    arguments: tuple[Any, Any], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        evaluate(*arguments, **options)


def test_volumes_arrays_and_single_sections_score_alike() -> None:
    segmentation = TRUTH // 2
    expected = evaluate(segmentation[0], TRUTH[0])
    assert evaluate(segmentation[:1], TRUTH[:1]) == expected
    volumes = (Volume(a[:1], kind="labels") for a in (segmentation, TRUTH))
    assert evaluate(*volumes) == expected


def test_sections_may_come_from_stacks_of_unequal_depth() -> None:
    segmentation = np.concatenate([TRUTH // 2, TRUTH])
    assert evaluate(segmentation, TRUTH, sections=[1]) == evaluate(TRUTH[1] // 2, TRUTH[1])


def test_only_the_metrics_asked_for_are_returned() -> None:
    assert evaluate(TRUTH, TRUTH, metrics=["dice", "v_info"]) == {"dice": 1.0, "v_info": 1.0}
    assert evaluate(TRUTH, TRUTH, metrics="voi_split") == {"voi_split": 0.0}


def test_a_blank_section_of_ground_truth_does_not_count() -> None:
    truth = TRUTH.copy()
    truth[1] = 0
    assert evaluate(TRUTH // 2, truth)["v_rand"] == evaluate(TRUTH[0] // 2, TRUTH[0])["v_rand"]


@st.composite
def small_stacks(draw: st.DrawFn) -> tuple[Ids, Ids, list[int]]:
    """Ids 0 to 5, a membrane drawing (maybe with a section all membrane), some sections."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids = rng.integers(0, 6, (4, 5, 7))
    membranes = (rng.random(ids.shape) < draw(st.sampled_from([0.2, 0.5]))).astype(np.uint8)
    if draw(st.booleans()):
        membranes[1] = 1
    membranes[0, 0, :2] = [0, 1]
    return ids, membranes, [*draw(st.permutations([1, 2, 3]))[: draw(st.integers(0, 3))], 0]


@settings(deadline=None, max_examples=60)
@given(small_stacks())
def test_membranes_score_exactly_as_labels_that_differ_in_every_section(
    case: tuple[Ids, Ids, list[int]],
) -> None:
    ids, membranes, sections = case
    unlike = np.where(ids, ids + 6 * np.arange(len(ids))[:, np.newaxis, np.newaxis], 0)
    labels = membranes_to_labels(membranes, invert=False)[0]
    scores = evaluate(
        HUGE_IDS[ids], membranes, ground_truth_kind="membranes", sections=sections, invert=False
    )
    assert scores == evaluate(unlike, labels, sections=sections)
    assert set(scores) == set(METRICS)


@settings(deadline=None, max_examples=40)
@given(small_stacks(), st.sampled_from(["labels", "membranes"]))
def test_the_average_over_sections_is_the_mean_of_single_sections(
    case: tuple[Ids, Ids, list[int]], kind: Any
) -> None:
    ids, membranes, sections = case
    cells = membranes_to_labels(membranes, invert=False)[0]
    objects = cells if kind == "membranes" else cells % 5
    scores = evaluate(
        ids,
        membranes if kind == "membranes" else objects,
        ground_truth_kind=kind,
        average="sections",
        sections=sections,
        invert=False,
    )
    single = [evaluate(ids[z], objects[z]) for z in sorted(sections) if objects[z].any()]
    for name, value in scores.items():
        assert value == np.mean([score[name] for score in single]), name


def test_pooled_sections_count_by_their_voxels_and_single_ones_alike() -> None:
    truth = np.zeros((2, 4, 8), int)
    truth[0] = 1
    truth[1, 0, :2] = 1
    split = np.arange(64).reshape(truth.shape) % 2 + 1  # halves, in both sections
    split[1] = 1
    # 32 voxels in halves, 2 in one piece
    pooled = evaluate(split, truth, metrics="v_rand_split")
    assert pooled["v_rand_split"] == (16**2 + 18**2) / 34**2
    mean = evaluate(split, truth, metrics="v_rand_split", average="sections")
    assert mean["v_rand_split"] == (0.5 + 1) / 2


def test_ids_that_run_through_sections_are_no_merge_against_membranes() -> None:
    from scipy.ndimage import label

    cells = np.broadcast_to(label(MEMBRANES[0] == 0)[0], MEMBRANES.shape)
    scores = evaluate(cells, MEMBRANES, ground_truth_kind="membranes")
    assert scores["v_rand"] == scores["v_info"] == 1
    assert scores["voi_split"] == scores["voi_merge"] == scores["pixel_error"] == 0


def test_what_was_assumed_of_membranes_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "napari_emseg"):
        evaluate(TRUTH[:, :20, :20], MEMBRANES[:2, :20, :20], ground_truth_kind="membranes")
    assert "bright voxels taken as membrane" in caplog.text


def test_a_mask_given_as_labels_is_remarked_upon(caplog: pytest.LogCaptureFixture) -> None:
    mask = np.kron(MEMBRANES[:1], np.ones((1, 2, 2), np.uint8))
    evaluate(np.ones_like(mask), mask)
    assert "should its kind be membranes?" in caplog.text


def test_progress_counts_sections_and_can_stop() -> None:
    class StopAtTwo:
        seen: list[tuple[int, int]] = []  # noqa: RUF012

        def update(self, done: int, total: int, message: str = "") -> None:
            self.seen.append((done, total))
            if done == 2:
                raise Cancelled

    stack = np.ones((5, 4, 4), np.uint8)
    with pytest.raises(Cancelled):
        evaluate(stack, stack, progress=StopAtTwo())
    assert StopAtTwo.seen == [(1, 5), (2, 5)]


class Chunked:
    """An array in chunks of several sections, that counts what is read of it."""

    def __init__(self, data: Any, chunks: Any) -> None:
        self.shape, self.dtype, self.chunks, self.data = data.shape, data.dtype, chunks, data
        self.n_reads = 0

    def __getitem__(self, key: Any) -> Any:
        self.n_reads += 1
        return self.data[key]


@pytest.mark.parametrize("chunks", [(4, 9, 9), ((4, 4, 2), (9, 9, 9), (8, 8))])
def test_a_chunk_is_read_once(chunks: Any) -> None:
    stack = np.concatenate([TRUTH + 100 * k for k in range(5)])
    chunked = Chunked(stack, chunks)
    assert evaluate(chunked, stack // 2) == evaluate(stack, stack // 2)
    assert chunked.n_reads <= 4  # three slabs, and one look at what it holds


def test_importing_needs_neither_numba_nor_scipy() -> None:
    code = "import sys, napari_emseg.evaluation; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "napari_emseg.evaluation" in loaded
    assert not {"numba", "scipy", "skimage", "torch"} & set(loaded.split())


def test_real_labels_against_their_fragments(shared_data: Path) -> None:
    truth, fragments = (
        tifffile.imread(shared_data / "gala_fib" / f"train_{name}.tif")
        for name in ("neurons", "watershed")
    )
    scores = evaluate(fragments, truth)
    # an oversegmentation: nearly all errors are splits
    assert scores["voi_split"] > 5 * scores["voi_merge"]
    assert scores["v_rand_merge"] > scores["v_rand_split"]


def test_labels_of_single_sections_count_anew_in_every_section() -> None:
    """A neuron of one id, segmented perfectly section by section, is a perfect score in 2D only."""
    truth = np.ones((3, 4, 5), np.uint32)
    truth[:, :, 3:] = 7
    sections = truth + 10 * np.arange(3, dtype=np.uint32)[:, None, None]
    assert evaluate(sections, truth, ground_truth_kind="labels_2d", metrics="v_rand") == {
        "v_rand": 1
    }
    assert evaluate(sections, truth, metrics="v_rand")["v_rand"] < 0.6


@given(data=st.data())
@settings(deadline=None, max_examples=20)
def test_labels_2d_equals_labels_with_ids_made_unique(data: st.DataObject) -> None:
    ids = st.integers(0, 3)
    shape = (3, 2, 4)
    size = int(np.prod(shape))
    segmentation = np.reshape(data.draw(st.lists(ids, min_size=size, max_size=size)), shape)
    truth = np.reshape(data.draw(st.lists(ids, min_size=size, max_size=size)), shape)
    assume(truth.any())
    shift = 10 * np.arange(3)[:, None, None]
    expected = evaluate(
        np.where(segmentation, segmentation + shift, 0), np.where(truth, truth + shift, 0)
    )
    assert evaluate(segmentation, truth, ground_truth_kind="labels_2d") == expected


@pytest.mark.parametrize("kind", ["boundary", "affinities"])
def test_a_map_is_no_labels(kind):
    labels = Volume(np.ones((2, 4, 5), np.uint8), kind="labels")
    shape = (3, 2, 4, 5) if kind == "affinities" else (2, 4, 5)
    map_ = Volume(np.zeros(shape, np.uint8), kind=kind)
    for one, other in ((map_, labels), (labels, map_)):
        with pytest.raises(InputError, match="ids are needed"):
            evaluate(one, other)

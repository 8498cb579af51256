"""Each section is scored as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.evaluation import evaluate
from napari_emseg.evaluation.section_scores import score_sections

RNG = np.random.default_rng(3)
TRUTH = RNG.integers(0, 4, (5, 9, 7))
TRUTH[3] = 0
SEGMENTATION = RNG.integers(0, 6, (5, 9, 7))
NAMES = ("v_rand", "v_rand_split", "v_info", "v_info_merge", "voi_split", "voi_merge")


def test_each_section_equals_evaluating_it_alone() -> None:
    scores = score_sections(SEGMENTATION, TRUTH, sections=[0, 1, 3, 4])
    assert scores.section.tolist() == [0, 1, 3, 4]
    for k, z in enumerate([0, 1, None, 4]):
        if z is not None:
            expected = evaluate(SEGMENTATION[z], TRUTH[z], metrics=NAMES)
            assert {n: getattr(scores, n)[k] for n in NAMES} == pytest.approx(expected)
    assert scores.voi[0] == scores.voi_split[0] + scores.voi_merge[0]


def test_a_section_without_truth_has_no_score() -> None:
    assert np.isnan(score_sections(SEGMENTATION, TRUTH).v_rand).tolist() == [0, 0, 0, 1, 0]


def test_truth_that_is_empty_everywhere_is_refused() -> None:
    with pytest.raises(InputError, match="ground truth is empty"):
        score_sections(SEGMENTATION, TRUTH, sections=[3])

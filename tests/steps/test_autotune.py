"""The search finds what is best where it looks, and the score it tells is of elsewhere."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.evaluation import evaluate
from napari_emseg.progress import Cancelled
from napari_emseg.steps.autotune import Autotuned, AutotuneParams, autotune, split_sections
from napari_emseg.steps.evaluate import EvaluateParams
from napari_emseg.steps.params import parse_params
from napari_emseg.steps.segment import SegmentParams, run
from napari_emseg.volume import Volume

RNG = np.random.default_rng(5)
LABELS_2D = EvaluateParams(ground_truth_kind="labels_2d")


def cells(n_sections: int = 7) -> tuple[Volume, Volume]:
    """Square cells of 12 px with noisy walls, some weak, and their ids."""
    z, y, x = np.indices((n_sections, 40, 53))
    wall = np.minimum(np.abs(y % 12 - 6), np.abs(x % 12 - 6)) < 1
    strength = RNG.uniform(0.4, 1.0, (n_sections, 1, 1))
    data = np.clip(wall * strength + RNG.normal(0.1, 0.12, wall.shape), 0, 1)
    truth = 1 + (y + 6) // 12 * 10 + (x + 6) // 12 + 100 * z
    truth[wall] = 0
    kwargs: dict[str, Any] = {"voxel_size_nm": (50, 4, 4)}
    boundary = Volume(data.astype(np.float32), kind="boundary", name="map", **kwargs)
    return boundary, Volume(truth.astype(np.uint16), kind="labels", **kwargs)


BOUNDARY, TRUTH = cells()


def tune(boundary: Volume = BOUNDARY, truth: Volume = TRUTH, **options: Any) -> Autotuned:
    evaluate_params = options.pop("evaluate", LABELS_2D)
    segment = options.pop("segment", SegmentParams(sigma_px=0.0, h=0.05))
    progress = options.pop("progress", None)
    more = {} if progress is None else {"progress": progress}
    params = AutotuneParams(**{"sigmas_px": (0.5, 2.0), **options})
    return autotune(
        boundary, truth, segment=segment, evaluate=evaluate_params, params=params, **more
    )


def score(params: SegmentParams, sections: tuple[int, int], metric: str) -> float:
    part = slice(*sections)
    boundary = BOUNDARY.derive(BOUNDARY.read(part), kind="boundary")
    labels = run(boundary, params=params)
    names = ["voi_split", "voi_merge"] if metric == "voi" else [metric]
    found = evaluate(labels, TRUTH.read(part), ground_truth_kind="labels_2d", metrics=names)
    return sum(found.values())


@pytest.mark.parametrize("metric", ["v_rand", "voi"])
def test_scores_are_those_of_the_parameters_found(metric: Literal["v_rand", "voi"]) -> None:
    before = SegmentParams(sigma_px=0.0, h=0.05)
    found = tune(metric=metric, groupings=("h_minima", "mean_boundary"))
    assert (found.tuning, found.validation) == ((0, 5), (5, 7))
    assert found.tuning_score == pytest.approx(score(found.params, (0, 5), metric))
    assert found.validation_score == pytest.approx(score(found.params, (5, 7), metric))
    assert found.score_before == pytest.approx(score(before, (5, 7), metric))
    assert found.improves
    scores = [trial.score for trial in found.trials]
    assert scores == sorted(scores, reverse=metric != "voi")
    assert {trial.params.grouping for trial in found.trials} == {"h_minima", "mean_boundary"}
    assert "sections 0 to 4 (searched on)" in found.describe()
    assert "sections 5 to 6 (kept aside" in found.describe()


def test_sections_kept_aside_have_no_say() -> None:
    boundary, truth = BOUNDARY.read().copy(), TRUTH.read().copy()
    boundary[5:], truth[5:] = RNG.random((2, 40, 53)), RNG.integers(1, 9, (2, 40, 53))
    strange = tune(BOUNDARY.derive(boundary, kind="boundary"), TRUTH.derive(truth, kind="labels"))
    usual = tune()
    assert strange.params == usual.params
    assert strange.tuning_score == usual.tuning_score
    assert strange.validation_score != usual.validation_score


def test_half_steps_around_the_best_are_tried() -> None:
    tried = {trial.params.sigma_px for trial in tune(sigmas_px=(0.5, 1.0, 2.0)).trials}
    assert tried > {0.5, 1.0, 2.0}
    assert tried - {0.5, 1.0, 2.0} <= {0.75, 1.5}


def test_sections_chosen_are_named_as_in_the_stack() -> None:
    found = tune(evaluate=LABELS_2D.model_copy(update={"sections": (2, 6)}))
    assert (found.tuning, found.validation) == ((2, 5), (5, 6))
    assert found.validation_score == pytest.approx(score(found.params, (5, 6), "v_rand"))


def test_one_section_cannot_be_parted() -> None:
    found = tune(evaluate=LABELS_2D.model_copy(update={"sections": (3, 4)}))
    assert found.validation_score is found.score_before is None
    assert "too few sections" in found.describe()


@pytest.mark.parametrize(
    ("labelled", "share", "ranges"),
    [
        (range(9), 1 / 3, ((0, 6), (6, 9))),
        (range(9), 0.0, ((0, 9), (9, 9))),
        ((2, 3, 7), 0.3, ((2, 4), (7, 8))),  # blank ones at either end and between
        ((4,), 0.5, ((4, 5), (5, 5))),
        ((0, 8), 0.9, ((0, 1), (8, 9))),
    ],
)
def test_labelled_sections_are_parted(labelled: Any, share: float, ranges: Any) -> None:
    truth = np.zeros((9, 3, 4), np.uint8)
    truth[list(labelled), 1] = 3
    assert split_sections(Volume(truth, kind="labels"), "labels", share) == ranges


def test_three_dimensions_are_searched_as_a_volume() -> None:
    truth = TRUTH.read() % 100
    volume = TRUTH.derive(truth.astype(np.uint16), kind="labels")
    segment = SegmentParams(mode="3d", sigma_px=0.0)
    found = tune(truth=volume, segment=segment, evaluate=EvaluateParams())
    assert found.params.mode == "3d"
    assert found.tuning_score > 0.8


def test_it_counts_percent_and_can_be_stopped() -> None:
    class Log:
        stop_at = 101

        def __init__(self) -> None:
            self.seen: list[tuple[int, str]] = []

        def update(self, done: int, total: int, message: str = "") -> None:
            assert total == 100
            self.seen.append((done, message))
            if done >= self.stop_at:
                raise Cancelled

    log = Log()
    tune(progress=log)
    percents = [percent for percent, _ in log.seen]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert any("2 px" in message for _, message in log.seen)
    log.stop_at = 40
    with pytest.raises(Cancelled):
        tune(progress=log)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="between 0 and 20"):
        parse_params(AutotuneParams, {"sigmas_px": (1, 99)})
    with pytest.raises(InputError, match="no grouping named 'nose'"):
        tune(groupings=("nose",))
    with pytest.raises(InputError, match="empty"):
        tune(truth=TRUTH.derive(np.zeros(TRUTH.shape, np.uint8), kind="labels"))

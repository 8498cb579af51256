"""Auto-tune: search the parameters of step 3 on some sections, score them on others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.evaluate import EvaluateParams, match_sections, take_sections
from napari_emseg.steps.params import Params
from napari_emseg.steps.patience import answer_at_once
from napari_emseg.steps.percent import Percent
from napari_emseg.steps.segment import SegmentParams, build, cut, flood
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.segmentation import Cuttable

Metric = Literal["v_rand", "v_info", "voi"]
Range = tuple[int, int]
TITLES = {"v_rand": "V_rand", "v_info": "V_info", "voi": "VOI (bits)"}
SECTION_CUTS = (0.02, 0.05, 0.1, 0.2, 0.4)  # h in the sections that are then linked
MIN_SIZES = (0, 25, 50, 100, 200, 400, 800)


class AutotuneParams(Params):
    """What to search, and what to leave aside for an honest score."""

    sigmas_px: tuple[float, ...] = Field(
        default=(0.5, 1.0, 1.5, 2.0, 3.0),
        min_length=1,
        title="Smoothings",
        description="Sigmas to try, in pixels; half steps around the best are tried next.",
    )
    groupings: tuple[str, ...] | None = Field(
        default=None,
        title="Groupings",
        description="Ways to join basins to try; empty: the present one.",
    )
    metric: Metric = Field(default="v_rand", title="Score", description="Score to be best.")
    validation_share: float = Field(
        default=1 / 3,
        ge=0,
        le=0.9,
        title="Kept aside",
        description="Share of the sections, the last ones, that only the final score sees.",
    )

    @field_validator("sigmas_px")
    @classmethod
    def _check_sigmas(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if min(values) < 0 or max(values) > 20:
            raise InputError("Sigmas to try must lie between 0 and 20 pixels.")
        return tuple(sorted(set(values)))


@dataclass(frozen=True)
class Trial:
    """One flood and grouping, at its best threshold."""

    params: SegmentParams
    score: float


@dataclass(frozen=True)
class Autotuned:
    """What was found.

    Attributes
    ----------
    params : SegmentParams
        The best.
    metric : str
        The score that was to be best.
    tuning, validation : tuple of int
        Sections searched on, and those kept aside, as (first, stop); the latter
        (n, n) if there were too few.
    tuning_score : float
        On the sections searched on: too good, for they were chosen by it.
    validation_score, score_before : float or None
        On the sections kept aside, of `params` and of the parameters before.
    trials : tuple of Trial
        All that was tried, best first.
    """

    params: SegmentParams
    metric: Metric
    tuning: Range
    validation: Range
    tuning_score: float
    validation_score: float | None
    score_before: float | None
    trials: tuple[Trial, ...]

    @property
    def improves(self) -> bool:
        """Whether the parameters found beat those before on sections that chose neither."""
        if self.validation_score is None or self.score_before is None:
            return True
        gain = self.validation_score - self.score_before
        return (-gain if self.metric == "voi" else gain) > 0

    def describe(self) -> str:
        """Say what was found, with both scores and their sections, in two or three sentences."""
        title = TITLES[self.metric]
        found = f"{title} {self.tuning_score:.4f} on {_words(self.tuning)} (searched on)"
        if self.validation_score is None:
            return (
                f"{found}. There are too few sections to keep some aside, so expect less on others."
            )
        honest = f"{self.validation_score:.4f} on {_words(self.validation)} (kept aside"
        before = f", {self.score_before:.4f} before)" if self.score_before is not None else ")"
        return f"{found}, {honest}{before}."


def autotune(
    boundary: Volume,
    ground_truth: Volume,
    *,
    segment: SegmentParams,
    evaluate: EvaluateParams,
    params: AutotuneParams,
    progress: Progress = NO_PROGRESS,
) -> Autotuned:
    """Search sigma, grouping, threshold and minimum size for the best score.

    For each sigma and grouping every threshold is scored exactly, by one walk up the
    merge tree; then sigmas half a step to either side of the best, and at last the
    minimum size. The last sections take no part: neighbouring sections resemble each
    other, so only a block of its own tells how well the choice does elsewhere.

    Parameters
    ----------
    boundary, ground_truth : Volume
        ZYX, the same field.
    segment : SegmentParams
        Where to begin: `mode` and `floor` are kept, the rest is compared with.
    evaluate : EvaluateParams
        Kind of ground truth and sections.
    params : AutotuneParams
        What to search.
    progress : Progress
        Told percent. A stop is answered at once, also within a solver.

    Returns
    -------
    Autotuned

    Raises
    ------
    InputError
        If the volumes do not fit together or a grouping does not exist.
    """

    def work(told: Progress) -> Autotuned:
        return _tune(boundary, ground_truth, segment, evaluate, params, told)

    return answer_at_once(work, progress)


def _tune(
    boundary: Volume,
    ground_truth: Volume,
    segment: SegmentParams,
    evaluate: EvaluateParams,
    params: AutotuneParams,
    progress: Progress,
) -> Autotuned:
    boundary, truth = match_sections(boundary, ground_truth, evaluate.sections, "boundary map")
    first = evaluate.sections[0] if evaluate.sections is not None else 0
    tuning, validation = split_sections(truth, evaluate.ground_truth_kind, params.validation_share)
    groupings = params.groupings or (segment.grouping,)
    n_floods = len(params.sigmas_px) + 2
    percent = Percent(progress, n_floods * (1 + len(_variants(segment, groupings))) + 3)
    search = _Search(
        take_sections(boundary, tuning, "boundary map"),
        take_sections(truth, tuning, "ground truth"),
        evaluate,
        params.metric,
        percent,
    )
    for sigma_px in params.sigmas_px:
        search.try_sigma(segment.model_copy(update={"sigma_px": sigma_px}), groupings)
    best = search.best.params
    for sigma_px in _half_steps(params.sigmas_px, best.sigma_px):
        search.try_sigma(best.model_copy(update={"sigma_px": sigma_px}), (best.grouping,))
    found, tuning_score = search.try_min_sizes()
    scores: list[float | None] = [None, None]
    if validation[0] < validation[1]:
        held = [take_sections(v, validation, "volume") for v in (boundary, truth)]
        for k, tried in enumerate((found, segment)):
            percent.begin("Scoring the sections kept aside")
            scores[k] = _score(held[0], held[1], tried, evaluate, params.metric, percent)
    progress.update(100, 100, "Done")
    return Autotuned(
        params=found,
        metric=params.metric,
        tuning=_shift(tuning, first),
        validation=_shift(validation, first),
        tuning_score=tuning_score,
        validation_score=scores[0],
        score_before=scores[1],
        trials=tuple(search.ranked),
    )


def split_sections(truth: Volume, kind: str, validation_share: float) -> tuple[Range, Range]:
    """Part the labelled sections into those to search on and, after them, those kept aside.

    Returns
    -------
    tuning, validation : tuple of int
        (first, stop); both have ground truth, unless there is one such section only.

    Raises
    ------
    InputError
        If nothing is labelled.

    Examples
    --------
    >>> truth = Volume(np.ones((9, 4, 4), np.uint8), kind="labels")
    >>> split_sections(truth, "labels", 1 / 3)
    ((0, 6), (6, 9))
    """
    is_labelled = [
        kind == "membranes" or bool(np.any(truth.read(z))) for z in range(truth.shape[0])
    ]
    labelled = np.flatnonzero(is_labelled)
    if labelled.size == 0:
        raise InputError(
            "The ground truth is empty (0 everywhere) in the sections chosen; choose others."
        )
    n_kept = round(labelled.size * validation_share)
    n_kept = min(max(n_kept, int(validation_share > 0)), labelled.size - 1)
    stop = int(labelled[-1]) + 1
    begin = int(labelled[labelled.size - n_kept]) if n_kept else stop
    last_tuned = int(labelled[labelled.size - n_kept - 1]) + 1
    return (int(labelled[0]), last_tuned), (begin, stop)


class _Search:
    """Tries parameters on the sections to search on and remembers how they did."""

    def __init__(
        self,
        boundary: Volume,
        truth: Volume,
        evaluate: EvaluateParams,
        metric: Metric,
        percent: Percent,
    ) -> None:
        self._boundary, self._truth, self._metric = boundary, truth, metric
        self._percent = percent
        self._options: dict[str, Any] = {
            "invert": evaluate.invert_ground_truth,
            "ground_truth_kind": evaluate.ground_truth_kind,
        }
        self._trials: list[Trial] = []
        self._best: tuple[Trial, Cuttable] | None = None

    @property
    def ranked(self) -> list[Trial]:
        """All trials, best first."""
        return sorted(self._trials, key=lambda trial: self._loss(trial.score))

    @property
    def best(self) -> Trial:
        """The best trial."""
        assert self._best is not None
        return self._best[0]

    def try_sigma(self, params: SegmentParams, groupings: tuple[str, ...]) -> None:
        """Flood once, and find the best threshold of each grouping."""
        from napari_emseg.evaluation import score_curve

        self._percent.begin(f"Smoothing {params.sigma_px:g} px")
        flooded = flood(self._boundary, params=params, progress=self._percent)
        for tried in _variants(params, groupings):
            self._percent.begin(f"Smoothing {params.sigma_px:g} px, {tried.grouping}")
            hierarchy = build(self._boundary, params=tried, flooded=flooded, progress=self._percent)
            curve = score_curve(hierarchy, self._truth, progress=self._percent, **self._options)
            threshold, score = curve.best(self._metric)
            changes = {tried.threshold_name: min(1.0, threshold), "min_size_voxels": 0}
            self._remember(Trial(tried.model_copy(update=changes), score), hierarchy)

    def try_min_sizes(self) -> tuple[SegmentParams, float]:
        """Find the minimum size that is best with the best of all trials."""
        from napari_emseg.evaluation.oracle import score_tables
        from napari_emseg.evaluation.pairs import open_pair
        from napari_emseg.evaluation.section_scores import count_sections

        assert self._best is not None
        trial, hierarchy = self._best
        self._percent.begin("Trying minimum sizes")
        pair = open_pair(
            hierarchy.fragments,
            self._truth,
            kind=self._options["ground_truth_kind"],
            invert=self._options["invert"],
            average="stack",
            sections=None,
        )
        tables = count_sections(pair, self._percent)
        found = trial.params, trial.score
        for size in MIN_SIZES[1:]:
            segment_of = hierarchy.cut(trial.params.threshold, size).segment_of
            joined = [_relabel(table, segment_of) for table in tables]
            score = score_tables(joined, are_apart=pair.ids_per_section)[self._metric]
            if self._loss(score) < self._loss(found[1]):
                found = trial.params.model_copy(update={"min_size_voxels": size}), score
        return found

    def _remember(self, trial: Trial, hierarchy: Cuttable) -> None:
        self._trials.append(trial)
        if self._best is None or self._loss(trial.score) < self._loss(self.best.score):
            self._best = trial, hierarchy

    def _loss(self, score: float) -> float:
        return score if self._metric == "voi" else -score


def _variants(params: SegmentParams, groupings: tuple[str, ...]) -> list[SegmentParams]:
    """Return `params` with each grouping; where sections are linked, with several cuts of them."""
    found = []
    for grouping in groupings:
        of_grouping = params.model_copy(update={"grouping": grouping})
        if grouping == "linking" and params.mode == "3d":
            found += [of_grouping.model_copy(update={"h": h}) for h in SECTION_CUTS]
        else:
            found.append(of_grouping)
    return found


def _score(
    boundary: Volume,
    truth: Volume,
    segment: SegmentParams,
    evaluate: EvaluateParams,
    metric: Metric,
    progress: Progress,
) -> float:
    """Segment and score some sections by themselves."""
    from napari_emseg.evaluation import evaluate as compare

    hierarchy = build(boundary, params=segment, progress=progress)
    labels = cut(hierarchy, params=segment)[0].view()
    wanted = ("voi_split", "voi_merge") if metric == "voi" else (metric,)
    scores = compare(
        labels,
        truth,
        ground_truth_kind=evaluate.ground_truth_kind,
        invert=evaluate.invert_ground_truth,
        metrics=wanted,
    )
    return sum(scores.values())


def _relabel(table: Any, segment_of: Any) -> Any:
    from napari_emseg.evaluation.contingency import Contingency
    from napari_emseg.evaluation.error_cells import pool

    segment = segment_of[table.segment].astype(np.uint64)
    return pool([Contingency(segment, table.truth, table.count)])


def _half_steps(sigmas_px: tuple[float, ...], best: float) -> Iterator[float]:
    """Sigmas halfway from the best to its neighbours."""
    place = sigmas_px.index(best)
    if place > 0:
        yield (sigmas_px[place - 1] + best) / 2
    if place + 1 < len(sigmas_px):
        yield (best + sigmas_px[place + 1]) / 2


def _shift(sections: Range, by: int) -> Range:
    return sections[0] + by, sections[1] + by


def _words(sections: Range) -> str:
    first, last = sections[0], sections[1] - 1
    return f"section {first}" if first == last else f"sections {first} to {last}"

"""What pressing Evaluate computes, away from the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from napari_emseg.gui.grouping_names import name_of
from napari_emseg.progress import Progress
from napari_emseg.steps.evaluate import EvaluateParams
from napari_emseg.steps.percent import Percent
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.steps.step import StepRecord, record_step
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.evaluation import ScoreCurve
    from napari_emseg.evaluation.error_sites import Errors
    from napari_emseg.evaluation.error_view import ErrorView
    from napari_emseg.segmentation import Cuttable


@dataclass(frozen=True, eq=False)
class Evaluated:
    """All that is shown after Evaluate.

    Attributes
    ----------
    scores : dict
        Of the labels; empty if there were none.
    curve : ScoreCurve or None
        Of the hierarchy, if there was one.
    errors, view
        Of the labels, or of the segments at the sliders if there were none.
    record : StepRecord or None
        What was compared; None without labels.
    """

    scores: dict[str, float]
    curve: ScoreCurve | None
    errors: Errors
    view: ErrorView
    record: StepRecord | None = None


def evaluate_all(
    labels: Volume | None,
    hierarchy: Cuttable | None,
    truth: Volume,
    params: EvaluateParams,
    segment: SegmentParams,
    progress: Progress,
) -> Evaluated:
    """Score the labels and every cut of the hierarchy, and look for errors.

    Raises
    ------
    InputError
        If the stacks do not fit together.
    """
    from napari_emseg.evaluation import score_curve
    from napari_emseg.evaluation.error_sites import find_errors
    from napari_emseg.evaluation.error_view import ErrorView
    from napari_emseg.steps.evaluate import run
    from napari_emseg.steps.segment import cut

    percent = Percent(progress, 1 + (hierarchy is not None) + (labels is not None))
    options: dict[str, Any] = {
        "ground_truth_kind": params.ground_truth_kind,
        "invert": params.invert_ground_truth,
    }
    sections = range(*params.sections) if params.sections else None
    curve, record, scores = None, None, {}
    if hierarchy is not None:
        percent.begin("Scoring every threshold")
        curve = score_curve(hierarchy, truth, sections=sections, progress=percent, **options)
    if labels is not None:
        percent.begin("Scoring the labels")
        record = record_step("evaluate", params, labels=labels, ground_truth=truth)
        scores = run(labels, truth, params=params, progress=percent)
    segments: Any = labels
    if segments is None:
        assert hierarchy is not None
        segments = cut(hierarchy, params=segment)[0].view()
    percent.begin("Looking for errors")
    errors = find_errors(segments, truth, sections=sections, progress=percent, **options)
    view = ErrorView(segments, truth, errors, **options)
    view.section(errors.cells.sections[0])  # look once here, not first in the window
    return Evaluated(scores, curve, errors, view, record)


def compare_groupings(
    boundary: Volume,
    truth: Volume,
    hierarchy: Cuttable | None,
    params: EvaluateParams,
    segment: SegmentParams,
    progress: Progress,
) -> dict[str, ScoreCurve]:
    """Return the score curve of every grouping of one flood; `hierarchy` may spare it.

    Sections by themselves are not linked, so in "2d" there is no curve of that.

    Raises
    ------
    InputError
        If the stacks do not fit together.
    """
    from napari_emseg.evaluation import score_curve
    from napari_emseg.segmentation import Hierarchy
    from napari_emseg.steps.segment import Grouping, build, flood

    groupings = [name for name in get_args(Grouping) if name != "linking" or segment.mode == "3d"]
    percent = Percent(progress, 1 + len(groupings))
    percent.begin("Flooding")
    if isinstance(hierarchy, Hierarchy) and hierarchy.grouping == "h_minima":
        flooded = hierarchy
    else:
        flooded = flood(boundary, params=segment, progress=percent)
    curves = {}
    for grouping in groupings:
        percent.begin(f"Joining by {name_of(grouping)}")
        wanted = segment.model_copy(update={"grouping": grouping})
        hierarchy = build(boundary, params=wanted, flooded=flooded, progress=percent)
        curves[grouping] = score_curve(
            hierarchy,
            truth,
            ground_truth_kind=params.ground_truth_kind,
            invert=params.invert_ground_truth,
            sections=range(*params.sections) if params.sections else None,
        )
    return curves

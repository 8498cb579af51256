"""What pressing Evaluate computes, away from the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_emseg.progress import Progress
from napari_emseg.steps.evaluate import EvaluateParams
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.evaluation import ScoreCurve
    from napari_emseg.evaluation.error_sites import Errors
    from napari_emseg.evaluation.error_view import ErrorView
    from napari_emseg.segmentation import Hierarchy


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
    """

    scores: dict[str, float]
    curve: ScoreCurve | None
    errors: Errors
    view: ErrorView


def evaluate_all(
    labels: Volume | None,
    hierarchy: Hierarchy | None,
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

    parts = _Parts(progress, 1 + (hierarchy is not None) + (labels is not None))
    options: dict[str, Any] = {
        "ground_truth_kind": params.ground_truth_kind,
        "invert": params.invert_ground_truth,
    }
    sections = range(*params.sections) if params.sections else None
    curve, scores = None, {}
    if hierarchy is not None:
        curve = score_curve(hierarchy, truth, sections=sections, progress=parts, **options)
        parts.begin_next()
    if labels is not None:
        scores = run(labels, truth, params=params, progress=parts)
        parts.begin_next()
    segments: Any = labels
    if segments is None:
        assert hierarchy is not None
        segments = cut(hierarchy, params=segment)[0].view()
    errors = find_errors(segments, truth, sections=sections, progress=parts, **options)
    view = ErrorView(segments, truth, errors, **options)
    view.section(errors.cells.sections[0])  # look once here, not first in the window
    return Evaluated(scores, curve, errors, view)


class _Parts:
    """Shows several computations as one progress, in percent."""

    def __init__(self, progress: Progress, n_parts: int) -> None:
        self._progress, self._n_parts, self._finished = progress, n_parts, 0

    def begin_next(self) -> None:
        self._finished += 1

    def update(self, done: int, total: int, message: str = "") -> None:
        share = (self._finished + done / max(total, 1)) / self._n_parts
        self._progress.update(round(100 * share), 100, message)

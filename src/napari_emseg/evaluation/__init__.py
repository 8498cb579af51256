"""How good is a segmentation: split and merge scores against ground truth."""

from __future__ import annotations

from napari_emseg.evaluation.curve import ScoreCurve, score_curve
from napari_emseg.evaluation.error_sites import Errors, ErrorSite, find_errors
from napari_emseg.evaluation.error_view import ErrorView
from napari_emseg.evaluation.ground_truth_kind import guess_ground_truth_kind
from napari_emseg.evaluation.membranes import inspect_membranes, membranes_to_labels
from napari_emseg.evaluation.metrics import LOWER_IS_BETTER, METRICS, ON_REQUEST
from napari_emseg.evaluation.protocols import (
    PROTOCOLS,
    cremi_protocol,
    isbi_protocol,
    snemi3d_protocol,
)
from napari_emseg.evaluation.run_length import RunLength, expected_run_length
from napari_emseg.evaluation.scoring import evaluate
from napari_emseg.evaluation.section_scores import SectionScores, score_sections
from napari_emseg.evaluation.skeletons import Skeletons, skeletonize_truth
from napari_emseg.evaluation.stability import StableRange, find_stable_range
from napari_emseg.evaluation.warping import WarpingCounts, warp_section

__all__ = [
    "LOWER_IS_BETTER",
    "METRICS",
    "ON_REQUEST",
    "PROTOCOLS",
    "ErrorSite",
    "ErrorView",
    "Errors",
    "RunLength",
    "ScoreCurve",
    "SectionScores",
    "Skeletons",
    "StableRange",
    "WarpingCounts",
    "cremi_protocol",
    "evaluate",
    "expected_run_length",
    "find_errors",
    "find_stable_range",
    "guess_ground_truth_kind",
    "inspect_membranes",
    "isbi_protocol",
    "membranes_to_labels",
    "score_curve",
    "score_sections",
    "skeletonize_truth",
    "snemi3d_protocol",
    "warp_section",
]

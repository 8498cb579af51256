"""How good is a segmentation: split and merge scores against ground truth."""

from __future__ import annotations

from napari_emseg.evaluation.curve import ScoreCurve, score_curve
from napari_emseg.evaluation.membranes import inspect_membranes, membranes_to_labels
from napari_emseg.evaluation.metrics import LOWER_IS_BETTER, METRICS
from napari_emseg.evaluation.scoring import evaluate

__all__ = [
    "LOWER_IS_BETTER",
    "METRICS",
    "ScoreCurve",
    "evaluate",
    "inspect_membranes",
    "membranes_to_labels",
    "score_curve",
]

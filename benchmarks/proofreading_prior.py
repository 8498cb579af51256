"""What guidance knows beforehand: weights learned from volumes with known neurons.

Contacts between segments and cuts through them are judged by the truth, at three thresholds
of the same map, and a logistic regression is fitted. Give the volumes to learn from; what is
reported by ``proofreading_oracle.py`` must be others.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from proofreading_oracle import load, segment

THRESHOLDS = (0.25, 0.4, 0.55)


def examples(
    name: str, options: argparse.Namespace
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Features and answers of all contacts and cuts where the truth knows both sides."""
    from napari_emseg import Proofreader
    from napari_emseg.proofreading.evidence import (
        contacts_of_segments,
        merge_features,
        scale_of,
        split_features,
    )
    from napari_emseg.proofreading.necks import find_necks
    from napari_emseg.proofreading.simulation import Truth
    from napari_emseg.proofreading.survey import take_survey

    boundary, truth = load(name, options)
    for threshold in THRESHOLDS:
        segmentation = segment(boundary, argparse.Namespace(threshold=threshold, min_size=50))
        survey = take_survey(Proofreader(segmentation, boundary=boundary).state)
        known = Truth(segmentation.fragments, truth, survey.size.size - 1)
        pairs, *_ = contacts_of_segments(survey)
        scale, shown = scale_of(pairs), np.arange(pairs.a.size)
        owner = known.of_segments(survey.segment_of)
        ends = owner[pairs.a], owner[pairs.b]
        told = np.minimum(*ends) >= 0
        yield "merge", merge_features(survey, pairs, scale, shown)[told], (ends[0] == ends[1])[told]
        necks = find_necks(survey)
        below, above = known.of_sides(necks, survey.segment_of)
        told = np.minimum(below, above) >= 0
        yield "split", split_features(necks, scale)[told], (below == above)[told]


def fit(features: np.ndarray, answers: np.ndarray, softness: float = 1.0) -> np.ndarray:
    """Return the weights of a logistic regression."""
    weights = np.zeros(features.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        slope = features.T @ (answers - p) - softness * weights
        curvature = (features.T * (p * (1 - p))) @ features + softness * np.eye(weights.size)
        step = np.linalg.solve(curvature, slope)
        weights += step / max(1.0, float(np.abs(step).max()))
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("volumes", nargs="+", choices=("gala_fib", "fib25", "snemi_mini"))
    parser.add_argument("--data", default=os.environ.get("EMSEG_TEST_DATA", shared), type=Path)
    parser.add_argument("--fib-map", help="boundary map of fib25")
    options = parser.parse_args()
    found: dict[str, Any] = {"merge": [], "split": []}
    for name in options.volumes:
        for question, features, answers in examples(name, options):
            found[question].append((features, answers))
    report = {}
    for question, parts in found.items():
        features, answers = (np.concatenate(column) for column in zip(*parts, strict=True))
        report[question] = [round(float(w), 2) for w in fit(features, answers)]
    print(json.dumps(report))


if __name__ == "__main__":
    main()

"""What guidance knows beforehand of merges: weights learned from volumes with known neurons.

Contacts between segments are judged by the truth, at three thresholds of the same map, and a
logistic regression is fitted: to all volumes given, which is what the
package knows, and to all but each, which is what ``proofreading_oracle.py`` uses on that one.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from proofreading_oracle import STARTS, agglomerate, load

THRESHOLDS = (0.25, 0.4, 0.55)


def examples(name: str, options: argparse.Namespace) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features and answers of all contacts where the truth knows both sides."""
    from napari_emseg import Proofreader
    from napari_emseg.proofreading.evidence import contacts_of_segments, merge_features, scale_of
    from napari_emseg.proofreading.simulation import Truth
    from napari_emseg.proofreading.survey import take_survey

    boundary, truth = load(name, options)
    tree = agglomerate(boundary, STARTS[name][0])
    for threshold in THRESHOLDS:
        segmentation = tree.cut(threshold, 50)
        survey = take_survey(Proofreader(segmentation, boundary=boundary).state)
        known = Truth(segmentation.fragments, truth, survey.size.size - 1)
        pairs, *_ = contacts_of_segments(survey)
        owner = known.of_segments(survey.segment_of)
        ends = owner[pairs.a], owner[pairs.b]
        told = np.flatnonzero(np.minimum(*ends) >= 0)
        features = merge_features(survey, pairs, scale_of(pairs), told)
        yield features, (ends[0] == ends[1])[told]


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
    parser.add_argument("volumes", nargs="+", choices=("gala_fib", "fib25"))
    parser.add_argument("--data", default=os.environ.get("EMSEG_TEST_DATA", shared), type=Path)
    parser.add_argument("--fib-map", help="boundary map of fib25")
    options = parser.parse_args()
    found = {name: list(examples(name, options)) for name in options.volumes}
    report = {"all": learn_from(found, options.volumes)}
    for name in options.volumes[: len(options.volumes) * (len(options.volumes) > 1)]:
        report[f"without {name}"] = learn_from(found, [n for n in options.volumes if n != name])
    print(json.dumps(report))


def learn_from(found: dict[str, Any], names: list[str]) -> list[float]:
    """Return the weights that some volumes teach."""
    parts = [part for name in names for part in found[name]]
    features, answers = (np.concatenate(column) for column in zip(*parts, strict=True))
    return [round(float(w), 2) for w in fit(features, answers)]


if __name__ == "__main__":
    main()

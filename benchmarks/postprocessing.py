"""What each post-processing of a boundary map gains, tuned on some sections, scored on others.

    python benchmarks/postprocessing.py MAP TRUTH --mode 2d --kind membranes \
        --tune 0:12 --score 12:24

MAP may be any file that opens, or a .npy of floats. Everything that is fitted (h, the
calibration, the weight of the watershed lines) is fitted on the sections to tune on. Prints one
JSON line per method and smoothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple

import numpy as np

import napari_emseg as emseg
from napari_emseg.postprocessing import (
    add_watershed_lines,
    calibrate,
    deepem3d_map,
    filter_median,
    fit_calibration,
    tune_watershed_weight,
)
from napari_emseg.segmentation import group
from napari_emseg.segmentation.adjacency import measure_adjacency
from napari_emseg.segmentation.cleanup import cleanup
from napari_emseg.volume import Volume

SIGMAS = (0.0, 1.0, 1.5)
WANTED = ("v_rand", "v_info", "voi_split", "voi_merge")
CLEANINGS: tuple[dict[str, object], ...] = (
    {},
    {"fill_holes": True},
    {"min_sections": 3},
    {"min_size_voxels": 500},
    {"fill_holes": True, "min_sections": 3, "min_size_voxels": 500},
    {"fill_holes": True, "min_sections": 3, "min_size_voxels": 500, "fate": "drop"},
)


def main() -> None:
    args = _arguments()
    boundary = _open_map(args.map)
    truth = emseg.open_volume(args.truth, kind="raw" if args.kind == "membranes" else "labels")
    depth = min(boundary.shape[0], truth.shape[0])
    boundary = boundary.derive(boundary.read(slice(depth)), kind="boundary")
    truth = truth.derive(truth.read(slice(depth)), kind=truth.kind)
    tune, score = (range(*map(int, text.split(":"))) for text in (args.tune, args.score))
    methods = {} if args.only_cleanup else _methods(boundary, truth, args.kind, tune)
    for name, make in methods.items():
        started = time.perf_counter()
        processed, fitted = make()
        seconds = time.perf_counter() - started
        for sigma in (0.0,) if name.startswith("deepem3d") else SIGMAS:
            line = {"method": name, "sigma_px": sigma, **fitted, "seconds": round(seconds, 2)}
            print(json.dumps({**line, **_score(processed, truth, args, sigma, tune, score)}))
    for line in _cleanups(boundary, truth, args, tune, score):
        print(json.dumps(line))


def _cleanups(
    boundary: Volume, truth: Volume, args: argparse.Namespace, tune: range, score: range
) -> Iterator[dict[str, object]]:
    """What cleaning up the best cut of the map as it is adds, by grouping."""
    plain = emseg.build_hierarchy(boundary, sigma_px=SIGMAS[1], mode=args.mode)
    adjacency = measure_adjacency(plain.fragments, mode=args.mode)
    options = {"ground_truth_kind": args.kind}
    for grouping in ("h_minima", "mean_boundary"):
        hierarchy = group(plain, boundary, grouping=grouping)
        h, _ = emseg.score_curve(hierarchy, truth, sections=tune, **options).best("v_rand")
        cut = hierarchy.cut(h)
        for cleaning in CLEANINGS:
            started = time.perf_counter()
            cleaned, report = cleanup(cut, adjacency=adjacency, mode=args.mode, **cleaning)
            seconds = time.perf_counter() - started
            labels = cleaned.to_volume()
            scores = emseg.evaluate(labels, truth, sections=score, metrics=WANTED, **options)
            yield {
                "grouping": grouping,
                "cleanup": cleaning,
                "done": report.describe(),
                "segments": cleaned.n_segments,
                "seconds": round(seconds, 3),
                **{k: round(v, 4) for k, v in scores.items()},
            }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map")
    parser.add_argument("truth")
    parser.add_argument("--only-cleanup", action="store_true")
    parser.add_argument("--mode", choices=("2d", "3d"), default="2d")
    parser.add_argument("--kind", choices=("labels", "labels_2d", "membranes"), default="labels")
    parser.add_argument("--tune", required=True)
    parser.add_argument("--score", required=True)
    return parser.parse_args()


def _open_map(path: str) -> Volume:
    if path.endswith(".npy"):
        return Volume(np.load(path), kind="boundary", name=path)
    return emseg.open_volume(path, kind="boundary")


def _methods(
    boundary: Volume, truth: Volume, kind: str, tune: range
) -> dict[str, Callable[[], tuple[Volume, dict[str, object]]]]:
    options = {"ground_truth_kind": kind, "sections": tune}

    def calibrated() -> tuple[Volume, dict[str, object]]:
        fitted = fit_calibration(boundary, truth, **options)
        numbers = [round(value, 4) for value in astuple(fitted)]
        return calibrate(boundary, fitted), {"calibration": numbers}

    def n4() -> tuple[Volume, dict[str, object]]:
        first, fitted = calibrated()
        return filter_median(first, 2), fitted

    def lines() -> tuple[Volume, dict[str, object]]:
        curve = tune_watershed_weight(boundary, truth, **options)
        errors = {
            "rand_error_alone": round(float(curve.rand_error[0]), 5),
            "rand_error_best": round(float(curve.rand_error.min()), 5),
        }
        mixed = add_watershed_lines(boundary, curve.best)
        return mixed, {"weight": curve.best, **errors}

    return {
        "none": lambda: (boundary, {}),
        "median 2 px (FusionNet)": lambda: (filter_median(boundary, 2), {}),
        "calibration": calibrated,
        "calibration, median 2 px (N4)": n4,
        "watershed lines (CUMedVision)": lines,
        "deepem3d paper": lambda: (deepem3d_map([boundary], preset="paper"), {}),
        "deepem3d released": lambda: (deepem3d_map([boundary], preset="released"), {}),
    }


def _score(
    boundary: Volume,
    truth: Volume,
    args: argparse.Namespace,
    sigma: float,
    tune: range,
    score: range,
) -> dict[str, object]:
    hierarchy = emseg.build_hierarchy(boundary, sigma_px=sigma, mode=args.mode)
    options = {"ground_truth_kind": args.kind}
    h, tuned = emseg.score_curve(hierarchy, truth, sections=tune, **options).best("v_rand")
    scores = emseg.score_curve(hierarchy, truth, sections=score, **options).at(h)
    return {"h": h, "tuned_v_rand": round(tuned, 4), **{k: round(scores[k], 4) for k in WANTED}}


if __name__ == "__main__":
    main()

"""``emseg tune BOUNDARY GROUND_TRUTH``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from napari_emseg.cli.arguments import (
    add_force,
    add_invert,
    add_params,
    notes_of,
    open_ground_truth,
    read_params,
)
from napari_emseg.cli.maps import add_affinities, open_map
from napari_emseg.progress import Progress
from napari_emseg.steps.evaluate import EvaluateParams, match_sections, notes_on_mode
from napari_emseg.steps.segment import SegmentParams, build

METRICS = ("v_rand", "v_info", "voi")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("boundary", help="Boundary map, 1 = membrane; or affinities")
    parser.add_argument("ground_truth", help="Labels, or an image of membranes")
    add_params(parser, SegmentParams, skip=("h", "min_size_voxels", "exact_borders"))
    add_params(parser, EvaluateParams, skip=("metrics",))
    add_invert(parser)
    add_affinities(parser)
    add_force(parser)
    parser.add_argument(
        "--metric", choices=METRICS, default="v_rand", help="Score to be best (default v_rand)"
    )


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Find the best h, or merge threshold where that counts."""
    segment = read_params(args, SegmentParams)
    evaluate = read_params(args, EvaluateParams)
    boundary = open_map(
        args.boundary, affinities=args.affinities, force=args.force, invert=args.invert
    )
    truth = open_ground_truth(args.ground_truth, evaluate.ground_truth_kind, force=args.force)
    boundary, truth = match_sections(boundary, truth, evaluate.sections, "boundary map")

    from napari_emseg.evaluation import score_curve

    hierarchy = build(boundary, params=segment, progress=progress)
    curve = score_curve(
        hierarchy,
        truth,
        ground_truth_kind=evaluate.ground_truth_kind,
        invert=evaluate.invert_ground_truth,
        progress=progress,
    )
    best_h, best_value = curve.best(args.metric)
    values = curve.values(args.metric)
    return {
        "metric": args.metric,
        "grouping": segment.grouping,
        "threshold": segment.threshold_name,
        "best_h": float(best_h),
        "best_value": float(best_value),
        "curve": {"h": curve.h.tolist(), "value": values.tolist()},
        "notes": [
            *notes_of(boundary),
            *curve.notes,
            *notes_on_mode(segment.mode, truth, evaluate.ground_truth_kind),
            f"For this score, segment with {_flags(segment, best_h, args.invert)}.",
        ],
    }


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    cut = _cut(report["threshold"], report["best_h"])
    return f"best {report['metric']} {report['best_value']:.4f} with {cut}"


def _cut(name: str, value: float) -> str:
    # Small segments counted in the curve.
    return f"--{name.replace('_', '-')} {value:.9g} --min-size-voxels 0"


def _flags(params: SegmentParams, h: float, invert: bool | None) -> str:
    """Write the flags of ``emseg segment`` that cut as the curve was made."""
    changed = params.model_dump(exclude_defaults=True, exclude={"h", "merge_threshold"})
    others = [f"--{name.replace('_', '-')} {value}" for name, value in changed.items()]
    if invert is not None:
        others.append("--invert" if invert else "--no-invert")
    return " ".join([*others, _cut(params.threshold_name, h)])

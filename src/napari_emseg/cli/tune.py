"""``emseg tune BOUNDARY GROUND_TRUTH``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from napari_emseg.cli.arguments import (
    add_force,
    add_invert,
    add_params,
    add_voxel_size,
    notes_of,
    open_ground_truth,
    read_params,
    voxel_size,
)
from napari_emseg.cli.maps import add_affinities, open_map
from napari_emseg.cli.unused import refuse_flags, refuse_inverting_ids, tell_unused
from napari_emseg.errors import InputError
from napari_emseg.progress import Progress
from napari_emseg.steps.autotune import AutotuneParams, autotune
from napari_emseg.steps.evaluate import EvaluateParams, match_sections, notes_on_mode
from napari_emseg.steps.params import parse_params
from napari_emseg.steps.segment import Grouping, SegmentParams, build
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.evaluation import ScoreCurve

METRICS = ("v_rand", "v_info", "voi")
_SEARCH_FLAGS = {"sigmas_px": "--search-sigma", "validation_share": "--keep-aside"}
# Tuning scores cuts as they are, for all thresholds at once.
_OF_THE_LABELS = (
    "min_size_voxels",
    "fill_holes",
    "min_sections",
    "short_segments",
    "exact_borders",
    "certain_boundary",
    "certain_map",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("boundary", help="Boundary map, 1 = membrane; or affinities")
    parser.add_argument("ground_truth", help="Labels, or an image of membranes")
    add_params(parser, SegmentParams, skip=_OF_THE_LABELS)
    add_params(parser, EvaluateParams, skip=("metrics",))
    add_invert(parser)
    add_affinities(parser)
    add_voxel_size(parser)
    add_force(parser)
    parser.add_argument(
        "--metric", choices=METRICS, default="v_rand", help="Score to be best (default v_rand)"
    )
    _add_search(parser)


def _add_search(parser: argparse.ArgumentParser) -> None:
    search = parser.add_argument_group("searching more than the threshold")
    search.add_argument(
        "--search-sigma",
        nargs="?",
        const="",
        metavar="A,B",
        help="Try these sigmas too (default 0.5,1,1.5,2,3 and half steps around the best)",
    )
    search.add_argument(
        "--search-grouping",
        nargs="?",
        const="",
        metavar="A,B",
        help="Try these groupings too (default all)",
    )
    search.add_argument(
        "--keep-aside",
        type=float,
        metavar="SHARE",
        help="Share of the sections, the last ones, that only score what the search found "
        "(default 0.33)",
    )


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Find the best h, or merge threshold where that counts; sigma and grouping if asked for."""
    segment = read_params(args, SegmentParams)
    evaluate = read_params(args, EvaluateParams)
    is_search = args.search_sigma is not None or args.search_grouping is not None
    _check_flags(args, segment, evaluate, is_search)
    boundary = open_map(
        args.boundary,
        affinities=args.affinities,
        force=args.force,
        invert=args.invert,
        voxel_size_nm=voxel_size(args),
    )
    truth = open_ground_truth(args.ground_truth, evaluate.ground_truth_kind, force=args.force)
    if is_search:
        return _search(boundary, truth, segment, evaluate, args, progress)
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
            f"For this score, segment with {_flags(segment, best_h, args)}.",
            *_notes_on_given(args, segment, curve),
            *tell_unused(args, segment, boundary),
        ],
    }


def _check_flags(
    args: argparse.Namespace, segment: SegmentParams, evaluate: EvaluateParams, is_search: bool
) -> None:
    """Refuse flags that would not count."""
    if segment.grouping == "linking" and segment.mode == "2d":
        raise InputError("--grouping linking joins sections, so tune it with --mode 3d.")
    if "h" in args and segment.grouping != "linking":
        raise InputError("h is what is tuned; give --h only with --grouping linking.")
    if not is_search:
        refuse_flags(args, ["keep_aside"], "is for --search-sigma or --search-grouping")
    refuse_inverting_ids(args, evaluate, evaluate.ground_truth_kind == "membranes")


def _notes_on_given(
    args: argparse.Namespace, params: SegmentParams, curve: ScoreCurve
) -> list[str]:
    """Say how the merge threshold scores that was given, if one was."""
    if "merge_threshold" not in args or params.threshold_name == "h":
        return []
    place = int(np.searchsorted(curve.h, curve.h.dtype.type(params.merge_threshold), "right")) - 1
    value = curve.values(args.metric)[place]
    return [f"With --merge-threshold {params.merge_threshold:g} {args.metric} is {value:.4f}."]


def _search(
    boundary: Volume,
    truth: Volume,
    segment: SegmentParams,
    evaluate: EvaluateParams,
    args: argparse.Namespace,
    progress: Progress,
) -> dict[str, Any]:
    """Search sigma and grouping with every threshold; score on sections kept aside."""
    wanted = _wanted(args, segment)
    found = autotune(
        boundary, truth, segment=segment, evaluate=evaluate, params=wanted, progress=progress
    )
    best = found.params
    return {
        "metric": found.metric,
        "grouping": best.grouping,
        "threshold": best.threshold_name,
        "best_h": best.threshold,
        "best_value": found.tuning_score,
        "validation_value": found.validation_score,
        "value_before": found.score_before,
        "tuning_sections": list(found.tuning),
        "validation_sections": list(found.validation),
        "parameters": best.model_dump(mode="json"),
        "trials": [
            {"parameters": trial.params.model_dump(mode="json"), "value": trial.score}
            for trial in found.trials
        ],
        "notes": [
            *notes_of(boundary),
            *notes_on_mode(segment.mode, truth, evaluate.ground_truth_kind),
            found.describe(),
            f"Segment with {_flags(best, best.threshold, args, best.min_size_voxels)}.",
            *([] if args.search_grouping is not None else tell_unused(args, segment, boundary)),
        ],
    }


def _wanted(args: argparse.Namespace, segment: SegmentParams) -> AutotuneParams:
    values: dict[str, Any] = {"metric": args.metric}
    if args.keep_aside is not None:
        values["validation_share"] = args.keep_aside
    if args.search_sigma:
        values["sigmas_px"] = args.search_sigma.split(",")
    elif args.search_sigma is None:
        values["sigmas_px"] = (segment.sigma_px,)
    if args.search_grouping is not None:
        given = tuple(name.strip() for name in args.search_grouping.split(",") if name.strip())
        values["groupings"] = given or get_args(Grouping)
    try:
        return parse_params(AutotuneParams, values)
    except InputError as error:
        name, _, rest = str(error).partition(" ")
        raise InputError(f"{_SEARCH_FLAGS.get(name, name)} {rest}") from None


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    if "parameters" in report:
        held = report["validation_value"]
        honest = "" if held is None else f", {held:.4f} on sections kept aside"
        return f"best {report['metric']} {report['best_value']:.4f}{honest}"
    cut = _cut(report["threshold"], report["best_h"])
    return f"best {report['metric']} {report['best_value']:.4f} with {cut}"


def _cut(name: str, value: float, min_size_voxels: int = 0) -> str:
    # Small segments counted in the curve.
    return f"--{name.replace('_', '-')} {value:.9g} --min-size-voxels {min_size_voxels}"


def _flags(
    params: SegmentParams, h: float, args: argparse.Namespace, min_size_voxels: int = 0
) -> str:
    """Write the flags of ``emseg segment`` that cut as the curve was made."""
    in_cut = {"merge_threshold", "min_size_voxels"}
    if params.threshold_name == "h" or params.grouping != "linking":
        in_cut.add("h")
    changed = params.model_dump(exclude_defaults=True, exclude=in_cut)
    others = [_flag(name, value) for name, value in changed.items()]
    for name in ("invert", "affinities"):
        chosen = getattr(args, name)
        if chosen is not None:
            others.append(f"--{name}" if chosen else f"--no-{name}")
    if args.voxel_size_nm is not None:
        others.append("--voxel-size-nm " + " ".join(f"{v:g}" for v in args.voxel_size_nm))
    return " ".join([*others, _cut(params.threshold_name, h, min_size_voxels)])


def _flag(name: str, value: Any) -> str:
    words = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{words}" if value else f"--no-{words}"
    return f"--{words} {value}"

"""``emseg postprocess MAP OUT``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from napari_emseg.cli.arguments import (
    add_force,
    add_invert,
    add_params,
    add_voxel_size,
    check_target,
    notes_of,
    open_ground_truth,
    open_input,
    read_params,
    voxel_size,
)
from napari_emseg.cli.unused import flag_of, refuse_flags
from napari_emseg.errors import InputError
from napari_emseg.progress import Progress
from napari_emseg.steps.evaluate import parse_sections
from napari_emseg.steps.params import parse_params
from napari_emseg.steps.postprocess import PostprocessParams
from napari_emseg.volume import Volume

_FITTED = ("calibration", "watershed_weight")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("boundary", help="Boundary map, 1 = membrane")
    parser.add_argument("out", help="Boundary map to write: .tif, .h5:/name or .zarr")
    add_params(parser, PostprocessParams)
    parser.add_argument(
        "--fit",
        nargs="+",
        choices=[name.replace("_", "-") for name in _FITTED],
        default=[],
        help="Fit these to ground truth first, on the map as given",
    )
    parser.add_argument("--ground-truth", metavar="FILE", help="What to fit to")
    parser.add_argument(
        "--ground-truth-kind",
        choices=("labels", "labels_2d", "membranes"),
        help="What the ground truth is (default labels)",
    )
    parser.add_argument("--sections", metavar="FIRST:STOP", help="Sections to fit on (default all)")
    add_voxel_size(parser)
    add_invert(parser)
    add_force(parser)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Post-process the map and write the result."""
    if bool(args.fit) != (args.ground_truth is not None):
        raise InputError("--fit and --ground-truth go together: what to fit, and to what.")
    if not args.fit:
        refuse_flags(args, ["sections", "ground_truth_kind"], "is for --fit")
    for name in args.fit:
        refuse_flags(args, [name.replace("-", "_")], f"is what --fit {name} finds; give one")
    params = read_params(args, PostprocessParams)
    check_target(args.out, "boundary", args.boundary)
    boundary = open_input(
        args.boundary,
        "boundary",
        force=args.force,
        invert=args.invert,
        voxel_size_nm=voxel_size(args),
    )
    params = _fit(args, boundary, params, progress)

    from napari_emseg.io import save_volume
    from napari_emseg.steps.postprocess import run as postprocess

    started = time.perf_counter()
    result = postprocess(boundary, params=params, progress=progress)
    seconds = time.perf_counter() - started
    save_volume(result, args.out, progress=progress)
    return {
        "sections": result.shape[0],
        "seconds": round(seconds, 3),
        **params.model_dump(),
        "mended": list(result.provenance.get("substituted") or ()),
        "output": args.out,
        "notes": [*notes_of(boundary, result), *_notes_on_unused(args, params)],
    }


def _fit(
    args: argparse.Namespace, boundary: Volume, params: PostprocessParams, progress: Progress
) -> PostprocessParams:
    """Return `params` with what was asked for fitted to the ground truth."""
    if not args.fit:
        return params
    from napari_emseg.postprocessing import fit_calibration, tune_watershed_weight

    kind: Any = args.ground_truth_kind or "labels"
    truth = open_ground_truth(args.ground_truth, kind, force=args.force)
    chosen = parse_sections(args.sections)
    sections = None if chosen is None else range(*chosen)
    fitted: dict[str, Any] = {}
    if "calibration" in args.fit:
        calibration = fit_calibration(
            boundary,
            truth,
            ground_truth_kind=kind,
            sections=sections,
            progress=progress,
        )
        fitted["calibration"] = astuple(calibration)
    if "watershed-weight" in args.fit:
        curve = tune_watershed_weight(
            boundary,
            truth,
            ground_truth_kind=kind,
            sections=sections,
            sigma_px=params.watershed_sigma_px,
            h=params.watershed_h,
            progress=progress,
        )
        fitted["watershed_weight"] = curve.best
    return parse_params(PostprocessParams, {**params.model_dump(), **fitted})


def _notes_on_unused(args: argparse.Namespace, params: PostprocessParams) -> list[str]:
    return [
        f"{flag_of(name)} does nothing without {flag_of(other)}, which is 0."
        for name, other in params.idle_fields.items()
        if name in args
    ]


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    numbers = report["calibration"]
    fitted = f"calibration {', '.join(f'{v:.4g}' for v in numbers)}; " if numbers else ""
    return f"{fitted}{report['sections']} sections: {report['output']}"

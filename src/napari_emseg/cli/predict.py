"""``emseg predict RAW OUT``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from napari_emseg.cli.arguments import (
    add_out,
    add_params,
    add_reading,
    check_target,
    notes_of,
    open_input,
    read_params,
    reading,
)
from napari_emseg.cli.models_given import (
    add_models,
    add_sections_table,
    read_sections_table,
    split_models,
)
from napari_emseg.progress import Progress
from napari_emseg.steps.predict import PredictParams
from napari_emseg.volume import Volume


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("raw", help="Grey-value stack")
    add_out(parser, "Boundary map")
    add_models(parser)
    add_params(parser, PredictParams, skip=("model", "others"))
    add_sections_table(parser)
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Go on with a .zarr that was begun with the same settings (default), or start anew",
    )
    add_reading(parser)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Predict a boundary map and write it."""
    split_models(args)
    read_sections_table(args)
    params = read_params(args, PredictParams)

    from napari_emseg.inference.streaming import is_unfinished
    from napari_emseg.networks.library import find_model
    from napari_emseg.steps.predict import check_models

    check_models(params)
    if not (_is_store(args.out) and is_unfinished(args.out)):
        check_target(args.out, find_model(params.model).target, args.raw)
    raw = open_input(args.raw, "raw", **reading(args))

    boundary = _predict(raw, args, params, progress)
    made = boundary.provenance["predict"]
    seconds = float(made["seconds"])
    return {
        "sections": raw.shape[0],
        "seconds": round(seconds, 3),
        "seconds_per_section": round(seconds / raw.shape[0], 3),
        "device": made["device"],
        "model": made["model"],
        "kind": boundary.kind,
        **{key: made[key] for key in ("combine", "axes", "substituted") if key in made},
        "voxel_size_nm": boundary.voxel_size_nm,
        "output": args.out,
        "notes": notes_of(raw, boundary),
    }


def _predict(
    raw: Volume, args: argparse.Namespace, params: PredictParams, progress: Progress
) -> Volume:
    """Predict to a file; a Zarr store takes each block as soon as it is there."""
    from napari_emseg.io import save_volume
    from napari_emseg.steps import predict

    if _is_store(args.out):
        return predict.stream(raw, args.out, params=params, resume=args.resume, progress=progress)
    boundary = predict.run(raw, params=params, progress=progress)
    save_volume(boundary, args.out, progress=progress)
    return boundary


def _is_store(out: str) -> bool:
    return out.rstrip("/").endswith(".zarr")


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    along = ", averaged over all three axes" if report.get("axes") == "zyx" else ""
    bad = ", ".join(entry.replace(":", " (") + ")" for entry in report.get("substituted", ()))
    substituted = f"\nBad sections, substituted: {bad}." if bad else ""
    return (
        f"{report['sections']} sections in {report['seconds']:.1f} s on {report['device']} "
        f"with {report['model']}{along}: {report['output']}{substituted}"
    )

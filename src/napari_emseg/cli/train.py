"""``emseg train RAW LABELS OUT`` and ``emseg train SET.yaml OUT``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emseg.cli.arguments import (
    add_force,
    add_params,
    add_voxel_size,
    notes_of,
    open_ground_truth,
    open_input,
    read_params,
    voxel_size,
)
from napari_emseg.cli.output import say
from napari_emseg.cli.progress import format_seconds
from napari_emseg.errors import InputError
from napari_emseg.io.atomic import check_file_place
from napari_emseg.progress import Cancelled, Progress
from napari_emseg.steps.params import parse_params
from napari_emseg.training import TrainParams

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo
    from napari_emseg.training import TrainingPair

_SUFFIX = ".safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.usage = "emseg train [options] (RAW LABELS | SET.yaml) OUT.safetensors"
    parser.add_argument(
        "data",
        nargs="+",
        metavar="RAW LABELS | SET.yaml",
        help="A stack and its labels (the last sections are kept for validation), or a YAML "
        "file listing several; the last name is the model to write",
    )
    parser.add_argument(
        "--labels-kind",
        choices=("labels", "membranes"),
        default="labels",
        help="labels: ids; membranes: an image of membranes (default labels)",
    )
    parser.add_argument("--resume", action="store_true", help="Go on where training stopped")
    parser.add_argument("--overwrite", action="store_true", help="Replace a model of that name")
    add_params(parser, TrainParams)
    add_voxel_size(parser)
    add_force(parser)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Train a network; a stop saves what there is."""
    *data, out = args.data
    is_set = len(data) == 1 and data[0].lower().endswith((".yaml", ".yml"))
    if not (is_set or len(data) == 2) or not out.endswith(_SUFFIX):
        raise InputError(f"Write emseg train RAW LABELS OUT{_SUFFIX}, or SET.yaml OUT{_SUFFIX}.")
    check_file_place(out)
    params, pairs, info = _open_set(data[0], args) if is_set else _open_pair(data, args)

    _check_free(out, args)

    from napari_emseg.training import train
    from napari_emseg.training.dataset import check_ids, notes_on_pair

    for pair in pairs:
        check_ids(pair)
        for note in notes_on_pair(pair):  # now, because training may take hours
            say(f"note: {note}")

    try:
        result = train(pairs, out, params=params, info=info, progress=progress, resume=args.resume)
    except (Cancelled, KeyboardInterrupt):
        say(f"note: what was learned is saved; go on with --resume ({out})")
        raise
    return {
        "output": str(result.model_path),
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
        "best_step": result.best_step,
        "scores": result.scores,
        "waited_share": round(result.waited_share, 4),
        "notes": notes_of(*(pair.raw for pair in pairs)),
    }


def _check_free(out: str, args: argparse.Namespace) -> None:
    """Refuse to replace what hours of training may have made."""
    path = Path(out)
    if path.is_file() and path.stat().st_size and not (args.resume or args.overwrite):
        raise InputError(
            f"{out} exists: choose another name, go on training it with --resume, or replace it "
            "with --overwrite."
        )


def _open_pair(
    data: list[str], args: argparse.Namespace
) -> tuple[TrainParams, list[TrainingPair], ModelInfo | None]:
    params = read_params(args, TrainParams)
    raw = open_input(data[0], "raw", force=args.force, voxel_size_nm=voxel_size(args))
    labels = open_ground_truth(data[1], args.labels_kind, force=args.force)

    from napari_emseg.training import hold_out

    name = raw.name or Path(data[0]).stem
    return params, [hold_out(raw, labels, labels_kind=args.labels_kind, name=name)], None


def _open_set(
    path: str, args: argparse.Namespace
) -> tuple[TrainParams, list[TrainingPair], ModelInfo | None]:
    if args.voxel_size_nm is not None or args.labels_kind != "labels":
        raise InputError(
            f"Each data set of {path} has its own voxel_size_nm and labels_kind: write them there, "
            "not on the command line."
        )

    from napari_emseg.networks.info import ModelInfo
    from napari_emseg.training import load_training_set
    from napari_emseg.training.dataset import read_training_set
    from napari_emseg.training.description import describe_model

    content = read_training_set(path)
    given = {name: value for name, value in vars(args).items() if name in TrainParams.model_fields}
    params = parse_params(TrainParams, {**content.params, **given})
    pairs = load_training_set(path)
    described = describe_model(pairs, params.network).model_dump()
    return params, pairs, parse_params(ModelInfo, {**described, **content.model})


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    lines = [
        f"{report['output']}: {report['steps']} steps, {format_seconds(report['seconds'])}, "
        f"{report['waited_share']:.1%} of it waiting for data"
    ]
    for name, scores in report["scores"].items():
        values = ", ".join(f"{key} {value:.4f}" for key, value in scores.items())
        lines.append(f"{name}: {values} (step {report['best_step']})")
    return "\n".join(lines)

"""``emseg stack RAW LABELS OUT``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any

from napari_emseg.cli.arguments import (
    add_params,
    add_reading,
    open_ground_truth,
    open_input,
    read_params,
    reading,
)
from napari_emseg.cli.models_given import add_models, split_models
from napari_emseg.errors import InputError
from napari_emseg.progress import Progress
from napari_emseg.steps.predict import PredictParams

_SKIPPED = ("model", "others", "combine", "stacker", "axes", "bad_sections", "substitute")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("raw", help="Grey-value stack")
    parser.add_argument("labels", help="Ground truth of its first sections, or of all")
    parser.add_argument("out", help="Stacker to write: .safetensors")
    add_models(parser, required=True)
    parser.add_argument(
        "--ground-truth-kind",
        choices=("labels", "labels_2d", "membranes"),
        default="labels",
        help="labels: ids; membranes: an image of membranes (default labels)",
    )
    parser.add_argument(
        "--sections", metavar="FIRST:STOP", help="Labelled sections to learn from (default all)"
    )
    add_params(parser, PredictParams, skip=_SKIPPED)
    add_reading(parser)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Learn how much each of several models counts."""
    from napari_emseg.io.atomic import check_file_place

    split_models(args)
    params = read_params(args, PredictParams)
    if len(params.models) < 2:
        raise InputError("A stacker combines two or more models: give --model several times.")
    if not args.out.endswith(".safetensors"):
        raise InputError(f"A stacker is a .safetensors file; call {args.out} so.")
    check_file_place(args.out)
    if any(os.path.realpath(args.out) == os.path.realpath(name) for name in params.models):
        raise InputError(f"{args.out} is one of the models and would be replaced; rename it.")
    raw = open_input(args.raw, "raw", **reading(args))
    truth = open_ground_truth(args.labels, args.ground_truth_kind, force=args.force)

    from napari_emseg.inference.stacker import save_stacker
    from napari_emseg.steps.stack import learn_stacker

    stacker, losses = learn_stacker(
        raw,
        truth,
        params=params,
        ground_truth_kind=args.ground_truth_kind,
        sections=_sections(args.sections, min(raw.shape[0], truth.shape[0])),
        progress=progress,
    )
    save_stacker(stacker, args.out)
    return {
        "models": [name for name, _ in stacker.models],
        "weights": list(stacker.weights),
        "bias": stacker.bias,
        "cross_entropy": losses,
        "output": args.out,
    }


def _sections(text: str | None, depth: int) -> range:
    if text is None:
        return range(depth)
    first, _, stop = text.partition(":")
    if not (first.isdigit() and stop.isdigit() and int(first) < int(stop)):
        raise InputError(f"--sections must have the form FIRST:STOP, such as 0:10, not '{text}'.")
    return range(int(first), int(stop))


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    lines = [f"Stacker of {len(report['models'])} models: {report['output']}"]
    for name, weight in zip(report["models"], report["weights"], strict=True):
        lines.append(f"    {name}: weight {weight:.3f}")
    losses = report["cross_entropy"]
    lines.append(
        f"    cross-entropy {losses['learned']:.4f}, of the mean {losses['mean']:.4f}, "
        f"of the maximum {losses['max']:.4f} (on the sections it learned from)"
    )
    return "\n".join(lines)

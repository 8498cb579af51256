"""``emseg evaluate SEGMENTATION GROUND_TRUTH``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from napari_emseg.cli.arguments import (
    add_force,
    add_params,
    open_ground_truth,
    open_input,
    read_params,
)
from napari_emseg.cli.output import say, table
from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write, check_file_place
from napari_emseg.progress import Progress
from napari_emseg.steps.evaluate import EvaluateParams, notes_on_mode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("segmentation", help="Labels to judge")
    parser.add_argument("ground_truth", help="Labels, or an image of membranes")
    add_params(parser, EvaluateParams)
    add_force(parser)
    parser.add_argument("--csv", metavar="FILE", help="Also write the scores to this table")


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Score labels."""
    params = read_params(args, EvaluateParams)
    if "metrics" in args and not params.metrics:
        raise InputError("--metrics needs names, such as --metrics v_rand,v_info.")
    if args.csv:
        check_file_place(args.csv)
    labels = open_input(args.segmentation, "labels", force=args.force)
    truth = open_ground_truth(args.ground_truth, params.ground_truth_kind, force=args.force)

    from napari_emseg.steps.evaluate import run as evaluate

    scores = evaluate(labels, truth, params=params, progress=progress)
    mode = str(labels.provenance.get("mode", ""))
    for note in notes_on_mode(mode, truth, params.ground_truth_kind):
        say(f"note: {note}")
    if args.csv:
        with atomic_write(args.csv) as temporary:
            temporary.write_text(scores_csv(scores))
    return dict(scores)


def scores_csv(scores: Mapping[str, float]) -> str:
    """Return scores as a table of two columns."""
    return "score,value\n" + "".join(f"{k},{v!r}\n" for k, v in scores.items())


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    return table(list(report.items()))

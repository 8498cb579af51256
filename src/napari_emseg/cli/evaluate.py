"""``emseg evaluate SEGMENTATION GROUND_TRUTH``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_emseg.cli.arguments import (
    add_force,
    add_invert,
    add_params,
    add_voxel_size,
    notes_of,
    open_ground_truth,
    open_input,
    read_params,
    voxel_size,
)
from napari_emseg.cli.output import say, table
from napari_emseg.cli.unused import refuse_flags, refuse_inverting_ids
from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write, check_place
from napari_emseg.progress import Progress
from napari_emseg.steps.evaluate import EvaluateParams, ProtocolParams, notes_on_mode
from napari_emseg.volume import Volume

EPILOG = """\
Scores (keys of --json), by default those up to dice; 1 is perfect for the first six, 0 for
the others:
  v_rand, v_rand_split, v_rand_merge     foreground-restricted Rand F-score and its parts
  v_info, v_info_split, v_info_merge     the same from information theory
  rand_error, adapted_rand_error         1 - F-score over pairs of voxels; 1 - v_rand
  voi_split, voi_merge, cremi_score      variation of information in bits; CREMI's score
  pixel_error, dice                      of boundary voxels; of the foregrounds (1 is perfect)
  warping_error                          share of pixels wrong in topology, the sum of
  warping_{split,merge,hole,object}_error    its four parts
  expected_run_length_nm, _share         traced before an error; of the possible (1 is perfect)

Protocols:
  isbi     v_rand, v_info with _split, _merge and _threshold; rand_error, pixel_error,
           pixel_error_mse, warping_error with _threshold; warping_splits, warping_mergers.
           The first file is a boundary map.
  snemi3d  adapted_rand_error, rand_precision, rand_recall
  cremi    cremi_score, voi_split, voi_merge and those of snemi3d
"""

_OF_PROTOCOLS = {"border_nm": ("cremi",), "as_published": ("snemi3d", "cremi")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("segmentation", help="Labels to judge; for isbi a boundary map")
    parser.add_argument("ground_truth", help="Labels, or an image of membranes")
    add_params(parser, EvaluateParams)
    field = ProtocolParams.model_fields["name"]
    parser.add_argument(
        "--protocol",
        choices=("isbi", "snemi3d", "cremi"),
        default=argparse.SUPPRESS,
        help=field.description,
    )
    add_params(parser, ProtocolParams, skip=("name",))
    add_voxel_size(parser)
    add_invert(parser)
    add_force(parser)
    parser.add_argument("--csv", metavar="FILE", help="Also write the scores to this table")


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Score labels."""
    params = _read_params(args)
    if args.csv:
        check_place(args.csv)
    volume, truth = _open(args, params)

    from napari_emseg.steps.evaluate import run as evaluate

    scores = evaluate(volume, truth, params=params, progress=progress)
    mode = str(volume.provenance.get("mode", ""))
    for note in [*notes_of(volume), *notes_on_mode(mode, truth, params.ground_truth_kind)]:
        say(f"note: {note}")
    if args.csv:
        with atomic_write(args.csv) as temporary:
            temporary.write_text(scores_csv(scores))
    return dict(scores)


def _read_params(args: argparse.Namespace) -> EvaluateParams:
    params = read_params(args, EvaluateParams)
    if "metrics" in args and not params.metrics:
        raise InputError("--metrics needs names, such as --metrics v_rand,v_info.")
    if params.protocol is None:
        refuse_flags(args, _OF_PROTOCOLS, "is for a --protocol")
        refuse_inverting_ids(args, params, params.ground_truth_kind == "membranes")
        return params
    if params.metrics is not None:
        raise InputError("Give either --metrics or a --protocol, which has its own scores.")
    protocol = _read_protocol(args, params.protocol.name)
    is_drawing = protocol.name == "isbi"
    refuse_inverting_ids(args, params, is_drawing)
    kind: Any = "membranes" if is_drawing else "labels"
    if "ground_truth_kind" in args and params.ground_truth_kind != kind:
        raise InputError(
            f"--protocol {protocol.name} takes {kind} as ground truth, not "
            f"{params.ground_truth_kind}; leave --ground-truth-kind out."
        )
    return params.model_copy(update={"protocol": protocol, "ground_truth_kind": kind})


def _read_protocol(args: argparse.Namespace, name: str) -> ProtocolParams:
    """Return the protocol with its flags; those of other protocols are refused."""
    for option, protocols in _OF_PROTOCOLS.items():
        if name not in protocols:
            refuse_flags(args, [option], f"is for --protocol {' or '.join(protocols)}, not {name}")
    given = {option: getattr(args, option) for option in _OF_PROTOCOLS if option in args}
    return read_params(argparse.Namespace(name=name, **given), ProtocolParams)


def _open(args: argparse.Namespace, params: EvaluateParams) -> tuple[Volume, Volume]:
    is_map = params.protocol is not None and params.protocol.name == "isbi"
    if is_map:
        volume = open_input(args.segmentation, "boundary", force=args.force, invert=args.invert)
    elif args.invert is not None:
        raise InputError("--invert is for a boundary map, which only --protocol isbi scores.")
    else:
        volume = open_input(args.segmentation, "labels", force=args.force)
    truth = open_ground_truth(args.ground_truth, params.ground_truth_kind, force=args.force)
    if (size := voxel_size(args)) is not None:
        volume, truth = replace(volume, voxel_size_nm=size), replace(truth, voxel_size_nm=size)
    return volume, truth


def scores_csv(scores: Mapping[str, float]) -> str:
    """Return scores as a table of two columns."""
    return "score,value\n" + "".join(f"{k},{v!r}\n" for k, v in scores.items())


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    return table(list(report.items()))

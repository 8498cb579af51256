"""``emseg submit RESULT OUT --challenge NAME``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from napari_emseg.cli.arguments import (
    add_force,
    add_invert,
    add_voxel_size,
    notes_of,
    open_input,
    voxel_size,
)
from napari_emseg.cli.unused import refuse_flags
from napari_emseg.errors import InputError
from napari_emseg.io.submissions import CHALLENGES
from napari_emseg.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("result", help="Labels; for isbi2012 labels or a boundary map")
    parser.add_argument("out", help="File to write: .tif, for cremi .hdf")
    parser.add_argument("--challenge", choices=tuple(CHALLENGES), required=True, help="Which one")
    parser.add_argument(
        "--kind",
        choices=("labels", "boundary"),
        help="What the result is (default: recognised)",
    )
    add_voxel_size(parser)
    add_invert(parser)
    add_force(parser)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Write the file that a challenge wants."""
    from napari_emseg.io import open_volume
    from napari_emseg.io.submissions import check_submission, get_challenge, write_submission

    check_submission(args.out, args.challenge)
    kinds = get_challenge(args.challenge).kinds
    kind = args.kind or open_volume(args.result).kind
    # Few labels look like grey values; opened as labels they are looked at more closely.
    kind = "labels" if kind in ("raw", "fragments") and not args.kind else kind
    if kind not in kinds:
        raise InputError(
            f"{args.result} looks like {kind}, but {args.challenge} takes {' or '.join(kinds)}; "
            "--kind says what it is."
        )
    if kind != "boundary":
        refuse_flags(args, ["invert"], f"is for a boundary map; {args.result} is {kind}")
    volume = open_input(
        args.result,
        kind,
        force=args.force,
        voxel_size_nm=voxel_size(args),
        invert=args.invert,
    )
    written = write_submission(volume, args.out, challenge=args.challenge, progress=progress)
    return {
        "challenge": args.challenge,
        "kind": kind,
        "sections": volume.shape[0],
        "output": str(written),
        "notes": notes_of(volume),
    }


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    return f"{report['sections']} sections for {report['challenge']}: {report['output']}"

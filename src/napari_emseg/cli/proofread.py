"""``emseg proofread replay|carry|join LOG SEGMENTATION OUT``."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_emseg.cli.arguments import (
    add_force,
    add_voxel_size,
    check_target,
    notes_of,
    open_input,
    voxel_size,
)
from napari_emseg.errors import InputError
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari_emseg.proofreading import Carried
    from napari_emseg.segmentation import Segmentation
    from napari_emseg.volume import Volume

EPILOG = """\
  replay   make the edits of LOG again on the segmentation they were made on: the same bits
  carry    make them on another segmentation of the same tissue, where their positions fit
  join     make those of LOG and of --other together: two people on the same segmentation

carry and join list every edit that could not be made, with the reason.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("action", choices=("replay", "carry", "join"), help="What to do, see below")
    parser.add_argument("log", help="Log of a proofreading: .jsonl")
    parser.add_argument("segmentation", help="Labels, or a session (.emseg) with fragments")
    parser.add_argument("out", help="Labels to write: .tif, .h5:/name or .zarr")
    parser.add_argument("--other", metavar="LOG", help="join: the log of the other person")
    parser.add_argument("--boundary", metavar="MAP", help="carry: boundary map for the splits")
    parser.add_argument("--new-log", metavar="FILE", help="carry, join: log of the edits made")
    add_voxel_size(parser)
    add_force(parser)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Make the edits of a log again and write the labels."""
    _check_flags(args)
    check_target(args.out, "labels", args.segmentation, args.log)

    from napari_emseg.io import save_volume
    from napari_emseg.proofreading import Proofreader

    segmentation, boundary = _open(args)
    started = time.perf_counter()
    report: dict[str, Any] = {}
    if args.action == "replay":
        editor = Proofreader.replay(args.log, segmentation, progress=progress)
        report["edits"] = editor.position
    else:
        carried = _carry(args, segmentation, boundary, progress)
        editor = carried.editor
        report |= _report(carried)
    labels = editor.segmentation.to_volume(progress=progress)
    save_volume(labels, args.out, progress=progress)
    return {
        **report,
        "segments": sum(1 for _ in editor.state.members),
        "seconds": round(time.perf_counter() - started, 3),
        "output": args.out,
        "notes": notes_of(labels),
    }


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    lines = [f"{report['edits']} edits, {report['segments']} segments: {report['output']}"]
    if "needless" in report:
        lines.append(f"{report['needless']} more were so already.")
        lines += [
            f"not made: edit {lost['n']} of {lost['who'] or 'somebody'}, {lost['words']} "
            f"{lost['reason']}"
            for lost in report["not_carried"]
        ]
    return "\n".join(lines)


def _check_flags(args: argparse.Namespace) -> None:
    if args.action == "join" and args.other is None:
        raise InputError("join needs --other, the log of the other person.")
    for flag, actions in {
        "other": ("join",),
        "boundary": ("carry",),
        "new_log": ("carry", "join"),
    }.items():
        if getattr(args, flag) is not None and args.action not in actions:
            raise InputError(
                f"--{flag.replace('_', '-')} is for {' and '.join(actions)}, not {args.action}."
            )
    if args.new_log is not None and os.path.exists(args.new_log):
        raise InputError(f"{args.new_log} exists already; choose a new name for the log.")


def _carry(
    args: argparse.Namespace,
    segmentation: Segmentation | Volume,
    boundary: Volume | None,
    progress: Progress,
) -> Carried:
    from napari_emseg.proofreading import carry_over, join_logs

    options: dict[str, Any] = {"new_log": args.new_log, "progress": progress}
    if args.action == "join":
        return join_logs(args.log, args.other, segmentation, **options)
    return carry_over(args.log, segmentation, boundary=boundary, **options)


def _report(carried: Carried) -> dict[str, Any]:
    return {
        "edits": carried.n_carried,
        "needless": carried.n_needless,
        "not_carried": [
            {"n": lost.n, "who": lost.who, "words": lost.words, "reason": lost.reason}
            for lost in carried.not_carried
        ],
    }


def _open(args: argparse.Namespace) -> tuple[Segmentation | Volume, Volume | None]:
    boundary = None
    if args.boundary is not None:
        boundary = open_input(args.boundary, "boundary", force=args.force)
    if not args.segmentation.endswith(".emseg"):
        size = voxel_size(args)
        labels = open_input(args.segmentation, "labels", force=args.force, voxel_size_nm=size)
        return labels, boundary

    from napari_emseg.segmentation import Segmentation
    from napari_emseg.session.file import load_session

    saved = load_session(args.segmentation)
    fragments = saved.fragments
    if fragments is None and saved.hierarchy is not None:
        fragments = saved.hierarchy.fragments
    if fragments is not None and saved.segment_of is not None:
        return Segmentation(fragments, saved.segment_of), boundary or saved.boundary
    if saved.labels is not None:
        return saved.labels, boundary or saved.boundary
    raise InputError(f"{args.segmentation} holds no segmentation: segment its map first.")

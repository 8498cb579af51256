"""``emseg sections RAW``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from napari_emseg.cli.arguments import add_reading, notes_of, open_input, reading
from napari_emseg.errors import InputError
from napari_emseg.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("raw", help="Grey-value stack")
    parser.add_argument(
        "--out", metavar="CSV", help="Table to write, to be edited and given to 'emseg predict'"
    )
    parser.add_argument(
        "--sensitivity",
        type=float,
        default=1.0,
        metavar="X",
        help="2 finds what is half as far off its neighbours (default 1)",
    )
    add_reading(parser)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Look for bad sections."""
    from napari_emseg.io.atomic import check_file_place
    from napari_emseg.postprocessing.bad_sections import N_MAD, find_bad_sections
    from napari_emseg.postprocessing.section_table import write_table

    if not 0.1 <= args.sensitivity <= 10:
        raise InputError(f"--sensitivity must be from 0.1 to 10, not {args.sensitivity:g}.")
    if args.out:
        check_file_place(args.out)
    raw = open_input(args.raw, "raw", **reading(args))
    found = find_bad_sections(raw, n_mad=N_MAD / args.sensitivity, progress=progress)
    if args.out:
        write_table(found, args.out)
    return {
        "sections": raw.shape[0],
        "bad": [asdict(bad) for bad in found],
        "output": args.out,
        "notes": notes_of(raw),
    }


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    n_bad = len(report["bad"])
    lines = [
        f"{n_bad or 'no'} of {report['sections']} sections {'is' if n_bad == 1 else 'are'} bad"
    ]
    for bad in report["bad"]:
        use = "" if bad["use"] else " (listed only)"
        lines.append(f"{bad['z']:>6}  {bad['fault']:<11} {bad['what']}{use}")
    if report["output"]:
        lines.append(f"Table: {report['output']}")
    return "\n".join(lines)

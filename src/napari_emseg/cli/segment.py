"""``emseg segment BOUNDARY OUT``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from napari_emseg.cli.arguments import (
    add_out,
    add_params,
    add_reading,
    check_target,
    notes_of,
    read_params,
    reading,
)
from napari_emseg.cli.maps import add_affinities, open_map
from napari_emseg.cli.unused import tell_unused
from napari_emseg.progress import Progress
from napari_emseg.steps.segment import SegmentParams


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("boundary", help="Boundary map, 1 = membrane; or affinities")
    add_out(parser, "Labels")
    add_params(parser, SegmentParams)
    add_affinities(parser)
    add_reading(parser, invert=True)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Segment a boundary map and write the labels."""
    params = read_params(args, SegmentParams)
    check_target(args.out, "labels", args.boundary)
    boundary = open_map(args.boundary, affinities=args.affinities, **reading(args))

    from napari_emseg.io import save_volume
    from napari_emseg.steps.segment import build, check_certain_map, write

    check_certain_map(boundary, params)
    started = time.perf_counter()
    hierarchy = build(boundary, params=params, progress=progress)
    labels = write(hierarchy, boundary, params=params, progress=progress)
    seconds = time.perf_counter() - started
    save_volume(labels, args.out, progress=progress)
    cleaned = labels.provenance.get("cleanup")
    cut = hierarchy.cut(params.threshold, params.min_size_voxels)
    return {
        "segments": int(cleaned["segments"] if cleaned else cut.n_segments),
        "fragments": int(hierarchy.n_fragments),
        "sections": labels.shape[0],
        "seconds": round(seconds, 3),
        **params.model_dump(),
        "output": args.out,
        "notes": [*notes_of(boundary, labels), *tell_unused(args, params, boundary)],
    }


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    return (
        f"{report['segments']} segments in {report['sections']} sections "
        f"({report['seconds']:.1f} s): {report['output']}"
    )

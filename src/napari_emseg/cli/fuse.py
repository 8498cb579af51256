"""``emseg fuse A B [C ...] OUT``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from napari_emseg.cli.arguments import (
    add_force,
    add_invert,
    add_params,
    add_voxel_size,
    check_target,
    notes_of,
    open_input,
    read_params,
    voxel_size,
)
from napari_emseg.errors import InputError
from napari_emseg.progress import Progress
from napari_emseg.steps.fuse import FuseParams


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("maps", nargs="+", metavar="MAP", help="Boundary maps of the same stack")
    parser.add_argument("out", help="Boundary map to write: .tif, .h5:/name or .zarr")
    add_params(parser, FuseParams, skip=("others",))
    add_voxel_size(parser)
    add_invert(parser)
    add_force(parser)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Fuse the maps and write the result."""
    if len(args.maps) < 2:
        raise InputError("Name two or more maps to fuse, then the file to write.")
    args.others = tuple(args.maps[1:])
    params = read_params(args, FuseParams)
    check_target(args.out, "boundary", *args.maps)
    maps = [
        open_input(
            path,
            "boundary",
            force=args.force,
            invert=args.invert,
            voxel_size_nm=voxel_size(args),
        )
        for path in args.maps
    ]

    from napari_emseg.io import save_volume
    from napari_emseg.steps.fuse import fuse

    started = time.perf_counter()
    fused = fuse(maps, params=params, progress=progress)
    seconds = time.perf_counter() - started
    save_volume(fused, args.out, progress=progress)
    return {
        "sections": fused.shape[0],
        "maps": list(args.maps),
        "seconds": round(seconds, 3),
        **params.model_dump(exclude={"others"}),
        "output": args.out,
        "notes": notes_of(*maps, fused),
    }


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    return (
        f"{len(report['maps'])} maps fused ({report['how']}), {report['sections']} sections: "
        f"{report['output']}"
    )

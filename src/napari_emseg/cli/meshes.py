"""``emseg meshes LABELS OUT``."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emseg.cli.arguments import add_reading, notes_of, open_input, reading
from napari_emseg.errors import InputError
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari_emseg.morphometry import Shapes

_IN_MEMORY_BYTES = 2**31  # chunks of a file would be unpacked once for each tile they hold
FORMATS = ("obj", "ply", "glb", "precomputed", "swc")
EPILOG = """\
OUT ending in .obj, .ply or .glb is one file with all surfaces, ending in .swc one with the
skeleton of one segment; else a new folder with a file for each segment, of --format.
precomputed is what Neuroglancer reads: surfaces, or with --skeletons skeletons.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("labels", help="Labels")
    parser.add_argument("out", help="File or new folder to write, see below")
    parser.add_argument(
        "--ids", nargs="+", type=int, metavar="ID", help="Segments (default: see --largest)"
    )
    parser.add_argument(
        "--largest", type=int, default=100, metavar="N", help="The N largest (default 100)"
    )
    parser.add_argument("--format", choices=FORMATS, help="Of the files in a folder")
    parser.add_argument("--skeletons", action="store_true", help="Centre lines instead of surfaces")
    parser.add_argument(
        "--most-faces",
        type=int,
        metavar="N",
        help="Simplify each surface to about so many triangles (default: all there are)",
    )
    add_reading(parser)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Write surfaces or skeletons of segments."""
    wants_skeletons = args.skeletons or "swc" in (args.format, _suffix(args.out))
    _check(args, wants_skeletons)
    labels = open_input(args.labels, "labels", **reading(args))

    from napari_emseg.morphometry import find_shapes, save_meshes, save_skeletons

    if labels.voxel_size_nm is None:
        raise InputError(f"The voxel size of {args.labels} is not known: give --voxel-size-nm.")
    started = time.perf_counter()
    if labels.dtype.itemsize * math.prod(labels.shape) <= _IN_MEMORY_BYTES:
        labels = labels.derive(labels.read(), kind="labels")
    shapes = find_shapes(labels, progress=progress)
    ids = _ids(args, shapes)
    if wants_skeletons:
        made = _each(shapes, ids, "skeleton", {}, progress)
        n_written = save_skeletons(made, args.out, format=args.format or "swc")
    else:
        options = {"most_faces": args.most_faces}
        made = _each(shapes, ids, "surface", options, progress)
        n_written = save_meshes(made, args.out, format=args.format)
    return {
        "segments": n_written,
        "what": "skeletons" if wants_skeletons else "surfaces",
        "seconds": round(time.perf_counter() - started, 3),
        "output": args.out,
        "notes": notes_of(labels),
    }


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    return (
        f"{report['what']} of {report['segments']} segments ({report['seconds']:.1f} s): "
        f"{report['output']}"
    )


def _check(args: argparse.Namespace, wants_skeletons: bool) -> None:
    from napari_emseg.morphometry.mesh_files import check_mesh_target
    from napari_emseg.morphometry.skeleton_files import check_skeleton_target

    if args.largest < 1 or (args.most_faces is not None and args.most_faces < 4):
        raise InputError("--largest must be at least 1 and --most-faces at least 4.")
    if not wants_skeletons:
        check_mesh_target(args.out, args.format)
        return
    if _suffix(args.out) in FORMATS[:3] or args.format in FORMATS[:3]:
        raise InputError("Skeletons are written as .swc, or into a folder as swc or precomputed.")
    check_skeleton_target(args.out, args.format or "swc")


def _ids(args: argparse.Namespace, shapes: Shapes) -> Sequence[int]:
    if args.ids is None:
        return shapes.ids[: args.largest]
    absent = [i for i in args.ids if not len(shapes.tiles_of(i))]
    if absent:
        raise InputError(f"{args.labels} has no segment {absent[0]}; choose other --ids.")
    return list(dict.fromkeys(args.ids))


def _each(
    shapes: Shapes, ids: Sequence[int], what: str, options: dict[str, Any], progress: Progress
) -> Iterator[tuple[int, Any]]:
    for k, segment in enumerate(ids):
        progress.update(k, len(ids), f"Writing {what}s")
        yield segment, getattr(shapes, what)(segment, **options)
    progress.update(len(ids), len(ids), f"Writing {what}s")


def _suffix(path: str) -> str:
    return Path(path).suffix.lower().removeprefix(".")

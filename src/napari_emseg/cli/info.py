"""``emseg info FILE``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from napari_emseg.cli.output import table
from napari_emseg.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file", help="TIFF, folder of sections, file.h5:/dataset or .zarr")


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Describe a file without reading its voxels."""
    from napari_emseg.io import describe

    return dict(describe(args.file))


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    return table([(k.replace("_", " "), v) for k, v in report.items() if k != "notes"])

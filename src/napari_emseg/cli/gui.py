"""``emseg gui [FILES ...]``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from napari_emseg.cli.doctor import has_screen
from napari_emseg.errors import InputError
from napari_emseg.io.location import check_exists, split_location
from napari_emseg.progress import Progress
from napari_emseg.registry import resolve

_WINDOWS = {"gui": "napari_emseg.gui:launch"}  # by name: the arrows point down only


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="Stacks or sessions to open")


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Open napari with the workspace; returns when the window is closed."""
    for path in args.files:
        check_exists(split_location(path)[0])
    if not has_screen():
        raise InputError("There is no screen here; on a server use xvfb-run or a remote desktop.")
    resolve(_WINDOWS, "gui", "window")(args.files)
    return {"files": args.files}


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text: nothing."""
    return ""

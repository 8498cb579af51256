"""``emseg models import`` and ``emseg models export``: models that travel."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_emseg.errors import InputError
from napari_emseg.progress import Progress

ACTIONS = ("list", "import", "export")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=ACTIONS,
        default="list",
        metavar="ACTION",
        help="list (default); import FILE|ID: add a model file, a BioImage.IO package, or a model "
        "of that collection by its id or address; export NAME OUT: write .zip, a BioImage.IO "
        "package, or .safetensors",
    )
    parser.add_argument("what", nargs="*", metavar="...", help="What is imported or exported")
    parser.add_argument("--name", help="Name under which an imported model is kept")
    parser.add_argument(
        "--raw", help="Raw stack whose middle is the example of an exported package"
    )
    parser.add_argument(
        "--author", action="append", default=[], help="Who made it; may be given several times"
    )


def import_model(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Add a model to the user's own."""
    (source,) = _given(args.what, "import FILE|ID", 1)
    from napari_emseg.inference.bioimageio.fetch import fetch_package, is_address
    from napari_emseg.inference.bioimageio.own import adopt

    if os.path.exists(source) or not is_address(source):
        info, example = adopt(source, args.name, progress=progress)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = fetch_package(source, folder, progress)
            info, example = adopt(path, args.name, progress=progress)
    return {"imported": info.model_dump(mode="json"), "example_largest_difference": example}


def export_model(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Write a model to a file."""
    name, out = _given(args.what, "export NAME OUT", 2)
    suffix = Path(out).suffix.lower()
    if suffix == ".zip":
        return {"exported": name, "output": str(_export_package(name, out, args, progress))}
    if suffix != ".safetensors":
        raise InputError(f"Cannot write {out}: its name must end in .zip or .safetensors.")
    from napari_emseg.networks.upkeep import export_model as copy_model

    return {"exported": name, "output": str(copy_model(name, out, overwrite=True))}


def _export_package(name: str, out: str, args: argparse.Namespace, progress: Progress) -> Path:
    from napari_emseg.inference.bioimageio import export_package

    raw = None
    if args.raw is not None:
        from napari_emseg.cli.arguments import open_input

        raw = open_input(args.raw, "raw", force=False)
    return export_package(name, out, test_raw=raw, authors=args.author, progress=progress)


def _given(what: Sequence[str], usage: str, count: int) -> Sequence[str]:
    if len(what) != count:
        raise InputError(f"Write 'emseg models {usage}'; see 'emseg models --help'.")
    return what


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    if "exported" in report:
        return f"{report['exported']} written to {report['output']}"
    info, apart = report["imported"], report["example_largest_difference"]
    text = f"{info['name']} added: {info['title'] or info['name']}"
    if apart is not None:
        text += f"\n    gives what its package promises (largest difference {apart:.2g})"
    return text

"""``emseg models``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from napari_emseg.cli import exchange
from napari_emseg.errors import InputError
from napari_emseg.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    exchange.add_arguments(parser)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """List the trained networks, or bring one in or out."""
    if args.action == "import":
        return exchange.import_model(args, progress)
    if args.action == "export":
        return exchange.export_model(args, progress)
    if args.what:
        raise InputError("'emseg models list' takes no more words; see 'emseg models --help'.")
    from napari_emseg.networks.library import list_models

    return {"models": [model.model_dump(mode="json") for model in list_models()]}


def takes_and_gives(model: Mapping[str, Any]) -> str:
    """Say what goes into a model and what comes out, and at which pixel size it learned.

    Examples
    --------
    >>> takes_and_gives({"dimensions": 2, "in_sections": 3, "target": "boundary"})
    'three sections in (2.5D), boundary map out'
    """
    n_in = {1: "single sections", 3: "three sections", 5: "five sections"}
    takes = f"{n_in[model['in_sections']]} in ({'2D' if model['in_sections'] == 1 else '2.5D'})"
    if model["dimensions"] == 3:
        takes = "volumes in (3D)"
    gives = "boundary map" if model["target"] == "boundary" else "affinities"
    size = model.get("voxel_size_nm")
    at = f", learned at {' x '.join(f'{nm:g}' for nm in size)} nm (z, y, x)" if size else ""
    return f"{takes}, {gives} out{at}"


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    if "models" not in report:
        return exchange.describe(report)
    if not report["models"]:
        return "There are no trained networks yet: make one with 'emseg train'."
    lines = []
    for model in report["models"]:
        if model["problem"]:
            lines.append(f"{model['name']}: cannot be used: {model['problem']}")
            continue
        default = " (default)" if model["default"] else ""
        lines.append(f"{model['name']}{default}: {model['title']}")
        lines.append(f"    {takes_and_gives(model)}")
        for key in ("summary", "trained_on", "licence"):
            if model.get(key):
                lines.append(f"    {key.replace('_', ' ')}: {model[key]}")
    return "\n".join(lines)

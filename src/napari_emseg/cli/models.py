"""``emseg models``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from napari_emseg.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """List the trained networks."""
    from napari_emseg.networks.library import list_models

    return {"models": [model.model_dump(mode="json") for model in list_models()]}


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    if not report["models"]:
        return "There are no trained networks yet: make one with 'emseg train'."
    lines = []
    for model in report["models"]:
        if model["problem"]:
            lines.append(f"{model['name']}: cannot be used: {model['problem']}")
            continue
        default = " (default)" if model["default"] else ""
        lines.append(f"{model['name']}{default}: {model['title']}")
        for key in ("summary", "trained_on", "licence"):
            if model.get(key):
                lines.append(f"    {key.replace('_', ' ')}: {model[key]}")
    return "\n".join(lines)

"""``emseg run RECIPE.yaml INPUT OUTDIR``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from napari_emseg.cli.arguments import add_reading, reading
from napari_emseg.cli.maps import add_affinities
from napari_emseg.cli.models_given import add_models, split_models
from napari_emseg.cli.output import table
from napari_emseg.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("recipe", help="YAML file, as exported from the viewer")
    parser.add_argument("input", help="What the first step takes, usually a grey-value stack")
    parser.add_argument("outdir", help="Folder for the results, made if missing")
    add_models(parser, instead=True)
    parser.add_argument("--ground-truth", metavar="FILE", help="For an evaluate step")
    parser.add_argument(
        "--suffix", choices=(".tif", ".h5", ".zarr"), default=".tif", help="Format of the results"
    )
    add_affinities(parser)
    add_reading(parser, invert=True)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Repeat a recipe."""
    from napari_emseg.recipe import load_recipe, run_recipe, with_models

    split_models(args)
    recipe = load_recipe(args.recipe)
    if "model" in args:
        recipe = with_models(recipe, (args.model, *args.others))
    return run_recipe(
        recipe,
        args.input,
        args.outdir,
        ground_truth=args.ground_truth,
        affinities=args.affinities,
        suffix=args.suffix,
        progress=progress,
        **reading(args),
    )


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    return table([*report["files"].items(), *(report["scores"] or {}).items()])

"""Scores written into a file, for a spreadsheet or a script."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emseg.io.atomic import atomic_write

if TYPE_CHECKING:
    from napari_emseg.evaluation import ScoreCurve
    from napari_emseg.evaluation.error_sites import Errors

_CURVES = ("h", "v_rand", "v_rand_split", "v_rand_merge", "v_info", "voi_split", "voi_merge")
Columns = dict[str, list[Any]]


def write_scores(
    path: Path,
    scores: Mapping[str, float],
    curves: Mapping[str, ScoreCurve],
    errors: Errors | None = None,
) -> None:
    """Write scores, score curves, scores of the sections and errors into a CSV or JSON file.

    Parameters
    ----------
    path : Path
        JSON if it ends so; else CSV, one table under the other.
    scores, curves, errors
        What is known; `curves` by grouping.

    Raises
    ------
    InputError
        If it cannot be written there.
    """
    tables = {name: _of_curve(curve) for name, curve in curves.items()}
    sections, listed = ({}, {}) if errors is None else (_of_sections(errors), _of_errors(errors))
    with atomic_write(path) as temporary, open(temporary, "w", newline="") as file:
        if path.suffix.lower() == ".json":
            content = {"scores": dict(scores), "curves": tables}
            json.dump({**content, "sections": sections, "errors": listed}, file, indent=1)
            return
        writer = csv.writer(file)
        writer.writerow(["score", "value"])
        writer.writerows(scores.items())
        for title, columns in (
            *((f"curve {name}", columns) for name, columns in tables.items()),
            ("sections", sections),
            ("errors", listed),
        ):
            if columns:
                writer.writerows(([], [title], list(columns)))
                writer.writerows(zip(*columns.values(), strict=True))


def _of_curve(curve: ScoreCurve) -> Columns:
    return {name: getattr(curve, name).tolist() for name in _CURVES}


def _of_sections(errors: Errors) -> Columns:
    scores = errors.sections
    table = {field.name: getattr(scores, field.name).tolist() for field in fields(scores)}
    return {name: [None if v != v else v for v in values] for name, values in table.items()}


def _of_errors(errors: Errors) -> Columns:
    sites = errors.sites
    return {
        "kind": [site.kind for site in sites],
        "share_of_loss": [errors.share_of_loss(site) for site in sites],
        "voxels": [site.n_voxels for site in sites],
        "z": [site.position[0] for site in sites],
        "y": [site.position[1] for site in sites],
        "x": [site.position[2] for site in sites],
        "segments": [" ".join(map(str, site.segments)) for site in sites],
        "objects": [" ".join(map(str, site.objects)) for site in sites],
    }

"""Scores written into a file, for a spreadsheet or a script."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

from napari_emseg.io.atomic import atomic_write

if TYPE_CHECKING:
    from napari_emseg.evaluation import ScoreCurve

_CURVES = ("h", "v_rand", "v_rand_split", "v_rand_merge", "v_info", "voi_split", "voi_merge")


def write_scores(path: Path, scores: dict[str, float], curve: ScoreCurve | None) -> None:
    """Write scores and the score curve into a CSV or JSON file.

    Raises
    ------
    InputError
        If it cannot be written there.
    """
    columns = {} if curve is None else {name: getattr(curve, name).tolist() for name in _CURVES}
    with atomic_write(path) as temporary, open(temporary, "w", newline="") as file:
        if path.suffix.lower() == ".json":
            json.dump({"scores": scores, "curve": columns}, file, indent=1)
            return
        writer = csv.writer(file)
        writer.writerow(["score", "value"])
        writer.writerows(scores.items())
        writer.writerow([])
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))

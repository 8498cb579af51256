"""What guidance is worth: an oracle that knows the truth answers one site after the other.

Variation of information (bits) and adapted Rand error against the number of decisions,
on `gala_fib` train and `snemi_mini` (mouse cortex, sections of 30 nm) with their own maps, and
on `fib25` sections 0..169 with a map given by ``--fib-map`` (the bundled FIB-SEM model has
learned from sections 0..139); with ``--own MAP TRUTH`` on any volume. Our order is compared
with random order and with "largest error first", which looks at the truth. What any sequence
could take away is the score less that of the best table of the same fragments. The floor:
ours needs at most half the decisions of random order to take away half of it. What our order
knows beforehand was learned from other volumes. ``--picture`` draws the curves.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from _curves import draw_curves

ORDERS = ("ours", "random", "largest error")
# Smoothing in pixels, and the threshold of the mean wall at which fragments are joined. That of
# the mouse cortex is as bad a start as people have proofread it from: adapted Rand error 0.27.
STARTS = {"gala_fib": (1.0, 0.4), "fib25": (1.0, 0.4), "snemi_mini": (0.5, 0.3)}
SHOWN = 400
# What ours knows beforehand of merges: learned by proofreading_prior.py from the other of
# these two; what the package knows comes from both.
PRIORS = {
    "gala_fib": (4.02, -1.3, -5.5, -1.43, 0.13, -0.42, 0.83, -1.04, -0.32, 0.18, 0.0),
    "fib25": (6.34, -4.49, -7.5, -1.58, 0.76, -0.52, 0.68, -0.83, -0.98, 0.59, 0.0),
}


def load(name: str, options: argparse.Namespace) -> tuple[Any, Any]:
    """Boundary map and truth."""
    from napari_emseg import Volume, open_volume

    if name == "own":
        size = tuple(options.voxel_size_nm) if options.voxel_size_nm else None
        boundary, truth = (
            open_volume(path, kind=kind, voxel_size_nm=size)
            for path, kind in zip(options.own, ("boundary", "labels"), strict=True)
        )
        return boundary, truth
    if name == "gala_fib":
        folder = options.data / "gala_fib"
        boundary = open_volume(folder / "train_boundary.tif", kind="boundary")
        return boundary, open_volume(folder / "train_neurons.tif", kind="labels")
    if name == "snemi_mini":
        size, folder = (30, 6, 6), options.data / "snemi_mini"
        boundary = open_volume(  # high where there is a cell: turned over while it is read
            folder / "boundary_prob_raw.tif", kind="boundary", voxel_size_nm=size
        )
        truth = open_volume(folder / "labels.tif", kind="labels").read()
        truth[truth == 1] = 0  # the gaps between cells, which nobody labelled
        return boundary, Volume(truth, kind="labels", voxel_size_nm=size)
    truth = open_volume(options.data / "fib25" / "neurons_z000-169.tif", kind="labels")
    whole = open_volume(options.fib_map, kind="boundary")
    part = whole.read(slice(0, truth.shape[0]))
    return Volume(part, kind="boundary", voxel_size_nm=(10, 10, 10)), truth


def agglomerate(boundary: Any, sigma_px: float) -> Any:
    from napari_emseg import build_hierarchy
    from napari_emseg.segmentation import group

    hierarchy = build_hierarchy(boundary, sigma_px=sigma_px, mode="3d")
    return group(hierarchy, boundary, grouping="mean_boundary")


def decisions_to_halve(voi: np.ndarray, half: float) -> int | None:
    """Decisions until half of what can be taken away is gone."""
    below = np.flatnonzero(voi <= half)
    return int(below[0]) if below.size else None


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    from napari_emseg import Proofreader
    from napari_emseg.proofreading.belief import PRIOR, Belief
    from napari_emseg.proofreading.simulation import Truth, simulate

    boundary, truth = load(name, options)
    sigma_px, threshold = STARTS.get(name, (options.sigma_px, options.threshold))
    segmentation = agglomerate(boundary, sigma_px).cut(threshold, options.min_size)
    known = Truth(segmentation.fragments, truth, segmentation.segment_of.size - 1)
    start, lowest = known.scores(segmentation.segment_of)[0], known.lowest()[0]
    half = (start + lowest) / 2
    curves: dict[str, Any] = {}
    for order in ORDERS:
        run = simulate(
            Proofreader(segmentation, boundary=boundary),
            truth,
            order=order,
            n_decisions={"random": options.random, "ours": options.decisions}.get(order, SHOWN),
            prior=Belief({**PRIOR, "merge": PRIORS.get(name, PRIOR["merge"])}),
            until_voi=half if order == "random" else None,
        )
        curves[order] = {"voi": run.voi, "are": run.adapted_rand_error, "asked": run.decisions}
    halves = {order: decisions_to_halve(c["voi"], half) for order, c in curves.items()}
    asked = len(curves["random"]["voi"]) - 1
    return {
        "segments": segmentation.n_segments,
        "fragments": int(segmentation.segment_of.size - 1),
        "voi_start": round(start, 4),
        "voi_lowest": round(lowest, 4),
        "decisions_to_halve": halves,
        "random_asked": asked,
        "holds": halves["ours"] is not None and 2 * halves["ours"] <= (halves["random"] or asked),
        "answers": {order: dict(Counter(c["asked"])) for order, c in curves.items()},
        "after": {
            order: {
                str(k): [round(float(curve[key][k]), 4) for key in ("voi", "are")]
                for k in (0, 25, 50, 100, 200, 300, 400, 800, 1600, 3200)
                if k < len(curve["voi"])
            }
            for order, curve in curves.items()
        },
        "curves": {
            "VOI (bits)": {o: [round(float(v), 4) for v in c["voi"]] for o, c in curves.items()},
            "adapted Rand error": {
                o: [round(float(v), 4) for v in c["are"]] for o, c in curves.items()
            },
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", default=os.environ.get("EMSEG_TEST_DATA", shared), type=Path)
    parser.add_argument("--fib-map", help="boundary map of fib25; left out without it")
    parser.add_argument("--own", nargs=2, metavar=("MAP", "TRUTH"), help="only of this volume")
    parser.add_argument("--voxel-size-nm", nargs=3, type=float, metavar=("Z", "Y", "X"))
    parser.add_argument("--decisions", type=int, default=1200, help="of our order")
    parser.add_argument(
        "--random", type=int, default=8000, help="random order: until half, or this"
    )
    parser.add_argument("--sigma-px", type=float, default=1.0, help="of the volume given")
    parser.add_argument("--threshold", type=float, default=0.4, help="of the volume given")
    parser.add_argument("--min-size", type=int, default=50)
    parser.add_argument("--picture", type=Path, help="SVG to draw")
    options = parser.parse_args()
    names = ["gala_fib", "snemi_mini", *(["fib25"] if options.fib_map else [])]
    names = ["own"] if options.own else names
    report = {name: measure(name, options) for name in names}
    if options.picture:
        draw_curves(
            {name: result["curves"] for name, result in report.items()},
            {name: (r["voi_start"] + r["voi_lowest"]) / 2 for name, r in report.items()},
            options.picture,
            {n: max(SHOWN, r["decisions_to_halve"]["ours"] or 0) for n, r in report.items()},
        )
    for result in report.values():
        del result["curves"]
    print(json.dumps(report))


if __name__ == "__main__":
    main()

"""What a floor costs and saves: fragments, time and V_rand for floors from 0 to 0.05.

    python benchmarks/floor.py MAP TRUTH --mode 3d --tune 0:140 --score 140:170

MAP may be any file that opens, or a .npy of floats. For each smoothing and floor one JSON line:
`tree` is V_rand of the best cut by H-minima, `exact` of the same cut with exact borders (without
a floor that is scikit-image's literal result), `agglomerated` of the best cut by mean boundary,
`possible` of the fragments joined as the ground truth says. Thresholds are the best on the
sections to tune on, scores are of the others; `agglomerated_at_best` is of the threshold best
there, so that luck in tuning can be told apart.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

import napari_emseg as emseg
from napari_emseg.segmentation import group
from napari_emseg.volume import Volume

FLOORS = (0.0, 0.5 / 255, 1 / 255, 2 / 255, 0.01, 0.02, 0.05)


def main() -> None:
    args = parse_arguments()
    if args.map is None:
        print(json.dumps({"skipped": "needs a boundary map and its ground truth"}))
        return
    boundary, truth = open_both(args)
    emseg.build_hierarchy(boundary.read(slice(2))[:, :64, :64], mode=args.mode)  # compile
    for sigma_px in args.sigmas:
        for floor in FLOORS:
            line = {"map": args.map, "mode": args.mode, "sigma_px": sigma_px}
            print(
                json.dumps({**line, **measure(boundary, truth, sigma_px, floor, args)}), flush=True
            )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("map", nargs="?")
    parser.add_argument("truth", nargs="?")
    parser.add_argument("--mode", choices=("2d", "3d"), default="3d")
    parser.add_argument("--kind", choices=("labels", "labels_2d", "membranes"), default="labels")
    parser.add_argument("--tune", type=as_range, default=range(0))
    parser.add_argument("--score", type=as_range, default=range(0))
    parser.add_argument("--sigmas", type=float, nargs="+", default=(1.0, 1.5))
    return parser.parse_args()


def as_range(text: str) -> range:
    first, stop = text.split(":")
    return range(int(first), int(stop))


def open_both(args: argparse.Namespace) -> tuple[Volume, Volume]:
    if args.map.endswith(".npy"):
        boundary = Volume(np.load(args.map), kind="boundary", name=args.map)
    else:
        boundary = emseg.open_volume(args.map, kind="boundary")
    truth = emseg.open_volume(args.truth, kind="raw" if args.kind == "membranes" else "labels")
    depth = min(boundary.shape[0], truth.shape[0])
    return (
        boundary.derive(boundary.read(slice(depth)), kind="boundary"),
        truth.derive(truth.read(slice(depth)), kind=truth.kind),
    )


def measure(
    boundary: Volume, truth: Volume, sigma_px: float, floor: float, args: argparse.Namespace
) -> dict[str, object]:
    cpu = time.process_time()
    hierarchy = emseg.build_hierarchy(boundary, sigma_px=sigma_px, mode=args.mode, floor=floor)
    built = time.process_time() - cpu
    options = {"ground_truth_kind": args.kind}
    tune, score = args.tune or None, args.score or None
    h, _ = emseg.score_curve(hierarchy, truth, sections=tune, **options).best("v_rand")
    curve = emseg.score_curve(hierarchy, truth, sections=score, **options)
    exact = hierarchy.cut(h).to_volume(exact_borders=True)
    literal = emseg.evaluate(exact, truth, sections=score, metrics=("v_rand",), **options)
    cpu = time.process_time()
    grouped = group(hierarchy, boundary, grouping="mean_boundary")
    grouping = time.process_time() - cpu
    t, _ = emseg.score_curve(grouped, truth, sections=tune, **options).best("v_rand")
    agglomerated = emseg.score_curve(grouped, truth, sections=score, **options)
    return {
        "floor": round(floor, 5),
        "fragments": hierarchy.n_fragments,
        "build_cpu_s": round(built, 3),
        "agglomerate_cpu_s": round(grouping, 3),
        "h": round(float(h), 4),
        "tree": round(curve.at(h)["v_rand"], 4),
        "exact": round(literal["v_rand"], 4),
        "merge_threshold": round(float(t), 4),
        "agglomerated": round(agglomerated.at(t)["v_rand"], 4),
        "agglomerated_at_best": round(agglomerated.best("v_rand")[1], 4),
        "possible": round(curve.best_possible["v_rand"], 4),
    }


if __name__ == "__main__":
    main()

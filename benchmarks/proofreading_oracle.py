"""What guidance is worth: an oracle that knows the truth answers one site after the other.

Variation of information (bits) and adapted Rand error against the number of decisions,
on `gala_fib` train with its own boundary map, and on `fib25` sections 0..169 with a map
given by ``--fib-map`` (the bundled FIB-SEM model has learned from sections 0..139). Our
order is compared with random order and with "largest error first", which looks at the
truth. The floor: ours needs at most half the decisions of random order to take away half
of the variation of information that any order could. ``--picture`` draws the curves.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

ORDERS = ("ours", "random", "largest error")
# What ours knows beforehand of merges: learned by proofreading_prior.py from the other volume.
PRIORS = {
    "gala_fib": (4.02, -1.3, -5.5, -1.43, 0.13, -0.42, 0.83, -1.04, -0.32, 0.18, 0.0),
    "fib25": (6.34, -4.49, -7.5, -1.58, 0.76, -0.52, 0.68, -0.83, -0.98, 0.59, 0.0),
}


def load(name: str, options: argparse.Namespace) -> tuple[Any, Any]:
    """Boundary map and truth."""
    from napari_emseg import Volume, open_volume

    if name == "gala_fib":
        folder = options.data / "gala_fib"
        boundary = open_volume(folder / "train_boundary.tif", kind="boundary")
        return boundary, open_volume(folder / "train_neurons.tif", kind="labels")
    truth = open_volume(options.data / "fib25" / "neurons_z000-169.tif", kind="labels")
    whole = open_volume(options.fib_map, kind="boundary")
    part = whole.read(slice(0, truth.shape[0]))
    return Volume(part, kind="boundary", voxel_size_nm=(10, 10, 10)), truth


def agglomerate(boundary: Any) -> Any:
    from napari_emseg import build_hierarchy
    from napari_emseg.segmentation import group

    hierarchy = build_hierarchy(boundary, sigma_px=1.0, mode="3d")
    return group(hierarchy, boundary, grouping="mean_boundary")


def decisions_to_halve(voi: np.ndarray, lowest: float) -> int | None:
    """Decisions until half of what can be taken away is gone."""
    below = np.flatnonzero(voi <= (voi[0] + lowest) / 2)
    return int(below[0]) if below.size else None


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    from napari_emseg import Proofreader
    from napari_emseg.proofreading.simulation import simulate

    boundary, truth = load(name, options)
    segmentation = agglomerate(boundary).cut(options.threshold, options.min_size)
    curves: dict[str, Any] = {}
    for order in ORDERS:
        n = options.decisions * (options.random_times if order == "random" else 1)
        editor = Proofreader(segmentation, boundary=boundary)
        run = simulate(editor, truth, order=order, n_decisions=n)
        curves[order] = {"voi": run.voi, "are": run.adapted_rand_error, "asked": run.decisions}
    lowest = min(float(curve["voi"].min()) for curve in curves.values())
    halves = {o: decisions_to_halve(c["voi"], lowest) for o, c in curves.items()}
    asked = len(curves["random"]["voi"]) - 1
    return {
        "segments": segmentation.n_segments,
        "fragments": int(segmentation.segment_of.size - 1),
        "voi_start": round(float(curves["ours"]["voi"][0]), 4),
        "voi_lowest": round(lowest, 4),
        "decisions_to_halve": halves,
        "random_asked": asked,
        "holds": halves["ours"] is not None and 2 * halves["ours"] <= (halves["random"] or asked),
        "after": {
            order: {
                str(k): [round(float(curve[key][k]), 4) for key in ("voi", "are")]
                for k in (0, 25, 50, 100, 200, 400, 800)
                if k < len(curve["voi"])
            }
            for order, curve in curves.items()
        },
        "curves": {order: [round(float(v), 4) for v in c["voi"]] for order, c in curves.items()},
    }


def draw(report: dict[str, Any], path: Path) -> None:
    """Curves of all volumes side by side, as SVG without any library."""
    colours = {"ours": "#0072B2", "random": "#999999", "largest error": "#E69F00"}
    width, height = 420, 260
    parts = []
    for k, (name, result) in enumerate(report.items()):
        longest = max(len(c) for o, c in result["curves"].items() if o != "random")
        top = max(c[0] for c in result["curves"].values())
        left = 50 + k * (width + 70)
        frame = (
            f'<rect x="{left}" y="30" width="{width}" height="{height}" fill="none" stroke="#444"/>'
        )
        parts += [frame, f'<text x="{left}" y="20">{name}: VOI (bits) against decisions</text>']
        for n, (order, curve) in enumerate(result["curves"].items()):
            points = " ".join(
                f"{left + width * i / (longest - 1):.1f},{30 + height * (1 - v / top):.1f}"
                for i, v in enumerate(curve[:longest])
            )
            line = f'fill="none" stroke="{colours[order]}" stroke-width="2"'
            parts.append(f'<polyline points="{points}" {line}/>')
            x, y = left + 12, height - 20 + 18 * n
            parts.append(f'<text x="{x}" y="{y}" fill="{colours[order]}">{order}</text>')
        parts.append(f'<text x="{left - 4}" y="40" text-anchor="end">{top:.2f}</text>')
        parts.append(f'<text x="{left - 4}" y="{30 + height}" text-anchor="end">0</text>')
        end = f'x="{left + width}" y="{46 + height}" text-anchor="end"'
        parts.append(f"<text {end}>{longest - 1} decisions</text>")
    size = f'width="{60 + len(report) * (width + 70)}" height="{height + 60}"'
    style = 'font-family="sans-serif" font-size="13"'
    text = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n'
    white = '<rect width="100%" height="100%" fill="white"/>\n'
    path.write_text(text + white + "\n".join(parts) + "\n</svg>\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", default=os.environ.get("EMSEG_TEST_DATA", shared), type=Path)
    parser.add_argument("--fib-map", help="boundary map of fib25; left out without it")
    parser.add_argument("--decisions", type=int, default=400)
    parser.add_argument("--random-times", type=int, default=3, help="random order goes on longer")
    parser.add_argument("--threshold", type=float, default=0.4)
    parser.add_argument("--min-size", type=int, default=50)
    parser.add_argument("--picture", type=Path, help="SVG to draw")
    options = parser.parse_args()
    names = ["gala_fib", *(["fib25"] if options.fib_map else [])]
    report = {name: measure(name, options) for name in names}
    if options.picture:
        draw(report, options.picture)
    for result in report.values():
        del result["curves"]
    print(json.dumps(report))


if __name__ == "__main__":
    main()

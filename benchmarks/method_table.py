"""Every grouping on real maps: tuned on some sections, scored on later ones.

One JSON line a data set and grouping, then a Markdown table. Sigma, the threshold
and, where sections are linked, the h at which they are cut are those that score best
on the tuning sections, once for V_rand and once for VOI (bits); `oracle` is the best
V_rand any threshold reaches on the later sections at that sigma and h.

    python benchmarks/method_table.py --data DATA gala_fib
    python benchmarks/method_table.py --data DATA --isbi-map isbi.npy isbi2012

`--data` is the folder with isbi2012, fib25, gala_fib and snemi_mini. A map is a .npy
or .tif file; without one, isbi2012 is predicted with the model that comes with the
package. gala_fib and snemi_mini bring their own maps.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_emseg import Volume, score_curve
from napari_emseg.segmentation import (
    GROUPINGS,
    Cuttable,
    Hierarchy,
    build_hierarchy,
    group,
)
from napari_emseg.segmentation.linking import link_sections

SIGMAS_PX = (0.5, 1.0, 1.5, 2.0)
SECTION_HS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
QUOTED = {
    "gala_fib": "gala's own scores on its test volume, VI merge/split: watershed .185/1.648, "
    "learned agglomeration .365/.305 and .395/.234",
    "fib25": "prototype: V_rand 0.876, VOI 0.99 with 3D H-minima on z 140..169",
    "isbi2012": "prototype: V_rand 0.988 on later sections, H-minima per section",
}


@dataclass(frozen=True)
class Task:
    """A map, its ground truth, and which sections are for what."""

    name: str
    boundary: Volume
    truth: np.ndarray
    mode: str
    tuning: range
    later: range
    truth_kind: str = "labels"


@dataclass(frozen=True)
class Result:
    data: str
    grouping: str
    sigma_px: float
    section_h: float | None
    threshold: float
    tuned_v_rand: float
    v_rand: float
    voi: float
    oracle_v_rand: float
    fragments: int
    seconds: float


def main() -> None:
    options = parse_arguments()
    results = []
    for name in options.tasks or TASKS:
        for result in score_task(TASKS[name](options), options.groupings or METHODS):
            print(json.dumps(asdict(result)), flush=True)
            results.append(result)
    print_table(results)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--isbi-map", type=Path)
    parser.add_argument("--fib-map", type=Path)
    parser.add_argument("--groupings", nargs="+", choices=METHODS, metavar="NAME")
    return parser.parse_args()


def load_gala(options: argparse.Namespace) -> Task:
    folder = options.data / "gala_fib"
    boundary = tifffile.imread(folder / "train_boundary.tif")
    truth = tifffile.imread(folder / "train_neurons.tif")
    volume = Volume(boundary, kind="boundary", voxel_size_nm=(10, 10, 10))
    return Task("gala_fib", volume, truth, "3d", range(25), range(25, 50))


def load_isbi(options: argparse.Namespace) -> Task:
    folder = options.data / "isbi2012"
    truth = tifffile.imread(folder / "train_membranes_z00-23.tif")
    raw = Volume(tifffile.imread(folder / "train_raw.tif")[:24], voxel_size_nm=(50, 4, 4))
    if options.isbi_map is None:
        from napari_emseg import predict

        boundary = predict(raw)
    else:
        boundary = raw.derive(read_map(options.isbi_map)[:24], kind="boundary")
    return Task("isbi2012", boundary, truth, "2d", range(16), range(16, 24), "membranes")


def load_fib25(options: argparse.Namespace) -> Task:
    if options.fib_map is None:
        raise SystemExit("fib25 needs --fib-map: train a network on its sections 0..139 first")
    truth = tifffile.imread(options.data / "fib25" / "neurons_z000-169.tif")
    volume = Volume(read_map(options.fib_map)[:170], kind="boundary", voxel_size_nm=(10, 10, 10))
    return Task("fib25", volume, truth, "3d", range(140), range(140, 170))


def load_snemi(options: argparse.Namespace) -> Task:
    folder = options.data / "snemi_mini"
    cells = tifffile.imread(folder / "boundary_prob_raw.tif")
    boundary = 255 - cells if cells.dtype == np.uint8 else 1 - cells
    truth = tifffile.imread(folder / "labels.tif")
    truth[truth == 1] = 0  # the gaps between cells, which nobody labelled
    volume = Volume(boundary, kind="boundary", voxel_size_nm=(30, 6, 6))
    return Task("snemi_mini", volume, truth, "3d", range(16), range(16, 32))


TASKS = {
    "gala_fib": load_gala,
    "isbi2012": load_isbi,
    "fib25": load_fib25,
    "snemi_mini": load_snemi,
}
METHODS = ["h_minima", *GROUPINGS]


def read_map(path: Path) -> np.ndarray:
    array: np.ndarray = np.load(path) if path.suffix == ".npy" else tifffile.imread(path)
    return array


def score_task(task: Task, methods: list[str]) -> Iterator[Result]:
    flooded = {s: build_hierarchy(task.boundary, sigma_px=s, mode=task.mode) for s in SIGMAS_PX}
    for method in methods:
        if method == "linking" and task.mode == "2d":
            continue  # joins sections
        start = time.perf_counter()
        curves = {}
        for sigma_px, hierarchy in flooded.items():
            for section_h, grouped in group_by(method, hierarchy, task.boundary):
                tuning, later = (
                    score_curve(grouped, task.truth, ground_truth_kind=task.truth_kind, sections=z)
                    for z in (task.tuning, task.later)
                )
                curves[sigma_px, section_h] = tuning, later, grouped.n_fragments
        seconds = (time.perf_counter() - start) / len(curves)
        yield summarise(task.name, method, curves, seconds)


def group_by(
    method: str, hierarchy: Hierarchy, boundary: Volume
) -> Iterator[tuple[float | None, Cuttable]]:
    """Group in every way there is to tune but by the threshold."""
    if method != "linking":
        yield None, group(hierarchy, boundary, grouping=method)
        return
    sections = build_hierarchy(boundary, sigma_px=hierarchy.sigma_px)
    for h in SECTION_HS:
        yield h, link_sections(sections, h)


def summarise(
    data: str, method: str, curves: dict[tuple[float, float | None], Any], seconds: float
) -> Result:
    best = max(curves, key=lambda key: curves[key][0].best("v_rand")[1])
    tuning, later, n_fragments = curves[best]
    threshold, tuned = tuning.best("v_rand")
    for_voi = min(curves.values(), key=lambda c: c[0].best("voi")[1])
    at_best_voi = for_voi[1].at(for_voi[0].best("voi")[0])
    return Result(
        data,
        method,
        *best,
        round(threshold, 4),
        round(tuned, 4),
        round(later.at(threshold)["v_rand"], 4),
        round(at_best_voi["voi_split"] + at_best_voi["voi_merge"], 3),
        round(later.best("v_rand")[1], 4),
        n_fragments,
        round(seconds, 2),
    )


def print_table(results: list[Result]) -> None:
    names = "data", "grouping", "sigma px", "section h", "threshold"
    print(f"\n| {' | '.join(names)} | V_rand tuned | V_rand later | VOI later |")
    print("|" + "---|" * (len(names) + 3))
    for r in results:
        tuned = r.sigma_px, "" if r.section_h is None else r.section_h, r.threshold
        cells = (r.data, r.grouping, *tuned, r.tuned_v_rand, r.v_rand, r.voi)
        print(f"| {' | '.join(map(str, cells))} |")
    for name in dict.fromkeys(result.data for result in results):
        print(f"\n{name}: {QUOTED.get(name, 'nothing quoted')}")


if __name__ == "__main__":
    main()

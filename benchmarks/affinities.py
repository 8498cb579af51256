"""Flooding and joining affinities against waterz, and the linear time of the watershed.

One JSON line a claim; `ratio` is how many times faster than the peer, measured in
the same run on the same affinities. Seconds are of one processor. waterz's own
words on standard output are kept out.

    python benchmarks/affinities.py --shape 30 256 256
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import ndimage

from napari_emseg.segmentation.affinities import affinities_from_boundary, open_affinities
from napari_emseg.segmentation.affinity_hierarchy import build_affinity_hierarchy
from napari_emseg.segmentation.affinity_watershed import find_affinity_basins

LOW, HIGH = 0.0001, 0.9999
THRESHOLDS = [0.1, 0.2, 0.3, 0.4, 0.5]


def main() -> None:
    options = parse_arguments()
    small, large = (make_affinities(shape) for shape in ((4, 64, 64), tuple(options.shape)))
    build(small)  # compile
    waterz_watershed(small)

    labels, flooded = clock(lambda: watershed(large))
    peer_labels, peer_flooded = clock(lambda: waterz_watershed(large))
    common = {"shape": options.shape, "Mvoxel": labels.size / 1e6}
    report(
        "affinity watershed",
        flooded,
        peer_flooded,
        {**common, "basins": int(labels.max()), **agreement(labels, peer_labels)},
    )

    hierarchy, built = clock(lambda: build(large))
    counts = [hierarchy.cut(threshold).n_segments for threshold in THRESHOLDS]
    peer_counts, peer_built = clock(lambda: waterz_agglomeration(large))
    report(
        "mean affinity at every threshold; waterz at five",
        built,
        peer_built,
        {**common, "segments": counts, "peer_segments": peer_counts},
    )
    _, cut = clock(lambda: hierarchy.cut(0.3), repeats=10)
    report("one more threshold", cut, peer_built, common)

    half = np.ascontiguousarray(large[:, : large.shape[1] // 2])
    _, half_flooded = clock(lambda: watershed(half))
    growth = (flooded / large[0].size) / (half_flooded / half[0].size)
    print(json.dumps({"claim": "time per voxel, all to half the sections", "growth": growth}))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--shape", type=int, nargs=3, default=(30, 256, 256), metavar=("Z", "Y", "X")
    )
    return parser.parse_args()


def make_affinities(shape: tuple[int, ...]) -> np.ndarray:
    """Affinities of a random tissue with noise, so that no two edges are equal."""
    random = np.random.default_rng(0)
    n_cells = max(4, int(np.prod(shape)) // 8000)
    seeds = np.ones(shape, bool)
    seeds.flat[random.choice(seeds.size, n_cells, replace=False)] = False
    nearest = ndimage.distance_transform_edt(seeds, return_distances=False, return_indices=True)
    cells = np.ravel_multi_index(tuple(nearest), shape)
    walls = ndimage.grey_dilation(cells, 3) != ndimage.grey_erosion(cells, 3)
    boundary = ndimage.gaussian_filter(walls.astype(np.float32), 1)
    boundary += ndimage.gaussian_filter(random.normal(size=shape), 1) * 0.1
    affinities = affinities_from_boundary(np.clip(boundary, 0, 1).astype(np.float32)).data
    noise = random.random(affinities.shape, np.float32) * np.float32(1e-3)
    return np.clip(affinities * np.float32(0.998) + noise, 0, 1)


def watershed(affinities: np.ndarray) -> np.ndarray:
    labels = np.empty(affinities.shape[1:], np.uint32)
    find_affinity_basins(open_affinities(affinities), labels, low=LOW, high=HIGH)
    return labels


def build(affinities: np.ndarray) -> Any:
    return build_affinity_hierarchy(affinities, grouping="mean_affinity", low=LOW, high=HIGH)


def waterz_watershed(affinities: np.ndarray) -> np.ndarray:
    return next(waterz_runs(affinities, [0.0]))


def waterz_agglomeration(affinities: np.ndarray) -> list[int]:
    return [np.unique(labels[labels > 0]).size for labels in waterz_runs(affinities, THRESHOLDS)]


def waterz_runs(affinities: np.ndarray, thresholds: list[float]) -> Iterator[np.ndarray]:
    import waterz

    with silence():
        runs = waterz.agglomerate(
            affinities.copy(), thresholds, aff_threshold_low=LOW, aff_threshold_high=HIGH
        )
        for labels in runs:
            yield labels.copy()


@contextmanager
def silence() -> Iterator[None]:
    """Send standard output elsewhere, that of compiled code too."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def agreement(one: np.ndarray, two: np.ndarray) -> dict[str, Any]:
    """Count basins, and the voxels outside the largest common part of each; ties differ."""
    pairs = one.astype(np.int64) * (int(two.max()) + 1) + two.astype(np.int64)
    both, count = np.unique(pairs, return_counts=True)
    largest = np.zeros(int(one.max()) + 1, np.int64)
    np.maximum.at(largest, both // (int(two.max()) + 1), count)
    return {
        "basins": int(one.max()),
        "peer_basins": int(np.unique(two[two > 0]).size),
        "voxels_elsewhere": int(one.size - largest.sum()),
    }


def clock(function: Callable[[], Any], repeats: int = 1) -> tuple[Any, float]:
    start = time.process_time()
    for _ in range(repeats):
        result = function()
    return result, (time.process_time() - start) / repeats


def report(claim: str, seconds: float, peer: float, common: dict[str, Any]) -> None:
    result = {"claim": claim, "s": round(seconds, 5), "ratio": round(peer / seconds, 1), **common}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()

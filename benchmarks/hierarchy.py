"""Building and cutting a hierarchy against scikit-image's H-minima and watershed.

One JSON line a claim; `ratio` is how many times faster than the peer, measured
in the same run on the same map. Seconds are of one processor, so that other
work on the machine does not count.

    python benchmarks/hierarchy.py --shape 8 256 256 --mode 2d
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.morphology import h_minima
from skimage.segmentation import watershed

from napari_emseg.segmentation import build_hierarchy, build_section


def main() -> None:
    options = parse_arguments()
    boundary = make_boundary(tuple(options.shape))
    build_hierarchy(boundary[:1, :64, :64], mode=options.mode).cut(0.1, 2).to_volume(
        True
    )  # compile

    hierarchy, built = clock(lambda: build_hierarchy(boundary, mode=options.mode))
    segmentation, cut = clock(lambda: hierarchy.cut(options.h), repeats=20)
    _, written = clock(segmentation.to_volume)
    _, exact = clock(lambda: segmentation.to_volume(exact_borders=True))
    smoothed = ndimage.gaussian_filter(boundary, 1.5 if options.mode == "3d" else (0, 1.5, 1.5))
    peer_labels, peer = clock(lambda: peer_segments(smoothed, options.h, options.mode))

    common = {
        "shape": options.shape,
        "mode": options.mode,
        "h": options.h,
        "fragments": hierarchy.n_fragments,
        "segments": segmentation.n_segments,
        "peer_segments": int(peer_labels),
        "peer_s": round(peer, 3),
    }
    report("build and one cut", built + cut + written, peer, common)
    report("build, one cut and exact borders", built + cut + exact, peer, common)
    report("one more cut", cut, peer, common)

    section = slice(0, 1)
    middle = options.shape[0] // 2
    _, peer_section = clock(lambda: peer_segments(smoothed[section], options.h, "2d"))
    _, preview = clock(lambda: build_section(boundary[0]), repeats=3)
    report("preview one section", preview, peer_section, common)
    _, slider = clock(lambda: repaint(hierarchy, middle, options.h), repeats=20)
    report("slider: cut and relabel one section", slider, peer_section, common)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--shape", type=int, nargs=3, default=(8, 256, 256), metavar=("Z", "Y", "X")
    )
    parser.add_argument("--mode", choices=("2d", "3d"), default="2d")
    parser.add_argument("--h", type=float, default=0.1)
    return parser.parse_args()


def make_boundary(shape: tuple[int, ...]) -> np.ndarray:
    """Membranes of a random tissue: where the nearest of many centres changes, plus noise."""
    random = np.random.default_rng(0)
    n_cells = max(2, shape[1] * shape[2] // 900)
    boundary = np.empty(shape, np.float32)
    seeds = np.zeros(shape[1:], np.int32)
    where = random.choice(seeds.size, n_cells, replace=False)
    seeds.flat[where] = np.arange(n_cells) + 1
    nearest = ndimage.distance_transform_edt(
        seeds == 0, return_distances=False, return_indices=True
    )
    cells = seeds[tuple(nearest)]
    edges = ndimage.grey_dilation(cells, 3) != ndimage.grey_erosion(cells, 3)
    for z in range(shape[0]):
        contrast = ndimage.gaussian_filter(random.random(shape[1:]), 8) * 2
        noise = ndimage.gaussian_filter(random.normal(size=shape[1:]), 1) * 0.3
        boundary[z] = ndimage.gaussian_filter(edges * contrast, 1) + noise
    return np.clip(boundary, 0, 1)


def peer_segments(smoothed: np.ndarray, h: float, mode: str) -> int:
    """Segment with scikit-image; return the number of segments."""
    parts = [smoothed] if mode == "3d" else list(smoothed)
    n_segments = 0
    for part in parts:
        faces = ndimage.generate_binary_structure(part.ndim, 1)
        minima, n = ndimage.label(h_minima(part, h, footprint=faces), faces)
        watershed(part, minima, connectivity=1)
        n_segments += n
    return n_segments


def repaint(hierarchy: Any, z: int, h: float) -> None:
    table = hierarchy.cut_section(z, h, 50)
    table[hierarchy.fragments.data[z]]


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

"""Scores: an overlap table, the warping error, the ISBI protocol and a score curve.

One JSON line a claim; each is measured in a process of its own, so that `peak_mb` is
the memory above the inputs. `ratio` is how many times faster than the peer, in the
same process on the same arrays. Seconds are of one processor, so that other work
on the machine does not count.

    python benchmarks/metrics.py --side 512 --curve-shape 100 1024 1024
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

CLAIMS = ("overlap table", "warping error", "isbi protocol", "score curve")


def main() -> None:
    options = parse_arguments()
    if options.claim is None:
        for claim in CLAIMS:
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--claim", claim], check=True)
        return
    measure = {
        "overlap table": measure_table,
        "warping error": measure_warping,
        "isbi protocol": measure_isbi,
        "score curve": measure_curve,
    }
    print(json.dumps({"claim": options.claim, **measure[options.claim](options)}), flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claim", choices=CLAIMS)
    parser.add_argument("--side", type=int, default=256, help="of the cube for the overlap table")
    parser.add_argument("--labels", type=Path, help="labels of a real cube, TIFF")
    parser.add_argument(
        "--curve-shape", type=int, nargs=3, default=(10, 256, 256), metavar=("Z", "Y", "X")
    )
    parser.add_argument("--no-peer", action="store_true")
    return parser.parse_args()


def measure_table(options: argparse.Namespace) -> dict[str, Any]:
    """Overlaps of a cube of labels with a perturbed copy; at most 4 s and 1 GB for 512^3."""
    from napari_emseg.evaluation.contingency import ContingencyBuilder

    truth = read_labels(options) if options.labels else make_labels((options.side,) * 3, 40)
    labels = perturb(truth)

    def ours() -> Any:
        builder = ContingencyBuilder()
        for section, true_section in zip(labels, truth, strict=True):
            builder.add(section, true_section)
        return builder.build()

    table, seconds, peak = clock(ours)
    result = {"shape": truth.shape, "pairs": table.count.size}

    def peer() -> Any:
        from skimage.metrics import contingency_table

        return contingency_table(truth, labels)

    return result | against(seconds, peak, peer, "scikit-image contingency_table", options)


def measure_warping(options: argparse.Namespace) -> dict[str, Any]:
    """Warp one section of 512x512; well below a second."""
    from napari_emseg.evaluation import warp_section

    boundary, cells = make_section(512)
    warp_section(cells[:32, :32], boundary[:32, :32] < 0.5).counts  # noqa: B018  (compile)
    result, seconds, peak = clock(lambda: warp_section(cells, boundary < 0.5).counts)

    def peer() -> None:
        warp_by_sweeps(cells, boundary < 0.5)

    shape = {"shape": cells.shape, "error": result.error()}
    return shape | against(seconds, peak, peer, "sweeps over the differences in Python", options)


def measure_isbi(options: argparse.Namespace) -> dict[str, Any]:
    """All scores of one section of 512x512 at eleven thresholds."""
    from napari_emseg.evaluation import isbi_protocol

    boundary, cells = make_section(512)
    isbi_protocol(boundary[np.newaxis, :64, :64], ~cells[np.newaxis, :64, :64])
    scores, seconds, peak = clock(
        lambda: isbi_protocol(boundary[np.newaxis], ~cells[np.newaxis].astype(bool))
    )
    return {"v_rand": scores["v_rand"], "s": round(seconds, 3), "peak_mb": peak}


def measure_curve(options: argparse.Namespace) -> dict[str, Any]:
    """Scores at every height of a tree; at most 30 s and 2 GB for 2 million fragments."""
    from napari_emseg.evaluation import score_curve

    small = make_hierarchy((2, 16, 16))
    score_curve(small, make_labels((2, 16, 16), 8))  # compile
    shape = tuple(options.curve_shape)
    hierarchy, truth = make_hierarchy(shape), make_labels(shape, 60)
    curve, seconds, peak = clock(lambda: score_curve(hierarchy, truth))
    result = {"shape": shape, "fragments": hierarchy.n_fragments, "points": curve.h.size}

    def peer() -> None:
        from skimage.metrics import variation_of_information

        variation_of_information(truth, hierarchy.fragments)

    name = "scikit-image variation_of_information at 20 heights"
    return result | against(seconds, peak, peer, name, options, repeats=20)


def read_labels(options: argparse.Namespace) -> np.ndarray:
    import tifffile

    return np.asarray(tifffile.imread(options.labels))


def make_labels(shape: tuple[int, ...], size: int) -> np.ndarray:
    """Boxes with jittered walls, ids from 1, a thin gap of 0 between them."""
    z, y, x = (np.arange(n) for n in shape)
    jitter = np.random.default_rng(0).integers(0, size // 4 + 1, shape[0])
    labels = np.empty(shape, np.uint32)
    for k in z:
        row, column = (y + jitter[k]) // size, (x + jitter[k]) // size
        section = (k // max(1, size // 4)) * 10_000 + row[:, np.newaxis] * 100 + column + 1
        section[(y + jitter[k]) % size == 0] = 0
        labels[k] = section
    return labels


def perturb(labels: np.ndarray) -> np.ndarray:
    """Shift all borders a little, merge every 50th object with the next, split along planes."""
    shifted = np.roll(labels, (1, 2, 3), (0, 1, 2))
    table = np.arange(int(labels.max()) + 1, dtype=labels.dtype)
    table[50::50] = table[49:-1:50][: table[50::50].size]
    shifted = table[shifted]
    middle = shifted.shape[2] // 2
    shifted[..., middle:][shifted[..., middle:] % 7 == 3] += table.size
    return shifted


def make_section(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A map of probabilities and the true cells it was made from."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(0)
    smooth = gaussian_filter(random.normal(size=(side, side)), 8)
    cells = np.abs(smooth / smooth.std()) > 0.25
    noise = gaussian_filter(random.normal(size=(side, side)), 3)
    boundary = gaussian_filter((~cells).astype(np.float32), 2) + 1.5 * noise
    return np.clip(boundary, 0, 1).astype(np.float32), cells


def warp_by_sweeps(truth: np.ndarray, target: np.ndarray) -> None:
    """Go through all differences again and again, as published, looking each pixel up."""
    image = np.pad(truth, 1).tolist()
    goal = np.pad(target, 1).tolist()
    ring = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
    has_changed = True
    while has_changed:
        has_changed = False
        for y in range(1, len(image) - 1):
            for x in range(1, len(image[0]) - 1):
                if image[y][x] == goal[y][x]:
                    continue
                n = [image[y + dy][x + dx] for dy, dx in ring]
                sides = range(0, 8, 2)
                if sum(n[k] - n[k] * n[k + 1] * n[(k + 2) % 8] for k in sides) == 1:
                    image[y][x] = goal[y][x]
                    has_changed = True


def make_hierarchy(shape: tuple[int, ...]) -> Any:
    """Fragments of 3x4x4 voxels and a tree that joins each to a neighbour at a random height."""
    counts = tuple(-(-n // step) for n, step in zip(shape, (3, 4, 4), strict=True))
    index = np.arange(np.prod(counts), dtype=np.uint32).reshape(counts) + np.uint32(1)
    fragments = np.empty(shape, np.uint32)
    for z in range(shape[0]):
        fragments[z] = np.kron(index[z // 3], np.ones((4, 4), np.uint32))[: shape[1], : shape[2]]
    random = np.random.default_rng(1)
    places = np.indices(counts).reshape(3, -1)
    order = random.permuted(np.tile(np.arange(3, dtype=np.int8)[:, None], places.shape[1]), axis=0)
    axis = np.full(places.shape[1], -1, np.int8)
    for choice in order[::-1]:  # an axis along which there is a neighbour before
        axis = np.where(
            np.take_along_axis(places, choice[None].astype(int), 0)[0] > 0, choice, axis
        )
    steps = np.array([counts[1] * counts[2], counts[2], 1])
    b = index.ravel()[axis >= 0]
    a = b - steps[axis[axis >= 0]].astype(np.uint32)
    height = random.random(a.size, dtype=np.float32)
    tree = SimpleNamespace(a=a, b=b, height=height)
    return SimpleNamespace(fragments=fragments, tree=tree, n_fragments=int(index[-1, -1, -1]))


def clock(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, seconds of one processor, and memory above what was there before, in MB."""
    before = reset_peak()
    start = time.process_time()
    result = function()
    return result, time.process_time() - start, round(peak_mb() - before, 1)


def reset_peak() -> float:
    """Forget the peak so far, where the system can; memory in use now, in MB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_mb()


def peak_mb() -> float:
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def against(
    seconds: float,
    peak: float,
    peer: Callable[[], Any],
    name: str,
    options: argparse.Namespace,
    repeats: int = 1,
) -> dict[str, Any]:
    ours = {"s": round(seconds, 4), "peak_mb": peak}
    if options.no_peer:
        return ours
    peer_seconds = repeats * clock(peer)[1]
    ratio = round(peer_seconds / seconds, 1)
    return {**ours, "peer": name, "peer_s": round(peer_seconds, 3), "ratio": ratio}


if __name__ == "__main__":
    main()

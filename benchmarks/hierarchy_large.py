"""The claims about large volumes, each with its limit, and the peers in the same run.

One JSON line a claim: seconds on the wall (`s`) and of the processors (`cpu_s`), `ratio` to
scikit-image's `h_minima` and `watershed` at one h on the map smoothed beforehand, and `holds`.
SimpleITK and waterz, where they are installed, are measured beside it. The default takes some ten
minutes and 8 GB, nearly all of it for the peers.

    python benchmarks/hierarchy_large.py --shape 16 512 512
    python benchmarks/hierarchy_large.py --map boundary.npy --noise 0.1
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from hierarchy import make_boundary, peer_segments
from scipy import ndimage

LIMITS = {
    "build": 8.0,  # times faster than the peer, at least
    "memory": 1.6,  # GB above the map and the fragments
    "growth": 1.3,  # time per voxel of the whole against that of 8 sections
    "cut": 0.030,  # seconds, here and below
    "section": 0.003,
    "write": 1.0,
    "exact": 20.0,
    "first": 2.0,
}
SIGMA = 1.5
PEERS = ("scikit-image", "SimpleITK", "waterz")


def main() -> None:
    options = parse_arguments()
    if options.child:
        print(json.dumps(CHILDREN[options.child](options)), flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        options.array = str(Path(folder) / "map.npy")
        boundary = enlarge(options.map, tuple(options.shape), options.noise)
        np.save(options.array, boundary)
        built = run_child("build", options)
        peer = dict(time_peers(boundary, options))
        del boundary
        for claim, values in claims(built, peer, options):
            print(json.dumps({"claim": claim, **values}), flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=(100, 1024, 1024))
    parser.add_argument("--map", help="a .npy boundary map to enlarge; else a random tissue")
    parser.add_argument("--noise", type=float, default=0.1, help="standard deviation added")
    parser.add_argument("--mode", choices=("2d", "3d"), default="3d")
    parser.add_argument("--h", type=float, default=0.1)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--child", choices=("build", "first", "many"), help=argparse.SUPPRESS)
    parser.add_argument("--array", help=argparse.SUPPRESS)
    return parser.parse_args()


def enlarge(path: str | None, shape: tuple[int, ...], noise: float) -> np.ndarray:
    """Mirror a map in the section, interpolate it from section to section, add noise."""
    small = np.load(path) if path else make_boundary((8, 512, 512))
    tiles = [-(-wanted // have) for wanted, have in zip(shape[1:], small.shape[1:], strict=True)]
    widths = [(0, (n - 1) * have) for n, have in zip(tiles, small.shape[1:], strict=True)]
    small = np.pad(small, [(0, 0), *widths], mode="symmetric")[:, : shape[1], : shape[2]]
    random = np.random.default_rng(0)
    large = random.standard_normal(shape, np.float32)
    ndimage.gaussian_filter(large, 1.0, output=large)
    large *= noise / large.std()
    for z, place in enumerate(np.linspace(0, len(small) - 1, 100)[np.arange(shape[0]) % 100]):
        above, part = int(place), place % 1
        below = min(above + 1, len(small) - 1)
        large[z] += (1 - part) * small[above] + part * small[below]
    return np.clip(large, 0, 1, out=large)


def claims(
    built: dict[str, Any], peer: dict[str, Any], options: argparse.Namespace
) -> Iterator[tuple[str, dict[str, Any]]]:
    common = {"shape": options.shape, "mode": options.mode, "fragments": built["fragments"]}
    ratio = peer.get("scikit_image_s", 0) / built["s"]
    cpu_ratio = peer.get("scikit_image_cpu_s", 0) / built["cpu_s"]
    yield (
        "build, against H-minima and watershed at one h",
        {
            "s": built["s"],
            "cpu_s": built["cpu_s"],
            "ratio": round(ratio, 1) or None,
            "cpu_ratio": round(cpu_ratio, 1) or None,
            "limit_ratio": LIMITS["build"],
            "holds": ratio >= LIMITS["build"] if ratio else None,
            "mvoxel_per_s": built["mvoxel_per_s"],
            "copies_of_the_labels": built["copies"],
            **common,
            **peer,
        },
    )
    yield "memory above map and fragments", verdict("memory", "gb", built["gb"], common)
    yield "time per voxel from 8 sections", verdict("growth", "times", built["growth"], common)
    yield "write the labels", verdict("write", "s", built["write"], common)
    yield "exact borders", verdict("exact", "s", built["exact"], common)
    many = run_child("many", options)
    common = {**common, "fragments": many["fragments"]}
    yield "cut, any h, no floor", verdict("cut", "s", many["cut"], common)
    yield "relabel one section", verdict("section", "s", many["section"], common)
    yield "build without floor or smoothing", {"s": many["s"], "cpu_s": many["cpu_s"], **common}
    first = run_child("first", options)
    yield "first section in a fresh process", verdict("first", "s", first["s"], first)


def verdict(name: str, unit: str, value: float, common: dict[str, Any]) -> dict[str, Any]:
    limit = LIMITS[name]
    return {**common, unit: round(value, 5), "limit": limit, "holds": value <= limit}


def run_child(name: str, options: argparse.Namespace) -> Any:
    """Measure in a process of its own, so that memory and first calls are its alone."""
    command = [sys.executable, __file__, "--child", name, "--array", options.array]
    command += ["--mode", options.mode, "--h", str(options.h)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def measure_build(options: argparse.Namespace) -> dict[str, Any]:
    from napari_emseg.segmentation import build_hierarchy

    boundary = np.load(options.array)
    mode = options.mode
    build_hierarchy(boundary[:9, :64, :64], mode=mode).cut(0.1, 2).to_volume(True)  # compile
    few, *_ = clock(lambda: build_hierarchy(boundary[:8], mode=mode))
    before = start_memory()
    s, cpu_s, hierarchy = clock(lambda: build_hierarchy(boundary, mode=mode))
    fragments = hierarchy.fragments.data
    peak = peak_memory() - before - fragments.nbytes
    segmentation = hierarchy.cut(options.h)
    write, *_ = clock(segmentation.to_volume)
    exact, *_ = clock(lambda: segmentation.to_volume(exact_borders=True))
    copied = fragments.copy()
    copy, *_ = clock(lambda: np.copyto(copied, fragments))
    return {
        "s": round(s, 3),
        "cpu_s": round(cpu_s, 3),
        "fragments": hierarchy.n_fragments,
        "mvoxel_per_s": round(boundary.size / s / 1e6, 1),
        "copies": round(s / copy, 1),
        "gb": peak / 1e9,
        "growth": (s / len(boundary)) / (few / min(8, len(boundary))),
        "write": write,
        "exact": exact,
    }


def measure_many(options: argparse.Namespace) -> dict[str, Any]:
    """Cut a tree as large as it gets: every minimum of the map as it is."""
    from napari_emseg.segmentation import build_hierarchy

    boundary = np.load(options.array)
    build_hierarchy(boundary[:9, :64, :64], mode=options.mode, floor=0).cut(0.1).view()[0]
    s, cpu_s, hierarchy = clock(
        lambda: build_hierarchy(boundary, mode=options.mode, floor=0, sigma_px=0.5)
    )
    heights = np.linspace(0, 0.5, 11)
    cuts = [min(clock(lambda h=h: hierarchy.cut(h))[0] for _ in range(3)) for h in heights]
    view = hierarchy.cut(options.h).view()
    middle = len(boundary) // 2
    section = min(clock(lambda: view[middle])[0] for _ in range(10))
    return {
        "fragments": hierarchy.n_fragments,
        "cut": max(cuts),
        "section": section,
        "s": round(s, 3),
        "cpu_s": round(cpu_s, 3),
    }


def measure_first(options: argparse.Namespace) -> dict[str, Any]:
    """Import, build, cut and look at one section of 512x512, kernels compiled before."""
    section = np.load(options.array, mmap_mode="r")[0, :512, :512].copy()

    def first() -> None:
        from napari_emseg.segmentation import build_section

        build_section(section).cut(0.1, 50).view()[0]

    s, cpu_s, _ = clock(first)
    return {"s": round(s, 3), "cpu_s": round(cpu_s, 3), "shape": list(section.shape)}


CHILDREN = {"build": measure_build, "many": measure_many, "first": measure_first}


def time_peers(boundary: np.ndarray, options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Yield the seconds of each peer, or why there are none."""
    sigma = SIGMA if options.mode == "3d" else (0, SIGMA, SIGMA)
    smoothed = ndimage.gaussian_filter(boundary, sigma)
    if "scikit-image" in options.peers:
        s, cpu_s, n_segments = clock(lambda: peer_segments(smoothed, options.h, options.mode))
        yield "scikit_image_s", round(s, 2)
        yield "scikit_image_cpu_s", round(cpu_s, 2)
        yield "scikit_image_segments", n_segments
    for module, run in (("SimpleITK", run_simpleitk), ("waterz", run_waterz)):
        name = f"{module.lower()}_s"
        if find_spec(module) is None:
            yield name, f"{module} is not installed"
        elif module in options.peers:
            run(smoothed[:, :32, :32], options.h, options.mode)  # waterz compiles
            yield name, round(clock(lambda run=run: run(smoothed, options.h, options.mode))[0], 2)


def run_simpleitk(smoothed: np.ndarray, h: float, mode: str) -> None:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(2)
    for part in [smoothed] if mode == "3d" else list(smoothed):
        image = SimpleITK.GetImageFromArray(part)
        SimpleITK.MorphologicalWatershed(image, level=h, markWatershedLine=False)


def run_waterz(smoothed: np.ndarray, h: float, mode: str) -> None:
    """Watershed and mean-affinity agglomeration up to one threshold, in 3D."""
    import waterz

    affinities = np.ones((3, *smoothed.shape), np.float32)
    for axis in range(3):
        here = [slice(None)] * 3
        here[axis] = slice(1, None)
        before = list(here)
        before[axis] = slice(None, -1)
        np.maximum(
            smoothed[tuple(here)], smoothed[tuple(before)], out=affinities[axis][tuple(here)]
        )
    np.subtract(1, affinities, out=affinities)
    with quiet():
        for _ in waterz.agglomerate(affinities, thresholds=[h]):
            pass


@contextmanager
def quiet() -> Iterator[None]:
    """Send what compiled code prints to standard error, which is not read as JSON."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


def clock(function: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def start_memory() -> float:
    """Forget the peak so far; return the bytes held now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak_memory() -> float:
    return _status("VmHWM")


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return float(line.split()[1]) * 1024
    raise OSError(f"no {key} in /proc/self/status")


if __name__ == "__main__":
    main()

"""Surfaces of the neurons of pinky40 (512^3 voxels), and their skeletons.

At most 300 ms for a neuron of 2 million voxels, from the labels of the whole volume: first
the simple one that a window shows at once, then the one of all voxels. The peer, in the same
run, is scikit-image's marching cubes on the neuron's bounding box, with the neuron cut out.
Times are those of the processor, the median of the repeats; those of the clock are given too,
and alone for simplifying, which another process does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LIMIT_MS, LIMIT_VOXELS = 300.0, 2_000_000
SIZE_NM = (40.0, 32.0, 32.0)
N_NEURONS = 5


def time_it(function: Callable[[], Any], repeats: int) -> tuple[Any, float, float]:
    """Return the result, and milliseconds of the processor and of the clock."""
    cpu, wall = [], []
    for _ in range(repeats):
        started, started_cpu = time.perf_counter(), time.process_time()
        result = function()
        cpu.append(1e3 * (time.process_time() - started_cpu))
        wall.append(1e3 * (time.perf_counter() - started))
    return result, round(statistics.median(cpu), 1), round(statistics.median(wall), 1)


def cut_out(labels: np.ndarray, segment: int) -> np.ndarray:
    """Return the bounding box of a segment."""
    axes = [
        np.flatnonzero((labels == segment).any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))
    ]
    return labels[tuple(slice(int(a[0]), int(a[-1]) + 1) for a in axes)]


def march_peer(box: np.ndarray, segment: int) -> Any:
    from skimage.measure import marching_cubes

    return marching_cubes(np.pad(box == segment, 1), 0.5, spacing=SIZE_NM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", default=os.environ.get("EMSEG_TEST_DATA", shared), type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()

    from napari_emseg import Volume, open_volume
    from napari_emseg.morphometry import Surface, find_shapes, simplify
    from napari_emseg.morphometry.measures import is_watertight

    labels = open_volume(arguments.data / "pinky40" / "segmentation.tif").read()
    volume = Volume(labels, kind="labels", voxel_size_nm=SIZE_NM)
    find_shapes(Volume(labels[:40, :40, :40], kind="labels", voxel_size_nm=SIZE_NM)).surface(1)
    shapes, index_ms, _ = time_it(lambda: find_shapes(volume), 1)
    sizes = np.bincount(labels.ravel())
    neurons = [i for i in shapes.ids if sizes[i] <= LIMIT_VOXELS][:N_NEURONS]
    holds = True
    for segment in neurons:
        quick, quick_ms, quick_wall = time_it(
            lambda s=segment: shapes.quick_surface(s), arguments.repeats
        )
        whole, whole_ms, whole_wall = time_it(
            lambda s=segment: shapes.surface(s), arguments.repeats
        )
        box = cut_out(labels, segment)
        peer, peer_ms, _ = time_it(lambda b=box, s=segment: march_peer(b, s), 1)
        _, _, simplify_ms = time_it(lambda w=whole: simplify(w, 100_000), 1)
        skeleton, skeleton_ms, _ = time_it(
            lambda s=segment, w=whole: shapes.skeleton(s, surface=w), 1
        )
        assert isinstance(quick, Surface)
        row = {
            "segment": segment,
            "voxels": int(sizes[segment]),
            "box_voxels": int(box.size),
            "quick": {"triangles": quick.n_faces, "cpu_ms": quick_ms, "ms": quick_wall},
            "whole": {
                "triangles": whole.n_faces,
                "cpu_ms": whole_ms,
                "ms": whole_wall,
                "watertight": is_watertight(whole),
            },
            "peer": {"triangles": len(peer[1]), "cpu_ms": peer_ms},
            "ratio_to_peer": round(peer_ms / whole_ms, 2),
            "simplify_to_100k_ms": simplify_ms,
            "skeleton": {
                "cpu_ms": skeleton_ms,
                "nodes": len(skeleton.nodes),
                "um": round(skeleton.length_nm / 1000, 1),
            },
        }
        row["holds"] = max(quick_ms, whole_ms) <= LIMIT_MS and row["whole"]["watertight"]
        holds &= row["holds"]
        print(json.dumps(row), flush=True)
    print(json.dumps({"index_cpu_ms": index_ms, "load": os.getloadavg()[0], "holds": holds}))


if __name__ == "__main__":
    main()

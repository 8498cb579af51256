"""The list of split and merge errors of a stack, and the picture of one section of it.

One JSON line. Seconds are of one processor, so that other work on the machine does not
count; `peak_mb` is the memory above the two stacks.

    python benchmarks/errors.py --shape 100 1024 1024
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
import numpy.typing as npt

CELL_PX = 24


def main() -> None:
    options = parse_arguments()
    segmentation, truth = make_stacks(tuple(options.shape))
    from napari_emseg.evaluation import ErrorView, evaluate, find_errors

    small = np.s_[:2, :64, :64]
    find_errors(segmentation[small], truth[small])  # compile
    evaluate(segmentation[small], truth[small], metrics=["v_rand"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    errors = find_errors(segmentation, truth)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    start = time.process_time()
    evaluate(segmentation, truth, metrics=["v_rand"])
    seconds_of_score = time.process_time() - start
    view = ErrorView(segmentation, truth, errors)
    view.section(0)
    start = time.process_time()
    view.section(1)
    report = {
        "claim": "list of errors",
        "shape": list(options.shape),
        "segments": int(errors.cells.segment_index[-1]) + 1,
        "splits": errors.n_split,
        "merges": errors.n_merge,
        "seconds": round(seconds, 2),
        "ratio_to_v_rand_alone": round(seconds / seconds_of_score, 1),
        "peak_mb": round(peak / 1024),
        "view_section_ms": round(1e3 * (time.process_time() - start), 1),
    }
    print(json.dumps(report), flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=(10, 256, 256))
    return parser.parse_args()


def make_stacks(
    shape: tuple[int, ...],
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Wavy columns with gaps between; in the segmentation some are cut, some joined."""
    rng = np.random.default_rng(0)
    truth = np.zeros(shape, np.uint32)
    segmentation = np.zeros(shape, np.uint32)
    y, x = np.indices(shape[1:])
    n_x = shape[2] // CELL_PX + 3
    n_cells = n_x * (shape[1] // CELL_PX + 3)
    joined = np.arange(1, n_cells + 1)
    is_joined = rng.random(n_cells) < 0.1
    joined[is_joined] = np.roll(joined, 1)[is_joined]
    is_cut = rng.random(n_cells) < 0.1
    for z in range(shape[0]):
        wavy_y = y + 6 * np.sin(x / 40 + z / 10) + CELL_PX
        wavy_x = x + 6 * np.sin(y / 40 + z / 15) + CELL_PX
        cell = (wavy_y // CELL_PX * n_x + wavy_x // CELL_PX).astype(np.int64)
        is_gap = (wavy_y % CELL_PX < 3) | (wavy_x % CELL_PX < 3)
        truth[z] = np.where(is_gap, 0, cell + 1)
        is_second_half = is_cut[cell] & (z >= shape[0] // 2)
        segmentation[z] = joined[cell] + n_cells * is_second_half
    return segmentation, truth


if __name__ == "__main__":
    main()

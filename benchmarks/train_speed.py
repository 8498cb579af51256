"""How far a network comes from nothing in five minutes, on the data of ISBI 2012.

Trained on sections 0 to 19, scored on 20 to 23 which it does not see. The claim is a
V_rand of 0.97 within 300 seconds on two quiet processor cores. On a busy computer the
clock says little: give a number of steps instead, and take the seconds of the processor,
of which two cores have 600 in five minutes.

    python benchmarks/train_speed.py --data /path/to/data [--minutes 5 | --steps N]

By default with the settings for little time below: weaker changes of the patches, a
higher rate, and painted membrane far from any cell left out (filled dark areas teach that
dark is membrane; without this 0.971 instead of 0.983 in five minutes). --defaults takes
those of a training made for hours.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from napari_emseg.io import open_volume
from napari_emseg.training import TrainingPair, TrainParams, train
from napari_emseg.training.curve import read_curve

FLOOR_V_RAND = 0.97
BUDGET_S = 300
SHORT = {
    "learning_rate": 4e-3,
    "warmup_fraction": 0.15,
    "membrane_reach_px": 6,
    "augment": {
        "affine_fraction": 0.3,
        "elastic_sigma_px": 2.5,
        "defect_fraction": 0.02,
        "blur_sigma_px": 1.0,
        "noise_sigma": 0.15,
    },
}


def open_pair(data: Path) -> TrainingPair:
    folder, size = data / "isbi2012", (50.0, 4.0, 4.0)
    return TrainingPair(
        raw=open_volume(folder / "train_raw.tif", voxel_size_nm=size),
        labels=open_volume(folder / "train_membranes_z00-23.tif", voxel_size_nm=size, kind="raw"),
        labels_kind="membranes",
        train_sections=tuple(range(20)),
        validation_sections=tuple(range(20, 24)),
        name="isbi2012",
    )


def measure(pair: TrainingPair, params: TrainParams) -> dict[str, Any]:
    started, of_processor = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = train([pair], Path(folder) / "m.safetensors", params=params)
        course = [
            {"step": record["step"], "seconds": record["seconds"], "v_rand": scores["v_rand"]}
            for record in read_curve(result.curve_path)
            if (scores := record.get("scores", {}).get("isbi2012"))
        ]
    seconds, processor_s = time.perf_counter() - started, time.process_time() - of_processor
    v_rand = result.scores["isbi2012"]["v_rand"]
    patches = result.steps * params.batch_size * params.accumulate_batches
    return {
        "benchmark": "train_speed",
        "network": params.network,
        "learning_rate": params.learning_rate,
        "v_rand": round(v_rand, 4),
        "floor_v_rand": FLOOR_V_RAND,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor_s, 1),
        "budget_seconds": BUDGET_S,
        "steps": result.steps,
        "images_per_s": round(patches / seconds, 2),
        "images_per_processor_s": round(patches / processor_s, 2),
        "waited_share": round(result.waited_share, 4),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "course": course,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("EMSEG_TEST_DATA"))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--validation-interval-steps", type=int, default=300)
    parser.add_argument("--defaults", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    if args.data is None:
        parser.error("say where the data are: --data, or EMSEG_TEST_DATA")
    length = {"steps": args.steps} if args.steps else {"minutes": args.minutes}
    chosen = dict(text.split("=", 1) for text in args.set)
    short = {} if args.defaults else SHORT
    every = {"validation_interval_steps": args.validation_interval_steps}
    params = TrainParams.model_validate({**short, **every, **length, **chosen})
    print(json.dumps(measure(open_pair(args.data), params)))


if __name__ == "__main__":
    main()

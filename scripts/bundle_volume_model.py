"""Store a model for volumes in half precision and score it on sections it was not trained on.

    python scripts/bundle_volume_model.py TRAINING_SET MODEL TARGET --held-out 140 170

The map of the whole stack, by the weights as stored, averaged over all three axes where the
network sees sections; segments through the volume by mean walls, the threshold being the one
of least VOI on the sections trained on. Prints the scores, which `emseg evaluate` gives too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation import score_curve
from napari_emseg.networks.checkpoint import load_model, save_model
from napari_emseg.segmentation import build_hierarchy
from napari_emseg.segmentation.grouping import group
from napari_emseg.steps.predict import PredictParams
from napari_emseg.steps.predict import run as predict
from napari_emseg.training import load_training_set
from napari_emseg.training.training_set import read_training_set

KEPT = ("v_rand", "v_rand_split", "v_rand_merge", "voi_split", "voi_merge")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("training_set")
    parser.add_argument("model")
    parser.add_argument("target")
    parser.add_argument("--held-out", type=int, nargs=2, required=True, metavar=("FIRST", "STOP"))
    parser.add_argument("--sigma-px", type=float, default=0.5)
    parser.add_argument("--tta", action="store_true", help="average over the orientations too")
    args = parser.parse_args()

    (pair,) = load_training_set(args.training_set)
    description = read_training_set(args.training_set).model
    network, info = load_model(args.model)
    info = info.model_validate({**info.model_dump(), **description, "scores": {}})
    save_model(args.target, network, info, half=True)

    params = PredictParams(
        model=args.target,
        axes="z" if network.dimensions == 3 else "zyx",
        tta=args.tta,
        device="cpu",
    )
    boundary = predict(pair.raw, params=params)
    hierarchy = group(
        build_hierarchy(boundary, sigma_px=args.sigma_px, mode="3d"),
        boundary,
        grouping="mean_boundary",
    )
    truth = pair.labels.read()
    shown = _only(truth, pair.train_sections, pair.raw.shape[0])
    held_out = _only(truth, range(*args.held_out), pair.raw.shape[0])
    threshold, _ = score_curve(hierarchy, shown, ground_truth_kind="labels").best("voi")
    at = score_curve(hierarchy, held_out, ground_truth_kind="labels").at(threshold)
    scores = {key: round(float(at[key]), 4) for key in KEPT}
    scores["voi"] = round(scores["voi_split"] + scores["voi_merge"], 4)
    scores["merge_threshold"] = round(float(threshold), 4)
    where = f"{pair.name} {args.held_out[0]}-{args.held_out[1] - 1}"
    named = {f"{where} {key}": value for key, value in scores.items()}
    save_model(args.target, network, info.model_copy(update={"scores": named}), half=True)
    print(json.dumps({"sigma_px": args.sigma_px, "tta": args.tta, **named}, indent=2))


def _only(truth: npt.NDArray[Any], sections: Sequence[int], depth: int) -> npt.NDArray[Any]:
    """Keep the ids of some sections; 0 elsewhere is not scored."""
    kept = np.zeros((depth, *truth.shape[1:]), truth.dtype)
    kept[list(sections)] = truth[list(sections)]
    return kept


if __name__ == "__main__":
    main()

"""What the comparison of networks trains: which network, on what, how it is scored."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_emseg import Volume, score_curve
from napari_emseg.evaluation import isbi_protocol
from napari_emseg.segmentation import build_hierarchy, group
from napari_emseg.training import TrainingPair

SIGMA_PX = 1.5


@dataclass(frozen=True)
class Run:
    """A row of the table: a network with a preset, the data, how its training differs."""

    name: str
    network: str
    preset: str = "modern"
    data: str = "isbi2012"
    params: dict[str, Any] = field(default_factory=dict)


def _of_volumes(**params: Any) -> dict[str, Any]:
    # Gradients of small 3D convolutions in bfloat16 are now and then no numbers, on processors.
    patch = {"batch_size": 1, "patch_px": 80, "patch_sections": 40, "precision": "float32"}
    return {**patch, **params}


# Pixel classifiers compute each layer at full resolution: as their authors did, one small patch a
# step, or a few minutes would be a dozen steps.
_CLASSIFIER = {"batch_size": 1, "patch_px": 100}

RUNS = {
    run.name: run
    for run in (
        Run("unet2d", "unet2d"),
        Run("fusionnet", "fusionnet"),
        Run("cumedvision", "cumedvision"),
        Run("deepem3d", "deepem3d"),
        Run("rdn", "rdn"),
        Run("unet", "unet"),
        Run("n4", "n4", params=_CLASSIFIER),
        Run("vd2d", "vd2d", params=_CLASSIFIER),
        Run("vd2d3d", "vd2d3d", params=_CLASSIFIER),
        Run(
            "unet3d",
            "unet3d",
            data="fib25",
            params=_of_volumes(network_options={"flat_levels": 0}),
        ),
        Run("rsunet", "rsunet", data="fib25", params=_of_volumes()),
        Run("unet2d_fib25", "unet2d", data="fib25", params={"in_sections": 3}),
        Run("n3", "n3", params=_CLASSIFIER),
        Run("n4_paper", "n4", "paper", params=_CLASSIFIER),
        Run("vd2d_paper", "vd2d", "paper", params=_CLASSIFIER),
    )
}
"""In order of interest; sections of the data sets in `SPLITS`."""

SPLITS = {"isbi2012": (range(20), range(20, 24)), "fib25": (range(140), range(140, 170))}


def open_pair(data: str, folder: Path) -> TrainingPair:
    """Open the training sections of a data set; none are held out for choosing checkpoints."""
    train = tuple(SPLITS[data][0])
    if data == "isbi2012":
        raw = Volume(_read(folder / data / "train_raw.tif"), voxel_size_nm=(50, 4, 4))
        drawing = Volume(_read(folder / data / "train_membranes_z00-23.tif"))
        return TrainingPair(raw, drawing, "membranes", train, name=data)
    raw = Volume(_read(folder / data / "raw.tif"), voxel_size_nm=(10, 10, 10))
    ids = Volume(_read(folder / data / "neurons_z000-169.tif"), kind="labels")
    return TrainingPair(raw, ids, "labels", train, name=data)


def score(data: str, predicted: Volume, labels: Volume) -> dict[str, float]:
    """Score the map of the later sections."""
    later = SPLITS[data][1]
    truth = labels.read(slice(later.start, later.stop))
    return _score_sections(predicted, truth) if data == "isbi2012" else _score_3d(predicted, truth)


def _score_sections(boundary: Volume, truth: np.ndarray) -> dict[str, float]:
    hierarchy = build_hierarchy(boundary, sigma_px=SIGMA_PX, mode="2d")
    curve = score_curve(hierarchy, truth, ground_truth_kind="membranes")
    h, v_rand = curve.best("v_rand")
    plain = isbi_protocol(boundary, truth)
    return {
        "h": h,
        "v_rand": v_rand,
        "v_info": curve.best("v_info")[1],
        "threshold_v_rand": plain["v_rand"],
        "threshold_v_info": plain["v_info"],
        "warping_error": plain.get("warping_error", float("nan")),
        "pixel_error": plain["pixel_error"],
    }


def _score_3d(predicted: Volume, truth: np.ndarray) -> dict[str, float]:
    from napari_emseg.steps.segment import as_boundary

    boundary = as_boundary(predicted)
    mean = "mean_affinity" if predicted.kind == "affinities" else "mean_boundary"
    hierarchy = build_hierarchy(boundary, sigma_px=1.0, mode="3d")
    curves = {
        "h_minima": score_curve(hierarchy, truth),
        "mean_wall": score_curve(group(hierarchy, boundary, grouping=mean), truth),
    }
    scores: dict[str, float] = {}
    for name, curve in curves.items():
        scores[f"{name}_v_rand"] = curve.best("v_rand")[1]
        scores[f"{name}_voi"] = curve.best("voi")[1]
    return scores


def _read(path: Path) -> np.ndarray:
    array: np.ndarray = tifffile.imread(path)
    return array

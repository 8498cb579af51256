"""The data sets of the comparison on few sections: what is learned from, what is scored."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from _strokes import Hand, paint_section
from skimage.measure import label

from napari_emseg import Volume, score_curve
from napari_emseg.inference import Predictor
from napari_emseg.segmentation import build_hierarchy
from napari_emseg.training import TrainingPair, load_training_set
from napari_emseg.training.pairs import make_target

ROOT = Path(__file__).resolve().parents[1]
SIGMA_PX = 1.5
Labels = Literal["dense", "sparse"]


@dataclass(frozen=True)
class DataSet:
    """A data set that is left out.

    Attributes
    ----------
    name : str
    listed_in : str
        A file in scripts/ that lists it, for a model that has seen it.
    training : range
        The part that the few sections are taken from.
    held_out : range
        What is scored; never painted.
    seen_by : str
        The bundled model that was trained on all of the training part.
    hand : Hand
        Where a pixel shows much, the brush is finer.
    """

    name: str
    listed_in: str
    training: range
    held_out: range
    seen_by: str
    hand: Hand = field(default_factory=Hand)


DATA_SETS = {
    data.name: data
    for data in (
        DataSet("vnc2013", "leave_isbi2012", range(12), range(12, 14), "drosophila_sstem"),
        DataSet("isbi2012", "leave_vnc2013", range(20), range(20, 24), "drosophila_sstem"),
        DataSet(
            "fib25",
            "leave_vnc2013",
            range(140),
            range(140, 170, 5),
            "drosophila_fibsem",
            Hand(membrane_px=2, inside_px=3, length_px=(15, 60), wobble_px=0.4),
        ),
    )
}


def open_pair(data: DataSet, folder: Path) -> TrainingPair:
    """Open a data set as the models that have seen it do, section by section."""
    listed = load_training_set(
        ROOT / "scripts" / f"training_set_{data.listed_in}.yaml", data_folder=folder
    )
    (pair,) = (pair for pair in listed if pair.name == data.name)
    return replace(pair, axes="z", validation_sections=(), weight=1.0)


def choose_sections(data: DataSet, count: int) -> tuple[int, ...]:
    """Spread sections evenly over the training part."""
    return tuple(
        data.training[round((k + 0.5) / count * len(data.training) - 0.5)] for k in range(count)
    )


def label_few(
    data: DataSet, pair: TrainingPair, labels: Labels, sections: tuple[int, ...]
) -> TrainingPair:
    """Keep the labels of a few sections, all of them or a hand's strokes."""
    if labels == "dense":
        return replace(pair, train_sections=sections)
    painted = np.zeros(pair.labels.shape, np.uint8)
    for z in sections:
        painted[z] = paint_section(make_target(pair, z), data.hand, seed=z)
    return replace(
        pair,
        labels=Volume(painted, voxel_size_nm=pair.raw.voxel_size_nm, kind="labels"),
        labels_kind="painted",
        train_sections=sections,
        invert=None,
        ignore=None,
        ignore_values=(),
    )


def score(model: Path, data: DataSet, pair: TrainingPair) -> dict[str, float]:
    """Predict, smooth, segment and score the held-out sections, each by itself, at the best h."""
    with Predictor(model, device="cpu") as predictor:
        maps = np.stack([predictor.predict_section(pair.raw, z) for z in data.held_out])
    hierarchy = build_hierarchy(Volume(maps, kind="boundary"), sigma_px=SIGMA_PX, mode="2d")
    truth = np.stack([pair.labels.read(z) for z in data.held_out])
    if pair.labels_kind == "labels":
        truth = _part_sections(truth)
    curve = score_curve(hierarchy, truth, ground_truth_kind=pair.labels_kind)
    h, v_rand = curve.best("v_rand")
    at = curve.at(h)
    kept = ("v_rand_split", "v_rand_merge", "v_info")
    return {"v_rand": v_rand, **{key: float(at[key]) for key in kept}, "h": h}


def _part_sections(ids: np.ndarray) -> np.ndarray:
    """Give each piece of a neuron in each section its own id: 2D segments cannot be joined."""
    parts = [label(section, connectivity=1, background=0) for section in ids]
    below = np.cumsum([0, *(int(part.max()) for part in parts[:-1])])
    return np.stack([np.where(part, part + n, 0) for part, n in zip(parts, below, strict=True)])

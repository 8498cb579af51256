"""Scoring a network on held-out sections the way its maps will be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation import score_curve
from napari_emseg.inference import Predictor
from napari_emseg.networks.base import Network
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation import build_hierarchy
from napari_emseg.segmentation.affinity_view import boundary_of
from napari_emseg.training.paint_scores import paint_scores
from napari_emseg.training.pairs import TrainingPair, longest_run, make_target, runs_of
from napari_emseg.volume import Volume

_LARGEST_SHARE = 0.2
"""Of the time of a training of some minutes, for validations."""
_KEPT = ("v_rand_split", "v_rand_merge", "v_info")

Map = npt.NDArray[np.float32]
GroundTruthKind = Literal["labels", "membranes"]


def validate(
    network: Network,
    pairs: Sequence[TrainingPair],
    *,
    sigma_px: float = 1.5,
    tta: bool = False,
    device: str = "auto",
    maps_from: Network | None = None,
    progress: Progress = NO_PROGRESS,
) -> dict[str, dict[str, float]]:
    """Predict, smooth, segment and score the validation sections of each pair.

    Gaussian and H-minima, at the h that is best for the pair, exactly. With a 2D
    network, or where the truth is an image of membranes, each section by itself;
    with a 3D network the longest run of validation sections as a volume. Of
    affinities, the boundary is 1 - the mean of those to the nearest voxels.
    Sparse paint cannot tell whether cells are parted: of that, the accuracy at the
    painted pixels is told.

    Parameters
    ----------
    network : Network
    pairs : sequence of TrainingPair
        Those without validation sections are left out.
    sigma_px : float
        Gaussian before H-minima, in pixels.
    tta : bool
        Average over all orientations; off while training, to save time.
    device : str
        Where to compute.
    maps_from : Network, optional
        What makes the boundary maps that a recursive network takes.
    progress : Progress
        Told after each section; may stop the validation.

    Returns
    -------
    dict
        By pair name {v_rand, v_rand_split, v_rand_merge, v_info, h}; of paint
        {accuracy, membrane_recall, inside_recall}.
    """
    held_out = [pair for pair in pairs if pair.validation_sections]
    with Predictor(network, device=device, maps_from=maps_from) as predictor:
        scores = {
            pair.name: _score(network, predictor, pair, sigma_px, tta, progress)
            for pair in held_out
        }
    return {name: values for name, values in scores.items() if values}


def mean_score(scores: Mapping[str, Mapping[str, float]]) -> float | None:
    """Return the mean over the data sets of V_rand, or of the accuracy where there is none.

    Examples
    --------
    >>> mean_score({"a": {"v_rand": 0.5, "v_info": 0.1}, "b": {"accuracy": 1.0}})
    0.75
    """
    found = [s["v_rand"] if "v_rand" in s else s["accuracy"] for s in scores.values()]
    return float(np.mean(found)) if found else None


def has_time_to_validate(seconds: float, validating_s: float) -> bool:
    """Whether validations have not yet taken more than their share of a training of some minutes.

    Where steps take milliseconds and sections are large, a number of steps between
    validations would leave little time to learn.

    Examples
    --------
    >>> has_time_to_validate(60, 5), has_time_to_validate(60, 20)
    (True, False)
    """
    return validating_s <= _LARGEST_SHARE * seconds


def _score(
    network: Network,
    predictor: Predictor,
    pair: TrainingPair,
    sigma_px: float,
    tta: bool,
    progress: Progress,
) -> dict[str, float]:
    report = _Named(progress, f"validating on {pair.name}")
    if pair.labels_kind == "painted":
        return _score_paint(network, predictor, pair, tta, report)
    if network.dimensions == 3:
        first, last = longest_run(pair.validation_sections)
        sections = list(range(first, last + 1))
        boundary = _predict_run(network, predictor, pair.raw, sections, tta, report)
        is_volume = pair.labels_kind == "labels"
    else:
        sections, is_volume = list(pair.validation_sections), False
        boundary = _predict_sections(predictor, pair, sections, tta, report)
    mode: Literal["2d", "3d"] = "3d" if is_volume else "2d"
    hierarchy = build_hierarchy(
        Volume(boundary, kind="boundary"), sigma_px=sigma_px, mode=mode, progress=report
    )
    truth, kind = _read_truth(pair, sections, is_volume=is_volume)
    curve = score_curve(hierarchy, truth, ground_truth_kind=kind, progress=report)
    h, v_rand = curve.best("v_rand")
    at = curve.at(h)
    return {"v_rand": float(v_rand), **{key: float(at[key]) for key in _KEPT}, "h": float(h)}


def _score_paint(
    network: Network, predictor: Predictor, pair: TrainingPair, tta: bool, report: Progress
) -> dict[str, float]:
    sections = sorted(set(pair.validation_sections))
    if network.dimensions == 3:
        runs = [list(range(first, last + 1)) for first, last in runs_of(sections)]
        parts = [_predict_run(network, predictor, pair.raw, run, tta, report) for run in runs]
        boundary = np.concatenate(parts)
    else:
        boundary = _predict_sections(predictor, pair, sections, tta, report)
    target = np.stack([make_target(pair, z) for z in sections])
    return paint_scores(boundary, target)


def _predict_sections(
    predictor: Predictor,
    pair: TrainingPair,
    sections: Sequence[int],
    tta: bool,
    report: Progress,
) -> Map:
    boundary = []
    for done, z in enumerate(sections):
        boundary.append(
            predictor.predict_section(pair.raw, z, tta=tta, resample="never", progress=report)
        )
        report.update(done + 1, len(sections))
    return np.stack(boundary)


def _predict_run(
    network: Network,
    predictor: Predictor,
    raw: Volume,
    sections: Sequence[int],
    tta: bool,
    report: Progress,
) -> Map:
    reach = network.receptive_field_px[0] // 2
    start = max(0, sections[0] - reach)
    stop = min(raw.shape[0], sections[-1] + reach + 1)
    around = Volume(raw.read(slice(start, stop)), name=raw.name)
    wanted = [z - start for z in sections]
    predicted = predictor.predict(
        around, tta=tta, sections=wanted, resample="never", progress=report
    )
    boundary = boundary_of(predicted) if predicted.kind == "affinities" else predicted
    return np.stack([boundary.read(z) for z in wanted])


def _read_truth(
    pair: TrainingPair, sections: Sequence[int], *, is_volume: bool
) -> tuple[npt.NDArray[Any], GroundTruthKind]:
    """Read what the validation sections are, 0 where that is not known, and its kind."""
    truth = np.stack([pair.labels.read(z) for z in sections])
    is_drawn = pair.labels_kind == "membranes"
    if is_drawn and pair.ignore is None:
        return truth, "membranes"
    if is_drawn:
        cells = [(section == 0).astype(np.uint8) for section in _targets(pair, sections)]
        truth = _cells_of_each(cells)
    elif not is_volume:
        truth = _cells_of_each(truth)
    if pair.ignore is not None:
        ignored = np.stack([pair.ignore.read(z) for z in sections])
        truth = np.where(np.isin(ignored, pair.ignore_values), 0, truth)
    return truth, "labels"


def _targets(pair: TrainingPair, sections: Sequence[int]) -> list[npt.NDArray[np.uint8]]:
    whole = replace(pair, ignore=None)
    return [make_target(whole, z) for z in sections]


def _cells_of_each(sections: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Give the parts of cells in each section ids of their own.

    Sections are segmented each by itself: a neuron in two of them, or twice in one, is
    two segments.
    """
    from skimage.measure import label

    parts = [label(section, connectivity=1, background=0) for section in sections]
    below = np.cumsum([0, *(int(part.max()) for part in parts[:-1])])
    return np.stack([np.where(part, part + n, 0) for part, n in zip(parts, below, strict=True)])


class _Named:
    """Says what is going on instead of the details."""

    def __init__(self, progress: Progress, message: str) -> None:
        self._progress, self._message = progress, message

    def update(self, done: int, total: int, message: str = "") -> None:
        self._progress.update(done, total, self._message)

"""Training one model for each part of the sections, which that model does not see."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.training.description import describe_model
from napari_emseg.training.hooks import Hook
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.training.params import TrainParams
from napari_emseg.training.trainer import STATE_SUFFIX, TrainResult, train


@dataclass(frozen=True)
class CrossValidation:
    """What a cross-validation left.

    Attributes
    ----------
    results : tuple of TrainResult
        One for each fold.
    scores : dict
        By data set the mean of each score over the folds.
    """

    results: tuple[TrainResult, ...]
    scores: dict[str, dict[str, float]]


def cross_validate(
    pairs: Sequence[TrainingPair],
    out_path: str | os.PathLike[str],
    *,
    folds: int = 3,
    params: TrainParams | None = None,
    info: ModelInfo | None = None,
    progress: Progress = NO_PROGRESS,
    resume: bool = False,
    make_hooks: Callable[[int], Sequence[Hook]] = lambda fold: (),
) -> CrossValidation:
    """Train a model for each fold of the sections and average their scores.

    The sections of each pair, those for training and for validation together,
    are parted into contiguous folds. The models make an ensemble of which each
    member has seen other sections, as FusionNet's.

    Parameters
    ----------
    pairs : sequence of TrainingPair
    out_path : path
        ``NAME.safetensors`` gives ``NAME-fold1.safetensors`` and so on.
    folds : int
        At least 2.
    params, info, progress, resume
        As of :func:`napari_emseg.training.train`. Resuming begins folds that
        have not begun.
    make_hooks : callable
        Returns the hooks of a fold, 1 for the first.

    Raises
    ------
    InputError
        If a pair has fewer sections than there are folds, or as :func:`train`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from napari_emseg.samples import make_synthetic
    >>> from napari_emseg.training import hold_out
    >>> pair = hold_out(*make_synthetic((3, 96, 96)))
    >>> params = TrainParams(steps=1, batch_size=1, patch_px=64, preset="tiny")
    >>> with TemporaryDirectory() as folder:
    ...     done = cross_validate([pair], f"{folder}/mine.safetensors", folds=3, params=params)
    >>> [result.model_path.name for result in done.results]
    ['mine-fold1.safetensors', 'mine-fold2.safetensors', 'mine-fold3.safetensors']
    """
    params = params or TrainParams()
    splits = [split_sections(pair, folds) for pair in pairs]
    results = []
    for fold, path in enumerate(fold_paths(out_path, folds)):
        own = [split[fold] for split in splits]
        described = info and info.model_copy(
            update={"trained_on": describe_model(own, params.network).trained_on}
        )
        results.append(
            train(
                own,
                path,
                params=params,
                info=described,
                progress=_FoldProgress(progress, fold, folds),
                resume=resume and path.with_suffix(STATE_SUFFIX).exists(),
                hooks=make_hooks(fold + 1),
            )
        )
    return CrossValidation(tuple(results), _mean_scores(results))


def split_sections(pair: TrainingPair, folds: int) -> list[TrainingPair]:
    """Part the sections of a pair, each part once for validation.

    Raises
    ------
    InputError
        If there are fewer than 2 folds, or fewer sections than folds.

    Examples
    --------
    >>> from napari_emseg.volume import Volume
    >>> raw = Volume(np.zeros((7, 8, 8), np.uint8))
    >>> labels = Volume(np.ones((7, 8, 8), np.uint8), kind="labels")
    >>> pair = TrainingPair(raw, labels, "labels", tuple(range(7)))
    >>> [split.validation_sections for split in split_sections(pair, 3)]
    [(0, 1, 2), (3, 4), (5, 6)]
    """
    sections = sorted({*pair.train_sections, *pair.validation_sections})
    if folds < 2:
        raise InputError(f"Cross-validation needs at least 2 folds, not {folds}.")
    if len(sections) < folds:
        raise InputError(
            f"{pair.name}: {len(sections)} sections cannot be parted into {folds} folds; ask for "
            "fewer."
        )
    parts = [tuple(part.tolist()) for part in np.array_split(sections, folds)]
    return [
        replace(
            pair,
            train_sections=tuple(z for z in sections if z not in part),
            validation_sections=part,
        )
        for part in parts
    ]


def fold_paths(out_path: str | os.PathLike[str], folds: int) -> list[Path]:
    """Name the model of each fold.

    Examples
    --------
    >>> [path.name for path in fold_paths("mine.safetensors", 2)]
    ['mine-fold1.safetensors', 'mine-fold2.safetensors']
    """
    path = Path(out_path)
    return [path.with_name(f"{path.stem}-fold{fold + 1}.safetensors") for fold in range(folds)]


def _mean_scores(results: Sequence[TrainResult]) -> dict[str, dict[str, float]]:
    """Return the means over the folds that have a score; paint of one kind has fewer."""
    found: dict[str, dict[str, list[float]]] = {}
    for result in results:
        for name, scores in result.scores.items():
            for key, value in scores.items():
                found.setdefault(name, {}).setdefault(key, []).append(value)
    return {
        name: {key: float(np.mean(values)) for key, values in scores.items()}
        for name, scores in found.items()
    }


class _FoldProgress:
    def __init__(self, progress: Progress, fold: int, folds: int) -> None:
        self._progress, self._fold, self._folds = progress, fold, folds

    def update(self, done: int, total: int, message: str = "") -> None:
        self._progress.update(
            self._fold * total + done,
            self._folds * total,
            f"fold {self._fold + 1} of {self._folds}: {message}",
        )

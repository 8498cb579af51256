"""How much each of several models counts, learned on labelled sections."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.inference.sections import FloatArray
from napari_emseg.io.atomic import atomic_write
from napari_emseg.networks.info import STACKER_KEY
from napari_emseg.postprocessing.truth import GroundTruthKind, open_truth
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.smoothing import read_section
from napari_emseg.volume import Volume

FORMAT_VERSION = 1
_MOST_BYTES = 2**20
_EDGE = 1e-4  # beyond it a probability says no more, but its logit would count for all
_MOST_PIXELS = 1_000_000
_RIDGE = 1e-3

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stacker:
    """A logistic regression on the logits of several maps: a 1 x 1 convolution.

    Attributes
    ----------
    weights : tuple of float
        One a model.
    bias : float
    models : tuple of (name, sha256)
        The models it belongs to, in this order.
    trained_on : str
        For people.
    """

    weights: tuple[float, ...]
    bias: float
    models: tuple[tuple[str, str], ...]
    trained_on: str = ""

    def apply(self, maps: Sequence[FloatArray]) -> FloatArray:
        """Combine one section of each map: (Y, X) float32 in [0, 1].

        Examples
        --------
        >>> sure = Stacker((2.0,), 0.0, (("a", ""),))
        >>> sure.apply([np.array([[0.5, 0.75]], np.float32)]).round(2)
        array([[0.5, 0.9]], dtype=float32)
        """
        total: Any = np.float64(self.bias)
        for weight, boundary in zip(self.weights, maps, strict=True):
            total = total + weight * _logit(boundary)
        combined: FloatArray = (1 / (1 + np.exp(-total))).astype(np.float32)
        return combined

    def for_models(self, models: Sequence[tuple[str, str]]) -> Stacker:
        """Return the stacker with its weights in the order of `models`.

        Raises
        ------
        InputError
            If it was fitted to other models: told apart by the checksums of their files.
        """
        left = dict(enumerate(sha256 for _, sha256 in self.models))
        order = []
        for _, sha256 in models:
            at = next((k for k, known in left.items() if known == sha256), None)
            if at is None:
                break
            order.append(at)
            del left[at]
        if left or len(order) != len(models):
            ours, theirs = (", ".join(name for name, _ in some) for some in (self.models, models))
            raise InputError(
                f"The stacker was fitted to other models ({ours}) than those to combine "
                f"({theirs}): choose the same files, or fit it again with 'emseg stack'."
            )
        return Stacker(
            tuple(self.weights[k] for k in order),
            self.bias,
            tuple(self.models[k] for k in order),
            self.trained_on,
        )

    def describe(self) -> dict[str, Any]:
        """Return it in plain values."""
        return {"weights": list(self.weights), "bias": self.bias, "trained_on": self.trained_on}


def fit_stacker(
    maps: Sequence[Volume],
    ground_truth: Volume,
    models: Sequence[tuple[str, str]],
    *,
    ground_truth_kind: GroundTruthKind = "labels",
    invert: bool | None = None,
    sections: Iterable[int] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Stacker:
    """Learn from labelled sections how to combine the maps of several models.

    Parameters
    ----------
    maps : sequence of Volume
        The map of each model, kind "boundary", on the grid of the ground truth.
    ground_truth : Volume
        Ids, or an image of membranes.
    models : sequence of (name, sha256)
        Which models made the maps; kept with the weights. See
        :func:`napari_emseg.inference.ensemble.models_of`.
    ground_truth_kind, invert
        As in :func:`napari_emseg.postprocessing.fit_calibration`.
    sections : iterable of int, optional
        Labelled sections to learn from; by default all.
    progress : Progress, optional
        Told the sections read.

    Returns
    -------
    Stacker
        The regression that gives the labels the highest likelihood, on a million
        pixels at most, spread evenly; a slight pull holds near-equal maps together.

    Raises
    ------
    InputError
        If the maps do not fit the ground truth, or it has no membrane.

    Examples
    --------
    >>> truth = np.zeros((1, 8, 8), np.uint8); truth[:, :4] = 1
    >>> good, bad = truth[0] * 0.8 + 0.1, np.indices((8, 8))[1] / 8
    >>> maps = [Volume(m[None].astype(np.float32), kind="boundary") for m in (good, bad)]
    >>> fitted = fit_stacker(maps, Volume(255 - 255 * truth), [("good", "1"), ("bad", "2")],
    ...                      ground_truth_kind="membranes")
    >>> fitted.weights[0] > 10 * abs(fitted.weights[1])
    True
    """
    if len(maps) != len(models):
        raise InputError(f"{len(maps)} maps are given for {len(models)} models.")
    truths = [open_truth(m, ground_truth, ground_truth_kind, sections, invert) for m in maps]
    truth = truths[0]
    n_pixels = len(truth.sections) * math.prod(maps[0].shape[1:])
    step = max(1, math.ceil(n_pixels / _MOST_PIXELS))
    columns: list[Values] = []
    answers: list[npt.NDArray[np.bool_]] = []
    for done, z in enumerate(truth.sections, 1):
        rows = [_logit(read_section(one, z)).ravel()[z % step :: step] for one in maps]
        columns.append(np.stack(rows))
        answers.append(truth.find_membrane(z).ravel()[z % step :: step])
        progress.update(done, len(truth.sections), "Reading the maps")
    weights, bias = _regress(np.concatenate(columns, 1), np.concatenate(answers))
    where = ", ".join(filter(None, (ground_truth.name, f"{len(truth.sections)} sections")))
    return Stacker(tuple(map(float, weights)), bias, tuple(models), where)


def cross_entropies(
    stacker: Stacker,
    maps: Sequence[Volume],
    ground_truth: Volume,
    *,
    ground_truth_kind: GroundTruthKind = "labels",
    invert: bool | None = None,
    sections: Iterable[int] | None = None,
) -> dict[str, float]:
    """Return the mean cross-entropy (nat a pixel) of the combined maps, by how they are combined.

    Parameters are those of :func:`fit_stacker`.

    Returns
    -------
    dict
        "learned", "mean" and "max".
    """
    truth = open_truth(maps[0], ground_truth, ground_truth_kind, sections, invert)
    totals = dict.fromkeys(("learned", "mean", "max"), 0.0)
    for z in truth.sections:
        read = [read_section(one, z) for one in maps]
        sign = np.where(truth.find_membrane(z), 1.0, -1.0)
        combined = (stacker.apply(read), np.mean(read, axis=0), np.max(read, axis=0))
        for how, boundary in zip(totals, combined, strict=True):
            totals[how] += float(np.logaddexp(0, -sign * _logit(boundary)).mean())
    return {how: total / len(truth.sections) for how, total in totals.items()}


def _regress(logits: Values, is_membrane: npt.NDArray[np.bool_]) -> tuple[Values, float]:
    """Fit weights and bias: convex, so there is one best."""
    from scipy.optimize import minimize

    if is_membrane.all() or not is_membrane.any():
        raise InputError(
            "The labelled sections show no membrane, or nothing else: choose other sections "
            "or check --ground-truth-kind."
        )
    n = logits.shape[0]
    start = np.append(np.full(n, 1 / n), 0.0)
    sign = np.where(is_membrane, 1.0, -1.0)

    def loss(values: Values) -> tuple[float, Values]:
        margin = sign * (values[:n] @ logits + values[n])
        away = values[:n] - values[:n].mean()
        pull = -sign / (1 + np.exp(np.clip(margin, -500, 500))) / sign.size
        gradient = np.append(logits @ pull + _RIDGE * away, pull.sum())
        total = np.logaddexp(0, -margin).mean() + _RIDGE / 2 * float(away @ away)
        return float(total), gradient

    found = minimize(loss, start, jac=True, method="L-BFGS-B")
    return found.x[:n], float(found.x[n])


def _logit(boundary: npt.NDArray[Any]) -> Values:
    p = np.clip(boundary, _EDGE, 1 - _EDGE, dtype=np.float64)
    logits: Values = np.log(p / (1 - p))
    return logits


def save_stacker(stacker: Stacker, path: Path | str) -> Path:
    """Write a stacker as one safetensors file.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "two.stacker.safetensors"
    >>> load_stacker(save_stacker(Stacker((0.5, 1.0), 0.1, (("a", "1"), ("b", "2"))), path)).bias
    0.1
    """
    from safetensors.numpy import save

    content = {
        "format_version": FORMAT_VERSION,
        "models": [{"name": name, "sha256": sha256} for name, sha256 in stacker.models],
        "trained_on": stacker.trained_on,
    }
    values = np.array([*stacker.weights, stacker.bias], np.float64)
    with atomic_write(path) as temporary:
        Path(temporary).write_bytes(save({"weights": values}, {STACKER_KEY: json.dumps(content)}))
    return Path(path)


def load_stacker(path: Path | str) -> Stacker:
    """Read a stacker; the file is treated as data from a stranger.

    Raises
    ------
    InputError
        If it is no stacker, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path.name} is too large for a stacker; is it a model?")
        raw = path.read_bytes()
        values = load(raw)["weights"]
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        content = json.loads(header["__metadata__"][STACKER_KEY])
        models = tuple((str(m["name"]), str(m["sha256"])) for m in content["models"])
        is_known = content["format_version"] == FORMAT_VERSION
        trained_on = str(content.get("trained_on", ""))
    except OSError as error:
        raise InputError(f"Cannot read the stacker {path}: {error.strerror}.") from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path.name} is no stacker, or a damaged one.") from None
    if not is_known:
        raise InputError(f"{path.name} was written by another version: update napari-emseg.")
    if values.shape != (len(models) + 1,) or not np.isfinite(values).all():
        raise InputError(f"{path.name} is damaged: its weights do not fit its models.")
    *weights, bias = map(float, values)
    return Stacker(tuple(weights), bias, models, trained_on)

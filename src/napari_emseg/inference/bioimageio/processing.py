"""What packages ask to be done to the numbers before and behind a network.

Statistics are taken as the official library takes them: over the whole sample, which is
the volume for a model of volumes and the section for one of sections; over the whole
stack where the description says "per dataset".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.networks.bioimageio_model import PackageModel, Step, Unsupported

Array = npt.NDArray[Any]
Stat = tuple[float, float]
"""Mean and standard deviation, or the values at two percentiles."""
Scope = Literal["point", "section", "stack"]
_MOST_VALUES = 2**26
"""So many values are kept at once to find percentiles of decimal numbers."""


def scope_of(step: Step, model: PackageModel) -> Scope:
    """Tell over what the statistics of a step are taken.

    Returns
    -------
    {"point", "section", "stack"}
        "point" for a step that needs none.

    Raises
    ------
    Unsupported
        If they are along lines, or over channels that are sections.
    """
    if step.axes is None:
        return "point"
    if not {"y", "x"} <= set(step.axes) or (model.in_sections > 1 and "c" in step.axes):
        raise Unsupported(f"{step.name} over the axes '{step.axes}' is not known here")
    return "stack" if "b" in step.axes or "z" in step.axes else "section"


def measure(step: Step, images: Iterable[Array]) -> Stat:
    """Return the statistics of a step over all of some sections.

    Parameters
    ----------
    step : Step
    images : iterable of (Y, X) array
        Read one after the other; only percentiles of decimal numbers need to hold many.

    Examples
    --------
    >>> measure(Step("zero_mean_unit_variance", "yx"), [np.array([[1, 3]]), np.array([[1, 3]])])
    (2.0, 1.0)
    """
    if step.name == "scale_range":
        return _percentiles(images, step.values["low"], step.values["high"])
    count, mean, squares = 0, 0.0, 0.0
    for image in images:  # sums of parts are joined so that nothing is lost by cancellation
        wide = image.astype(np.float64)
        here, n = float(wide.mean()), wide.size
        apart = here - mean
        squares += float(np.square(wide - here).sum()) + apart**2 * count * n / (count + n)
        mean += apart * n / (count + n)
        count += n
    return mean, float(np.sqrt(squares / max(count, 1)))


def apply(step: Step, image: Array, stat: Stat | None, along: int | None = None) -> Array:
    """Do what a step says.

    Parameters
    ----------
    step : Step
    image : array
    stat : (float, float) or None
        From :func:`measure`, for a step that needs it.
    along : int, optional
        Which axis of `image` the numbers of the step belong to, where it has several.

    Returns
    -------
    array
        float32, unless the step sets another type.
    """
    return _STEPS[step.name](step.values, image, stat, along)


def to_input_range(step: Step, image: Array, own: Stat, wanted: Stat) -> Array:
    """Bring an image to the mean and standard deviation of the input (scale_mean_variance)."""
    eps = step.values["eps"]
    scaled: Array = (image - own[0]) / (own[1] + eps) * (wanted[1] + eps) + wanted[0]
    return scaled


def _zero_mean(values: Mapping[str, Any], image: Array, stat: Stat | None, _: Any) -> Array:
    mean, deviation = _known(stat)
    return _single((image.astype(np.float64) - mean) / (deviation + values["eps"]))


def _scale_range(values: Mapping[str, Any], image: Array, stat: Stat | None, _: Any) -> Array:
    low, high = _known(stat)
    return _single((image.astype(np.float64) - low) / (high - low + values["eps"]))


def _fixed(values: Mapping[str, Any], image: Array, _: Any, along: int | None) -> Array:
    mean, deviation = (_spread(values[key], image, along) for key in ("mean", "std"))
    return _single((image - mean) / (deviation + values["eps"]))


def _linear(values: Mapping[str, Any], image: Array, _: Any, along: int | None) -> Array:
    gain, offset = (_spread(values[key], image, along) for key in ("gain", "offset"))
    return _single(image * gain + offset)


def _binarize(values: Mapping[str, Any], image: Array, _: Any, along: int | None) -> Array:
    return _single(image > _spread(values["threshold"], image, along))


def _clip(values: Mapping[str, Any], image: Array, *_: Any) -> Array:
    return image.clip(values["min"], values["max"])


def _sigmoid(_: Any, image: Array, *__: Any) -> Array:
    with np.errstate(over="ignore"):
        return _single(1 / (1 + np.exp(-image.astype(np.float32))))


def _softmax(_: Any, image: Array, __: Any, along: int | None) -> Array:
    if along is None:
        return np.ones_like(image, dtype=np.float32)
    powers = np.exp(image - image.max(axis=along, keepdims=True))
    return _single(powers / powers.sum(axis=along, keepdims=True))


def _ensure_dtype(values: Mapping[str, Any], image: Array, *_: Any) -> Array:
    with np.errstate(invalid="ignore"):
        return image.astype(values["dtype"])


_STEPS: dict[str, Callable[[Mapping[str, Any], Array, Stat | None, int | None], Array]] = {
    "binarize": _binarize,
    "clip": _clip,
    "ensure_dtype": _ensure_dtype,
    "fixed": _fixed,
    "scale_linear": _linear,
    "scale_range": _scale_range,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "zero_mean_unit_variance": _zero_mean,
}


def _known(stat: Stat | None) -> Stat:
    if stat is None:
        raise RuntimeError("statistics were not measured")
    return stat


def _spread(numbers: tuple[float, ...], image: Array, along: int | None) -> Any:
    """Return one number, or several along an axis of the image."""
    if len(numbers) == 1:
        return numbers[0]
    if along is None or image.shape[along] != len(numbers):
        raise InputError(
            f"The package gives {len(numbers)} numbers for a step where the image has "
            f"{1 if along is None else image.shape[along]} channels; it is damaged."
        )
    return np.expand_dims(np.array(numbers), [i for i in range(image.ndim) if i != along])


def _percentiles(images: Iterable[Array], low: float, high: float) -> Stat:
    counts, parts, kept = np.zeros(2**16, np.int64), [], 0
    for image in images:
        if image.dtype in (np.uint8, np.uint16):
            counts += np.bincount(image.ravel(), minlength=2**16)
            continue
        # of a stack too large to keep, each section gives fewer and fewer values
        values = image.ravel()[:: 1 + kept // _MOST_VALUES]
        parts.append(values)
        kept += values.size
    if parts:
        first, last = np.percentile(np.concatenate(parts), (low, high))
        return float(first), float(last)
    return _rank(counts, low), _rank(counts, high)


def _rank(counts: npt.NDArray[np.int64], percent: float) -> float:
    """Return the percentile of values that were counted, between two neighbours linearly."""
    place = (counts.sum() - 1) * percent / 100
    below = np.searchsorted(counts.cumsum(), np.floor(place), side="right")
    above = np.searchsorted(counts.cumsum(), np.ceil(place), side="right")
    return float(below + (above - below) * (place - np.floor(place)))


def _single(values: Array) -> Array:
    return np.asarray(values, np.float32)

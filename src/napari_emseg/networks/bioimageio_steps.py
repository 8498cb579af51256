"""The steps before and behind a network that packages may ask for, and what they are told.

A step that is not known is refused by its name: a map made without it would look like
one and be another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari_emseg.errors import InputError
from napari_emseg.networks.bioimageio_model import Step, Unsupported

DTYPES = ("float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", "bool")
_EPS = 1e-6


def parse_steps(
    entries: Any, where: str, letters: Mapping[str, str], reference: str
) -> tuple[Step, ...]:
    """Read the list of steps of a tensor.

    Parameters
    ----------
    entries : list of dict
        As in the description.
    where : str
        "preprocessing" or "postprocessing", for messages.
    letters : mapping of str to str
        Names of the axes of the tensor to letters.
    reference : str
        Name of the input tensor, the only one that others may be brought to the range of.

    Raises
    ------
    Unsupported
        If a step is not known here.
    InputError
        If one makes no sense.
    """
    if entries is None:
        return ()
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
        raise InputError(f"its {where} is no list of steps")
    return tuple(_parse(entry, where, letters, reference) for entry in entries)


def _parse(
    entry: Mapping[str, Any], where: str, letters: Mapping[str, str], reference: str
) -> Step:
    name = str(entry.get("id", entry.get("name", "")))[:80]
    if name not in _PARSERS:
        raise Unsupported(f"its {where} asks for '{name}', which is not known here")
    kwargs = entry.get("kwargs") or {}
    if not isinstance(kwargs, Mapping):
        raise InputError(f"{name} in its {where} has no sensible values")
    try:
        step = _PARSERS[name](name, kwargs, letters)
    except InputError:
        raise
    except (TypeError, ValueError, KeyError):
        raise InputError(f"{name} in its {where} has no sensible values") from None
    wanted = kwargs.get("reference_tensor")
    if wanted not in (None, reference):
        raise Unsupported(f"{name} in its {where} needs tensor '{str(wanted)[:40]}'")
    return step


def _axes(kwargs: Mapping[str, Any], letters: Mapping[str, str]) -> str:
    """Return the axes that statistics are over; without any, or per data set, over all."""
    given = kwargs.get("axes")
    mode = kwargs.get("mode", "per_sample")
    if given is None:
        return "b" + "".join(letters.values()).replace("b", "")
    found = "".join(letters[str(axis)] for axis in given)
    if mode == "per_dataset" and "b" not in found:
        found = "b" + found
    return found


def _zero_mean(name: str, kwargs: Mapping[str, Any], letters: Mapping[str, str]) -> Step:
    # in format 0.4 the mode may be left out where the values are given
    if name.startswith("fixed") or kwargs.get("mode", "mean" in kwargs and "fixed") == "fixed":
        values = {key: _floats(kwargs[key]) for key in ("mean", "std")}
        if min(values["std"]) <= 0:
            raise ValueError
        return Step("fixed", None, {**values, "eps": _eps(kwargs), **_along(kwargs, letters)})
    return Step("zero_mean_unit_variance", _axes(kwargs, letters), {"eps": _eps(kwargs)})


def _scale_range(name: str, kwargs: Mapping[str, Any], letters: Mapping[str, str]) -> Step:
    low = float(kwargs.get("min_percentile", 0))
    high = float(kwargs.get("max_percentile", 100))
    if not 0 <= low < high <= 100:
        raise ValueError
    values = {"low": low, "high": high, "eps": _eps(kwargs)}
    values["of_input"] = kwargs.get("reference_tensor") is not None
    return Step(name, _axes(kwargs, letters), values)


def _scale_mean_variance(name: str, kwargs: Mapping[str, Any], letters: Mapping[str, str]) -> Step:
    return Step(name, _axes(kwargs, letters), {"eps": _eps(kwargs)})


def _scale_linear(name: str, kwargs: Mapping[str, Any], letters: Mapping[str, str]) -> Step:
    values = {"gain": _floats(kwargs.get("gain", 1)), "offset": _floats(kwargs.get("offset", 0))}
    return Step(name, None, {**values, **_along(kwargs, letters)})


def _binarize(name: str, kwargs: Mapping[str, Any], letters: Mapping[str, str]) -> Step:
    values = {"threshold": _floats(kwargs["threshold"])}
    return Step(name, None, {**values, **_along(kwargs, letters)})


def _clip(name: str, kwargs: Mapping[str, Any], letters: Mapping[str, str]) -> Step:
    if kwargs.get("min_percentile") is not None or kwargs.get("max_percentile") is not None:
        raise Unsupported("a step asks to clip at percentiles, which is not known here")
    ends = {key: kwargs.get(key) for key in ("min", "max")}
    values = {key: None if end is None else float(end) for key, end in ends.items()}
    return Step(name, None, values)


def _plain(name: str, kwargs: Mapping[str, Any], letters: Mapping[str, str]) -> Step:
    return Step(name)


def _softmax(name: str, kwargs: Mapping[str, Any], letters: Mapping[str, str]) -> Step:
    return Step(name, None, {"along": letters[str(kwargs.get("axis", "channel"))]})


def _ensure_dtype(name: str, kwargs: Mapping[str, Any], letters: Mapping[str, str]) -> Step:
    dtype = str(kwargs["dtype"])
    if dtype not in DTYPES:
        raise Unsupported(f"a step asks for numbers of type '{dtype[:20]}'")
    return Step(name, None, {"dtype": dtype})


def _along(kwargs: Mapping[str, Any], letters: Mapping[str, str]) -> dict[str, str]:
    """Return the axis whose places have a number each, where there is one."""
    axis = kwargs.get("axis")
    return {} if axis is None else {"along": letters[str(axis)]}


def _eps(kwargs: Mapping[str, Any]) -> float:
    eps = float(kwargs.get("eps", _EPS))  # YAML 1.1 reads "1e-6" as text
    if not 0 < eps <= 0.1:
        raise ValueError
    return eps


def _floats(value: Any) -> tuple[float, ...]:
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    found = tuple(float(v) for v in values)
    if not found or any(v != v or abs(v) == float("inf") for v in found):
        raise ValueError
    return found


_PARSERS: dict[str, Callable[[str, Mapping[str, Any], Mapping[str, str]], Step]] = {
    "binarize": _binarize,
    "clip": _clip,
    "ensure_dtype": _ensure_dtype,
    "fixed_zero_mean_unit_variance": _zero_mean,
    "scale_linear": _scale_linear,
    "scale_mean_variance": _scale_mean_variance,
    "scale_range": _scale_range,
    "sigmoid": _plain,
    "softmax": _softmax,
    "zero_mean_unit_variance": _zero_mean,
}

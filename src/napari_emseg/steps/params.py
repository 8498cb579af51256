"""The base of all parameter models, and their errors in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_emseg.errors import InputError


class Params(BaseModel):
    """Parameters of one step: frozen, complete, without unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


P = TypeVar("P", bound=BaseModel)


def parse_params(model: type[P], values: Mapping[str, Any]) -> P:
    """Make `model` from plain values.

    Raises
    ------
    InputError
        With one sentence that names the first parameter that does not fit.

    Examples
    --------
    >>> from napari_emseg.steps.segment import SegmentParams
    >>> parse_params(SegmentParams, {"h": 7})
    Traceback (most recent call last):
    ...
    napari_emseg.errors.InputError: h must be at most 1, not 7.
    """
    try:
        return model(**values)
    except ValidationError as error:
        raise InputError(explain(error, model)) from None
    except TypeError:
        raise InputError(f"Parameters need names, such as {first_names(model)}.") from None


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Say what is wrong first in a validation error, in one sentence."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    given, context = first.get("input"), first.get("ctx", {})
    match first["type"]:
        case "extra_forbidden":
            return f"There is no parameter '{name}'; choose from: {', '.join(model.model_fields)}."
        case "missing":
            return f"{name} is missing."
        case "greater_than_equal":
            return f"{name} must be at least {context['ge']:g}, not {given}."
        case "less_than_equal":
            return f"{name} must be at most {context['le']:g}, not {given}."
        case "greater_than":
            return f"{name} must be more than {context['gt']:g}, not {given}."
        case "less_than":
            return f"{name} must be less than {context['lt']:g}, not {given}."
        case "literal_error":
            return f"{name} must be {context['expected']}, not '{given}'."
        case "finite_number":
            return f"{name} must be a finite number, not {given}."
        case "float_parsing" | "float_type":
            return f"{name} must be a number, not {given!r}."
        case "int_parsing" | "int_type" | "int_from_float":
            return f"{name} must be a whole number, not {given!r}."
        case "bool_parsing" | "bool_type":
            return f"{name} must be true or false, not {given!r}."
        case "string_too_short":
            return f"{name} must not be empty."
        case "value_error":
            message = str(context["error"])
            return message if message.endswith(".") else f"{message}."
    return f"{name} cannot be {given!r}: {first['msg'][0].lower()}{first['msg'][1:]}."


def first_names(model: type[BaseModel]) -> str:
    """Name the first parameters of `model`, as an example."""
    return ", ".join(list(model.model_fields)[:3])

"""A params model as a plain list of fields, from which forms and flags are made."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

FieldType = Literal["int", "float", "bool", "str", "choice", "range", "list"]
_UNITS = {"px": "px", "voxels": "voxels", "nm": "nm", "minutes": "min", "s": "s"}


@dataclass(frozen=True)
class FieldDescription:
    """One parameter, for a form or a flag.

    Attributes
    ----------
    name, title, description : str
        In code, for people, as a tooltip or help text.
    type : {"int", "float", "bool", "str", "choice", "range", "list"}
        ``range``: a pair of whole numbers; ``list``: several words.
    default : object
        Value when nothing is said.
    minimum, maximum, step : float or None
        Limits (inclusive) and a sensible increment.
    choices : tuple of str
        For ``choice``.
    unit : str
        "" where there is none.
    optional : bool
        Whether None is allowed.
    advanced : bool
        Whether a form should fold it away.
    """

    name: str
    title: str
    description: str
    type: FieldType
    default: Any
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    optional: bool = False
    advanced: bool = False

    def format(self, value: Any) -> str:
        """Write a value for people: with its unit, without needless digits."""
        if isinstance(value, bool):
            return "on" if value else "off"
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value)) or "none"
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return f"{text} {self.unit}".strip()


def describe_fields(model: type[BaseModel]) -> list[FieldDescription]:
    """List the parameters of a model in the order they are written.

    A parameter that is itself a model or a mapping is left out: it has no single widget or flag.

    Examples
    --------
    >>> from napari_emseg.steps.segment import SegmentParams
    >>> sigma = describe_fields(SegmentParams)[1]
    >>> sigma.name, sigma.minimum, sigma.maximum, sigma.unit
    ('sigma_px', 0.0, 20.0, 'px')
    """
    return [
        _describe(name, info)
        for name, info in model.model_fields.items()
        if not _has_parts(_split_optional(info.annotation)[0])
    ]


def _has_parts(annotation: Any) -> bool:
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return is_model or get_origin(annotation) is dict


def _describe(name: str, info: FieldInfo) -> FieldDescription:
    annotation, optional = _split_optional(info.annotation)
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    step = extra.get("step")
    is_choice = get_origin(annotation) is Literal
    return FieldDescription(
        name=name,
        title=info.title or name,
        description=info.description or "",
        type=_type_of(annotation),
        default=info.get_default(call_default_factory=True),
        minimum=_limit(info, "ge"),
        maximum=_limit(info, "le"),
        step=float(step) if isinstance(step, int | float) else None,
        choices=tuple(map(str, get_args(annotation))) if is_choice else (),
        unit=_UNITS.get(name.rpartition("_")[2], "") if "_" in name else "",
        optional=optional,
        advanced=bool(extra.get("advanced", False)),
    )


def _split_optional(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, False
    kept = [a for a in get_args(annotation) if a is not NoneType]
    return kept[0], len(kept) < len(get_args(annotation))


def _type_of(annotation: Any) -> FieldType:
    if get_origin(annotation) is Literal:
        return "choice"
    if get_origin(annotation) is tuple:
        return "list" if Ellipsis in get_args(annotation) else "range"
    plain: dict[Any, FieldType] = {bool: "bool", int: "int", float: "float", str: "str"}
    return plain[annotation]


def _limit(info: FieldInfo, bound: str) -> float | None:
    for constraint in info.metadata:
        value = getattr(constraint, bound, None)
        if value is not None:
            return float(value)
    return None

"""Shorthands for the fields of training parameters."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def number(
    default: float | None,
    low: float,
    high: float,
    title: str,
    description: str,
    *,
    advanced: bool = False,
) -> Any:
    """Return the field of a number from `low` to `high`."""
    extra: Any = {"advanced": True} if advanced else None
    return Field(
        default=default,
        ge=low,
        le=high,
        title=title,
        description=description,
        json_schema_extra=extra,
    )


def advanced(default: Any, title: str, description: str, **limits: Any) -> Any:
    """Return a field that a form folds away."""
    return Field(
        default=default,
        title=title,
        description=description,
        json_schema_extra={"advanced": True},
        **limits,
    )

"""What the commands write: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def write(text: str) -> None:
    """Write a result to stdout."""
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Write a remark to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def dump_json(report: Mapping[str, Any]) -> str:
    """Return `report` as one line of JSON; what is no number becomes null.

    Examples
    --------
    >>> dump_json({"v_rand": float("nan"), "shape": (1, 2)})
    '{"v_rand": null, "shape": [1, 2]}'
    """
    return json.dumps(to_plain(report), allow_nan=False)


def to_plain(value: Any) -> Any:
    """Return `value` as JSON knows it: numpy unpacked, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, str | bool | int) or value is None:
        return value
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Sequence | set | frozenset):
        return [to_plain(v) for v in value]
    return str(value)


def table(rows: Sequence[tuple[str, Any]]) -> str:
    r"""Align names and values in two columns.

    Examples
    --------
    >>> table([("shape", (1, 2)), ("h", 0.25)])
    'shape  1 x 2\nh      0.25'
    """
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {format_value(value)}" for name, value in rows)


def format_value(value: Any) -> str:
    """Write a value for people."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return " x ".join(map(format_value, value))
    return str(value)

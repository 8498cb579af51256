"""The course of a training as a file of JSON lines.

Lines with ``scores`` come from validations, the others only tell the loss: the
mean since the line before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Add a record.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"Cannot write {path}: {reason}; what was learned until the last save can be resumed."
        ) from error


def read_curve(path: Path) -> list[dict[str, Any]]:
    """Read all records that are whole.

    Examples
    --------
    >>> read_curve(Path("nowhere.curve.jsonl"))
    []
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [record for record in map(_parse, lines) if record is not None]


def truncate_curve(path: Path, *, step: int, validated_step: int) -> None:
    """Drop what an interrupted run wrote after its last saved state.

    Parameters
    ----------
    path : Path
    step : int
        Where that state was; losses up to here are kept.
    validated_step : int
        Its last validation; the scores of later ones come again.
    """
    if not path.exists():
        return
    kept = [
        record
        for record in read_curve(path)
        if record["step"] <= (validated_step if "scores" in record else step)
    ]
    _write(path, kept)


def set_aside_scores(path: Path) -> None:
    """Keep scores of before under another name, where others are no longer comparable."""
    if not path.exists():
        return
    records = read_curve(path)
    for record in records:
        if "scores" in record:
            record["scores_before"] = record.pop("scores")
    _write(path, records)


def _write(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(record) + "\n" for record in records)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _parse(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
        return record if isinstance(record["step"], int) else None
    except (ValueError, KeyError, TypeError):  # torn when the power went
        return None

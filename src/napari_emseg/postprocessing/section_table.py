"""The table of bad sections: what is wrong with which section, and whether it is mended."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write

Fault = Literal["blank", "blurred", "contrast", "misaligned"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
LOST: tuple[Fault, ...] = ("blank",)  # what the section showed is gone
COLUMNS = ("section", "fault", "strength", "substitute", "what")
_YES, _NO = ("yes", "true", "1", "x"), ("no", "false", "0", "")


@dataclass(frozen=True)
class BadSection:
    """One row of the table.

    Attributes
    ----------
    z : int
        The section, from 0.
    fault : {"blank", "blurred", "contrast", "misaligned"}
        What is wrong.
    strength : float
        How many times the limit of this stack; 0 where somebody added it by hand.
    use : bool
        Whether something is to stand in for it.
    what : str
        The finding in words.
    """

    z: int
    fault: Fault
    strength: float = 0.0
    use: bool = True
    what: str = ""


def write_table(sections: Iterable[BadSection], path: str | os.PathLike[str]) -> Path:
    """Write the table as CSV, which any spreadsheet opens.

    Raises
    ------
    InputError
        If it cannot be written there.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "sections.csv"
    >>> read_table(write_table([BadSection(3, "blank")], path))[0].z
    3
    """
    with atomic_write(path) as temporary:
        temporary.write_text(table_text(sections), encoding="utf-8")
    return Path(path)


def table_text(sections: Iterable[BadSection]) -> str:
    """Return the table as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for bad in sections:
        use = "yes" if bad.use else "no"
        writer.writerow((bad.z, bad.fault, f"{bad.strength:.2f}", use, bad.what))
    return text.getvalue()


def read_table(path: str | os.PathLike[str]) -> tuple[BadSection, ...]:
    """Read a table that :func:`write_table` wrote, or one typed by hand.

    The columns "section" and "fault" must be there; a missing "substitute" is yes.

    Raises
    ------
    InputError
        Naming the line that does not fit.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"Cannot read the table {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no table of sections: it is not text.") from None
    separator = ";" if ";" in text.partition("\n")[0] else ","  # as some spreadsheets write it
    rows = csv.DictReader(io.StringIO(text), delimiter=separator)
    if not {"section", "fault"} <= set(rows.fieldnames or ()):
        raise InputError(
            f"{path} is no table of sections: its first line must be {','.join(COLUMNS)}."
        )
    return check_table(_read_row(row, f"{path}, line {n}") for n, row in enumerate(rows, start=2))


def _read_row(row: dict[str, str | None], where: str) -> BadSection:
    values = {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
    use = values.get("substitute", "yes").lower()
    if use not in _YES + _NO:
        raise InputError(f"{where}: substitute must be yes or no, not '{use}'.")
    z, fault = _check(values["section"], values["fault"].lower(), where)
    try:
        strength = float(values.get("strength") or 0)
    except ValueError:
        raise InputError(f"{where}: strength must be a number.") from None
    return BadSection(z, fault, strength, use in _YES, values.get("what", ""))


def parse_entries(entries: Sequence[str]) -> tuple[BadSection, ...]:
    """Read the short form that a recipe keeps: "7:misaligned", "12:blank".

    A number alone is a misaligned section.

    Raises
    ------
    InputError
        Naming the entry that does not fit.

    Examples
    --------
    >>> [bad.fault for bad in parse_entries(["7:misaligned", "12:blank"])]
    ['misaligned', 'blank']
    """
    found = []
    for entry in entries:
        number, _, fault = entry.partition(":")
        z, known = _check(number.strip(), fault.strip() or "misaligned", f"Bad section '{entry}'")
        found.append(BadSection(z, known))
    return check_table(found)


def format_entries(sections: Iterable[BadSection]) -> tuple[str, ...]:
    """Return the sections that are to be mended in the short form of :func:`parse_entries`."""
    return tuple(f"{bad.z}:{bad.fault}" for bad in sections if bad.use)


def check_table(sections: Iterable[BadSection]) -> tuple[BadSection, ...]:
    """Return the rows in the order of the sections.

    Raises
    ------
    InputError
        If a section is named twice.
    """
    ordered = tuple(sorted(sections, key=lambda bad: bad.z))
    for one, other in pairwise(ordered):
        if one.z == other.z:
            raise InputError(f"Section {one.z} is twice in the table of bad sections; keep one.")
    return ordered


def _check(number: str, fault: str, where: str) -> tuple[int, Fault]:
    if not number.isascii() or not number.isdigit():
        raise InputError(f"{where}: a section is a whole number from 0, not '{number}'.")
    if fault not in FAULTS:
        raise InputError(f"{where}: a fault is one of {', '.join(FAULTS)}, not '{fault}'.")
    return int(number), fault

"""Tables of docs/few-sections.md, made from the measured lines.

As in :mod:`_network_pages`: what stands between ``<!-- table: NAME -->`` and ``<!-- end -->`` is
replaced, the rest is for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from _few_sets import DATA_SETS
from _network_pages import DOCS, read_lines

__all__ = ["PAGE", "WEAKLY_STARTED", "WEAK_START", "fill", "read_lines", "write_page"]

PAGE = DOCS / "few-sections.md"
_PLACE = re.compile(r"(<!-- table: ([^>]*?) -->\n).*?(<!-- end -->)", re.DOTALL)
WEAK_START = "drosophila_fibsem"
WEAKLY_STARTED = ("vnc2013", "isbi2012")
"""Sections of a transmission microscope, of which that model has seen nothing like."""
_COUNTS = (1, 2, 4)
_LABELS = {"dense": "all", "sparse": "5 % in strokes"}
Line = dict[str, Any]


def write_page(lines: Sequence[Line]) -> None:
    """Fill the tables of the page."""
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")


def fill(text: str, lines: Sequence[Line]) -> str:
    """Return the page with its tables replaced by new ones."""
    return _PLACE.sub(lambda place: place[1] + TABLES[place[2]](lines) + place[3], text)


def scores_table(lines: Sequence[Line]) -> str:
    """Make the table of V_rand before and after."""
    mine = {_key(line): line for line in lines if _is_in_table(line)}
    rows = []
    for name, data in DATA_SETS.items():
        before, seen = (_before(lines, name, base) for base in (f"leave_{name}", data.seen_by))
        for start in ("fine-tuned", "scratch"):
            for labels in ("dense", "sparse"):
                cells = [mine.get((name, start, labels, count)) for count in _COUNTS]
                is_first = start == "fine-tuned" and labels == "dense"
                rows.append(
                    (
                        f"`{name}`" if is_first else "",
                        _score(before) if is_first else "",
                        _score(seen) if is_first else "",
                        {"fine-tuned": "that model", "scratch": "nothing"}[start],
                        _LABELS[labels],
                        *(_score(cell) for cell in cells),
                    )
                )
    head = (
        "left out",
        "before",
        "seen",
        "starts from",
        "labelled",
        "1 section",
        "2 sections",
        "4 sections",
    )
    return _markdown(head, rows)


def weak_starts_table(lines: Sequence[Line]) -> str:
    """Make the table of two sections, starting from a model of another microscope."""
    rows = []
    for name in WEAKLY_STARTED:
        mine = {
            line["labels"]: line
            for line in lines
            if (line["set"], line["base"], line["candidate"]) == (name, WEAK_START, "quick")
        }
        rows.append((f"`{name}`", *(_score(mine.get(labels)) for labels in ("", *_LABELS))))
    return _markdown(("left out", "before", *_LABELS.values()), rows)


def times_table(lines: Sequence[Line]) -> str:
    """Make the table of what training took, on two sections."""
    rows = [
        (
            f"`{line['set']}`",
            line["start"],
            line["labels"],
            f"{line['labelled_px']:,}",
            f"{line['steps']:,}",
            f"{line['training_s']:.0f}",
            f"{line['total_s']:.0f}",
        )
        for line in lines
        if _is_in_table(line) and line["sections"] == 2
    ]
    head = (
        "left out",
        "start",
        "labels",
        "labelled px",
        "steps",
        "training, CPU s",
        "in all, CPU s",
    )
    return _markdown(head, rows)


def candidates_table(lines: Sequence[Line]) -> str:
    """Make the tables of what was tried for the preset: a row each, a column for each cell."""
    tried = [line for line in lines if line["candidate"] != "quick" and line["sections"] == 2]
    places = list(dict.fromkeys((line["set"], line["base"], line["minutes"]) for line in tried))
    return "".join(_tried_table(lines, *place) for place in places) or "\nNot measured yet.\n\n"


def _tried_table(lines: Sequence[Line], name: str, base: str, minutes: float) -> str:
    mine = [
        line
        for line in lines
        if (line["set"], line["base"], line.get("minutes")) == (name, base, minutes)
    ]
    columns = sorted({_key(line)[1:] for line in mine if line["candidate"] != "quick"})
    found = {(line["candidate"], _key(line)[1:]): line for line in mine}
    candidates = list(dict.fromkeys(["quick", *(line["candidate"] for line in mine)]))
    rows = [(each, *(_score(found.get((each, key))) for key in columns)) for each in candidates]
    head = ("", *(f"{start}, {labels}, {count} sections" for start, labels, count in columns))
    before = _score(_before(lines, name, base))
    text = f"\n`{name}`, model `{base}` ({before} before), minutes: {minutes:g}\n"
    return text + _markdown(head, rows)


def _before(lines: Sequence[Line], name: str, base: str) -> Line | None:
    found = (name, base, 0)
    return next((r for r in lines if (r["set"], r["base"], r["sections"]) == found), None)


def _is_in_table(line: Line) -> bool:
    return bool(line["candidate"] == "quick" and line["base"] == f"leave_{line['set']}")


def _key(line: Line) -> tuple[str, str, str, int]:
    return line["set"], line["start"], line["labels"], line["sections"]


def _score(line: Line | None) -> str:
    return "" if line is None else f"{line['v_rand']:.3f}"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    if not rows:
        return "\nNot measured yet.\n\n"
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


TABLES: dict[str, Callable[[Sequence[Line]], str]] = {
    "scores": scores_table,
    "weak starts": weak_starts_table,
    "times": times_table,
    "candidates": candidates_table,
}

"""Curves side by side as SVG, without any library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

COLOURS = {"ours": "#0072B2", "random": "#999999", "largest error": "#E69F00"}
WIDTH, HEIGHT, GAP, TOP = 400, 200, 70, 44
_DASHES = {"random": ' stroke-dasharray="6 4"'}

Curves = Mapping[str, Sequence[float]]


def draw_curves(
    panels: Mapping[str, Mapping[str, Curves]],
    marks: Mapping[str, float],
    path: Path,
    longest: Mapping[str, int],
) -> None:
    """Draw one column for each volume and one row for each score.

    Parameters
    ----------
    panels : mapping
        Curves of each order by volume and score, against the number of decisions.
    marks : mapping
        Where half of the first score is gone, by volume.
    path : Path
    longest : mapping
        Decisions shown, by volume.
    """
    parts: list[str] = []
    for column, (volume, scores) in enumerate(panels.items()):
        for row, (score, curves) in enumerate(scores.items()):
            left = 56 + column * (WIDTH + GAP)
            top = TOP + row * (HEIGHT + GAP)
            mark = marks[volume] if row == 0 else None
            parts += _panel(f"{volume}: {score}", curves, left, top, longest[volume], mark)
    parts += _legend(56, TOP + 2 * (HEIGHT + GAP) - 14)
    width, height = 76 + len(panels) * (WIDTH + GAP), TOP + 2 * (HEIGHT + GAP) + 10
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13">\n'
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(
    title: str, curves: Curves, left: int, top: int, longest: int, mark: float | None
) -> list[str]:
    highest = 1.05 * max(values[0] for values in curves.values())

    def place(x: float, y: float) -> str:
        return f"{left + WIDTH * x / longest:.1f},{top + HEIGHT * (1 - y / highest):.1f}"

    parts = [
        f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#444"/>',
        f'<text x="{left}" y="{top - 8}">{title}</text>',
        f'<text x="{left - 6}" y="{top + HEIGHT}" text-anchor="end">0</text>',
        f'<text x="{left - 6}" y="{top + 12}" text-anchor="end">{highest:.2f}</text>',
        f'<text x="{left}" y="{top + HEIGHT + 18}">0</text>',
        f'<text x="{left + WIDTH}" y="{top + HEIGHT + 18}" text-anchor="end">'
        f"{longest} decisions</text>",
    ]
    if mark is not None:
        ends = place(0, mark), place(longest, mark)
        parts.append(f'<polyline points="{ends[0]} {ends[1]}" stroke="#CC79A7" fill="none"/>')
        x, y = place(longest, mark).split(",")
        parts.append(
            f'<text x="{float(x) - 6}" y="{float(y) + 15}" text-anchor="end" fill="#CC79A7">'
            "half of what can be taken away</text>"
        )
    for order, values in curves.items():
        shown = list(enumerate(values[: longest + 1]))
        points = " ".join(place(k, v) for k, v in shown)
        line = f'fill="none" stroke="{COLOURS[order]}" stroke-width="2"{_DASHES.get(order, "")}'
        parts.append(f'<polyline points="{points}" {line}/>')
    return parts


def _legend(left: int, y: int) -> list[str]:
    parts = []
    for k, (order, colour) in enumerate(COLOURS.items()):
        x = left + 170 * k
        line = f'stroke="{colour}" stroke-width="2"{_DASHES.get(order, "")}'
        parts.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 28}" y2="{y - 4}" {line}/>')
        parts.append(f'<text x="{x + 36}" y="{y}">{order}</text>')
    return parts

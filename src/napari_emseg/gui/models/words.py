"""What the library says of a model, in words."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from napari_emseg.cli.models import takes_and_gives

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo

_MOST_SCORES = 8
_ORIGINS = {
    "bundled": "comes with the program",
    "own": "your own",
    "lab": "folder of your lab",
    "file": "a file",
}


def describe_facts(info: ModelInfo) -> list[tuple[str, str]]:
    """Return what is known of a model as pairs of a heading and a text; nothing unknown."""
    network = "BioImage.IO package" if info.network == "bioimageio" else info.network
    facts = [
        ("Trained on", info.trained_on or "not said"),
        ("Voxel size", format_nm(info.voxel_size_nm) if info.voxel_size_nm else "not said"),
        ("Scores", _scores(info)),
        ("Terms", info.licence or "not said"),
        ("Network", f"{network}: {takes_and_gives(info.model_dump(exclude={'voxel_size_nm'}))}"),
        *describe_file(info),
    ]
    return [(heading, text) for heading, text in facts if text]


def describe_file(info: ModelInfo) -> list[tuple[str, str]]:
    """Return where a model's file lies, how large and how old it is."""
    if info.path is None:
        return []
    path = info.path.name if info.origin == "bundled" else _from_home(info.path)
    facts = [("Origin", _ORIGINS[info.origin]), ("File", path)]
    try:
        state = info.path.stat()
    except OSError:
        return facts
    day = datetime.fromtimestamp(state.st_mtime).strftime("%d %B %Y, %H:%M").lstrip("0")
    size = f"{format_bytes(state.st_size)}, " if info.path.is_file() else ""
    return [facts[0], ("File", f"{path}\n{size}{day}")]


def format_bytes(n_bytes: int) -> str:
    """Write a size as people say it.

    Examples
    --------
    >>> format_bytes(3_614_340), format_bytes(900)
    ('3.6 MB', '1 kB')
    """
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e5 else f"{max(1, round(n_bytes / 1e3))} kB"


def format_nm(size: tuple[float, float, float]) -> str:
    """Write a voxel size (z, y, x).

    Examples
    --------
    >>> format_nm((50, 4, 4))
    '50 × 4 × 4 nm'
    """
    return " × ".join(f"{value:g}" for value in size) + " nm"


def _from_home(path: Path) -> str:
    try:
        return str("~" / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):  # it lies elsewhere, or nobody is at home
        return str(path)


def _scores(info: ModelInfo) -> str:
    lines = []
    for name, value in info.scores.items():
        number = f"{value:.4g}" if isinstance(value, float) else str(value)
        lines.append(f"{number}  {name}")
    more = len(lines) - _MOST_SCORES
    return "\n".join([*lines[:_MOST_SCORES], *([f"and {more} more"] if more > 0 else [])])

"""The files of a model: copied, packed, moved aside and brought back."""

from __future__ import annotations

import filecmp
import os
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

COMPANIONS = (".training", ".curve.jsonl")
"""What a training leaves beside its model, to go on with."""
KEPT_DAYS = 7
"""How long what was moved aside can be had back."""
_ASIDE = ".deleted"

Moves = tuple[tuple[Path, Path], ...]
"""Where files were, and where they are."""


def files_of(model: Path) -> list[Path]:
    """Return a model and what its training left beside it."""
    companions = (model.with_name(model.stem + suffix) for suffix in COMPANIONS)
    return [model, *(path for path in companions if path.exists())]


def move_all(moves: Moves) -> None:
    """Move all files, or none: one may be in use by another program."""
    done: list[tuple[Path, Path]] = []
    try:
        for path, to in moves:
            path.rename(to)
            done.append((path, to))
    except OSError:
        for path, to in reversed(done):
            to.rename(path)
        raise


def move_aside(model: Path) -> Moves:
    """Move the files of a model out of the way; those of more than a week ago are removed."""
    aside = model.parent / _ASIDE
    _empty(aside)
    place = aside / secrets.token_hex(4)
    place.mkdir(parents=True)
    moves = tuple((path, place / path.name) for path in files_of(model))
    move_all(moves)
    return moves


def move_back(moves: Moves) -> None:
    """Bring files back that were moved aside."""
    move_all(tuple((aside, path) for path, aside in moves))
    with suppress(OSError):
        moves[0][1].parent.rmdir()


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two models are the same byte by byte; a package of several files only itself."""
    if one.is_dir() or other.is_dir():
        return one.resolve() == other.resolve()
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def copy_model(source: Path, target: Path) -> None:
    """Copy a model file, or the folder of a package without its links."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=_links_in)
    else:
        shutil.copyfile(source, target)


def _links_in(folder: str, names: Iterable[str]) -> list[str]:
    """Name the links, which could lead out of the package."""
    return [name for name in names if os.path.islink(os.path.join(folder, name))]


def pack_folder(folder: Path, target: Path) -> None:
    """Write the files of a folder into a zip, without links."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as package:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                package.write(path, path.relative_to(folder))


def _empty(aside: Path) -> None:
    """Remove what was moved aside too long ago."""
    long_ago = time.time() - KEPT_DAYS * 86400
    with suppress(OSError):
        for place in aside.iterdir():
            if place.stat().st_mtime < long_ago:
                shutil.rmtree(place, ignore_errors=True)

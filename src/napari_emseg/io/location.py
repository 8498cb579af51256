"""What a path given by the user means: a file, and perhaps something inside it."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path

from napari_emseg.errors import InputError

_CONTAINER = re.compile(r"\.(h5|hdf5|hdf|zarr)(?=[:/\\]|$)", re.IGNORECASE)
_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")


def split_location(path: str | os.PathLike[str]) -> tuple[Path, str]:
    r"""Split a path into the file or store and the name of what is inside it.

    Parameters
    ----------
    path : path-like
        ``"stack.tif"``, ``"file.h5:/volumes/raw"``, ``"x.zarr/labels"``, ...

    Returns
    -------
    file : Path
        Expanded (``~``).
    inside : str
        Its parts joined by single slashes; empty for the whole file.

    Raises
    ------
    InputError
        If the path is a web address, empty or too long, or steps up with ``..`` inside
        a file.

    Examples
    --------
    >>> split_location(r"C:\data\x.h5:/volumes/raw")[1]
    'volumes/raw'
    >>> split_location("my.zarr.files/stack.tif")[1]
    ''
    """
    text = os.path.expanduser(os.fspath(path))
    if not text.strip():
        raise InputError("No file is named; give the path of a file or folder.")
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
        raise InputError(f"{text} is a web address; download it first and open the local file.")
    if "\0" in text:
        raise InputError("A path cannot hold a zero byte; check the name.")
    try:
        is_file = Path(text).is_file()
    except OSError as error:
        raise InputError(f"Cannot use the path {text[:60]}...: {error.strerror}.") from None
    if is_file:
        return Path(text), ""
    for match in _CONTAINER.finditer(text):
        file, inside = Path(text[: match.end()]), text[match.end() :]
        is_store = match[1].lower() == "zarr"
        if is_store or not file.is_dir():
            return file, _inner_name(text, inside.removeprefix(":"))
    return Path(text), ""


def _inner_name(path: str, inside: str) -> str:
    parts = [part for part in re.split(r"[/\\]", inside) if part not in ("", ".")]
    if ".." in parts:
        raise InputError(f"{path} steps up with '..' inside a file; give the path without it.")
    return "/".join(parts)


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group, whatever its name."""
    return any((path / name).is_file() for name in _ZARR_FILES)


def suffix_of(path: Path) -> str:
    """Return the suffix in lower case, ``".ome.tif"`` and the like counted as one."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if len(suffixes) == 2 and suffixes[0] == ".ome":
        return "".join(suffixes)
    return suffixes[-1] if suffixes else ""


def stem_of(path: Path) -> str:
    """Return the name without its suffix, ``".ome.tif"`` and the like counted as one."""
    suffix = suffix_of(path)
    return path.name[: len(path.name) - len(suffix)] if suffix else path.name


def check_exists(path: Path) -> None:
    """Say in words that nothing is at `path`, and what there is of a similar name.

    Raises
    ------
    InputError
        If there is no such file or folder, it is a device or pipe, or may not be read.
    """
    if os.path.islink(path) and not os.path.exists(path):
        raise InputError(f"{path} is a link to {os.readlink(path)}, which is not there.")
    if os.path.exists(path):
        if not (path.is_file() or path.is_dir()):
            raise InputError(f"{path} is a device or pipe; choose a file or folder.")
        if not os.access(path, os.R_OK):
            raise InputError(f"Reading {path} is not permitted; ask its owner for read rights.")
        return
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; check the path.")
    names = get_close_matches(path.name, _names_in(folder), n=3)
    hint = f"did you mean {' or '.join(names)}?" if names else "check the name."
    raise InputError(f"There is no file {path.name} in {folder}; {hint}")


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []

"""The folders of models that a lab shares: which ones are looked through, kept in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write

_FILE_NAME = "lab_folders.json"


def config_folder() -> Path:
    """Return the folder of the settings; ``EMSEG_CONFIG`` overrides it."""
    if override := os.environ.get("EMSEG_CONFIG"):
        return Path(override).expanduser()
    from platformdirs import user_config_path

    return user_config_path("napari-emseg", appauthor=False)


def lab_folders() -> tuple[Path, ...]:
    """Return the folders of a lab that are looked through for models, in the order added.

    A folder that cannot be reached at the moment, such as one on a server, stays.
    """
    try:
        content = json.loads((config_folder() / _FILE_NAME).read_text(encoding="utf-8"))
        return tuple(Path(path) for path in content["lab_folders"] if path)
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def add_lab_folder(path: Path | str) -> tuple[Path, ...]:
    """Look for models in a folder of the lab too, now and in future.

    Returns
    -------
    tuple of Path
        All lab folders.

    Raises
    ------
    InputError
        If there is no such folder, or that cannot be remembered.
    """
    folder = Path(os.path.abspath(Path(path).expanduser()))
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}: connect the drive, or choose another one.")
    known = lab_folders()
    return known if folder in known else _remember((*known, folder))


def remove_lab_folder(path: Path | str) -> tuple[Path, ...]:
    """Look for no models in a folder any more; its files stay.

    Returns
    -------
    tuple of Path
        The lab folders that are left.

    Raises
    ------
    InputError
        If that cannot be remembered.
    """
    folder = Path(os.path.abspath(Path(path).expanduser()))
    return _remember([known for known in lab_folders() if known != folder])


def _remember(folders: Sequence[Path]) -> tuple[Path, ...]:
    place = config_folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {place} cannot be made: {error.strerror}.") from None
    with atomic_write(place / _FILE_NAME) as temporary:
        content = {"lab_folders": [str(folder) for folder in folders]}
        temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return tuple(folders)

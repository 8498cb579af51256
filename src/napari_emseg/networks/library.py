"""The models a user can choose from: those bundled and those in a folder of their own.

Does not import torch.
"""

from __future__ import annotations

import os
from pathlib import Path

from napari_emseg.errors import InputError
from napari_emseg.networks.info import STACKER_KEY, ModelInfo, read_info

__all__ = ["ModelInfo", "bundled_folder", "find_model", "list_models", "user_folder"]

SUFFIX = ".safetensors"


def bundled_folder() -> Path:
    """Return the folder of the models that come with the package."""
    return Path(__file__).resolve().parents[1] / "models"


def user_folder() -> Path:
    """Return the folder where users keep models; ``EMSEG_MODELS`` overrides it."""
    if override := os.environ.get("EMSEG_MODELS"):
        return Path(override).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-emseg", appauthor=False) / "models"


def list_models() -> list[ModelInfo]:
    """List the models found: the default first, then by name.

    A file of the user hides a bundled one of the same name. A file that cannot
    be used is listed too, with its ``problem``.

    Examples
    --------
    >>> [model.name for model in list_models() if not model.problem]  # doctest: +SKIP
    ['boundary_em']
    """
    found: dict[str, ModelInfo] = {}
    for folder in (bundled_folder(), user_folder()):
        for path in _files_in(folder):
            info = _describe(path)
            if not (info.problem and info.name in found):
                found[info.name] = info
    return sorted(found.values(), key=lambda info: (not info.default, info.name.lower()))


def find_model(name_or_path: str | Path = "default") -> ModelInfo:
    """Find a model by name, or read the file at a path.

    Parameters
    ----------
    name_or_path : str or path
        A name from :func:`list_models`, "default", or a model file.

    Raises
    ------
    InputError
        If there is no such model, or its file cannot be used.
    """
    text = os.fspath(name_or_path)
    models = list_models()
    for info in models:
        if text == info.name or (text == "default" and info.default and not info.problem):
            if info.problem:
                raise InputError(info.problem)
            return info
    if isinstance(name_or_path, Path) or text.endswith(SUFFIX) or Path(text).is_file():
        return read_info(text)
    names = ", ".join(info.name for info in models if not info.problem)
    if not names:
        raise InputError(f"There is no model '{text}', and none in {user_folder()} either.")
    raise InputError(f"There is no model '{text}'; choose one of: {names}, or give a file.")


def _files_in(folder: Path) -> list[Path]:
    try:
        files = [p for p in folder.iterdir() if p.suffix == SUFFIX and p.name[0] != "."]
        return sorted(p for p in files if not _is_stacker(p))
    except OSError:
        return []


def _is_stacker(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return STACKER_KEY.encode() in file.read(2048)
    except OSError:  # listed, with its problem
        return False


def _describe(path: Path) -> ModelInfo:
    try:
        return read_info(path)
    except InputError as error:
        return ModelInfo(name=path.stem, path=path, network="", problem=str(error))

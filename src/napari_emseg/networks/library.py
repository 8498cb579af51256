"""The models a user can choose from: bundled ones, their own, and those of their lab.

Does not import torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal

from napari_emseg.errors import InputError
from napari_emseg.networks.info import STACKER_KEY, ModelInfo, read_info
from napari_emseg.networks.lab_folders import add_lab_folder, lab_folders, remove_lab_folder

__all__ = [
    "ModelInfo",
    "add_lab_folder",
    "bundled_folder",
    "find_model",
    "lab_folders",
    "list_models",
    "read_model",
    "remove_lab_folder",
    "user_folder",
]

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


def list_models(*, with_lab: bool = True) -> list[ModelInfo]:
    """List the models found: the default first, then by name.

    A file of the user hides a bundled one of the same name; a model of the lab
    with a name that is taken bears that of its folder too. A file that cannot be
    used is listed with its ``problem``. Only a bundled model, or what hides it, is
    the default: no file that came from somewhere becomes it by itself.

    Parameters
    ----------
    with_lab : bool
        Whether to look into the lab's folders, which may lie on a slow server.

    Examples
    --------
    >>> [model.name for model in list_models() if not model.problem]  # doctest: +SKIP
    ['boundary_em']
    """
    found = _local_models()
    if with_lab:
        for info in _lab_models():
            name = info.name if info.name not in found else f"{info.name} ({_folder_of(info)})"
            found.setdefault(name, info.model_copy(update={"name": name}))
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
    models: list[ModelInfo] = []
    for with_lab in (False, True):  # a server is asked only for what is nowhere else
        models = list_models(with_lab=with_lab)
        for info in models:
            if text == info.name or (text == "default" and info.default and not info.problem):
                return _usable(info)
        if isinstance(name_or_path, Path) or text.endswith(SUFFIX) or _is_there(Path(text)):
            return _usable(read_model(text))
    names = ", ".join(info.name for info in models if not info.problem)
    if not names:
        raise InputError(f"There is no model '{text}', and none in {user_folder()} either.")
    raise InputError(f"There is no model '{text}'; choose one of: {names}, or give a file.")


def read_model(path: Path | str) -> ModelInfo:
    """Read what a model file, or a BioImage.IO package, says of itself.

    Raises
    ------
    InputError
        If it is neither.
    """
    path = Path(path)
    return _read_package(path) if _is_package(path) else read_info(path)


def _is_there(path: Path) -> bool:
    return path.is_file() or _is_package(path)


def _usable(info: ModelInfo) -> ModelInfo:
    if info.problem:
        raise InputError(info.problem)
    return info


def _local_models() -> dict[str, ModelInfo]:
    bundled = {info.name: info for info in _models_in(bundled_folder(), "bundled")}
    found = dict(bundled)
    for info in _models_in(user_folder(), "own"):
        hidden = bundled.get(info.name)
        if not (info.problem and hidden):
            is_default = hidden is not None and hidden.default
            found[info.name] = info.model_copy(update={"default": is_default})
    return found


def _lab_models() -> Iterator[ModelInfo]:
    for folder in lab_folders():
        for info in _models_in(folder, "lab"):
            yield info.model_copy(update={"default": False})


def _folder_of(info: ModelInfo) -> str:
    return info.path.parent.name if info.path is not None else ""


def _models_in(folder: Path, origin: Literal["bundled", "own", "lab"]) -> list[ModelInfo]:
    try:
        paths = sorted(p for p in folder.iterdir() if p.name[0] != "." and _looks_like_model(p))
    except OSError:
        return []
    return [_describe(path).model_copy(update={"origin": origin}) for path in paths]


def _looks_like_model(path: Path) -> bool:
    return not _is_stacker(path) if path.suffix == SUFFIX else _is_package(path)


def _is_stacker(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return STACKER_KEY.encode() in file.read(2048)
    except OSError:  # listed, with its problem
        return False


def _describe(path: Path) -> ModelInfo:
    """Read a description, or what is wrong with the file; once as long as it is the same file."""
    try:
        state = path.stat()
    except OSError:
        return _describe_anew(path)
    return _describe_once(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=512)
def _describe_once(path: Path, _mtime_ns: int, _size: int) -> ModelInfo:
    return _describe_anew(path)


def _describe_anew(path: Path) -> ModelInfo:
    try:
        return read_model(path)
    except InputError as error:
        return ModelInfo(name=path.stem, path=path, network="", problem=str(error))


def _is_package(path: Path) -> bool:
    """Whether this may be a BioImage.IO package, as far as names tell."""
    if path.suffix == SUFFIX:
        return False
    from napari_emseg.networks.bioimageio import is_package

    return is_package(path)


def _read_package(path: Path) -> ModelInfo:
    from napari_emseg.networks.bioimageio import read_package_info

    return read_package_info(path)

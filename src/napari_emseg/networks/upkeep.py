"""Bringing models in and out, renaming and deleting them: nothing is ever overwritten."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write, check_file_place, explain_failure
from napari_emseg.networks.info import ModelInfo
from napari_emseg.networks.library import find_model, list_models, read_model, user_folder
from napari_emseg.networks.model_files import (
    Moves,
    copy_model,
    files_of,
    is_same_file,
    move_all,
    move_aside,
    move_back,
    pack_folder,
)
from napari_emseg.networks.rewriting import rewrite_title

_FORBIDDEN = '<>:"/\\|?*'
_LONGEST = 100
_RESERVED = {"default", "con", "prn", "aux", "nul"}


@dataclass(frozen=True)
class Deleted:
    """A model that was moved aside, and what it takes to have it back.

    Attributes
    ----------
    name, title : str
    moves : tuple of (from, to)
        Its files: where they were, and where they are.
    """

    name: str
    title: str
    moves: Moves


def import_model(path: Path | str, name: str | None = None) -> ModelInfo:
    """Copy a model into the user's folder, after it was looked through.

    Parameters
    ----------
    path : path
        A model file, or a BioImage.IO package (a zip, or its folder or description).
    name : str, optional
        By default that of the file; with a number behind it where that is taken.

    Returns
    -------
    ModelInfo
        Of the copy; of what is there already where the same file was added before.

    Raises
    ------
    InputError
        If it is no model, cannot be used, or the name is taken.
    """
    source = _package_folder(Path(path))
    info = read_model(source)
    if info.problem:
        raise InputError(info.problem)
    _look_through(source, info)
    if name is None:
        for known in list_models(with_lab=False):
            if known.path is not None and is_same_file(source, known.path):
                return known
        name = free_model_name(info.name)
    name = check_model_name(name)
    folder = _make_user_folder()
    target = folder / (name if source.is_dir() else name + source.suffix.lower())
    with atomic_write(target) as temporary:
        copy_model(source, temporary)
    return find_model(name)


def export_model(name: str, path: Path | str, *, overwrite: bool = False) -> Path:
    """Write a model to one file, to be given to somebody.

    Parameters
    ----------
    name : str
        From :func:`napari_emseg.networks.library.list_models`.
    path : path
        Target; the suffix is put right.
    overwrite : bool
        Whether a file that is there may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If there is no such model, or the file is there or cannot be written.
    """
    source = _path_of(find_model(name))
    suffix = ".zip" if source.is_dir() else source.suffix
    target = Path(path).expanduser()
    if target.suffix.lower() != suffix:
        target = target.with_name(target.name + suffix)
    check_file_place(target)
    if target.exists() and not overwrite:
        raise InputError(f"There is a file {target} already: choose another name.")
    if target.exists() and target.samefile(source):
        raise InputError(f"{target.name} is the model itself: choose another folder or name.")
    with atomic_write(target) as temporary:
        if source.is_dir():
            pack_folder(source, temporary)
        else:
            shutil.copyfile(source, temporary)
    return target


def rename_model(name: str, new: str) -> ModelInfo:
    """Give one of the user's models another name and title; what a training left follows it.

    Returns
    -------
    ModelInfo
        Under its new name.

    Raises
    ------
    InputError
        If it is not the user's own, or the name cannot be had.
    """
    info = _own(name, "renamed")
    source = _path_of(info)
    if info.network == "bioimageio":
        raise InputError("The name of a BioImage.IO package is written inside it and stays.")
    new = check_model_name(new, besides=name)
    if new != name:
        files = files_of(source)
        named = (path.with_name(new + path.name.removeprefix(source.stem)) for path in files)
        with _saying(f"rename '{name}'"):
            move_all(tuple(zip(files, named, strict=True)))
    if not info.problem:
        rewrite_title(source.with_name(new + source.suffix), new)
    return find_model(new)


def delete_model(name: str) -> Deleted:
    """Move one of the user's models aside; :func:`restore_model` brings it back.

    Those that were moved aside more than a week ago are removed.

    Raises
    ------
    InputError
        If it is not the user's own.
    """
    info = _own(name, "deleted")
    with _saying(f"delete '{name}'"):
        return Deleted(name, info.title or name, move_aside(_path_of(info)))


def restore_model(deleted: Deleted) -> ModelInfo:
    """Bring a deleted model back.

    Raises
    ------
    InputError
        If it is gone, or another one has its name now.
    """
    for path, aside in deleted.moves:
        if path.exists():
            raise InputError(f"Another model is named '{deleted.name}' now: rename that first.")
        if not aside.exists():
            raise InputError(f"'{deleted.name}' was deleted too long ago.")
    with _saying(f"bring '{deleted.name}' back"):
        move_back(deleted.moves)
    return _named(deleted.name)


def check_model_name(name: str, *, besides: str = "") -> str:
    """Return a name without blanks around it if a model of the user can have it.

    Parameters
    ----------
    name : str
    besides : str
        A model whose name does not count as taken: the one to be renamed.

    Raises
    ------
    InputError
        If it is taken, or could not be the name of a file.
    """
    name = name.strip()
    if not name or name[0] == "." or name[-1] == "." or name.lower() in _RESERVED:
        raise InputError(f"'{name}' cannot be the name of a model: choose another one.")
    if bad := [c for c in name if c in _FORBIDDEN or ord(c) < 32]:
        raise InputError(f"The name of a model cannot have {bad[0]!r} in it: leave that out.")
    if len(name.encode(errors="replace")) > _LONGEST:
        raise InputError(f"The name is too long: use at most {_LONGEST} letters.")
    if name.casefold() in _taken() - {besides.casefold()}:
        raise InputError(f"There is a model '{name}' already: choose another name.")
    return name


def free_model_name(wanted: str) -> str:
    """Return a name like `wanted` that no model has."""
    taken, name, number = _taken(), wanted, 2
    while name.casefold() in taken:
        name, number = f"{wanted}_{number}", number + 1
    return name


def _named(name: str) -> ModelInfo:
    for info in list_models():
        if info.name == name:
            return info
    raise InputError(f"There is no model '{name}' any more.")


def _taken() -> set[str]:
    return {info.name.casefold() for info in list_models(with_lab=False)}


def _own(name: str, done: str) -> ModelInfo:
    """Find one of the user's models, be it broken."""
    info = _named(name)
    if info.origin == "bundled":
        raise InputError(f"'{name}' comes with the program and cannot be {done}.")
    if info.origin != "own":
        raise InputError(f"'{name}' lies in a folder of your lab: it can only be {done} there.")
    return info


@contextmanager
def _saying(what: str) -> Iterator[None]:
    """Say in words why the disk did not let files be moved."""
    try:
        yield
    except OSError as error:
        reason = explain_failure(error) or str(error)
        raise InputError(f"Cannot {what}: {reason}.") from error


def _path_of(info: ModelInfo) -> Path:
    if info.path is None:
        raise InputError(f"Model '{info.name}' has not been saved to a file yet.")
    return info.path


def _make_user_folder() -> Path:
    folder = user_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    return folder


def _package_folder(path: Path) -> Path:
    """Return the folder of a package whose description was chosen."""
    return path.parent if path.suffix.lower() in (".yaml", ".yml") else path


def _look_through(path: Path, info: ModelInfo) -> None:
    """Open one of our models wholly: a file that cannot be used shall be refused now."""
    if info.network == "bioimageio":
        return
    from napari_emseg.networks.checkpoint import load_earlier, load_model

    load_model(path)
    load_earlier(path)

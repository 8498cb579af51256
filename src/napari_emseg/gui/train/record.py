"""A training that is not finished: a small file beside the model, to take it up again by."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write, check_file_place
from napari_emseg.steps.train import TrainChoice
from napari_emseg.training.result import CURVE_SUFFIX, STATE_SUFFIX

SUFFIX = ".safetensors"
_RECORD_SUFFIX = f"{STATE_SUFFIX}.json"
_NUMBER = re.compile(r"\s+\d+$")


class TrainingRecord(BaseModel):
    """What was asked for, and by which program.

    Attributes
    ----------
    title : str
        What people call the model.
    choice : TrainChoice
    data : tuple of str
        Names of the layers that are learned from, for people.
    pid, started : int, float
        The program in whose window it runs or ran: number and birth.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str
    choice: TrainChoice
    data: tuple[str, ...] = ()
    pid: int = 0
    started: float = 0.0

    @classmethod
    def here(cls, **asked: Any) -> TrainingRecord:
        """Make a record of a training of this program."""
        return cls(pid=os.getpid(), started=psutil.Process().create_time(), **asked)

    @property
    def runs_elsewhere(self) -> bool:
        """Whether another program that lives may be at it."""
        if self.pid == os.getpid():
            return False
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.started) < 1)
        except (psutil.Error, ValueError):
            return False

    def write(self, model_path: Path) -> None:
        """Put the record beside the model."""
        with atomic_write(record_path(model_path)) as temporary:
            temporary.write_text(self.model_dump_json(), encoding="utf-8")


def record_path(model_path: Path) -> Path:
    """Return where the record of a model's training is."""
    return model_path.with_suffix(_RECORD_SUFFIX)


def find_unfinished(folder: Path) -> tuple[Path, TrainingRecord] | None:
    """Return the model and the record of the training that was stopped last, if there is one."""
    found = []
    try:
        candidates = [path for path in folder.iterdir() if path.name.endswith(_RECORD_SUFFIX)]
    except OSError:
        return None
    for path in candidates:
        model = path.with_name(path.name.removesuffix(_RECORD_SUFFIX) + SUFFIX)
        try:
            age = model.with_suffix(STATE_SUFFIX).stat().st_mtime
            record = TrainingRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError, RecursionError):
            continue
        if not record.runs_elsewhere:
            found.append((age, model, record))
    return max(found, key=lambda one: one[0])[1:] if found else None


def forget(model_path: Path) -> None:
    """Remove what is only needed to go on with a training, or to watch it."""
    for suffix in (_RECORD_SUFFIX, STATE_SUFFIX, CURVE_SUFFIX):
        model_path.with_suffix(suffix).unlink(missing_ok=True)


def place_for(title: str, folder: Path, taken: Iterable[str]) -> Path:
    """Return where a model of this title goes.

    Raises
    ------
    InputError
        If a model of that name exists, or nothing can be written there.

    Examples
    --------
    >>> place_for("x/y", Path("models"), ["x_y"])
    Traceback (most recent call last):
    ...
    napari_emseg.errors.InputError: There is a model 'x_y' already: type another name.
    """
    name = file_name(title)
    if not name:
        raise InputError("The model needs a name: type one.")
    path = folder / f"{name}{SUFFIX}"
    if name.lower() in {one.lower() for one in taken} or path.exists():
        raise InputError(f"There is a model '{name}' already: type another name.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The folder of models {folder} cannot be made ({error.strerror}): make it, or set "
            "EMSEG_MODELS to a folder of your own."
        ) from None
    check_file_place(path)
    return path


def file_name(title: str) -> str:
    """Return a title as the stem of a file's name.

    Examples
    --------
    >>> file_name("my tissue, 4 nm")
    'my_tissue_4_nm'
    """
    return re.sub(r"[^\w-]+", "_", title.strip()).strip("_")


def free_title(title: str, taken: Iterable[str]) -> str:
    """Return `title`, or the first of "title 2", "title 3" ... whose file is free.

    Examples
    --------
    >>> free_title("cortex 2", ["cortex", "cortex_2"])
    'cortex 3'
    """
    known = {one.lower() for one in taken}
    stem, candidate, number = _NUMBER.sub("", title.strip()), title.strip(), 1
    while file_name(candidate).lower() in known:
        number += 1
        candidate = f"{stem} {number}"
    return candidate

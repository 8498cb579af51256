"""Training-set files: several data sets and how to train on them, in YAML."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from napari_emseg.errors import InputError
from napari_emseg.training.pairs import (
    Axes,
    LabelsKind,
    TrainingPair,
    hold_out,
    labelled_sections,
)
from napari_emseg.volume import Kind, Volume

DATA_FOLDER_VARIABLE = "EMSEG_DATA"

_MAX_SECTIONS = 1_000_000


def _parse_sections(value: Any) -> Any:
    if isinstance(value, int):
        return (value,)
    if isinstance(value, str):
        first, dash, last = value.partition("-")
        try:
            start, stop = int(first), int(last if dash else first) + 1
        except ValueError:
            raise ValueError(f"'{value}' is no range of sections such as 0-19") from None
        if not 0 <= start < stop <= _MAX_SECTIONS:
            raise ValueError(f"'{value}' is no range of sections such as 0-19")
        return tuple(range(start, stop))
    return value


Sections = Annotated[tuple[int, ...], BeforeValidator(_parse_sections)]


class TrainingSetEntry(BaseModel):
    """One data set of a training-set file; paths are relative to the data folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    raw: str
    labels: str
    labels_kind: LabelsKind = "labels"
    invert: bool | None = None
    ignore: str | None = None
    ignore_values: tuple[int, ...] = ()
    axes: Axes = "z"
    voxel_size_nm: tuple[float, float, float] | None = None
    train_sections: Sections = ()
    validation_sections: Sections = ()
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class TrainingSetFile(BaseModel):
    """A training-set file: several data sets and, if wanted, how to train on them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sets: list[TrainingSetEntry] = Field(min_length=1)
    params: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)

    @field_validator("sets")
    @classmethod
    def _names_differ(cls, sets: list[TrainingSetEntry]) -> list[TrainingSetEntry]:
        names = [entry.name for entry in sets]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two data sets are named '{twice[0]}'; scores are told by name")
        return sets


def read_training_set(path: str | os.PathLike[str]) -> TrainingSetFile:
    """Read and check a training-set YAML file without opening the data.

    Raises
    ------
    InputError
        If the file is missing, is no YAML or lacks something.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return TrainingSetFile.model_validate(content)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise InputError(f"{path} is not a YAML file; see the user guide for an example.") from None
    except ValidationError as error:
        raise InputError(f"{path}: {_explain(error)}.") from None


def _explain(error: ValidationError) -> str:
    """Say what is wrong first, in plain words."""
    first = error.errors(include_url=False)[0]
    loc = first["loc"]
    if loc == ("sets",) and first["type"] == "value_error":
        return str(first["ctx"]["error"])
    if loc in ((), ("sets",)):
        return "it needs a list 'sets' with at least one data set; see the user guide"
    if len(loc) == 2 and loc[0] == "sets":
        return f"data set {int(loc[1]) + 1} needs names and values, such as 'raw: raw.tif'"
    name, place = loc[0], ""
    if name == "sets":
        name, place = loc[2], f" of data set {int(loc[1]) + 1}"
    match first["type"]:
        case "missing":
            return f"'{name}'{place} is missing"
        case "extra_forbidden":
            return f"'{name}'{place} is not a known name"
        case "value_error":
            return f"{name}{place}: {first['ctx']['error']}"
        case "literal_error":
            return f"{name}{place} must be {first['ctx']['expected']}, not {first['input']!r}"
        case "greater_than":
            return f"{name}{place} must be more than {first['ctx']['gt']:g}, not {first['input']}"
    return f"{name}{place} cannot be {first['input']!r}"


def load_training_set(
    path: str | os.PathLike[str], *, data_folder: str | os.PathLike[str] | None = None
) -> list[TrainingPair]:
    """Open the data sets that a training-set file lists.

    Parameters
    ----------
    path : path
        YAML with ``sets``: a list of {name, raw, labels, labels_kind,
        voxel_size_nm, train_sections: "0-19", validation_sections, weight, axes};
        without sections as :func:`napari_emseg.training.hold_out` chooses them.
    data_folder : path, optional
        Where relative paths start; by default the environment variable
        EMSEG_DATA, else the folder of the YAML file.

    Raises
    ------
    InputError
        If the file or a data set cannot be used.
    """
    folder = Path(data_folder or os.environ.get(DATA_FOLDER_VARIABLE) or Path(path).parent)
    return [_open_entry(entry, folder) for entry in read_training_set(path).sets]


def _open_entry(entry: TrainingSetEntry, folder: Path) -> TrainingPair:
    from napari_emseg.io import open_volume

    def read(path: str, kind: Kind) -> Volume:
        return open_volume(folder / path, voxel_size_nm=entry.voxel_size_nm, kind=kind)

    is_drawn = entry.labels_kind == "membranes"
    raw, labels = read(entry.raw, "raw"), read(entry.labels, "raw" if is_drawn else "labels")
    train, held = entry.train_sections, entry.validation_sections
    if not train:
        train, held = _choose_sections(entry, raw, labels)
    return TrainingPair(
        raw=raw,
        labels=labels,
        labels_kind=entry.labels_kind,
        train_sections=train,
        validation_sections=held,
        weight=entry.weight,
        invert=entry.invert,
        ignore=read(entry.ignore, "labels") if entry.ignore else None,
        ignore_values=entry.ignore_values,
        axes=entry.axes,
        name=entry.name,
    )


def _choose_sections(
    entry: TrainingSetEntry, raw: Volume, labels: Volume
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return those that are labelled, without or but for those to be held out."""
    held = entry.validation_sections
    if not held:
        chosen = hold_out(raw, labels, labels_kind=entry.labels_kind, name=entry.name)
        return chosen.train_sections, chosen.validation_sections
    labelled = labelled_sections(labels, entry.labels_kind)
    return tuple(z for z in labelled if z not in held), held

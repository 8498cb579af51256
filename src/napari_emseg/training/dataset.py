"""Raw sections with their labels, turned into what a network trains on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
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
from napari_emseg.volume import Kind, Volume

LabelsKind = Literal["labels", "membranes"]

DATA_FOLDER_VARIABLE = "EMSEG_DATA"
IGNORED = 255
"""Value of a training target where the truth is not known."""

_HELD_OUT_SHARE = 0.15
_MAX_SECTIONS = 1_000_000


@dataclass(frozen=True)
class TrainingPair:
    """A raw volume, its labels, and which sections are used for what.

    Attributes
    ----------
    raw : Volume
        Grey values, ZYX.
    labels : Volume
        ZYX on the same grid; it may end before `raw` does.
    labels_kind : {"labels", "membranes"}
        ``labels``: ids of neurons. ``membranes``: a picture of the membranes,
        either polarity.
    train_sections, validation_sections : tuple of int
        Disjoint. Validation sections are only ever used to choose among checkpoints.
    weight : float
        Share of the training patches, relative to the other pairs.
    invert : bool or None
        Whether membranes are bright (True) or dark (False); None: the rarer
        value is membrane.
    ignore : Volume, optional
        Classes on the same grid; where they are one of `ignore_values`, the
        target is not known and teaches nothing.
    ignore_values : tuple of int
    name : str
        For people and the model card.

    Raises
    ------
    InputError
        If shapes or sections do not fit together.
    """

    raw: Volume
    labels: Volume
    labels_kind: LabelsKind
    train_sections: tuple[int, ...]
    validation_sections: tuple[int, ...] = ()
    weight: float = 1.0
    invert: bool | None = None
    ignore: Volume | None = None
    ignore_values: tuple[int, ...] = ()
    name: str = "data"

    def __post_init__(self) -> None:
        if self.raw.shape[1:] != self.labels.shape[1:]:
            raise InputError(
                f"{self.name}: raw sections are {_size(self.raw)} px but their labels are "
                f"{_size(self.labels)} px; crop or resample one of them."
            )
        if self.labels.shape[0] > self.raw.shape[0]:
            raise InputError(
                f"{self.name}: there are {self.labels.shape[0]} sections of labels but only "
                f"{self.raw.shape[0]} of raw data; both must start with the same section."
            )
        if self.ignore is not None and self.ignore.shape != self.labels.shape:
            raise InputError(
                f"{self.name}: the classes to ignore are {_size(self.ignore, 0)} voxels but the "
                f"labels {_size(self.labels, 0)}; they must be on the same grid."
            )
        count = self.labels.shape[0]
        outside = [
            z for z in (*self.train_sections, *self.validation_sections) if not 0 <= z < count
        ]
        if outside:
            raise InputError(
                f"{self.name}: section {outside[0]} is asked for, but only sections 0 to "
                f"{count - 1} have raw data and labels."
            )
        both = set(self.train_sections) & set(self.validation_sections)
        if both:
            raise InputError(
                f"{self.name}: section {min(both)} is used both for training and for validation; "
                "keep the two apart."
            )
        if not self.train_sections:
            raise InputError(f"{self.name}: there are no sections to train on.")


def _size(volume: Volume, first_axis: int = 1) -> str:
    return " x ".join(map(str, volume.shape[first_axis:]))


def check_ids(pair: TrainingPair) -> None:
    """Refuse an image of membranes that was given as labels, and labels without a boundary.

    Raises
    ------
    InputError
        If the sections to train on hold fewer than two ids besides 0.

    Examples
    --------
    >>> raw = Volume(np.zeros((1, 2, 2), np.uint8))
    >>> drawing = Volume(np.array([[[0, 255], [255, 0]]], np.uint8), kind="labels")
    >>> check_ids(hold_out(raw, drawing, name="a"))
    Traceback (most recent call last):
    ...
    napari_emseg.errors.InputError: a: the labels hold one id only (255); if they are an image of \
    membranes, say --labels-kind membranes (labels_kind: membranes in a YAML file).
    """
    if pair.labels_kind == "membranes":
        return
    ids: set[int] = set()
    has_unlabelled = False
    for z in pair.train_sections:
        found = set(np.unique(pair.labels.read(z)).tolist())
        has_unlabelled |= 0 in found
        ids |= found - {0}
        if len(ids) > 1:
            return
    if ids and has_unlabelled:
        raise InputError(
            f"{pair.name}: the labels hold one id only ({ids.pop()}); if they are an image of "
            "membranes, say --labels-kind membranes (labels_kind: membranes in a YAML file)."
        )
    what = f"one id only ({ids.pop()})" if ids else "no ids"
    raise InputError(
        f"{pair.name}: the labels of the sections to train on hold {what}, so there is no boundary "
        "to learn from."
    )


def notes_on_pair(pair: TrainingPair) -> list[str]:
    """Say which sections go unused and whether the model will be scored.

    Examples
    --------
    >>> raw = Volume(np.zeros((5, 8, 8), np.uint8))
    >>> notes_on_pair(hold_out(raw, Volume(np.ones((4, 8, 8), np.uint8), kind="labels")))
    ['data: only sections 0 to 3 of 5 have labels.']
    """
    notes = []
    depth, labelled = pair.raw.shape[0], pair.labels.shape[0]
    if labelled < depth:
        which = f"sections 0 to {labelled - 1} of {depth} have" if labelled > 1 else "section 0 has"
        notes.append(f"{pair.name}: only {which} labels.")
    if not pair.validation_sections:
        notes.append(f"{pair.name}: no section is left for validation, so nothing is scored on it.")
    return notes


def hold_out(
    raw: Volume, labels: Volume, *, labels_kind: LabelsKind = "labels", name: str = "data"
) -> TrainingPair:
    """Pair raw data and labels, keeping the last sections for validation.

    Neighbouring sections look alike, so those held out are contiguous: the
    last 15 %, at least one where there are two or more.

    Examples
    --------
    >>> raw = Volume(np.zeros((20, 8, 8), np.uint8))
    >>> labels = Volume(np.ones((20, 8, 8), np.uint8), kind="labels")
    >>> hold_out(raw, labels).validation_sections
    (17, 18, 19)
    """
    count = labels.shape[0]
    held = max(1, round(_HELD_OUT_SHARE * count)) if count > 1 else 0
    sections = tuple(range(count))
    return TrainingPair(
        raw, labels, labels_kind, sections[: count - held], sections[count - held :], name=name
    )


def membrane_target(
    section: npt.NDArray[Any], *, invert: bool | None = None
) -> npt.NDArray[np.uint8]:
    """Turn a membrane picture into 1 = membrane, 0 = inside.

    Parameters
    ----------
    section : array, shape (Y, X)
        Two-valued; anything above the middle of its type's range counts as bright.
    invert : bool, optional
        True: bright is inside; False: bright is membrane; None: the rarer is membrane.
    """
    bright = section > _middle(section)
    if invert is None:
        invert = bool(bright.mean() > 0.5)
    target: npt.NDArray[np.uint8] = (bright != invert).astype(np.uint8)
    return target


def _middle(section: npt.NDArray[Any]) -> float:
    return (float(section.min()) + float(section.max())) / 2


def label_target(section: npt.NDArray[Any], *, boundary_px: int = 1) -> npt.NDArray[np.uint8]:
    """Draw boundaries where ids meet.

    A pixel is boundary if another id is within `boundary_px` of it (steps along
    Y and X). Unlabelled pixels (0) within that reach of a label are boundary
    too, so thin unlabelled gaps between neurons train as membrane; those
    farther away are :data:`IGNORED`, because nobody said what they are.

    Parameters
    ----------
    section : integer array, shape (Y, X)
    boundary_px : int
        Reach in pixels on each side.

    Returns
    -------
    uint8 array, shape (Y, X)
        1 = boundary, 0 = inside, 255 = not known.

    Examples
    --------
    >>> label_target(np.array([[5, 5, 5, 9, 9, 0, 0, 0]]))
    array([[  0,   0,   1,   1,   1,   1, 255, 255]], dtype=uint8)
    """
    differs = np.zeros(section.shape, bool)
    for axis in (0, 1):
        before, after = [slice(None)] * 2, [slice(None)] * 2
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        change = section[tuple(before)] != section[tuple(after)]
        differs[tuple(before)] |= change
        differs[tuple(after)] |= change
    if boundary_px > 1:
        from scipy.ndimage import binary_dilation

        differs = binary_dilation(differs, iterations=boundary_px - 1)
    target = differs.astype(np.uint8)
    target[(section == 0) & ~differs] = IGNORED
    return target


def make_target(
    pair: TrainingPair, section: int, *, boundary_px: int = 1, membrane_reach_px: float = 0
) -> npt.NDArray[np.uint8]:
    """Make the target of one section of a pair.

    Parameters
    ----------
    pair : TrainingPair
    section : int
        Index along Z.
    boundary_px : int
        For labels, as in :func:`label_target`.
    membrane_reach_px : float
        For membranes: those farther than this from any cell are not known; 0 keeps all.

    Returns
    -------
    uint8 array, shape (Y, X)
        1 = boundary, 0 = inside, 255 = not known.
    """
    labels = pair.labels.read(section)
    if pair.labels_kind == "labels":
        target = label_target(labels, boundary_px=boundary_px)
    else:
        target = membrane_target(labels, invert=pair.invert)
        if membrane_reach_px:
            target[_distance_to_cells(target) > membrane_reach_px] = IGNORED
    if pair.ignore is not None:
        target[np.isin(pair.ignore.read(section), pair.ignore_values)] = IGNORED
    return target


def _distance_to_cells(target: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    from scipy.ndimage import distance_transform_edt

    # Without any cell there is no distance to one, so nothing is known.
    if target.all():
        return np.full(target.shape, np.inf)
    distance: npt.NDArray[np.float64] = distance_transform_edt(target)
    return distance


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
    voxel_size_nm: tuple[float, float, float] | None = None
    train_sections: Sections
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
        voxel_size_nm, train_sections: "0-19", validation_sections, weight}.
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

    is_membranes = entry.labels_kind == "membranes"
    return TrainingPair(
        raw=read(entry.raw, "raw"),
        labels=read(entry.labels, "raw" if is_membranes else "labels"),
        labels_kind=entry.labels_kind,
        train_sections=entry.train_sections,
        validation_sections=entry.validation_sections,
        weight=entry.weight,
        invert=entry.invert,
        ignore=read(entry.ignore, "labels") if entry.ignore else None,
        ignore_values=entry.ignore_values,
        name=entry.name,
    )

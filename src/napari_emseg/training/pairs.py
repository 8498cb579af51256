"""A raw volume with its labels, and which of its sections are used for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.training.painting import INSIDE, MEMBRANE, paint_target, painted_sections
from napari_emseg.training.targets import IGNORED, label_target, membrane_target
from napari_emseg.volume import Volume

LabelsKind = Literal["labels", "membranes", "painted"]
Axes = Literal["z", "zyx"]

LARGEST_ANISOTROPY = 1.5
"""Voxels whose longest side is more than this times the shortest are not called cubic."""

_HELD_OUT_SHARE = 0.15
_LEAST_PAINTED = 4
"""Of fewer painted sections none can be spared for validation."""


@dataclass(frozen=True)
class TrainingPair:
    """A raw volume, its labels, and which sections are used for what.

    Attributes
    ----------
    raw : Volume
        Grey values, ZYX.
    labels : Volume
        ZYX on the same grid; it may end before `raw` does.
    labels_kind : {"labels", "membranes", "painted"}
        ``labels``: ids of neurons. ``membranes``: a picture of the membranes,
        either polarity. ``painted``: strokes, 1 = membrane, 2 and more = inside of
        a cell, 0 = not painted; see :mod:`napari_emseg.training.painting`.
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
    axes : {"z", "zyx"}
        ``zyx``: 2D networks learn from slices along all three axes, for cubic
        voxels; those along y and x come from the longest run of training sections.
    maps : Volume, optional
        Boundary map of each section by an earlier network, on the grid of `raw`:
        what a recursive network takes as its second input.
    name : str
        For people and the model card.

    Raises
    ------
    InputError
        If shapes or sections do not fit together, or slices along all axes are
        asked for although the voxels are far from cubic.
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
    axes: Axes = "z"
    maps: Volume | None = None
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
        if self.maps is not None and self.maps.shape != self.raw.shape:
            raise InputError(
                f"{self.name}: the boundary maps are {_size(self.maps, 0)} voxels but the raw data "
                f"{_size(self.raw, 0)}; they must be on the same grid."
            )
        self._check_sections()
        self._check_axes()

    def _check_sections(self) -> None:
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

    def _check_axes(self) -> None:
        size = self.raw.voxel_size_nm
        if self.axes == "zyx" and size is not None and max(size) > LARGEST_ANISOTROPY * min(size):
            raise InputError(
                f"{self.name}: voxels of {' x '.join(f'{n:g}' for n in size)} nm are far from "
                "cubic, so slices along y and x look unlike sections; train along z only "
                "(axes: z)."
            )


def _size(volume: Volume, first_axis: int = 1) -> str:
    return " x ".join(map(str, volume.shape[first_axis:]))


def check_ids(pair: TrainingPair) -> None:
    """Refuse an image of membranes that was given as labels, and labels without a boundary.

    Raises
    ------
    InputError
        If the sections to train on hold fewer than two ids besides 0, or paint of
        them only shows membrane or only what is inside of cells.

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
    if pair.labels_kind == "painted":
        _check_paint(pair)
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


def _check_paint(pair: TrainingPair) -> None:
    known: set[int] = set()
    for z in pair.train_sections:
        known |= set(np.unique(make_target(pair, z)).tolist()) - {IGNORED}
        if len(known) == 2:
            return
    if not known:
        raise InputError(
            f"{pair.name}: nothing is painted in the sections to train on; paint membrane with "
            f"{MEMBRANE} and the inside of cells with {INSIDE} or more."
        )
    missing = (
        f"the inside of cells ({INSIDE} and more)" if known == {1} else f"membrane ({MEMBRANE})"
    )
    raise InputError(
        f"{pair.name}: a network learns the difference of membrane and inside, so paint some "
        f"strokes of {missing} too."
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
    if pair.labels_kind == "painted":
        count = len({*pair.train_sections, *pair.validation_sections})
        notes.append(f"{pair.name}: {count} of {depth} sections are painted and used.")
    elif labelled < depth:
        which = f"sections 0 to {labelled - 1} of {depth} have" if labelled > 1 else "section 0 has"
        notes.append(f"{pair.name}: only {which} labels.")
    first, last = longest_run(pair.train_sections)
    if pair.axes == "zyx" and last - first + 1 < len(set(pair.train_sections)):
        notes.append(
            f"{pair.name}: slices along y and x are taken from sections {first} to {last} only, "
            "the longest run of training sections without a gap."
        )
    if not pair.validation_sections:
        notes.append(f"{pair.name}: no section is left for validation, so nothing is scored on it.")
    return notes


def longest_run(sections: Sequence[int]) -> tuple[int, int]:
    """Return first and last of the longest run of sections without a gap.

    Examples
    --------
    >>> longest_run([0, 1, 5, 6, 7])
    (5, 7)
    """
    return max(runs_of(sections), key=lambda run: run[1] - run[0])


def runs_of(sections: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return first and last of each run of sections without a gap.

    Examples
    --------
    >>> runs_of([0, 1, 2, 5, 6])
    ((0, 2), (5, 6))
    >>> runs_of([])
    ()
    """
    ordered = np.unique(np.asarray(sections, np.int64))
    parts = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    return tuple((int(part[0]), int(part[-1])) for part in parts if part.size)


def hold_out(
    raw: Volume, labels: Volume, *, labels_kind: LabelsKind = "labels", name: str = "data"
) -> TrainingPair:
    """Pair raw data and labels, keeping the last sections for validation.

    Neighbouring sections look alike, so those held out are contiguous: the
    last 15 %, at least one where there are two or more. Of paint only the painted
    sections count, and none is held out where there are fewer than four.

    Raises
    ------
    InputError
        If shapes do not fit together or nothing is painted.

    Examples
    --------
    >>> raw = Volume(np.zeros((20, 8, 8), np.uint8))
    >>> labels = Volume(np.ones((20, 8, 8), np.uint8), kind="labels")
    >>> hold_out(raw, labels).validation_sections
    (17, 18, 19)
    """
    is_painted = labels_kind == "painted"
    sections = painted_sections(labels) if is_painted else tuple(range(labels.shape[0]))
    if is_painted and not sections:
        raise InputError(
            f"{name}: nothing is painted; paint membrane with {MEMBRANE} and the inside of cells "
            f"with {INSIDE} or more."
        )
    count = len(sections)
    least = _LEAST_PAINTED if is_painted else 2
    held = max(1, round(_HELD_OUT_SHARE * count)) if count >= least else 0
    return TrainingPair(
        raw, labels, labels_kind, sections[: count - held], sections[count - held :], name=name
    )


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
        For labels and paint, as in :func:`label_target`.
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
    elif pair.labels_kind == "painted":
        target = paint_target(labels, boundary_px)
    else:
        target = membrane_target(labels, invert=pair.invert)
        if membrane_reach_px:
            target[_distance_to_cells(target) > membrane_reach_px] = IGNORED
    if pair.ignore is not None:
        target[np.isin(pair.ignore.read(section), pair.ignore_values)] = IGNORED
    return target


def read_paint(pair: TrainingPair, section: int) -> npt.NDArray[Any]:
    """Read the paint of a section, 0 where it is to be ignored."""
    paint = pair.labels.read(section)
    if pair.ignore is None:
        return paint
    ignored = np.isin(pair.ignore.read(section), pair.ignore_values)
    return np.where(ignored, 0, paint)


def _distance_to_cells(target: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    from scipy.ndimage import distance_transform_edt

    # Without any cell there is no distance to one, so nothing is known.
    if target.all():
        return np.full(target.shape, np.inf)
    distance: npt.NDArray[np.float64] = distance_transform_edt(target)
    return distance

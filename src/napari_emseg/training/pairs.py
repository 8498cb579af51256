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
_LEAST_BY_HAND = 4
"""Of fewer sections labelled by hand none can be spared for validation."""
NO_PAINT = (
    f"nothing is painted; paint membrane with {MEMBRANE} and the inside of cells with {INSIDE} "
    "or more."
)
"""What is wrong where paint is missing."""


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
        self._check_types()
        self._check_sections()
        self._check_axes()

    def _check_types(self) -> None:
        is_picture = self.labels_kind == "membranes"
        for volume, what in ((self.labels, "labels"), (self.ignore, "classes to ignore")):
            if volume is None or (volume is self.labels and is_picture):
                continue
            if volume.dtype.kind == "f":
                raise InputError(
                    f"{self.name}: the {what} are decimal numbers ({volume.dtype}), but whole "
                    "numbers are needed; convert them."
                )

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
    last 15 %, at least one where there are two or more. Only sections with labels
    count; of paint, and where others have none, none of fewer than four is held out.

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
    sections = labelled_sections(labels, labels_kind)
    if not sections and labels_kind == "painted":
        raise InputError(f"{name}: {NO_PAINT}")
    sections = sections or tuple(range(labels.shape[0]))
    count = len(sections)
    # where some sections are labelled by hand and others not, each is dear
    is_by_hand = labels_kind == "painted" or count < labels.shape[0]
    least = _LEAST_BY_HAND if is_by_hand else 2
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
    elif is_blank(labels):  # not drawn
        target = np.full(labels.shape, IGNORED, np.uint8)
    else:
        target = membrane_target(labels, invert=pair.invert)
        if membrane_reach_px:
            target[_distance_to_cells(target) > membrane_reach_px] = IGNORED
    if pair.ignore is not None:
        target[np.isin(pair.ignore.read(section), pair.ignore_values)] = IGNORED
    return target


def labelled_sections(labels: Volume, labels_kind: LabelsKind) -> tuple[int, ...]:
    """Return the sections that have ids, paint, or membranes drawn.

    Examples
    --------
    >>> drawn = np.zeros((3, 4, 4), np.uint8)
    >>> drawn[1, 2] = 255
    >>> labelled_sections(Volume(drawn), "membranes")
    (1,)
    """
    if labels_kind != "membranes":
        return painted_sections(labels)
    return tuple(z for z in range(labels.shape[0]) if not is_blank(labels.read(z)))


def is_blank(section: npt.NDArray[Any]) -> bool:
    """Whether all pixels are equal."""
    return bool((section == section.flat[0]).all())


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

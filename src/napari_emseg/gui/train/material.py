"""What is learned from: volumes, which of their sections, and a copy of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.sectionwise import SectionwiseArray
from napari_emseg.training.description import format_sections
from napari_emseg.training.painting import MEMBRANE, painted_sections
from napari_emseg.training.pairs import LabelsKind, TrainingPair
from napari_emseg.volume import Volume

_FEW = 4
_HELD_OUT_SHARE = 0.15


@dataclass(frozen=True, eq=False)
class Material:
    """Raw sections with labels, and what is wanted of them.

    Attributes
    ----------
    raw, labels : Volume
    kind : {"painted", "labels", "membranes"}
    sections, held_out : str
        As typed, such as "3, 7-9"; blank: those that are labelled, and the usual share of them.
    """

    raw: Volume
    labels: Volume
    kind: LabelsKind
    sections: str = ""
    held_out: str = ""

    def pair(self, name: str = "", *, keep: bool = True) -> TrainingPair:
        """Return what a training takes.

        Parameters
        ----------
        name : str, optional
            By default that of the raw sections.
        keep : bool
            Whether the labels are copied, so that paint changed later does not reach it.

        Raises
        ------
        InputError
            If both do not fit together, or there is nothing to learn from.
        """
        check_same_grid(self.raw, self.labels)
        depth = self.labels.shape[0]
        wanted = parse_sections(self.sections, depth) or self._labelled()
        typed = parse_sections(self.held_out, depth)
        held = typed or hold_out_last(wanted)
        learned = tuple(z for z in wanted if z not in held)
        if not learned:
            raise InputError(
                "Every labelled section is held out, so that none is left to learn from: hold out "
                "fewer, or label more."
            )
        labels = _keep(self.labels, (*learned, *held)) if keep else self.labels
        name = name or self.raw.name or "data"
        pair = TrainingPair(self.raw, labels, self.kind, learned, held, name=name)
        _check(pair, self.labels.name)
        return pair

    def _labelled(self) -> tuple[int, ...]:
        if self.kind == "membranes":
            return tuple(range(self.labels.shape[0]))
        found = painted_sections(self.labels)
        if not found and self.kind == "painted":
            raise InputError(
                f"'{self.labels.name}' is empty: draw along a few membranes, then in a few cells."
            )
        if not found:
            raise InputError(f"'{self.labels.name}' is empty: label a section, or choose another.")
        return found


def make_pairs(materials: list[Material], *, keep: bool = True) -> list[TrainingPair]:
    """Return what a training takes; pairs get names that differ, because scores are told by name.

    Raises
    ------
    InputError
        If there is nothing that can be learned from.
    """
    made: list[TrainingPair] = []
    for material in materials:
        stem = material.raw.name or "data"
        taken = {pair.name for pair in made}
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem} {number}"
        made.append(material.pair(name, keep=keep))
    return made


class KeptSections(SectionwiseArray):
    """A copy of a few sections of a volume; the others are blank."""

    def __init__(self, volume: Volume, sections: tuple[int, ...]) -> None:
        super().__init__(volume.shape, volume.dtype)
        self._kept = {z: np.array(volume.read(z)) for z in sections}

    def section(self, z: int) -> npt.NDArray[Any]:
        """Return a section, blank where it was not kept."""
        kept = self._kept.get(z)
        return np.zeros(self.shape[1:], self.dtype) if kept is None else kept


def parse_sections(text: str, depth: int) -> tuple[int, ...]:
    """Read a list of sections, in ascending order.

    Raises
    ------
    InputError
        If it is none, or names a section that there is not.

    Examples
    --------
    >>> parse_sections("7-9, 3", 20)
    (3, 7, 8, 9)
    """
    found: set[int] = set()
    for part in filter(None, (part.strip() for part in text.replace(";", ",").split(","))):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise InputError(f"'{text.strip()}' is no list of sections; write it like 3, 7-9.")
        start, stop = int(first), int(last or first)
        if stop < start or stop >= depth:
            wrong = part if stop < start else str(stop)
            raise InputError(f"There is no section {wrong}: there are 0 to {depth - 1}.")
        found |= set(range(start, stop + 1))
    return tuple(sorted(found))


def hold_out_last(sections: tuple[int, ...]) -> tuple[int, ...]:
    """Return those of the labelled sections to try the model on: the last ones, if any.

    Examples
    --------
    >>> hold_out_last((3, 8)), hold_out_last((0, 1, 2, 3, 4, 5))
    ((), (5,))
    """
    n = len(sections)
    return sections[n - max(1, round(_HELD_OUT_SHARE * n)) :] if n >= _FEW else ()


def check_same_grid(raw: Volume, labels: Volume) -> None:
    """Refuse labels of another field.

    Raises
    ------
    InputError
        With both sizes.
    """
    if raw.shape[1:] == labels.shape[1:] and labels.shape[0] <= raw.shape[0]:
        return
    sizes = [" × ".join(map(str, volume.shape)) for volume in (raw, labels)]
    raise InputError(
        f"'{labels.name}' is {sizes[1]} voxels but the stack {sizes[0]}: choose labels of this "
        "stack."
    )


def _keep(labels: Volume, sections: tuple[int, ...]) -> Volume:
    """Copy what can be painted over."""
    return labels.derive(cast(Any, KeptSections(labels, sections)), kind=labels.kind)


def _check(pair: TrainingPair, layer: str) -> None:
    """Refuse labels that show no difference of membrane and inside."""
    if pair.labels_kind == "membranes":
        return
    seen = _values_in(pair)
    if not seen:
        raise InputError(
            f"There are no labels in {_describe(pair.train_sections)} of '{layer}': label some, or "
            "clear 'Learn from' below."
        )
    if len(seen) > 1:
        return
    if pair.labels_kind == "labels":
        raise InputError(
            f"'{layer}' holds the number {seen.pop()} only, which shows no boundary: say what it "
            "is under 'They are'."
        )
    if seen == {MEMBRANE}:
        raise InputError(
            f"Only membrane is painted in '{layer}': press Inside and draw in a few cells too."
        )
    raise InputError(
        f"Only cells are painted in '{layer}': press Membrane and draw along a few membranes too."
    )


def _describe(sections: tuple[int, ...]) -> str:
    return f"section{'s' if len(sections) > 1 else ''} {format_sections(sections)}"


def _values_in(pair: TrainingPair) -> set[int]:
    """Return the labels but 0 of the sections to learn from, two of them at least if there are."""
    seen: set[int] = set()
    for z in pair.train_sections:
        seen |= set(np.unique(pair.labels.read(z)).tolist()) - {0}
        if len(seen) > 1:
            break
    return seen

"""A segmentation and its ground truth, checked once and read section by section."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.evaluation.contingency import Contingency
from napari_emseg.evaluation.membranes import MembraneRule, inspect_membranes
from napari_emseg.evaluation.stacks import as_stack, check_ids, read_ids, read_section
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

GroundTruthKind = Literal["labels", "labels_2d", "membranes"]
Average = Literal["stack", "sections"]
SMALL_PX = 64


@dataclass(frozen=True, eq=False)
class StackPair:
    """A segmentation and its ground truth, of fitting shapes.

    Attributes
    ----------
    segmentation, truth : array-like, ZYX
    sections : tuple of int
        The sections that count.
    kind : {"labels", "labels_2d", "membranes"}
        What `truth` is.
    average : {"stack", "sections"}
        Whether the sections are pooled or scored each by itself.
    rule : MembraneRule or None
        How membranes are read.
    """

    segmentation: Any
    truth: Any
    sections: tuple[int, ...]
    kind: GroundTruthKind
    average: Average
    rule: MembraneRule | None = None

    @property
    def ids_per_section(self) -> bool:
        """Whether an id of two sections counts as two (membranes know no third dimension)."""
        return self.kind != "labels"

    def notes(self, tables: list[Contingency]) -> tuple[str, ...]:
        """Say, for people, what was assumed about the ground truth and what looks odd in it."""
        if self.rule is not None:
            return (self.rule.note,)
        is_one_object = all((table.truth == tables[0].truth[0]).all() for table in tables)
        # The kind is easily mistaken: a mask read as labels scores, but says nothing.
        if not is_one_object or self.truth.shape[-1] < SMALL_PX:
            return ()
        return ("The truth is one object: should its kind be membranes?",)

    def read(
        self, progress: Progress = NO_PROGRESS, message: str = "Comparing sections"
    ) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """Yield ids of the segmentation and of the ground truth, section by section."""
        for done, z in enumerate(self.sections):
            ids = read_ids(self.segmentation, z, "segmentation")
            if self.rule is None:
                truth = read_ids(self.truth, z, "ground truth")
            else:
                truth = self.rule.label_section(read_section(self.truth, z))
            yield ids, truth
            progress.update(done + 1, len(self.sections), message)


def empty_truth() -> InputError:
    """Return the complaint about a ground truth in which nothing is labelled."""
    return InputError(
        "The ground truth is empty (0 everywhere) in the sections chosen, so there is nothing to "
        "compare; choose others."
    )


def open_pair(
    segmentation: Any,
    ground_truth: Any,
    *,
    kind: GroundTruthKind,
    average: Average,
    sections: Iterable[int] | None,
    invert: bool | None,
) -> StackPair:
    """Check that two stacks can be compared.

    Raises
    ------
    InputError
        If the shapes differ, a section is missing, the kind or the average is
        unknown, or one of the two does not hold what it should.
    """
    if kind not in get_args(GroundTruthKind):
        known = ", ".join(get_args(GroundTruthKind))
        raise InputError(f"'{kind}' is no kind of ground truth; choose one of: {known}.")
    if average not in ("stack", "sections"):
        raise InputError(f"'{average}' is no way to average; choose stack or sections.")
    _refuse_maps(segmentation, "segmentation")
    if kind != "membranes":
        _refuse_maps(ground_truth, "ground truth")
    first = as_stack(segmentation, "the segmentation")
    second = as_stack(ground_truth, "the ground truth")
    chosen = check_shapes(tuple(first.shape), tuple(second.shape), sections, "segmentation")
    check_ids(first, chosen, "segmentation")
    if kind != "membranes":
        check_ids(second, chosen, "ground truth")
        return StackPair(first, second, chosen, kind, average)
    rule = inspect_membranes(second, invert=invert, sections=chosen)
    return StackPair(first, second, chosen, kind, average, rule)


def _refuse_maps(volume: Any, noun: str) -> None:
    if isinstance(volume, Volume) and volume.kind in ("boundary", "affinities"):
        raise InputError(
            f"The {noun} is a map of {volume.kind} where ids are needed: segment it first, or say "
            "that the ground truth is membranes."
        )


def check_shapes(
    segmentation: tuple[int, ...],
    truth: tuple[int, ...],
    sections: Iterable[int] | None,
    noun: str,
) -> tuple[int, ...]:
    """Return the sections to compare, all of them by default.

    Raises
    ------
    InputError
        If the shapes do not fit or a section is missing; `noun` is the first's name.
    """
    hint = ""
    if sections is None and segmentation[1:] == truth[1:]:
        hint = " Choose the sections that both have."
    # A ground truth of the first sections only is common; then the choice of sections decides.
    if segmentation[1:] != truth[1:] or (sections is None and segmentation != truth):
        raise InputError(
            f"The {noun} has shape {segmentation} but the ground truth has shape {truth}." + hint
        )
    n_sections = min(segmentation[0], truth[0])
    if sections is None:
        return tuple(range(n_sections))
    chosen = tuple(sorted({int(z) for z in sections}))
    missing = [z for z in chosen if not 0 <= z < n_sections]
    if missing or not chosen:
        what = f"Section {missing[0]} does not exist" if missing else "No section is chosen"
        raise InputError(f"{what}; there are sections 0 to {n_sections - 1}.")
    return chosen

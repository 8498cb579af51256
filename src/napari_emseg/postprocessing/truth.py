"""Ground truth as post-processing needs it: cells and membranes of single sections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.evaluation.membranes import MembraneRule, inspect_membranes
from napari_emseg.volume import Volume

GroundTruthKind = Literal["labels", "labels_2d", "membranes"]


@dataclass(frozen=True, eq=False)
class SectionTruth:
    """Ground truth of some sections.

    Attributes
    ----------
    volume : Volume
        Ids, or an image of membranes.
    sections : tuple of int
        Those that count.
    rule : MembraneRule or None
        How membranes are read; None for ids.
    """

    volume: Volume
    sections: tuple[int, ...]
    rule: MembraneRule | None

    def read_cells(self, z: int) -> npt.NDArray[Any]:
        """Ids of the cells of section `z`, 0 = membrane or not labelled."""
        section = self.volume.read(z)
        return section if self.rule is None else self.rule.label_section(section)

    def find_membrane(self, z: int) -> npt.NDArray[np.bool_]:
        """Voxels of section `z` that are membrane."""
        section = self.volume.read(z)
        if self.rule is not None:
            return ~self.rule.find_interior(section)
        # Some labels leave a gap between cells, others touch, many do both.
        is_membrane: npt.NDArray[np.bool_] = section == 0
        touching = (section[:, :-1] != 0) & (section[:, 1:] != 0)
        is_membrane[:, :-1] |= touching & (section[:, :-1] != section[:, 1:])
        touching = (section[:-1] != 0) & (section[1:] != 0)
        is_membrane[:-1] |= touching & (section[:-1] != section[1:])
        return is_membrane


def open_truth(
    boundary: Volume,
    ground_truth: Volume,
    kind: GroundTruthKind,
    sections: Iterable[int] | None,
    invert: bool | None,
) -> SectionTruth:
    """Check that ground truth fits a map.

    Parameters
    ----------
    boundary, ground_truth : Volume
        Of one field; the ground truth may have fewer sections.
    kind : {"labels", "labels_2d", "membranes"}
        What the ground truth is.
    sections : iterable of int or None
        Those wanted; None for all that both have.
    invert : bool or None
        For membranes: True if bright is cell interior; None to recognise it.

    Returns
    -------
    SectionTruth

    Raises
    ------
    InputError
        If the fields differ or a section is missing.
    """
    if boundary.shape[1:] != ground_truth.shape[1:]:
        raise InputError(
            f"The map has sections of {boundary.shape[1:]} and the ground truth of "
            f"{ground_truth.shape[1:]} pixels: they must show the same field."
        )
    depth = min(boundary.shape[0], ground_truth.shape[0])
    chosen = tuple(range(depth)) if sections is None else tuple(sorted({int(z) for z in sections}))
    if not chosen or chosen[0] < 0 or chosen[-1] >= depth:
        raise InputError(
            f"Sections {list(chosen)[:10]} were asked for; both have sections 0 to {depth - 1}."
        )
    rule = None
    if kind == "membranes":
        rule = inspect_membranes(ground_truth, invert=invert, sections=chosen)
    return SectionTruth(ground_truth, chosen, rule)


def find_borders(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark the pixels whose right or lower neighbour has another id: lines one pixel wide.

    Parameters
    ----------
    labels : (y, x) ids

    Returns
    -------
    (y, x) bool
        Without these pixels no two ids touch along a side.

    Examples
    --------
    >>> find_borders(np.array([[1, 1, 2]]))
    array([[False,  True, False]])
    """
    borders = np.zeros(labels.shape, bool)
    borders[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    borders[:-1] |= labels[:-1] != labels[1:]
    return borders

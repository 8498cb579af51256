"""Labels painted by hand, of which most is left out: strokes of membrane, strokes of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.training.targets import IGNORED, Kernel, Target, kernel_target, label_target
from napari_emseg.volume import Volume

MEMBRANE = 1
"""The id that paints membrane."""
INSIDE = 2
"""The first id that paints the inside of a cell; 0 says nothing."""


def paint_target(
    section: npt.NDArray[Any],
    boundary_px: int = 1,
    *,
    kernel: Kernel | None = None,
    axes: Sequence[int] | None = None,
) -> Target:
    """Turn paint into what is boundary and what is inside of a cell.

    Where two different cells touch, both sides are boundary. The rim of a stroke
    is none: what lies beyond it was not painted, so nobody said what it is.

    Parameters
    ----------
    section : integer array, (Y, X) or (Z, Y, X)
        0 = not painted, 1 = membrane, 2 and more = inside of a cell.
    boundary_px : int
        Reach of the boundary on each side of where two cells touch.
    kernel : {"l3", "c3", "c5"}, optional
        Draw it where a kernel around a voxel of a cell holds two, instead; needs Z, Y, X.
    axes : sequence of int, optional
        Along which cells may touch; by default all.

    Returns
    -------
    uint8 array of the same shape
        1 = boundary, 0 = inside, 255 = not known.

    Examples
    --------
    >>> paint_target(np.array([[0, 1, 0, 7, 7, 9, 9, 0]]))
    array([[255,   1, 255,   0,   1,   1,   0, 255]], dtype=uint8)
    """
    if section.dtype == bool:
        section = section.astype(np.uint8)
    is_cell = (section != 0) & (section != MEMBRANE)
    cells = np.where(is_cell, section, 0)
    target = np.full(section.shape, IGNORED, np.uint8)
    target[is_cell] = _touching(cells, boundary_px, kernel, axes)[is_cell]
    target[section == MEMBRANE] = 1
    return target


def _touching(
    cells: npt.NDArray[Any],
    boundary_px: int,
    kernel: Kernel | None,
    axes: Sequence[int] | None,
) -> Target:
    if kernel is not None:
        return kernel_target(cells, kernel)
    return label_target(cells, boundary_px=boundary_px, axes=axes, gaps=False)


def painted_sections(labels: Volume) -> tuple[int, ...]:
    """Return the sections in which anything is painted or labelled.

    Sections are read one at a time, and nothing is kept; labels that know their painted
    sections, as attribute ``painted_sections``, are asked.

    Examples
    --------
    >>> paint = np.zeros((4, 5, 6), np.uint8)
    >>> paint[2, 3, 3] = MEMBRANE
    >>> painted_sections(Volume(paint, kind="labels"))
    (2,)
    """
    known = getattr(labels.data, "painted_sections", None)
    if known is not None:
        return tuple(known)
    return tuple(z for z in range(labels.shape[0]) if labels.read(z).any())

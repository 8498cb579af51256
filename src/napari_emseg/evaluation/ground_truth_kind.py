"""Telling whether a ground truth holds the ids of neurons or a drawing of membranes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.evaluation.membranes import inspect_membranes
from napari_emseg.evaluation.stacks import as_stack, read_section
from napari_emseg.volume import Volume

MAX_SECTIONS_READ = 15
SECTIONS_WANTED = 3
MIN_CELLS = 3
# Neighbours in x are equal in 90 % and more of ids and drawings, in 2 to 40 % of grey values.
MIN_SHARE_EQUAL = 0.6


def guess_ground_truth_kind(volume: Any) -> Literal["labels", "membranes"]:
    """Guess whether a ground truth holds ids or membranes.

    Several sections are looked at, as the first may be blank. Decimal and grey
    values are membranes. A picture of two values is one of membranes if the thinner
    phase is one net that parts the other into at least three cells; else it is a mask,
    hence labels. All other whole numbers are labels.

    Parameters
    ----------
    volume : Volume or array-like, ZYX or YX

    Returns
    -------
    {"labels", "membranes"}
        Only a guess: people must be able to choose.

    Examples
    --------
    >>> cells = np.full((2, 20, 20), 255, np.uint8)
    >>> cells[1, 9] = cells[1, :, 9] = 0
    >>> guess_ground_truth_kind(cells)
    'membranes'
    >>> guess_ground_truth_kind(np.kron(np.arange(9), np.ones((1, 5, 5))).astype(int))
    'labels'
    """
    if isinstance(volume, Volume) and volume.kind in ("boundary", "affinities"):
        return "membranes"
    stack = as_stack(volume, "the ground truth")
    if np.dtype(stack.dtype).kind == "f":
        return "membranes"
    seen: list[int] = []
    values: set[int] = set()
    for z in _spread(stack.shape[0]):
        section = read_section(stack, z)
        found = np.unique(section)
        values.update(found[:4].tolist())
        if found.size == 1:
            continue
        if len(values) > 2:
            return "labels" if _is_piecewise(section) else "membranes"
        seen.append(z)
        if len(seen) == SECTIONS_WANTED:
            break
    return "membranes" if seen and _is_net(stack, seen) else "labels"


def _spread(n_sections: int) -> Iterator[int]:
    """Sections from all over the stack, the middle first."""
    chosen = np.unique(np.linspace(0, n_sections - 1, MAX_SECTIONS_READ).round().astype(int))
    yield from sorted(chosen.tolist(), key=lambda z: abs(z - (n_sections - 1) / 2))


def _is_piecewise(section: npt.NDArray[Any]) -> bool:
    if section.shape[1] < 2:
        return True
    return bool(np.mean(section[:, 1:] == section[:, :-1]) >= MIN_SHARE_EQUAL)


def _is_net(stack: Any, sections: list[int]) -> bool:
    """Whether the thinner phase is mostly one component that parts the other, in most sections."""
    from scipy.ndimage import label

    try:
        rule = inspect_membranes(stack, sections=sections)
    except InputError:
        return False
    votes = 0
    for z in sections:
        interior = rule.find_interior(read_section(stack, z))
        n_cells = label(interior)[1]
        nets = np.bincount(label(~interior, np.ones((3, 3)))[0].ravel())[1:]
        votes += n_cells >= MIN_CELLS and nets.size > 0 and nets.max() > nets.sum() / 2
    return votes > len(sections) / 2

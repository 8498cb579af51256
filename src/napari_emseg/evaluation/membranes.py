"""Ground truth drawn as membranes: which value is membrane, and which cells that leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.evaluation.stacks import as_stack, read_section

# A drawing or a probability map is black and white with some grey; ids and raw images are not.
MIN_SHARE_NEAR_EXTREMES = 0.5
MAX_INTEGER_VALUES = 3


@dataclass(frozen=True)
class MembraneRule:
    """How to read a membrane image.

    Attributes
    ----------
    threshold : float
        Values above it are bright.
    bright_is_membrane : bool
        Whether bright voxels are membrane (else the cell interior).
    note : str
        For people: what was assumed and why.
    """

    threshold: float
    bright_is_membrane: bool
    note: str

    def find_interior(self, section: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Voxels of one section that are not membrane."""
        bright = section > self.threshold
        return ~bright if self.bright_is_membrane else bright

    def label_section(self, section: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
        """4-connected components of the interior of one section, 0 = membrane."""
        from scipy.ndimage import label

        interior = self.find_interior(section)
        labels = np.empty(interior.shape, np.uint32)
        label(interior, output=labels)
        return labels


def inspect_membranes(
    membranes: Any, *, invert: bool | None = None, sections: Iterable[int] | None = None
) -> MembraneRule:
    """Find out how a membrane image is meant.

    Parameters
    ----------
    membranes : Volume or array-like, ZYX or YX
        Two-valued, or a grey membrane probability map, which is cut at half of
        its range. Bright = membrane or bright = cell.
    invert : bool, optional
        False: bright is membrane. True: bright is cell interior. By default
        recognised: membranes cover less area than cells and are thinner.
    sections : iterable of int, optional
        The sections to look at; all by default.

    Returns
    -------
    MembraneRule

    Raises
    ------
    InputError
        If the image holds ids or grey values of a raw image, or one value only.

    Examples
    --------
    >>> image = np.full((1, 9, 9), 255, np.uint8)
    >>> image[:, 4] = 0
    >>> inspect_membranes(image).note
    'Membranes: dark voxels taken as membrane (11 %).'
    """
    stack = as_stack(membranes, "the membrane image")
    chosen = list(range(stack.shape[0])) if sections is None else list(sections)
    threshold, grey_note = _find_threshold(stack, chosen)
    bright_share = float(np.mean([np.mean(read_section(stack, z) > threshold) for z in chosen]))
    if bright_share in (0.0, 1.0):
        raise InputError(
            "The membrane image is the same everywhere, so there is no membrane in it; "
            "if it holds object ids, choose labels as the kind of ground truth."
        )
    if invert is None:
        bright_is_membrane = _is_bright_thin(stack, chosen, threshold, bright_share)
        how = "taken as"
    else:
        bright_is_membrane = not invert
        how = "are, as chosen,"
    name = "bright" if bright_is_membrane else "dark"
    share = bright_share if bright_is_membrane else 1 - bright_share
    note = f"Membranes: {name} voxels {how} membrane ({100 * share:.0f} %).{grey_note}"
    return MembraneRule(threshold, bright_is_membrane, note)


def membranes_to_labels(
    membranes: Any, *, invert: bool | None = None
) -> tuple[npt.NDArray[np.uint32], str]:
    """Turn a membrane image into labels: the cells of each section.

    Parameters
    ----------
    membranes : Volume or array-like, ZYX or YX
    invert : bool, optional
        See :func:`inspect_membranes`.

    Returns
    -------
    labels : ndarray of uint32, same shape
        4-connected components of the interior of each section by itself, ids
        unique over the stack; 0 = membrane.
    note : str
        What was assumed, one sentence or two.

    Raises
    ------
    InputError
        If the image is not one of membranes.

    Examples
    --------
    >>> image = np.zeros((2, 3, 7), np.uint8)
    >>> image[:, :, 3] = 1
    >>> membranes_to_labels(image)[0][:, 0]
    array([[1, 1, 1, 0, 2, 2, 2],
           [3, 3, 3, 0, 4, 4, 4]], dtype=uint32)
    """
    rule = inspect_membranes(membranes, invert=invert)
    stack = as_stack(membranes, "the membrane image")
    labels = np.empty(stack.shape, np.uint32)
    last = 0
    for z in range(stack.shape[0]):
        section = rule.label_section(read_section(stack, z))
        highest = int(section.max(initial=0))
        section[section > 0] += np.uint32(last)
        labels[z] = section
        last += highest
    is_single = getattr(membranes, "ndim", 3) == 2
    return (labels[0] if is_single else labels), rule.note


def _find_threshold(stack: Any, sections: list[int]) -> tuple[float, str]:
    values = _few_values(stack, sections)
    if values is not None and len(values) <= 2:
        return float(np.mean([values[0], values[-1]])), ""
    if values is None and stack.dtype.kind in "iu" and stack.dtype.itemsize > 1:
        raise InputError(
            f"The membrane image holds many different whole numbers ({stack.dtype}), as labels "
            "do; choose labels as the kind of ground truth."
        )
    low, high = _range(stack, sections)
    near = 0.0
    margin = (high - low) / 8
    for z in sections:
        section = read_section(stack, z)
        near += float(np.mean((section <= low + margin) | (section >= high - margin)))
    if near < MIN_SHARE_NEAR_EXTREMES * len(sections):
        raise InputError(
            "The membrane image is neither black and white nor a probability map: it looks like "
            "a raw image or like object ids; choose another layer or file, or labels as the kind."
        )
    threshold = (low + high) / 2
    return threshold, f" Grey values were cut at {threshold:g}."


def _few_values(stack: Any, sections: list[int]) -> list[float] | None:
    """All values if there are at most MAX_INTEGER_VALUES, else None."""
    found: set[float] = set()
    for z in sections:
        section = read_section(stack, z)
        if section.dtype.kind == "f" and not np.isfinite(section).all():
            raise InputError(f"The membrane image holds NaN or infinity in section {z}.")
        found.update(np.unique(section).tolist())
        if len(found) > MAX_INTEGER_VALUES:
            return None
    return sorted(float(value) for value in found)


def _range(stack: Any, sections: list[int]) -> tuple[float, float]:
    low = float(min(read_section(stack, z).min() for z in sections))
    high = float(max(read_section(stack, z).max() for z in sections))
    # Within the usual range of a map, half means half of that range.
    if stack.dtype.kind == "f" and low >= 0.0 and high <= 1.0:
        return 0.0, 1.0
    return low, high


def _middle(section: npt.NDArray[Any], size_px: int = 512) -> npt.NDArray[Any]:
    """Cut out the middle of a section: enough to see how thick things are."""
    y, x = (max(0, (n - size_px) // 2) for n in section.shape)
    return section[y : y + size_px, x : x + size_px]


def _is_bright_thin(stack: Any, sections: list[int], threshold: float, bright_share: float) -> bool:
    from scipy.ndimage import distance_transform_edt

    depths: dict[bool, list[float]] = {True: [], False: []}
    for z in {sections[0], sections[len(sections) // 2], sections[-1]}:
        bright = _middle(read_section(stack, z)) > threshold
        if bright.all() or not bright.any():
            continue
        for is_bright, mask in ((True, bright), (False, ~bright)):
            depths[is_bright].append(float(distance_transform_edt(mask)[mask].mean()))
    if not depths[True]:
        return bright_share < 0.5
    bright_extent = bright_share * float(np.mean(depths[True]))
    dark_extent = (1 - bright_share) * float(np.mean(depths[False]))
    return bright_extent < dark_extent

"""Warping error: differences between two membrane drawings that are of topology, not of place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError

Section = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Binary = npt.NDArray[np.uint8]
KINDS = (
    "split",
    "merge",
    "hole_added",
    "hole_deleted",
    "object_added",
    "object_deleted",
    "masked",
)


@dataclass(frozen=True)
class WarpingCounts:
    """What is left of the differences of one or more sections after warping.

    Attributes
    ----------
    n_pixels : int
        Of the sections.
    pixels : tuple of int
        Differing pixels of each kind, in the order of `KINDS`.
    sites : tuple of int
        The same, with pixels that touch counted as one error.
    """

    n_pixels: int = 0
    pixels: tuple[int, ...] = (0,) * len(KINDS)
    sites: tuple[int, ...] = (0,) * len(KINDS)

    def plus(self, other: WarpingCounts) -> WarpingCounts:
        """Add the counts of other sections."""
        return WarpingCounts(
            self.n_pixels + other.n_pixels,
            tuple(a + b for a, b in zip(self.pixels, other.pixels, strict=True)),
            tuple(a + b for a, b in zip(self.sites, other.sites, strict=True)),
        )

    def error(self, *kinds: str) -> float:
        """Return the share of pixels that differ in the given ways, in all ways by default."""
        chosen = [self.pixels[KINDS.index(kind)] for kind in kinds or KINDS]
        return sum(chosen) / self.n_pixels if self.n_pixels else 0.0

    def n_sites(self, *kinds: str) -> int:
        """Return the number of errors of the given kinds, of all kinds by default."""
        return sum(self.sites[KINDS.index(kind)] for kind in kinds or KINDS)


@dataclass(frozen=True, eq=False)
class Warping:
    """A true section warped onto a segmented one.

    Attributes
    ----------
    warped : ndarray of bool, shape (y, x)
        The truth after warping, True = cell.
    kind : ndarray of uint8, shape (y, x)
        0 where it agrees with the segmentation, else 1 + the index in `KINDS`.
    """

    warped: Mask
    kind: npt.NDArray[np.uint8]

    @property
    def counts(self) -> WarpingCounts:
        """Pixels and sites of each kind."""
        from scipy.ndimage import label

        pixels = np.bincount(self.kind.ravel(), minlength=len(KINDS) + 1)[1:]
        sites = []
        for index, name in enumerate(KINDS):
            is_kind = self.kind == index + 1
            sites.append(int(label(is_kind, _structure(name))[1]) if pixels[index] else 0)
        return WarpingCounts(self.kind.size, tuple(pixels.tolist()), tuple(sites))


def warp_section(
    truth: Section,
    segmented: Section,
    *,
    mask: Section | None = None,
    certainty: Section | None = None,
    thicken_px: Sequence[int] = (0,),
) -> Warping:
    """Warp the true cells of a section onto segmented ones and classify what is left.

    Pixels of the truth that differ from the segmentation are flipped one by one as
    long as one of them is simple, that is, as flipping it neither splits, merges,
    adds nor removes an object or a hole. The share of pixels that differ at the end
    is the warping error of Jain et al. 2010, doi 10.1109/CVPR.2010.5539950 (by greedy
    descent, to a local minimum, as there): a membrane drawn a little aside, so that it
    still touches the true one, costs nothing, a gap in it that joins two cells does.

    Cells are 4-connected, membranes 8-connected; outside the section is membrane.

    Parameters
    ----------
    truth, segmented : array-like of bool, shape (y, x)
        True = cell, False = membrane.
    mask : array-like of bool, shape (y, x), optional
        Where pixels of the truth may be flipped: the geometric constraint of the
        paper, for instance a band around true membranes. Everywhere by default.
    certainty : array-like of float, shape (y, x), optional
        Of `segmented`, 0 or more, such as the distance of a probability from the
        threshold: the surest differences are flipped first, as in the paper. By
        default row by row, then layer by layer.
    thicken_px : sequence of int
        Where to start: true membranes as they are (0) or thickened to each side, in
        simple pixels too, so that thin ones still meet those of the segmentation. The
        start that ends with the fewest differences counts. Above 1, cells of a few
        pixels shrink to points, and their mergers then count for little.

    Returns
    -------
    Warping

    Raises
    ------
    InputError
        If the shapes differ or are not those of one section.

    Notes
    -----
    What is left is classified by what flipping the pixel would do: a cell is cut in two
    (split), two cells become one (merge), or a hole or a cell comes or goes. This is
    exact, from the components around the pixel; the Fiji plugin "Trainable
    Segmentation" looks at ids in all eight directions and calls some holes mergers.

    Examples
    --------
    A membrane of one pixel between two cells, with a gap in the segmentation:

    >>> truth = np.ones((3, 5), bool)
    >>> truth[:, 2] = False
    >>> gap = truth.copy()
    >>> gap[1, 2] = True
    >>> warp_section(truth, gap).counts.error("merge")
    0.06666666666666667

    The same membrane one pixel aside is no error:

    >>> warp_section(truth, np.roll(truth, 1, axis=1)).counts.error()
    0.0
    """
    from scipy.ndimage import label

    from napari_emseg.evaluation import topology

    others = {"segmentation": segmented, "mask": mask, "certainty": certainty}
    for noun, other in others.items():
        if other is not None and np.shape(other) != np.shape(truth):
            raise InputError(
                f"The truth has shape {np.shape(truth)} but the {noun} {np.shape(other)}."
            )
    start, target = _framed(truth), _framed(segmented)
    may_flip = np.ones_like(start) if mask is None else _framed(mask)
    urgency = _urgency(certainty, start.shape)
    ends = []
    for width in thicken_px:
        image = _thickened(start, may_flip, width)
        topology.warp(image, target, may_flip, urgency)
        ends.append(image)
    image = min(ends, key=lambda end: np.count_nonzero(end != target))
    objects = label(image)[0].astype(np.int32, copy=False)
    background = label(image == 0, np.ones((3, 3)))[0].astype(np.int32, copy=False)
    kind = topology.classify(image, target, objects, background)
    return Warping(image[1:-1, 1:-1] != 0, kind[1:-1, 1:-1])


def find_cells(ids: Section) -> Mask:
    """Turn the ids of a section into cells parted by membranes of one pixel.

    Parameters
    ----------
    ids : ndarray of int, shape (y, x)
        0 = membrane.

    Returns
    -------
    ndarray of bool, shape (y, x)
        False where the id is 0, and on the upper or left side of a contact of two
        ids, so that no two of them are 4-connected.

    Examples
    --------
    >>> find_cells(np.array([[1, 1, 2, 2, 0]])).astype(int)
    array([[1, 0, 1, 1, 0]])
    """
    cells = ids != 0
    below = (ids[1:] != ids[:-1]) & cells[1:]
    right = (ids[:, 1:] != ids[:, :-1]) & cells[:, 1:]
    cells[:-1] &= ~below
    cells[:, :-1] &= ~right
    return np.asarray(cells)


def _framed(image: Section) -> npt.NDArray[np.uint8]:
    section = np.asarray(image)
    if section.ndim != 2:
        raise InputError(f"Warping needs one section (y, x), not shape {section.shape}.")
    return np.pad((section != 0).astype(np.uint8), 1)


def _thickened(start: Binary, may_flip: Binary, width_px: int) -> Binary:
    """Membranes grown to each side as far as that changes no topology."""
    from scipy.ndimage import binary_erosion

    from napari_emseg.evaluation import topology

    image = start.copy()
    if width_px:
        thick = binary_erosion(start, iterations=width_px).astype(np.uint8)
        topology.warp(image, thick, may_flip, np.zeros_like(start))
    return image


def _urgency(certainty: Section | None, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    urgency = np.zeros(shape, np.uint8)
    if certainty is not None:
        values = np.asarray(certainty, np.float64)
        urgency[1:-1, 1:-1] = np.round(255 * values / (values.max() or 1.0))
    return urgency


def _structure(kind: str) -> npt.NDArray[np.int64]:
    """How pixels of one error touch: membranes also at corners, cells at sides only."""
    is_membrane = kind in ("merge", "hole_added", "masked")
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    return np.ones((3, 3), np.int64) if is_membrane else cross

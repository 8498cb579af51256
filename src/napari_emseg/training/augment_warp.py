"""Where each voxel of a patch comes from: the changes of geometry, drawn in a fixed order.

1. orientation: mirrored along y, x and z, y and x exchanged; in cubic voxels all
   three axes in any order;
2. turned by any angle in the plane of the section, sheared and scaled;
3. elastic field, smooth between nodes;
4. misaligned sections, of inputs of several sections.

Every draw is made whether its change is switched on or not, so that switching
one off leaves the others as they were. Whatever is looked up with the warp
(grey values, ids, classes, maps) is changed alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_emseg.training.augment_lookup import Floats, spread
from napari_emseg.training.augment_params import WarpParams

Matrix = npt.NDArray[np.float64]
STILL = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""The slip of a section that is in place."""


@dataclass(frozen=True)
class Warp:
    """Where the voxels of a patch come from, as offsets from the middle of the place it shows.

    Attributes
    ----------
    matrix : float64 array, (3, 3)
        From the patch to the stack, (z, y, x).
    field : float32 array, (Y, X, 2), or (Z, Y, X, 3) in cubic voxels
        The elastic shift, in voxels of the patch; it may be larger than the patch.
    slips : float64 array, (sections, 2, 3)
        In-plane turn and shift of each section of the patch.
    """

    matrix: Matrix
    field: Floats
    slips: Matrix

    @property
    def is_reversed(self) -> bool:
        """Whether the patch shows the sections in reverse order."""
        return bool(self.matrix[0, 0] < 0)

    def aligned(self) -> Warp:
        """Return it without misaligned sections."""
        return replace(self, slips=np.broadcast_to(STILL, self.slips.shape).copy())

    def reach(self, shape: tuple[int, int, int]) -> Matrix:
        """Return how far from its middle a patch of `shape` reads, along z, y and x."""
        half = (np.array(shape) - 1) / 2
        largest = max(float(self.field.max()), -float(self.field.min()))
        shift = np.array([largest if self.field.ndim == 4 else 0.0, largest, largest])
        turned = np.abs(self.slips).max(axis=0)
        in_plane = np.array([turned[0] @ [*half[1:], 1], turned[1] @ [*half[1:], 1]])
        half[1:] = np.maximum(half[1:], in_plane)
        reach: Matrix = np.abs(self.matrix) @ (half + shift) + 1
        return reach


def draw_warp(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    params: WarpParams,
    *,
    field_px: int,
    field_sections: int = 0,
    is_cubic: bool = False,
    middle: int | None = None,
) -> Warp:
    """Draw a warp.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (sections, y, x)
        Of the patch; y and x are equal, and odd or even as `field_px`.
    params : WarpParams
    field_px : int
        Side of the elastic field, at least that of the patch.
    field_sections : int
        Its depth where all three axes are warped; 0: sections stay whole.
    is_cubic : bool
        Whether voxels are cubes: with `field_sections`, axes may take any order;
        there are no sections to be misaligned.
    middle : int, optional
        The section that is predicted, which stays in place; None: all may move.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> draw_warp(rng, (1, 32, 32), WarpParams(), field_px=32).field.shape
    (32, 32, 2)
    """
    orientation = _draw_orientation(rng, params, any_order=bool(field_sections) and is_cubic)
    affine = _draw_affine(rng, params, scales_z=bool(field_sections))
    field = _draw_elastic(rng, params, field_px, field_sections)
    slips = _draw_slips(rng, params, shape, middle, is_still=is_cubic)
    return Warp(orientation @ affine, field, slips)


def _draw_orientation(rng: np.random.Generator, params: WarpParams, *, any_order: bool) -> Matrix:
    signs = rng.integers(0, 2, 3) * 2.0 - 1.0
    is_exchanged = rng.random() < 0.5
    order = rng.permutation(3)
    if not params.orientations:
        return np.eye(3)
    if not any_order:
        order = np.array([0, 2, 1] if is_exchanged else [0, 1, 2])
    matrix: Matrix = np.diag(signs)[order]
    return matrix


def _draw_affine(rng: np.random.Generator, params: WarpParams, *, scales_z: bool) -> Matrix:
    largest = math.radians(params.rotation_degrees)
    angle = rng.uniform(-largest, largest)
    scale = math.exp(rng.uniform(math.log(params.scale_min), math.log(params.scale_max)))
    shear = rng.normal() * params.shear
    is_free = rng.random() < params.affine_fraction
    matrix = np.eye(3)
    if is_free:
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        matrix[1:, 1:] = turn @ np.array([[1.0, shear], [0.0, 1.0]]) / scale
        matrix[0, 0] = 1 / scale if scales_z else 1.0
    return matrix


def _draw_elastic(
    rng: np.random.Generator, params: WarpParams, field_px: int, sections: int
) -> Floats:
    shape: tuple[int, ...] = (field_px, field_px)
    nodes: tuple[int, ...] = (params.elastic_nodes or _count_nodes(field_px, params),) * 2
    if sections:
        shape = (sections, *shape)
        nodes = (_count_nodes(sections, params), *nodes)
    shifts = rng.standard_normal((*nodes, len(nodes)), np.float32)
    if not params.elastic_sigma_px:
        return np.zeros((*shape, len(nodes)), np.float32)
    if params.elastic_zero_border:
        inner = (..., slice(1, -1), slice(1, -1), slice(None))
        kept = np.zeros_like(shifts)
        kept[inner] = shifts[inner]
        shifts = kept
    return spread(shifts * np.float32(params.elastic_sigma_px), shape)


def _count_nodes(size: int, params: WarpParams) -> int:
    """Return how many nodes from edge to edge are no farther apart than the spacing."""
    return max(2, math.ceil((size - 1) / params.elastic_spacing_px) + 1)


def _draw_slips(
    rng: np.random.Generator,
    params: WarpParams,
    shape: tuple[int, int, int],
    middle: int | None,
    *,
    is_still: bool,
) -> Matrix:
    count = shape[0]
    is_hit, goes_on = rng.random(2) < [params.misaligned_fraction, 0.5]
    shift = rng.uniform(-1, 1, 2) * params.misaligned_px
    angle = math.radians(params.misaligned_degrees) * rng.uniform(-1, 1)
    chosen = rng.random()
    slips = np.broadcast_to(STILL, (count, 2, 3)).copy()
    if not is_hit or is_still or count < 2:
        return slips
    movable = [c for c in range(count) if c != middle]
    first = movable[int(chosen * len(movable))]
    last = first
    if goes_on and middle is not None and first < middle:
        first, last = 0, first
    elif goes_on:  # before the first there is nothing to be apart from
        first, last = max(first, 1), count
    turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    slips[first : last + 1] = np.column_stack([turn, shift])
    return slips

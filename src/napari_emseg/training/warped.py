"""Patches read out of a source through one warp: grey values and maps, ids and classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_emseg.training.augment_lookup import (
    OUTSIDE,
    Floats,
    pick_planes,
    pick_volume,
    read_planes,
    read_volume,
)
from napari_emseg.training.augment_warp import Warp
from napari_emseg.training.stacks import Stack, Values
from napari_emseg.training.tones import Tones

Sections = npt.NDArray[np.int64]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Place:
    """Where in a stack a patch is, and how it is warped.

    Attributes
    ----------
    centre : float64 array, (z, y, x)
        The middle of the patch in the stack.
    warp : Warp
    run : (first, last)
        The slices it may show, both included; those beyond are their mirror image.
    """

    centre: npt.NDArray[np.float64]
    warp: Warp
    run: tuple[int, int]


def read_sections(
    stack: Stack, place: Place, sections: Sections, size_px: int, tones: Tones | None = None
) -> Floats:
    """Read whole sections of grey values, (sections, size_px, size_px), standardised by `tones`."""
    warp = place.warp
    shape = (len(sections), size_px, size_px)
    block, origin = _plane_block(stack, place, sections, shape)
    mean, scale = tones.of(sections.tolist()) if tones else _as_they_are(len(sections))
    out = np.empty(shape, np.float32)
    extent = np.array(stack.shape, np.int64)
    read_planes(
        block, origin, extent, sections, warp.matrix, place.centre, warp.field, warp.slips,
        mean, scale, out,
    )  # fmt: skip
    return out


def pick_sections(
    stack: Stack, place: Place, sections: Sections, size_px: int, *, halo: int = 0
) -> Values:
    """Pick ids or classes of whole sections; 0 where a section is OUTSIDE.

    Within `halo` of the rim nothing is mirrored: beyond the edge is 0.
    """
    warp = place.warp
    shape = (len(sections), size_px, size_px)
    block, origin = _plane_block(stack, place, sections, shape)
    out = np.empty(shape, block.dtype)
    extent = np.array(stack.shape, np.int64)
    pick_planes(
        block, origin, extent, sections, warp.matrix, place.centre, warp.field, warp.slips,
        halo, out,
    )  # fmt: skip
    return out


def read_box(stack: Stack, place: Place, shape: Shape, tones: Tones | None = None) -> Floats:
    """Read grey values of `shape`, warped along all axes."""
    block, origin, low, high = _box_block(stack, place, shape)
    sections = range(int(origin[0]), int(origin[0]) + len(block))
    mean, scale = _as_they_are(len(block))
    if tones:
        first = max(sections.start, place.run[0])
        stop = min(sections.stop, place.run[1] + 1)
        known = slice(first - sections.start, stop - sections.start)
        mean[known], scale[known] = tones.of(range(first, stop))
    out = np.empty(shape, np.float32)
    read_volume(
        block, origin, low, high, place.warp.matrix, place.centre, place.warp.field, mean, scale,
        out,
    )  # fmt: skip
    return out


def pick_box(stack: Stack, place: Place, shape: Shape, *, halo: Shape = (0, 0, 0)) -> Values:
    """Pick ids or classes of `shape`, warped along all axes; `halo` as :func:`pick_sections`."""
    block, origin, low, high = _box_block(stack, place, shape)
    out = np.empty(shape, block.dtype)
    pick_volume(
        block, origin, low, high, place.warp.matrix, place.centre, place.warp.field,
        np.array(halo, np.int64), out,
    )  # fmt: skip
    return out


def _plane_block(
    stack: Stack, place: Place, sections: Sections, shape: Shape
) -> tuple[Values, npt.NDArray[np.int64]]:
    reach = place.warp.reach(shape)
    shown = sections[sections != OUTSIDE]
    spans = [(int(shown.min()), int(shown.max()) + 1)] if len(shown) else [(0, 1)]
    for axis in (1, 2):
        span = (place.centre[axis] - reach[axis], place.centre[axis] + reach[axis])
        spans.append(mirrored_span(*span, 0, stack.shape[axis] - 1))
    block, origin = stack.block([a for a, _ in spans], [b for _, b in spans])
    return block, origin


def _box_block(
    stack: Stack, place: Place, shape: Shape
) -> tuple[Values, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    reach = place.warp.reach(shape)
    low = np.array([place.run[0], 0, 0], np.int64)
    high = np.array([place.run[1], stack.shape[1] - 1, stack.shape[2] - 1], np.int64)
    spans = [
        mirrored_span(c - r, c + r, int(a), int(b))
        for c, r, a, b in zip(place.centre, reach, low, high, strict=True)
    ]
    block, origin = stack.block([a for a, _ in spans], [b for _, b in spans])
    return block, origin, low, high


def mirrored_span(low: float, high: float, first: int, last: int) -> tuple[int, int]:
    """Return start and stop of what lies in low ... high once it is mirrored into first ... last.

    Examples
    --------
    >>> mirrored_span(-2, 3.5, 0, 99), mirrored_span(-50, 3, 0, 10)
    ((0, 5), (0, 11))
    """
    if low < 2 * first - last or high > 2 * last - first:
        return first, last + 1
    start = min(low, 2 * last - high)
    stop = max(high, 2 * first - low)
    return max(first, math.floor(start)), min(last, math.ceil(stop)) + 1


def fold_sections(sections: Sequence[int] | Sections, first: int, last: int) -> Sections:
    """Mirror section numbers into first ... last.

    Examples
    --------
    >>> fold_sections([-1, 0, 1, 2, 3], 0, 2).tolist()
    [1, 0, 1, 2, 1]
    """
    period = max(2 * (last - first), 1)
    off = np.abs(np.asarray(sections, np.int64) - first) % period
    folded: Sections = first + np.minimum(off, period - off) if last > first else first + 0 * off
    return folded


def _as_they_are(count: int) -> tuple[Floats, Floats]:
    return np.zeros(count, np.float32), np.ones(count, np.float32)

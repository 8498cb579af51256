"""Refusing a stored hierarchy whose arrays do not fit together.

The loops that cut, flood and relabel do not look where they read: an id out of
range is read out of bounds, and a circle among the merges is followed for ever.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.jit import kernel
from napari_emseg.segmentation.forest import Forest

if TYPE_CHECKING:
    from napari_emseg.segmentation.hierarchy import Hierarchy
    from napari_emseg.segmentation.partitions import Partitions

Ints = npt.NDArray[np.int64]


def damaged() -> InputError:
    """Return the error to raise for a hierarchy that cannot be read."""
    return InputError("The stored hierarchy is damaged; build it again from the boundary map.")


def check_hierarchy(hierarchy: Hierarchy) -> None:
    """Make sure that nothing in a hierarchy from a file leads astray.

    Raises
    ------
    InputError
        If the types, shapes or ids of its arrays do not fit together, its merges run
        in a circle, or a number is not finite.
    """
    smoothed, minimum = hierarchy.smoothed, hierarchy.minimum
    if not (
        _is_sound(hierarchy)
        and smoothed.dtype == minimum.dtype == np.float32
        and smoothed.shape == hierarchy.fragments.shape
        and minimum.shape == hierarchy.forest.inside.shape
        and np.isfinite([smoothed.min(), smoothed.max()]).all()
        and np.isfinite(minimum[1:]).all()
    ):
        raise damaged()


def check_partitions(partitions: Partitions) -> None:
    """Make sure that nothing in partitions from a file leads astray.

    Raises
    ------
    InputError
        As :func:`check_hierarchy`, or if a table gives a fragment to what is no segment
        or, in "2d", to one of another section.
    """
    thresholds, tables = partitions.thresholds, partitions.tables
    if not (
        _is_sound(partitions)
        and thresholds.dtype == np.float32
        and thresholds.ndim == 1
        and thresholds.size > 0
        and np.isfinite(thresholds).all()
        and (np.diff(thresholds) >= 0).all()
        and tables.dtype == np.uint32
        and tables.shape == (thresholds.size, *partitions.forest.inside.shape)
        and all(_is_table(table, partitions) for table in tables)
    ):
        raise damaged()


def _is_table(table: npt.NDArray[np.uint32], parts: Hierarchy | Partitions) -> bool:
    is_within = table[0] == 0 and 0 < table[1:].min() <= table[1:].max() < table.size
    if not is_within or not np.array_equal(table[table], table):
        return False
    if parts.mode == "3d":
        return True
    section_of = _section_of(parts.section_starts)
    return np.array_equal(section_of[table[1:].astype(np.int64) - 1], section_of)


def _is_sound(parts: Hierarchy | Partitions) -> bool:
    """Whether fragments, forest and sections fit together."""
    return (
        _are_types_right(parts)
        and _are_shapes_right(parts)
        and _are_numbers_right(parts)
        and _is_forest(parts.forest)
        and _are_sections_apart(parts)
        and _are_fragments_counted(parts)
    )


def _are_types_right(parts: Hierarchy | Partitions) -> bool:
    forest = parts.forest
    wanted: dict[Any, tuple[npt.NDArray[Any], ...]] = {
        np.uint32: (parts.fragments.data, forest.inside, forest.outside, forest.order),
        np.float32: (forest.saddle, forest.height),
        np.int64: (parts.fragment_sizes_voxels, parts.section_starts),
    }
    return parts.fragments.kind == "fragments" and all(
        array.dtype == np.dtype(dtype) for dtype, arrays in wanted.items() for array in arrays
    )


def _are_shapes_right(parts: Hierarchy | Partitions) -> bool:
    forest = parts.forest
    by_id = (forest.inside, forest.outside, forest.saddle, forest.height)
    n_starts = {"2d": parts.fragments.shape[0] + 1, "3d": 0}.get(str(parts.mode))
    return (
        forest.inside.ndim == 1
        and forest.inside.size >= 2
        and all(a.shape == forest.inside.shape for a in (*by_id, parts.fragment_sizes_voxels))
        and forest.order.ndim == 1
        and parts.section_starts.shape == (n_starts,)
    )


def _are_numbers_right(parts: Hierarchy | Partitions) -> bool:
    forest = parts.forest
    ends = forest.outside != 0
    return bool(
        0 <= parts.sigma_px < math.inf
        and 0 <= parts.floor < 1
        and (forest.saddle >= 0).all()
        and (forest.height >= 0).all()
        # A minimum that never ends must stay above every h.
        and (forest.height[~ends] == np.inf).all()
        and np.isfinite(forest.height[ends]).all()
    )


def _is_forest(forest: Forest) -> bool:
    """Whether all ids are ids, `order` lists each end once, and no path is a circle."""
    n_fragments = forest.n_fragments
    if max(int(forest.inside.max()), int(forest.outside.max())) > n_fragments:
        return False
    ends = forest.outside != 0
    if ends[0] or not np.array_equal(ends, forest.inside != 0):
        return False
    if not np.array_equal(np.sort(forest.order), np.flatnonzero(ends)):
        return False
    ahead = forest.outside  # where each path is after 1, 2, 4, ... steps; 0 is past its end
    for _ in range(n_fragments.bit_length()):
        ahead = ahead[ahead]
    return not ahead.any()


def _are_sections_apart(parts: Hierarchy | Partitions) -> bool:
    """Whether in "2d" ids and merges stay in their section, and those of each are in a row."""
    if parts.mode == "3d":
        return True
    starts, forest = parts.section_starts, parts.forest
    if starts[0] != 1 or starts[-1] != forest.n_fragments + 1 or np.diff(starts).min() < 0:
        return False
    section_of = _section_of(starts)
    order = forest.order.astype(np.int64)
    merged = section_of[order - 1]
    return (
        bool((np.diff(merged) >= 0).all())
        and np.array_equal(merged, section_of[forest.inside[order].astype(np.int64) - 1])
        and np.array_equal(merged, section_of[forest.outside[order].astype(np.int64) - 1])
    )


def _section_of(starts: Ints) -> Ints:
    """Return the section of each fragment from 1 on."""
    return np.repeat(np.arange(starts.size - 1), np.diff(starts))


def _are_fragments_counted(parts: Hierarchy | Partitions) -> bool:
    labels, n_fragments = parts.fragments.data, parts.forest.n_fragments
    if parts.mode == "2d":
        first, stop = parts.section_starts[:-1], parts.section_starts[1:]
    else:
        first = np.ones(labels.shape[0], np.int64)
        stop = first + n_fragments
    size = np.zeros(n_fragments + 1, np.int64)
    is_within = bool(count_voxels(labels, first, stop, size))
    return is_within and np.array_equal(size[1:], parts.fragment_sizes_voxels[1:])


@kernel
def count_voxels(labels: Any, first: Any, stop: Any, size: Any) -> bool:
    """Add up the voxels of each id; stop with False at one that is not 0 nor of its section."""
    n_z, n_y, n_x = labels.shape
    for z in range(n_z):
        for y in range(n_y):
            for x in range(n_x):
                i = np.int64(labels[z, y, x])
                if i == 0:
                    continue
                if i < first[z] or i >= stop[z]:
                    return False
                size[i] += 1
    return True

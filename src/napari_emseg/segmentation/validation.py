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
    if not (
        _are_types_right(hierarchy)
        and _are_shapes_right(hierarchy)
        and _are_numbers_right(hierarchy)
        and _is_forest(hierarchy.forest)
        and _are_sections_apart(hierarchy)
        and _are_fragments_counted(hierarchy)
    ):
        raise damaged()


def _are_types_right(hierarchy: Hierarchy) -> bool:
    forest = hierarchy.forest
    wanted: dict[Any, tuple[Any, ...]] = {
        np.uint32: (hierarchy.fragments.data, forest.inside, forest.outside, forest.order),
        np.float32: (hierarchy.smoothed, hierarchy.minimum, forest.saddle, forest.height),
        np.int64: (hierarchy.fragment_sizes_voxels, hierarchy.section_starts),
    }
    return hierarchy.fragments.kind == "fragments" and all(
        array.dtype == np.dtype(dtype) for dtype, arrays in wanted.items() for array in arrays
    )


def _are_shapes_right(hierarchy: Hierarchy) -> bool:
    forest = hierarchy.forest
    by_id = (
        *(forest.inside, forest.outside, forest.saddle, forest.height),
        *(hierarchy.minimum, hierarchy.fragment_sizes_voxels),
    )
    n_starts = {"2d": hierarchy.fragments.shape[0] + 1, "3d": 0}.get(str(hierarchy.mode))
    return (
        forest.inside.ndim == 1
        and forest.inside.size >= 1
        and all(array.shape == forest.inside.shape for array in by_id)
        and forest.order.ndim == 1
        and hierarchy.smoothed.shape == hierarchy.fragments.shape
        and hierarchy.section_starts.shape == (n_starts,)
    )


def _are_numbers_right(hierarchy: Hierarchy) -> bool:
    forest = hierarchy.forest
    ends = forest.outside != 0
    return bool(
        0 <= hierarchy.sigma_px < math.inf
        and 0 <= hierarchy.floor < 1
        and np.isfinite(hierarchy.smoothed.min())
        and np.isfinite(hierarchy.smoothed.max())
        and np.isfinite(hierarchy.minimum[1:]).all()
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


def _are_sections_apart(hierarchy: Hierarchy) -> bool:
    """Whether in "2d" ids and merges stay in their section, and those of each are in a row."""
    if hierarchy.mode == "3d":
        return True
    starts, forest = hierarchy.section_starts, hierarchy.forest
    n_fragments = np.diff(starts)
    if starts[0] != 1 or starts[-1] != forest.n_fragments + 1 or n_fragments.min() < 0:
        return False
    section_of = np.repeat(np.arange(n_fragments.size), n_fragments)  # of the ids from 1 on
    order = forest.order.astype(np.int64)
    merged = section_of[order - 1]
    return (
        bool((np.diff(merged) >= 0).all())
        and np.array_equal(merged, section_of[forest.inside[order].astype(np.int64) - 1])
        and np.array_equal(merged, section_of[forest.outside[order].astype(np.int64) - 1])
    )


def _are_fragments_counted(hierarchy: Hierarchy) -> bool:
    labels, n_fragments = hierarchy.fragments.data, hierarchy.n_fragments
    if hierarchy.mode == "2d":
        first, stop = hierarchy.section_starts[:-1], hierarchy.section_starts[1:]
    else:
        first = np.ones(labels.shape[0], np.int64)
        stop = first + n_fragments
    size = np.zeros(n_fragments + 1, np.int64)
    is_within = bool(count_voxels(labels, first, stop, size))
    return is_within and np.array_equal(size[1:], hierarchy.fragment_sizes_voxels[1:])


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

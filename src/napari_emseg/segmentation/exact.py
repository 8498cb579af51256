"""The literal borders: what a cut has drowned is shared out voxel by voxel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.basins import count_voxels
from napari_emseg.segmentation.cutting import absorb_small, cut_heights, relabel
from napari_emseg.segmentation.drowning import cut_levels, drown
from napari_emseg.segmentation.levels import levels_of
from napari_emseg.segmentation.parallel import Steps, map_threads, slabs_of

if TYPE_CHECKING:
    from napari_emseg.segmentation.segmentation import Cut

Labels = npt.NDArray[np.uint32]


def flood_cut(cut: Cut, progress: Progress = NO_PROGRESS) -> Labels:
    """Give each voxel to the minimum its water reaches once the others are filled.

    That is the watershed of the reconstruction that H-minima floods, and of the
    map itself from the minima that survive, but for voxels with several equal
    ways down.

    Returns
    -------
    (z, y, x) uint32
        Ids of the surviving fragments. Segments below the minimum size, counted
        after the flood, have then joined the neighbour they are least separated from.
    """
    forest = cut.hierarchy.forest
    table = np.zeros(forest.n_fragments + 1, np.uint32)
    cut_heights(forest.outside, forest.height, np.float32(cut.h), 1, table.size, table)
    labels = _share_out(cut, table, progress)
    if cut.min_size_voxels > 1:
        _absorb_small(cut, table, labels)
    return labels


def _share_out(cut: Cut, table: Labels, progress: Progress) -> Labels:
    hierarchy = cut.hierarchy
    level = cut_levels(hierarchy.forest, hierarchy.minimum, cut.h, table)
    height = levels_of(hierarchy.smoothed).copy()
    labels: Labels = np.array(hierarchy.fragments.read(), np.uint32, order="C")
    n_z = labels.shape[0]
    is_2d = hierarchy.mode == "2d"
    steps = Steps(progress, n_z if is_2d else len(slabs_of(n_z)))
    report = partial(steps.finish_one, "Sharing out what is drowned")

    def drown_section(z: int) -> None:
        drown(height[z : z + 1], labels[z : z + 1], level, table)

    if is_2d:
        map_threads(drown_section, n_z, report)
    else:
        drown(height, labels, level, table, report)
    return labels


def _absorb_small(cut: Cut, table: Labels, labels: Labels) -> None:
    forest = cut.hierarchy.forest
    size = np.zeros(table.size, np.int64)
    count_voxels(labels, size)
    absorb_small(
        forest.inside,
        forest.outside,
        forest.order,
        size,
        cut.min_size_voxels,
        1,
        table.size,
        table,
    )
    relabel(labels, table, labels)

"""The literal borders: what a cut has drowned is shared out voxel by voxel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.basins import count_voxels
from napari_emseg.segmentation.cutting import absorb_small, relabel
from napari_emseg.segmentation.drowning import cut_levels, drown
from napari_emseg.segmentation.forest import Edges, collect_edges, join_edges, sort_keys
from napari_emseg.segmentation.levels import levels_of
from napari_emseg.segmentation.parallel import Steps, ignore, map_threads, slabs_of

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
    hierarchy, forest = cut.hierarchy, cut.hierarchy.forest
    table = hierarchy.cut(cut.h).segment_of
    level = cut_levels(forest, hierarchy.minimum, cut.h, table)
    height = levels_of(hierarchy.smoothed).copy()
    labels: Labels = np.array(hierarchy.fragments.read(), np.uint32, order="C")
    n_z = labels.shape[0]

    def flood_part(part: slice, report: Callable[[], None]) -> Edges | None:
        drown(height[part], labels[part], level, table, report)
        return collect_edges(height[part], labels[part]) if cut.min_size_voxels > 1 else None

    is_2d = hierarchy.mode == "2d"
    steps = Steps(progress, n_z if is_2d else len(slabs_of(n_z)))
    report = partial(steps.finish_one, "Sharing out what is drowned")
    if is_2d:
        parts = map_threads(lambda z: flood_part(slice(z, z + 1), ignore), n_z, report)
    else:
        parts = [flood_part(slice(0, n_z), report)]
    if edges := [part for part in parts if part is not None]:
        _absorb_small(labels, join_edges(edges), table, cut.min_size_voxels)
    return labels


def _absorb_small(labels: Labels, edges: Edges, table: Labels, min_size: int) -> None:
    """Join small segments as a cut does, over the borders that there are now."""
    a, b, saddle = edges
    size = np.zeros(table.size, np.int64)
    count_voxels(labels, size)
    absorb_small(a, b, sort_keys(b, a, saddle), size, min_size, 1, table.size, table)
    relabel(labels, table, labels)

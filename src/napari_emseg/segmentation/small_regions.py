"""Thresholds of the affinity watershed, and the joining of regions that are too small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.jit import kernel
from napari_emseg.segmentation.affinity_watershed import check_thresholds
from napari_emseg.segmentation.contacts import Contacts
from napari_emseg.segmentation.forest import find_root


@dataclass(frozen=True)
class Thresholds:
    """What the watershed of affinities is told.

    Attributes
    ----------
    low, high : float
        Edges up to `low` do not exist; those from `high` on always join.
    size_voxels : int
        A region below it joins a neighbour over its strongest edge, ...
    weight : float
        ... if that edge is above this.
    dust_voxels : int
        What is still smaller then is background.
    background : bool
        If False, `low` removes no edges.
    """

    low: float = 0.0
    high: float = 0.9999
    size_voxels: int = 0
    weight: float = 0.3
    dust_voxels: int = 0
    background: bool = True

    def __post_init__(self) -> None:
        check_thresholds(self.low, self.high)
        if not 0 <= self.weight <= 1:
            raise InputError(f"The weight threshold must lie between 0 and 1, not {self.weight}.")
        if self.size_voxels < 0 or self.dust_voxels < 0:
            raise InputError("A size is 0 voxels or more.")


PRESETS = {
    "fine": Thresholds(),
    "zlateski_seung": Thresholds(0.3, 0.9, 256, 0.3, 256),
    "deepseg": Thresholds(0.9, 0.9995, 256, 0.3, 256),
    "deepseg_fragments": Thresholds(0.9, 0.999999, 256, 0.3, 256),
    "deepseg_cli": Thresholds(0.3, 0.9, 250, 0.3, 250),
}
"""Thresholds that others use, by name; "fine" keeps every basin for an agglomeration."""


def resolve_preset(name: str) -> Thresholds:
    """Return the thresholds called `name`, or raise InputError."""
    if name not in PRESETS:
        raise InputError(f"There are no thresholds named '{name}'; choose one of {tuple(PRESETS)}.")
    return PRESETS[name]


def merge_small_regions(
    contacts: Contacts, sizes_voxels: npt.NDArray[np.int64], thresholds: Thresholds
) -> npt.NDArray[np.uint32]:
    """Join regions below the size threshold, strongest edges first; drop dust.

    Parameters
    ----------
    contacts : Contacts
    sizes_voxels : (R + 1,) int64
        Voxels of each region; entry 0 unused.
    thresholds : Thresholds

    Returns
    -------
    (R + 1,) uint32
        New id of each region, 1.. without gaps; 0 = dust.

    Examples
    --------
    >>> one, two = np.array([1], np.uint32), np.array([2], np.uint32)
    >>> edge = np.array([0.5])
    >>> contacts = Contacts(one, two, edge, np.array([1]), edge.astype(np.float32))
    >>> sizes = np.array([0, 5, 300])
    >>> merge_small_regions(contacts, sizes, Thresholds(size_voxels=256))
    array([0, 1, 1], dtype=uint32)
    >>> merge_small_regions(contacts, sizes, Thresholds(weight=0.6, size_voxels=9, dust_voxels=9))
    array([0, 0, 1], dtype=uint32)
    """
    order = np.argsort(-contacts.strongest, kind="stable")
    root = np.arange(sizes_voxels.size, dtype=np.uint32)
    total = sizes_voxels.copy()
    n_above = int(np.count_nonzero(contacts.strongest > np.float32(thresholds.weight)))
    _merge_small(contacts.a, contacts.b, order[:n_above], total, thresholds.size_voxels, root)
    is_kept = (root == np.arange(root.size)) & (total >= max(thresholds.dust_voxels, 1))
    is_kept[0] = False
    new_id = np.where(is_kept, np.cumsum(is_kept), 0).astype(np.uint32)
    return new_id[root]


@kernel
def _merge_small(a: Any, b: Any, order: Any, size: Any, min_size: Any, root: Any) -> None:
    for k in range(order.size):
        edge = order[k]
        one, two = find_root(root, a[edge]), find_root(root, b[edge])
        if one == two or (size[one] >= min_size and size[two] >= min_size):
            continue
        if size[two] > size[one]:
            one, two = two, one
        root[two] = one
        size[one] += size[two]
    for i in range(root.size):
        root[i] = find_root(root, i)

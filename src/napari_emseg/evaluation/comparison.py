"""Everything the metrics need to know of a segmentation and its ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation.contingency import Contingency, ContingencyBuilder
from napari_emseg.evaluation.formulas import info_scores, rand_scores
from napari_emseg.evaluation.run_length import RunLength
from napari_emseg.evaluation.warping import WarpingCounts, find_cells, warp_section

Section = npt.NDArray[np.integer[Any]]
# Lines of one pixel between ids need room to meet; but more than one pixel to each side shrinks
# thin cells to points, and to merge a point with its neighbour costs next to nothing.
THICKEN_PX = (0, 1)


@dataclass(frozen=True)
class MaskOverlap:
    """Sizes, in voxels, of two masks and of what they share."""

    segmentation: int = 0
    truth: int = 0
    both: int = 0

    @property
    def dice(self) -> float:
        """2 |A and B| / (|A| + |B|); 1 for two empty masks."""
        total = self.segmentation + self.truth
        return 2 * self.both / total if total else 1.0

    def plus(
        self, segmentation: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]
    ) -> MaskOverlap:
        """Add the masks of one more section."""
        return MaskOverlap(
            self.segmentation + int(np.count_nonzero(segmentation)),
            self.truth + int(np.count_nonzero(truth)),
            self.both + int(np.count_nonzero(segmentation & truth)),
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """A segmentation against a ground truth, boiled down to what metrics read.

    Attributes
    ----------
    table : Contingency
        Over the voxels where the ground truth is not 0.
    foreground : MaskOverlap
        Of the voxels whose id is not 0.
    boundary : MaskOverlap
        Of the boundary voxels, see :func:`find_boundary`.
    warping : WarpingCounts, optional
        Of all sections, where a metric asked for it.
    run_length : RunLength, optional
        Of the stack, where a metric asked for it.
    """

    table: Contingency
    foreground: MaskOverlap
    boundary: MaskOverlap
    warping: WarpingCounts | None = None
    run_length: RunLength | None = None

    @cached_property
    def rand(self) -> tuple[float, float, float]:
        """V_rand and its split and merge parts; segmentation 0 = singletons."""
        table = self.table
        inside = table.segment != 0
        n_singletons = int(table.count[~inside].sum())
        sizes = table.segment_sizes[int(n_singletons > 0) :]
        joint = _sum_of_squares(table.count[inside]) + n_singletons
        segment = _sum_of_squares(sizes) + n_singletons
        return rand_scores(joint, segment, _sum_of_squares(table.truth_sizes))

    @cached_property
    def pair_f_score(self) -> float:
        """F-score over pairs of distinct voxels; segmentation 0 = singletons."""
        table = self.table
        inside = table.segment != 0
        joint = _n_pairs(table.count[inside])
        sizes = table.segment_sizes[int(not inside.all()) :]
        total = _n_pairs(sizes) + _n_pairs(table.truth_sizes)
        return 2 * joint / total if total else 1.0

    @cached_property
    def information(self) -> tuple[float, float, float]:
        """V_info and its split and merge parts; segmentation 0 = singletons."""
        table = self.table
        p, s, t = table.count, table.segment_size_of_pair, table.truth_size_of_pair
        # A singleton has size 1 and shares 1 voxel; `p` of them lie in this pair.
        is_singleton = table.segment == 0
        size = np.where(is_singleton, 1, s)
        shared = np.where(is_singleton, 1, p)
        return info_scores(
            _mean_bits(p, t / shared, table.n_voxels),
            _mean_bits(p, size / shared, table.n_voxels),
            _mean_bits(p, table.n_voxels / size, table.n_voxels),
            _mean_bits(p, table.n_voxels / t, table.n_voxels),
        )

    @cached_property
    def variation(self) -> tuple[float, float]:
        """VOI split H(S|T) and merge H(T|S) in bits; segmentation 0 is one more label."""
        table = self.table
        p, s, t = table.count, table.segment_size_of_pair, table.truth_size_of_pair
        return _mean_bits(p, t / p, table.n_voxels), _mean_bits(p, s / p, table.n_voxels)


class ComparisonBuilder:
    """Builds a :class:`Comparison` section by section.

    `ids_per_section` as in :class:`ContingencyBuilder`; `warping` says whether to
    warp the sections too.
    """

    def __init__(self, *, ids_per_section: bool = False, warping: bool = False) -> None:
        self._table = ContingencyBuilder(ids_per_section=ids_per_section)
        self._foreground = MaskOverlap()
        self._boundary = MaskOverlap()
        self._warping = WarpingCounts() if warping else None

    def add(self, segmentation: Section, truth: Section) -> None:
        """Add one section: two arrays of ids of one shape (YX)."""
        self._table.add(segmentation, truth)
        self._foreground = self._foreground.plus(segmentation != 0, truth != 0)
        self._boundary = self._boundary.plus(find_boundary(segmentation), find_boundary(truth))
        if self._warping is not None:
            warped = warp_section(
                find_cells(truth), find_cells(segmentation), thicken_px=THICKEN_PX
            )
            self._warping = self._warping.plus(warped.counts)

    def build(self) -> Comparison:
        """Return the comparison of all sections added."""
        return Comparison(self._table.build(), self._foreground, self._boundary, self._warping)


def find_boundary(ids: Section) -> npt.NDArray[np.bool_]:
    """Boundary voxels of one section (YX): id 0, or an id unlike a 4-neighbour's.

    Examples
    --------
    >>> find_boundary(np.array([[1, 1, 2, 2, 0]])).astype(int)
    array([[0, 1, 1, 1, 1]])
    """
    boundary = ids == 0
    down, right = ids[1:] != ids[:-1], ids[:, 1:] != ids[:, :-1]
    boundary[1:] |= down
    boundary[:-1] |= down
    boundary[:, 1:] |= right
    boundary[:, :-1] |= right
    return np.asarray(boundary)


def _sum_of_squares(counts: npt.NDArray[np.int64]) -> int:
    # Exact up to 3e9 voxels; beyond, 64 bits overflow and decimals are exact enough.
    if int(counts.sum()) < 3_000_000_000:
        return int(np.dot(counts, counts))
    return int(np.dot(counts.astype(np.float64), counts.astype(np.float64)))


def _n_pairs(counts: npt.NDArray[np.int64]) -> int:
    return (_sum_of_squares(counts) - int(counts.sum())) // 2


def _mean_bits(
    weight: npt.NDArray[np.int64], ratio: npt.NDArray[np.float64], n_voxels: int
) -> float:
    # Every ratio is at least 1, so the sum cannot go below 0 by rounding.
    return float(np.dot(weight, np.log2(ratio))) / n_voxels

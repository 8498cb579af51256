"""Split and merge errors as an image that is computed section by section when looked at."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation.error_cells import CellFinder, CellMap
from napari_emseg.evaluation.error_sites import Errors, ErrorSite
from napari_emseg.evaluation.pairs import GroundTruthKind, open_pair
from napari_emseg.sectionwise import SectionwiseArray

IS_SPLIT, IS_MERGE, IS_PART, IS_OTHER = 1, 2, 3, 4
_KEPT_SECTIONS = 4


class ErrorView(SectionwiseArray):
    """Read-only array-like (z, y, x) uint8: 0 right or unknown, else one of four values.

    IS_SPLIT: a piece that should be joined to a larger one. IS_MERGE: a part that
    should be cut off. IS_PART, IS_OTHER: both sides of the error looked at.

    Parameters
    ----------
    segmentation, ground_truth, ground_truth_kind, invert
        As given to :func:`find_errors`.
    errors : Errors
        What it returned. Voxels changed since then show 0 where they make no known
        pair of ids.

    Examples
    --------
    >>> from napari_emseg.evaluation.error_sites import find_errors
    >>> truth = np.repeat(np.array([[1] * 6 + [2] * 5]), 6, axis=0)[np.newaxis]
    >>> view = ErrorView(np.ones_like(truth), truth, find_errors(np.ones_like(truth), truth))
    >>> view[0, 0]
    array([0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2], dtype=uint8)
    """

    def __init__(
        self,
        segmentation: Any,
        ground_truth: Any,
        errors: Errors,
        *,
        ground_truth_kind: GroundTruthKind = "labels",
        invert: bool | None = None,
    ) -> None:
        self._pair = open_pair(
            segmentation,
            ground_truth,
            kind=ground_truth_kind,
            average="stack",
            sections=errors.cells.sections,
            invert=invert,
        )
        super().__init__(self._pair.segmentation.shape, np.uint8)
        self._finder = CellFinder(errors.cells)
        self._table = np.append(errors.kind, np.uint8(0))  # the last is for "no cell", -1
        self._plain = self._table.copy()
        self._maps: OrderedDict[int, CellMap] = OrderedDict()

    def select(self, site: ErrorSite | None) -> None:
        """Mark both sides of one error, or of none."""
        self._table = self._plain.copy()
        if site is not None:
            self._table[site.cells[0]], self._table[site.cells[1]] = IS_PART, IS_OTHER

    def section(self, z: int) -> npt.NDArray[np.uint8]:
        """Return section `z` (y, x)."""
        if z not in self._pair.sections:
            return np.zeros(self.shape[1:], np.uint8)
        return self._table[self._cells_of(z)]

    def _cells_of(self, z: int) -> CellMap:
        if z not in self._maps:
            segmentation, truth = next(iter(replace(self._pair, sections=(z,)).read()))
            self._maps[z] = self._finder.map_section(z, segmentation, truth)
            if len(self._maps) > _KEPT_SECTIONS:
                self._maps.popitem(last=False)
        return self._maps[z]

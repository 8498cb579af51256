"""The best that grouping can do: every fragment goes to the object it lies in most."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation.comparison import Comparison, MaskOverlap
from napari_emseg.evaluation.contingency import Contingency
from napari_emseg.evaluation.error_cells import Cells, pool

NAMES = (
    "v_rand",
    "v_rand_split",
    "v_rand_merge",
    "v_info",
    "v_info_split",
    "v_info_merge",
    "voi_split",
    "voi_merge",
)


def score_oracle(tables: list[Contingency], *, are_apart: bool) -> dict[str, float]:
    """Score the fragments joined as the ground truth says.

    Each fragment is given to the object it shares most voxels with; fragments of one
    object are one segment. No grouping of these fragments cuts them, so what is
    missing to a perfect score is lost for good by the borders of the fragments.

    Parameters
    ----------
    tables : list of Contingency
        Fragments against ground truth, of each section or of the stack.
    are_apart : bool
        Whether an id names another object in each section.

    Returns
    -------
    dict of str to float
        The scores of `NAMES`, and ``voi``.

    Examples
    --------
    >>> table = Contingency(np.array([1, 2, 2]), np.array([5, 5, 6]), np.array([4, 3, 1]))
    >>> score_oracle([table], are_apart=False)["v_rand_merge"]  # (7**2 + 1) / 8**2
    0.78125
    """
    cells = Cells.of(tuple(range(len(tables))), tables, are_apart=are_apart)
    owner = owner_of_segments(cells)[cells.segment_index]
    return _score(cells, np.where(cells.segment == 0, 0, owner + 1))


def score_tables(tables: list[Contingency], *, are_apart: bool) -> dict[str, float]:
    """Score a segmentation by its tables, as :func:`score_oracle` without joining anything."""
    cells = Cells.of(tuple(range(len(tables))), tables, are_apart=are_apart)
    return _score(cells, np.where(cells.segment == 0, 0, cells.segment_index + 1))


def _score(cells: Cells, segment: npt.NDArray[Any]) -> dict[str, float]:
    truth = (cells.truth_index + 1).astype(np.uint64)
    table = pool([Contingency(segment.astype(np.uint64), truth, cells.count)])
    comparison = Comparison(table, MaskOverlap(), MaskOverlap())
    values = (*comparison.rand, *comparison.information, *comparison.variation)
    scores = dict(zip(NAMES, values, strict=True))
    return {**scores, "voi": scores["voi_split"] + scores["voi_merge"]}


def owner_of_segments(cells: Cells) -> npt.NDArray[Any]:
    """Return the number of the object that each segment lies in most."""
    order = np.lexsort((cells.truth_index, -cells.count, cells.segment_index))
    is_first = np.diff(cells.segment_index[order], prepend=-1) != 0
    return np.asarray(cells.truth_index[order[is_first]])

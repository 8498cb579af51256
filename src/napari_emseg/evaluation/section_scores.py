"""How good each section is by itself: which ones need a look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation.comparison import Comparison, MaskOverlap
from napari_emseg.evaluation.contingency import Contingency, ContingencyBuilder
from napari_emseg.evaluation.pairs import GroundTruthKind, StackPair, empty_truth, open_pair
from napari_emseg.progress import NO_PROGRESS, Progress

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SectionScores:
    """Scores of each section, compared by itself.

    Attributes
    ----------
    section : ndarray of int64, shape (n,)
        Index of each section in the stack, ascending.
    v_rand, v_rand_split, v_rand_merge : ndarray of float64, shape (n,)
    v_info, v_info_split, v_info_merge : ndarray of float64, shape (n,)
    voi_split, voi_merge : ndarray of float64, shape (n,)
        In bits. All scores are NaN where a section has no ground truth.
    """

    section: npt.NDArray[np.int64]
    v_rand: Floats
    v_rand_split: Floats
    v_rand_merge: Floats
    v_info: Floats
    v_info_split: Floats
    v_info_merge: Floats
    voi_split: Floats
    voi_merge: Floats

    @property
    def voi(self) -> Floats:
        """Variation of information, split + merge, in bits."""
        return self.voi_split + self.voi_merge

    @classmethod
    def of(cls, sections: Iterable[int], tables: Iterable[Contingency]) -> SectionScores:
        """Score the tables of `sections`, each by itself."""
        rows = [_score(table) for table in tables]
        columns = np.array(rows, np.float64).reshape(len(rows), len(_NAMES)).T
        scores = dict(zip(_NAMES, np.ascontiguousarray(columns), strict=True))
        return cls(np.array(list(sections), np.int64), **scores)


_NAMES = tuple(f.name for f in fields(SectionScores) if f.name != "section")


def score_sections(
    segmentation: Any,
    ground_truth: Any,
    *,
    ground_truth_kind: GroundTruthKind = "labels",
    sections: Iterable[int] | None = None,
    invert: bool | None = None,
    progress: Progress = NO_PROGRESS,
) -> SectionScores:
    """Score each section by itself.

    Parameters
    ----------
    segmentation, ground_truth, ground_truth_kind, sections, invert
        As in :func:`napari_emseg.evaluation.evaluate`.
    progress : Progress
        Told after each section.

    Returns
    -------
    SectionScores

    Raises
    ------
    InputError
        As :func:`napari_emseg.evaluation.evaluate`.

    Examples
    --------
    >>> truth = np.array([[[1, 1, 2, 2]], [[1, 1, 2, 2]]])
    >>> score_sections(np.array([[[5, 5, 5, 5]], [[5, 5, 6, 6]]]), truth).voi_merge
    array([1., 0.])
    """
    pair = open_pair(
        segmentation,
        ground_truth,
        kind=ground_truth_kind,
        average="sections",
        sections=sections,
        invert=invert,
    )
    return SectionScores.of(pair.sections, count_sections(pair, progress))


def count_sections(
    pair: StackPair, progress: Progress = NO_PROGRESS, message: str = "Comparing sections"
) -> list[Contingency]:
    """Count which ids meet in each section.

    Raises
    ------
    InputError
        If nothing is labelled in the ground truth.
    """
    tables = []
    for segmentation, truth in pair.read(progress, message):
        builder = ContingencyBuilder()
        builder.add(segmentation, truth)
        tables.append(builder.build())
    if not any(table.n_voxels for table in tables):
        raise empty_truth()
    return tables


def _score(table: Contingency) -> tuple[float, ...]:
    if table.n_voxels == 0:
        return (np.nan,) * len(_NAMES)
    comparison = Comparison(table, MaskOverlap(), MaskOverlap())
    return (*comparison.rand, *comparison.information, *comparison.variation)

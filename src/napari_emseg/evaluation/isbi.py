"""The ISBI 2012 challenge: a boundary map against membranes, at eleven thresholds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.evaluation.comparison import Comparison, ComparisonBuilder
from napari_emseg.evaluation.ground_truth_kind import guess_ground_truth_kind
from napari_emseg.evaluation.membranes import MembraneRule, inspect_membranes
from napari_emseg.evaluation.pairs import check_shapes, empty_truth
from napari_emseg.evaluation.stacks import as_stack, read_section
from napari_emseg.evaluation.warping import WarpingCounts, warp_section
from napari_emseg.progress import NO_PROGRESS, Progress

_log = logging.getLogger(__name__)

THRESHOLDS = tuple(k / 10 for k in range(11))
PER_SECTION = ("v_rand", "v_rand_split", "v_rand_merge", "v_info", "v_info_split", "v_info_merge")
Section = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def isbi_protocol(
    boundary_map: Any,
    membranes: Any,
    *,
    invert: bool | None = None,
    sections: Iterable[int] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    warping: bool = True,
    progress: Progress = NO_PROGRESS,
) -> dict[str, float]:
    """Score a boundary map as the ISBI 2012 challenge did.

    At each threshold 0, 0.1 ... 1 on the probability of cell interior (1 - boundary)
    pixels at or below it are membrane. For V_rand and V_info the membranes are then
    thinned to one pixel: the 4-connected components of the rest grow over them
    (watershed of the two-valued picture, one section at a time, leaving a line of
    id 0). True objects are the 4-connected components of each section. Scores are
    averaged over the sections, the best threshold counts, separately for each score.
    Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142; the older scores are
    those of http://brainiac2.mit.edu/isbi_challenge/evaluation.

    Parameters
    ----------
    boundary_map : Volume or array-like, ZYX
        1 = membrane; float in [0, 1], or uint8 meaning value / 255.
    membranes : Volume or array-like, same shape
        A drawing of membranes.
    invert : bool, optional
        True if cells are bright in `membranes`; recognised by default.
    sections : iterable of int, optional
        Score these only; then the two stacks may differ in depth.
    thresholds : sequence of float
        On the probability of cell interior.
    warping : bool
        Whether to compute the warping error too, about a third of the time.
    progress : Progress
        Told after each section.

    Returns
    -------
    dict of str to float
        ``v_rand``, ``v_info`` : best mean over the sections, with ``_split`` and
        ``_merge`` at the same threshold and the ``_threshold`` itself.
        ``rand_error`` : 1 - F-score over pairs of pixels, pooled, not thinned.
        ``pixel_error`` : 1 - F-score of cell pixels, pooled. ``pixel_error_mse`` : mean
        squared difference of the thresholded map and the truth, that is the share of
        wrong pixels. ``warping_error`` : share of pixels left after warping that split or
        merge cells, mean over the sections (`evaluate` counts holes and objects
        too), at thresholds that leave cells in every section; ``warping_splits``,
        ``warping_mergers`` : how many such errors at that threshold. Each error is the
        least of all thresholds, given as ``_threshold``.

    Raises
    ------
    InputError
        If the stacks do not fit, the map is not one, or no membrane is drawn.

    Examples
    --------
    >>> membranes = np.zeros((1, 9, 9))
    >>> membranes[0, 4] = 1
    >>> scores = isbi_protocol(membranes * 0.8, membranes)
    >>> scores["v_rand"], scores["pixel_error"], scores["warping_error"]
    (1.0, 0.0, 0.0)
    """
    first, second = as_stack(boundary_map, "the boundary map"), as_stack(membranes, "the truth")
    chosen = check_shapes(tuple(first.shape), tuple(second.shape), sections, "boundary map")
    rule = _rule_of(second, invert, chosen)
    tallies = [_Tally(threshold, warping) for threshold in thresholds]
    for done, z in enumerate(chosen):
        interior = _interior(read_section(first, z), z)
        true_section = read_section(second, z)
        truth, true_cells = rule.label_section(true_section), rule.find_interior(true_section)
        if truth.any():
            for tally in tallies:
                tally.add(interior, truth, true_cells)
        progress.update(done + 1, len(chosen), "Scoring thresholds")
    if not tallies or not tallies[0].thinned:
        raise empty_truth()
    _log.info(rule.note)
    return _report([tally.scores() for tally in tallies], warping)


def thin_membranes(cells: Mask) -> npt.NDArray[np.int32]:
    """Grow cells over the membranes between them, up to a line of one pixel.

    Parameters
    ----------
    cells : ndarray of bool, shape (y, x)
        True = cell.

    Returns
    -------
    ndarray of int32, shape (y, x)
        Ids of the cells, 0 on the lines; all 1 where there is no cell at all, as
        a watershed of a flat picture is one basin.

    Examples
    --------
    >>> thin_membranes(np.array([[1, 0, 0, 0, 1]], bool))
    array([[1, 1, 0, 2, 2]], dtype=int32)
    """
    from scipy.ndimage import label
    from skimage.segmentation import watershed

    markers = label(cells)[0].astype(np.int32)
    if not markers.any():
        return np.ones(cells.shape, np.int32)
    membranes = (~cells).astype(np.uint8)
    grown = watershed(membranes, markers, connectivity=1, watershed_line=True)
    return np.asarray(grown, np.int32)


def _rule_of(membranes: Any, invert: bool | None, sections: tuple[int, ...]) -> MembraneRule:
    try:
        return inspect_membranes(membranes, invert=invert, sections=sections)
    except InputError:
        if guess_ground_truth_kind(membranes) != "labels":
            raise
        raise InputError(
            "The ISBI protocol needs a drawing of membranes, but this ground truth looks like ids; "
            "segment the map and score the segments against ids."
        ) from None


@dataclass
class _Tally:
    """What is summed up over the sections at one threshold."""

    threshold: float
    has_warping: bool
    thinned: list[Comparison] = field(default_factory=list)
    pooled: ComparisonBuilder = field(
        default_factory=lambda: ComparisonBuilder(ids_per_section=True)
    )
    warping: WarpingCounts = field(default_factory=WarpingCounts)
    n_wrong: int = 0
    n_pixels: int = 0
    n_cell_pixels: int = 0
    has_cells: bool = True

    def add(self, interior: Section, truth: Section, true_cells: Mask) -> None:
        from scipy.ndimage import label

        cells = interior > self.threshold
        section = ComparisonBuilder()
        section.add(thin_membranes(cells), truth)
        self.thinned.append(section.build())
        self.pooled.add(label(cells)[0], truth)
        self.n_wrong += int(np.count_nonzero(cells != true_cells))
        self.n_cell_pixels += int(np.count_nonzero(cells)) + int(np.count_nonzero(true_cells))
        self.n_pixels += cells.size
        self.has_cells &= bool(cells.any())
        if self.has_warping:
            certainty = np.abs(interior - self.threshold)
            self.warping = self.warping.plus(
                warp_section(true_cells, cells, certainty=certainty).counts
            )

    def scores(self) -> dict[str, float]:
        sections = [(*c.rand, *c.information) for c in self.thinned]
        means = np.mean(sections, axis=0).tolist()
        scores = dict(zip(PER_SECTION, means, strict=True))
        scores["rand_error"] = 1.0 - self.pooled.build().pair_f_score
        # 1 - F = 1 - 2 tp / (2 tp + fp + fn), and fp + fn are the wrong pixels.
        scores["pixel_error"] = self.n_wrong / self.n_cell_pixels
        scores["pixel_error_mse"] = self.n_wrong / self.n_pixels
        # Where all is membrane there is nothing left to split or merge: no error, but no score.
        is_scored = self.has_cells and self.has_warping
        scores["warping_error"] = self.warping.error("split", "merge") if is_scored else inf
        scores["warping_splits"] = float(self.warping.n_sites("split"))
        scores["warping_mergers"] = float(self.warping.n_sites("merge"))
        scores["threshold"] = self.threshold
        return scores


def _report(tallies: list[dict[str, float]], warping: bool) -> dict[str, float]:
    report: dict[str, float] = {}
    is_warped = warping and any(isfinite(scores["warping_error"]) for scores in tallies)
    for name in ("v_rand", "v_info"):
        best = max(tallies, key=lambda scores: scores[name])
        for key in (name, f"{name}_split", f"{name}_merge"):
            report[key] = best[key]
        report[f"{name}_threshold"] = best["threshold"]
    for name in ("rand_error", "pixel_error", "pixel_error_mse", "warping_error")[: 3 + is_warped]:
        best = min(tallies, key=lambda scores: scores[name])
        report[name], report[f"{name}_threshold"] = best[name], best["threshold"]
        if name == "warping_error":
            report["warping_splits"] = best["warping_splits"]
            report["warping_mergers"] = best["warping_mergers"]
    return report


def _interior(section: Section, z: int) -> npt.NDArray[np.float32]:
    """Probability of cell interior of a section of a boundary map."""
    if section.dtype.kind == "f":
        boundary = section.astype(np.float32)
    elif section.dtype in (np.uint8, np.bool_):
        boundary = section.astype(np.float32) / np.float32(255 if section.dtype == np.uint8 else 1)
    else:
        raise InputError(
            f"The boundary map has type {section.dtype}; this protocol needs a map of "
            "probabilities, float in [0, 1] or uint8, and cuts it itself."
        )
    if not (np.isfinite(boundary).all() and boundary.min() >= 0 and boundary.max() <= 1):
        raise InputError(
            f"The boundary map holds values outside 0 to 1 in section {z}, so it is none of "
            "probabilities; scale it to 0 to 1."
        )
    return np.float32(1) - boundary

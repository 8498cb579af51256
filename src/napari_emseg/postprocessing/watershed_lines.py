"""Closing the gaps of a map with its own watershed lines (CUMedVision)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.evaluation.contingency import ContingencyBuilder
from napari_emseg.postprocessing.sections import check_boundary, map_sections
from napari_emseg.postprocessing.truth import (
    GroundTruthKind,
    find_borders,
    open_truth,
)
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.building import build_section
from napari_emseg.segmentation.parallel import Steps, map_threads
from napari_emseg.segmentation.smoothing import Map, read_section
from napari_emseg.volume import Volume

Lines = npt.NDArray[np.bool_]
Ids = npt.NDArray[Any]
WEIGHTS = tuple(round(0.05 * i, 2) for i in range(21))
THRESHOLDS = tuple(round(0.1 * i, 1) for i in range(1, 10))


@dataclass(frozen=True, eq=False)
class WeightCurve:
    """How good each weight of the watershed lines is.

    Attributes
    ----------
    weight : (n,) float64
        Ascending, from 0 (the map alone) to 1 (the lines alone).
    rand_error : (n,) float64
        The least over the thresholds.
    threshold : (n,) float64
        Where it is least.
    """

    weight: npt.NDArray[np.float64]
    rand_error: npt.NDArray[np.float64]
    threshold: npt.NDArray[np.float64]

    @property
    def best(self) -> float:
        """The weight of the least Rand error; of several the smallest."""
        return float(self.weight[int(np.argmin(self.rand_error))])


def draw_watershed_lines(section: Map, *, sigma_px: float = 1.0, h: float = 0.1) -> Lines:
    """Return the watershed lines of one section of a map.

    Parameters
    ----------
    section : (y, x) float32
        1 = membrane.
    sigma_px, h : float
        Smoothing and H-minima before the watershed.

    Returns
    -------
    (y, x) bool
        Lines one pixel wide that separate all segments; nothing in a blank section.

    Examples
    --------
    >>> draw_watershed_lines(np.array([[0, 0.8, 0.1]], np.float32), sigma_px=0)
    array([[False,  True, False]])
    """
    segments = build_section(section, sigma_px=sigma_px).cut(h).view()[0]
    return find_borders(segments)


def add_watershed_lines(
    boundary: Volume,
    weight: float,
    *,
    sigma_px: float = 1.0,
    h: float = 0.1,
    progress: Progress = NO_PROGRESS,
) -> Volume:
    """Mix a map with the binary image of its watershed lines.

    The lines run on through gaps of faint membranes, and so does the mixture:
    ``weight * lines + (1 - weight) * map``.

    Parameters
    ----------
    boundary : Volume
        Kind "boundary".
    weight : float
        0 (the map as it is) to 1; see :func:`tune_watershed_weight`.
    sigma_px, h : float
        For the watershed, see :func:`draw_watershed_lines`.
    progress : Progress
        Called once per section.

    Returns
    -------
    Volume
        Kind "boundary", float32.

    Raises
    ------
    InputError
        If the weight is not in [0, 1].

    References
    ----------
    H. Chen et al., "Deep contextual networks for neuronal structure segmentation", AAAI
    2016, eq. 3: p_f = w_f p_w + (1 - w_f) p. Which watershed it does not say: smoothing
    and H-minima are our choice.

    Examples
    --------
    >>> ridge = Volume(np.array([[[0, 0.8, 0]]], np.float32), kind="boundary")
    >>> add_watershed_lines(ridge, 0.5, sigma_px=0).data
    array([[[0. , 0.9, 0. ]]], dtype=float32)
    """
    if not 0 <= weight <= 1:
        raise InputError(f"The weight of the watershed lines must lie in [0, 1], not {weight}.")
    share = np.float32(weight)

    def mix(_: int, section: Map) -> Map:
        lines = draw_watershed_lines(section, sigma_px=sigma_px, h=h)
        return share * lines + (1 - share) * section

    history = {"weight": float(weight), "sigma_px": float(sigma_px), "h": float(h)}
    return map_sections(
        boundary, mix, message="Drawing watershed lines", progress=progress, watershed=history
    )


def tune_watershed_weight(
    boundary: Volume,
    ground_truth: Volume,
    *,
    ground_truth_kind: GroundTruthKind = "labels",
    sections: Iterable[int] | None = None,
    invert: bool | None = None,
    sigma_px: float = 1.0,
    h: float = 0.1,
    weights: Iterable[float] = WEIGHTS,
    progress: Progress = NO_PROGRESS,
) -> WeightCurve:
    """Find the weight of the watershed lines with the least Rand error.

    As in the ISBI 2012 challenge at that time, segments are the 4-connected
    components of a section that lie below a threshold, and the best of the thresholds
    0.1, 0.2, ... 0.9 counts.

    Parameters
    ----------
    boundary, ground_truth : Volume
        Of one field.
    ground_truth_kind : {"labels", "labels_2d", "membranes"}
        Each section counts by itself.
    sections : iterable of int, optional
        The training sections; all that have ground truth by default.
    invert : bool, optional
        For membranes: True if bright is cell interior; by default recognised.
    sigma_px, h : float
        For the watershed, see :func:`draw_watershed_lines`.
    weights : iterable of float
        Those to try.
    progress : Progress
        Called once per section.

    Returns
    -------
    WeightCurve

    Examples
    --------
    >>> walls = np.zeros((1, 9, 9), np.float32)
    >>> walls[0, :, 4] = 0.7
    >>> walls[0, 4, 4] = 0.3  # a gap through which the two rooms are one at 0.5
    >>> truth = np.ones((1, 9, 9), np.uint8)
    >>> truth[0, :, 5:] = 2
    >>> map_, rooms = Volume(walls, kind="boundary"), Volume(truth, kind="labels")
    >>> curve = tune_watershed_weight(map_, rooms, sigma_px=0, weights=(0, 0.5))
    >>> curve.weight.size
    2
    """
    check_boundary(boundary)
    truth = open_truth(boundary, ground_truth, ground_truth_kind, sections, invert)
    tried = np.unique(np.asarray(tuple(weights), np.float64))
    if tried.size == 0 or tried[0] < 0 or tried[-1] > 1:
        raise InputError("The weights to try must lie in [0, 1].")
    builders = [[_new_builder() for _ in THRESHOLDS] for _ in tried]
    steps = Steps(progress, len(truth.sections))
    for z in truth.sections:
        section = read_section(boundary, z)
        lines = draw_watershed_lines(section, sigma_px=sigma_px, h=h)
        cells = truth.read_cells(z)

        def count(k: int, section: Map = section, lines: Lines = lines, cells: Ids = cells) -> None:
            mixed = np.float32(tried[k]) * lines + np.float32(1 - tried[k]) * section
            for builder, threshold in zip(builders[k], THRESHOLDS, strict=True):
                builder.add(_label(mixed <= threshold), cells)

        map_threads(count, tried.size)
        steps.finish_one("Tuning the watershed lines")
    errors = np.array([[_rand_error(builder) for builder in row] for row in builders])
    thresholds = np.array(THRESHOLDS)[errors.argmin(axis=1)]
    return WeightCurve(tried, errors.min(axis=1), thresholds)


def _new_builder() -> ContingencyBuilder:
    return ContingencyBuilder(ids_per_section=True)


def _label(inside: Lines) -> Ids:
    from scipy.ndimage import label

    labels = np.empty(inside.shape, np.uint32)
    label(inside, output=labels)
    return labels


def _rand_error(builder: ContingencyBuilder) -> float:
    """1 - F-score over pairs of distinct pixels; pixels without segment pair with none."""
    table = builder.build()
    inside = table.segment != 0
    sizes = table.segment_sizes[int(not inside.all()) :]
    total = _n_pairs(sizes) + _n_pairs(table.truth_sizes)
    return 1 - 2 * _n_pairs(table.count[inside]) / total if total else 0.0


def _n_pairs(counts: npt.NDArray[np.int64]) -> float:
    return float(np.sum(counts * (counts - 1)) / 2)

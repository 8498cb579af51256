"""Making a map mean what it says: 0.3 where 30 % of the voxels are membrane."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.postprocessing.sections import check_boundary, map_sections
from napari_emseg.postprocessing.truth import GroundTruthKind, open_truth
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.smoothing import Map, read_section
from napari_emseg.volume import Volume

N_BINS = 50
N_CONSTRAINTS = 101
_N_LEVELS = 4096

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A cubic a + b p + c p^2 + d p^3 that never falls on [0, 1].

    Examples
    --------
    >>> Calibration(0.0, 0.5)(np.array([0.0, 0.5, 1.0]))
    array([0.  , 0.25, 0.5 ])
    """

    a: float = 0.0
    b: float = 1.0
    c: float = 0.0
    d: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(astuple(self)).all():
            raise InputError(f"A calibration is four finite numbers, not {astuple(self)}.")
        if _lowest_slope(self.b, self.c, self.d) < -1e-6:
            raise InputError(
                f"The calibration {', '.join(f'{v:g}' for v in astuple(self))} falls somewhere "
                "between 0 and 1, which would make weak membranes strong; fit it again."
            )

    def __call__(self, p: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
        """Return the calibrated values, cut to [0, 1]."""
        values = self.a + p * (self.b + p * (self.c + p * self.d))
        clipped: npt.NDArray[np.floating[Any]] = np.clip(values, 0, 1)
        return clipped


def calibrate(
    boundary: Volume, calibration: Calibration, *, progress: Progress = NO_PROGRESS
) -> Volume:
    """Replace each value of a map by the share of membrane it stands for.

    Parameters
    ----------
    boundary : Volume
        Kind "boundary".
    calibration : Calibration
        From :func:`fit_calibration` on other sections of the same network's maps.
    progress : Progress
        Called once per section.

    Returns
    -------
    Volume
        Kind "boundary", float32.

    Examples
    --------
    >>> half = Volume(np.full((1, 1, 2), 0.8, np.float32), kind="boundary")
    >>> calibrate(half, Calibration(0, 0.5)).data
    array([[[0.4, 0.4]]], dtype=float32)
    """

    def apply(_: int, section: Map) -> Map:
        return calibration(section).astype(np.float32, copy=False)

    return map_sections(
        boundary,
        apply,
        message="Calibrating",
        progress=progress,
        calibration=list(astuple(calibration)),
    )


def fit_calibration(
    boundary: Volume,
    ground_truth: Volume,
    *,
    ground_truth_kind: GroundTruthKind = "labels",
    sections: Iterable[int] | None = None,
    invert: bool | None = None,
    progress: Progress = NO_PROGRESS,
) -> Calibration:
    """Fit the cubic that turns map values into shares of true membrane.

    Networks trained with as many membrane as other pixels say 0.5 where far fewer
    are membrane. The values of the sections are put into 50 bins of equally many
    voxels; the cubic is the least-squares fit, weighted by voxels, to the share of membrane in
    each bin, among the cubics that do not fall at any of 101 points of [0, 1].

    Parameters
    ----------
    boundary : Volume
        Kind "boundary".
    ground_truth : Volume
        Same field.
    ground_truth_kind : {"labels", "labels_2d", "membranes"}
        In labels 0 is membrane, and where cells touch the voxels whose right or lower
        neighbour in the section belongs to another.
    sections : iterable of int, optional
        Those to fit on, for training; all that have ground truth by default.
    invert : bool, optional
        For membranes: True if bright is cell interior; by default recognised.
    progress : Progress
        Called once per section.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        If the shapes differ or the ground truth holds no membrane or nothing else.

    References
    ----------
    D. Ciresan et al., "Deep neural networks segment neuronal membranes in electron
    microscopy images", NIPS 2012, "postprocessing": a monotone cubic fitted on training
    sections. Bins and constraints are our choice.

    Examples
    --------
    >>> values = np.linspace(0, 1, 5000, dtype=np.float32).reshape(1, 50, 100)
    >>> truth = Volume((values < 0.5).astype(np.uint8), kind="labels")
    >>> fitted = fit_calibration(Volume(values, kind="boundary"), truth)
    >>> bool(fitted(np.array([0.1]))[0] < 0.1 < 0.9 < fitted(np.array([0.9]))[0])
    True
    """
    check_boundary(boundary)
    truth = open_truth(boundary, ground_truth, ground_truth_kind, sections, invert)
    total, membrane = np.zeros(_N_LEVELS), np.zeros(_N_LEVELS)
    for done, z in enumerate(truth.sections):
        level = np.rint(read_section(boundary, z) * (_N_LEVELS - 1)).astype(np.int64).ravel()
        total += np.bincount(level, minlength=_N_LEVELS)
        is_membrane = truth.find_membrane(z).ravel()
        membrane += np.bincount(level[is_membrane], minlength=_N_LEVELS)
        progress.update(done + 1, len(truth.sections), "Fitting the calibration")
    if membrane.sum() in (0, total.sum()):
        raise InputError(
            "The ground truth holds no membrane in the sections chosen (or nothing else), so "
            "there is nothing to calibrate on; choose others."
        )
    return fit_monotone_cubic(*_share_in_bins(total, membrane))


def _share_in_bins(total: Floats, membrane: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean value, share of membrane and number of voxels of each bin."""
    value = np.linspace(0, 1, _N_LEVELS)
    # A level belongs to the bin in which its middle voxel falls.
    middle = np.cumsum(total) - total / 2
    index = np.minimum((middle / total.sum() * N_BINS).astype(int), N_BINS - 1)
    voxels: Floats = np.bincount(index, total, N_BINS).astype(np.float64)
    filled = voxels > 0
    mean = np.bincount(index, total * value, N_BINS)[filled] / voxels[filled]
    share = np.bincount(index, membrane, N_BINS)[filled] / voxels[filled]
    return mean, share, voxels[filled]


def fit_monotone_cubic(p: Floats, target: Floats, weight: Floats) -> Calibration:
    """Fit a cubic by weighted least squares among those that do not fall on [0, 1].

    Parameters
    ----------
    p, target, weight : (n,) float64
        Where, what and how much each point counts.

    Returns
    -------
    Calibration

    Examples
    --------
    >>> falling = fit_monotone_cubic(np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.ones(2))
    >>> np.round(falling(np.array([0.0, 1.0])), 3)  # the best that does not fall is constant
    array([0.5, 0.5])
    """
    from scipy.optimize import minimize

    root = np.sqrt(weight / weight.sum())
    powers = np.vander(p, 4, increasing=True) * root[:, None]
    goal = target * root
    at = np.linspace(0, 1, N_CONSTRAINTS)
    slopes = np.stack([np.zeros_like(at), np.ones_like(at), 2 * at, 3 * at**2], axis=1)
    mean = float(np.average(target, weights=weight))
    found = minimize(
        lambda x: float(np.sum((powers @ x - goal) ** 2)),
        x0=np.array([mean, 0.0, 0.0, 0.0]),
        jac=lambda x: 2 * powers.T @ (powers @ x - goal),
        constraints={"type": "ineq", "fun": lambda x: slopes @ x, "jac": lambda _: slopes},
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    a, b, c, d = (float(value) for value in found.x)
    # Between two of the points it might still fall by a hair: tilt it up by as much.
    tilt = max(0.0, -_lowest_slope(b, c, d))
    return Calibration(a - tilt / 2, b + tilt, c, d)


def _lowest_slope(b: float, c: float, d: float) -> float:
    """Return the least of b + 2 c p + 3 d p^2 over p in [0, 1]."""
    at = [0.0, 1.0]
    if d > 0 and 0 < -c / (3 * d) < 1:
        at.append(-c / (3 * d))
    return min(b + 2 * c * p + 3 * d * p * p for p in at)

"""Filters of single sections that papers apply to boundary maps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_emseg.errors import InputError
from napari_emseg.postprocessing.sections import map_sections
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.smoothing import Map
from napari_emseg.volume import Volume

MAX_RADIUS_PX = 10
MAX_SIZE_PX = 101


def filter_median(
    boundary: Volume, radius_px: int = 2, *, progress: Progress = NO_PROGRESS
) -> Volume:
    """Take the median over a disc around each pixel of each section.

    It removes specks and closes pin holes without blurring membranes wider than
    the radius.

    Parameters
    ----------
    boundary : Volume
        Kind "boundary".
    radius_px : int
        The disc holds the pixels at most this far away: 13 for a radius of 2. The
        section is mirrored at its rim.
    progress : Progress
        Called once per section.

    Returns
    -------
    Volume
        Kind "boundary", float32.

    Raises
    ------
    InputError
        If the radius is out of range.

    References
    ----------
    Radius 2: D. Ciresan et al., NIPS 2012; T. M. Quan et al. (FusionNet), Front. Comput.
    Sci. 2021, doi:10.3389/fcomp.2021.613981. Neither says what shape the window has.

    Examples
    --------
    >>> speck = np.zeros((1, 5, 5), np.float32)
    >>> speck[0, 2, 2] = 1
    >>> float(filter_median(Volume(speck, kind="boundary"), 1).data.max())
    0.0
    """
    if not 0 <= radius_px <= MAX_RADIUS_PX or radius_px != int(radius_px):
        raise InputError(
            f"The median's radius must be a whole number of 0 to {MAX_RADIUS_PX} px, "
            f"not {radius_px}."
        )
    window = disc(int(radius_px))

    def median(_: int, section: Map) -> Map:
        filtered: Map = ndimage.median_filter(section, footprint=window, mode="reflect")
        return filtered

    return map_sections(
        boundary,
        median,
        message="Median filter",
        progress=progress,
        median_radius_px=int(radius_px),
    )


def disc(radius_px: int) -> npt.NDArray[np.bool_]:
    """Return the pixels at most `radius_px` from the middle one.

    Examples
    --------
    >>> int(disc(1).sum()), int(disc(2).sum())
    (5, 13)
    """
    y, x = np.ogrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    inside: npt.NDArray[np.bool_] = y * y + x * x <= radius_px * radius_px
    return inside


def filter_gaussian(
    boundary: Volume,
    size_px: int = 6,
    sigma_px: float = 1.0,
    *,
    progress: Progress = NO_PROGRESS,
) -> Volume:
    """Blur each section with a Gaussian cut off to a square window.

    Parameters
    ----------
    boundary : Volume
        Kind "boundary".
    size_px : int
        Side of the window. In an even one no pixel is in the middle; as in MATLAB's
        ``imfilter`` it then reaches one pixel farther right and down than left and
        up, which moves the map by half a pixel.
    sigma_px : float
        Of the Gaussian.
    progress : Progress
        Called once per section.

    Returns
    -------
    Volume
        Kind "boundary", float32. The section is mirrored at its rim.

    Raises
    ------
    InputError
        If the size or sigma is out of range.

    References
    ----------
    6 x 6 in T. Zeng, B. Wu, S. Ji, Bioinformatics 33, 2017,
    doi:10.1093/bioinformatics/btx188.

    Examples
    --------
    >>> point = np.zeros((1, 7, 7), np.float32)
    >>> point[0, 3, 3] = 1
    >>> blurred = filter_gaussian(Volume(point, kind="boundary"), 3, 0.5)
    >>> np.round(blurred.data[0, 3, 1:6], 3)
    array([0.   , 0.084, 0.619, 0.084, 0.   ], dtype=float32)
    """
    weights = gaussian_window(size_px, sigma_px)
    origin = -1 if weights.size % 2 == 0 else 0

    def blur(_: int, section: Map) -> Map:
        for axis in (0, 1):
            section = ndimage.correlate1d(
                section, weights, axis=axis, mode="reflect", origin=origin
            )
        return section

    return map_sections(
        boundary,
        blur,
        message="Smoothing each section",
        progress=progress,
        gaussian_window=(int(size_px), float(sigma_px)),
    )


def gaussian_window(size_px: int, sigma_px: float) -> npt.NDArray[np.float64]:
    """Return one axis of a Gaussian window, summing to 1, as MATLAB's ``fspecial``.

    Raises
    ------
    InputError
        If the size is not 1 to 101 or sigma not positive.

    Examples
    --------
    >>> np.round(gaussian_window(6, 1.0), 4)
    array([0.0176, 0.1297, 0.3527, 0.3527, 0.1297, 0.0176])
    """
    if not 1 <= size_px <= MAX_SIZE_PX or size_px != int(size_px):
        raise InputError(
            f"The side of the Gaussian window must be a whole number of 1 to {MAX_SIZE_PX} px, "
            f"not {size_px}."
        )
    if not 0 < sigma_px <= MAX_SIZE_PX:
        raise InputError(f"The Gaussian's sigma must be more than 0 px, not {sigma_px}.")
    at = np.arange(size_px) - (size_px - 1) / 2
    # Relative to the nearest pixel, so that a very small sigma does not underflow to 0 / 0.
    exponent = (at * at - np.min(at * at)) / (2 * sigma_px * sigma_px)
    weights = np.exp(-exponent)
    normal: npt.NDArray[np.float64] = weights / weights.sum()
    return normal

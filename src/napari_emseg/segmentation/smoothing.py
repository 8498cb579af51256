"""From a boundary map as it comes to the smoothed 16-bit levels that are flooded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.segmentation.convolution import blur_yx, blur_z, gaussian
from napari_emseg.segmentation.levels import Levels
from napari_emseg.segmentation.parallel import ignore, map_threads, usable_cpus
from napari_emseg.volume import ZYX, Volume

MAX_SIGMA_PX = 100.0
_MAX_SIGMA_PX = 1000  # along an axis with voxels that small there is a mistake
_MIN_SIGMA_Z_PX = 0.25  # narrower, the outer weights are below 0.04 %
_ROUNDING = 1e-3  # how far a float map may stray from [0, 1] by arithmetic alone
_CHUNK = 16  # sections smoothed along z at a time

Map = npt.NDArray[np.float32]


def check_sigma(sigma_px: float) -> float:
    """Return `sigma_px` as a float if it is one that can be used."""
    if not 0 <= sigma_px <= MAX_SIGMA_PX:
        raise InputError(
            f"The smoothing sigma must lie between 0 and {MAX_SIGMA_PX:g} px, not {sigma_px}; "
            "1 to 3 px suits most maps."
        )
    return float(sigma_px)


def read_section(boundary: Volume, z: int) -> Map:
    """Read section `z` of a boundary map as (y, x) float32 in [0, 1].

    Raises
    ------
    InputError
        If it holds NaN, infinity or values outside [0, 1].
    """
    return as_map(boundary.read(z), f"Section {z} of the boundary map")


def as_map(values: npt.NDArray[np.generic], what: str) -> Map:
    """Convert boundary values to float32 in [0, 1]; uint8 means value / 255."""
    if values.dtype == np.uint8:
        return values.astype(np.float32) / np.float32(255)
    section: Map = np.array(values, np.float32, order="C")
    low, high = float(section.min()), float(section.max())
    if not np.isfinite([low, high]).all():
        n_bad = int(np.count_nonzero(~np.isfinite(section)))
        raise InputError(
            f"{what} holds {n_bad} values that are NaN or infinite; replace them first, "
            "for instance by 1 (boundary)."
        )
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise InputError(
            f"{what} has values from {low:g} to {high:g}; a boundary map lies between 0 (inside) "
            "and 1 (membrane). Rescale it, or save it as 8 bit."
        )
    return section if low >= 0 and high <= 1 else np.clip(section, 0, 1, out=section)


def smooth_section(section: Map, sigma_px: float, levels: Levels) -> None:
    """Smooth one (y, x) section with a Gaussian of `sigma_px`, mirrored at the rim."""
    weights = gaussian(sigma_px)
    blurred = np.empty((1, *section.shape), np.float32)
    blur_yx(section, weights, weights, blurred[0])
    blur_z(blurred, gaussian(0), 1, 0, 0, section.shape[0], levels[np.newaxis])


def sigma_zyx_px(sigma_px: float, voxel_size_nm: ZYX | None) -> ZYX:
    """Sigma along each axis that is the same length in nm; cubes where nothing is known.

    `sigma_px` counts voxels along x.

    Examples
    --------
    >>> sigma_zyx_px(2.0, (20, 4, 4))
    (0.4, 2.0, 2.0)
    """
    if voxel_size_nm is None:
        return (sigma_px, sigma_px, sigma_px)
    z, y, x = voxel_size_nm
    return (sigma_px * x / z, sigma_px * x / y, sigma_px)


def smooth_volume(boundary: Volume, sigma_px: float, report: Callable[[], None] = ignore) -> Levels:
    """Smooth a boundary map in 3D, isotropically in nm where the voxel size is known.

    Parameters
    ----------
    boundary : Volume
        (z, y, x).
    sigma_px : float
        In voxels along x. Along z nothing is done below 0.25 voxels.
    report : callable
        Called once per section; what it raises ends the work.

    Returns
    -------
    (z, y, x) uint16
        Levels of ``scipy.ndimage.gaussian_filter`` on the float32 map.

    Raises
    ------
    InputError
        If the voxel size makes the Gaussian absurdly wide along z or y.
    """
    n_z, n_y, n_x = boundary.shape
    sigma_z, sigma_y, sigma_x = sigma_zyx_px(sigma_px, boundary.voxel_size_nm)
    if max(sigma_z, sigma_y) > _MAX_SIGMA_PX:
        raise InputError(
            f"With the voxel size (z, y, x) {boundary.voxel_size_nm} nm, smoothing by {sigma_px:g} "
            f"pixels along x would reach over {max(sigma_z, sigma_y):.3g} voxels; correct it."
        )
    along_z = gaussian(sigma_z if sigma_z >= _MIN_SIGMA_Z_PX else 0)
    along_y, along_x = gaussian(sigma_y), gaussian(sigma_x)
    reach = along_z.size - 1
    room = min(n_z, _CHUNK + 2 * reach)
    # Section z is at z % room. A row more, since sections apart by a power of 2 share caches.
    ring = np.empty((room, n_y + 1, n_x), np.float32)
    levels = np.empty((n_z, n_y, n_x), np.uint16)
    n_bands = min(n_y, 2 * usable_cpus())

    def blur_section(n_read: int, k: int) -> None:
        z = n_read + k
        blur_yx(read_section(boundary, z), along_y, along_x, ring[z % room, :n_y])

    def blur_band(band: int, first: int, stop: int) -> None:
        y_start, y_stop = band * n_y // n_bands, (band + 1) * n_y // n_bands
        blur_z(ring, along_z, n_z, first, y_start, y_stop, levels[first:stop])

    n_read = 0
    for first in range(0, n_z, _CHUNK):
        stop = min(first + _CHUNK, n_z)
        ready = min(stop + reach, n_z)
        map_threads(partial(blur_section, n_read), ready - n_read)
        map_threads(partial(blur_band, first=first, stop=stop), n_bands)
        n_read = ready
        for _ in range(first, stop):
            report()
    return levels

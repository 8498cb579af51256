"""From a boundary map to its hierarchy: smooth, flood once, assemble."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.basins import MAX_VOXELS
from napari_emseg.segmentation.flooding import Flooded, count_reports, flood
from napari_emseg.segmentation.forest import join
from napari_emseg.segmentation.hierarchy import Hierarchy, Mode
from napari_emseg.segmentation.inputs import as_volume, tell_blank
from napari_emseg.segmentation.levels import LevelMap, Levels
from napari_emseg.segmentation.parallel import Steps, map_threads
from napari_emseg.segmentation.smoothing import (
    check_sigma,
    read_section,
    smooth_section,
    smooth_volume,
)
from napari_emseg.volume import Volume

FLOOR = 1 / 255


def build_hierarchy(
    boundary: Volume | npt.NDArray[Any],
    *,
    sigma_px: float = 1.5,
    mode: Mode = "2d",
    floor: float = FLOOR,
    progress: Progress = NO_PROGRESS,
) -> Hierarchy:
    """Flood a boundary map once, for every H-minima threshold at the same time.

    The basins of the smoothed map are joined by a minimum spanning forest of
    their saddles. Cutting it at h gives as many segments as the regional minima
    of the reconstruction of ``map + h`` above ``map``, that is, as H-minima
    followed by the watershed.

    Parameters
    ----------
    boundary : Volume or (z, y, x) array
        1 = membrane, 0 = inside; float in [0, 1], or uint8 meaning value / 255.
    sigma_px : float
        Gaussian smoothing in pixels along x. In "3d" it is the same length in
        nm along all axes where the voxel size is known.
    mode : {"2d", "3d"}
        Each section by itself (4 neighbours) or the volume (6 neighbours).
    floor : float
        Minima of dynamics up to this are never told apart. On maps of three
        data sets V_rand does not change by it up to 0.02 for H-minima, and by
        about 0.001 from 0.002 to 0.01 for agglomeration, which without a floor
        takes longer and can be worse; above 0.02 borders are lost.
    progress : Progress
        Called once per section and phase.

    Returns
    -------
    Hierarchy

    Raises
    ------
    InputError
        If the map holds NaN, infinity or values outside [0, 1], is no boundary
        map, or if a parameter is out of range.

    References
    ----------
    Dynamics: M. Grimaud, "New measure of contrast: the dynamics", Proc. SPIE
    1769, 1992, doi:10.1117/12.60650. Minimum spanning forests: J. Cousty et
    al., IEEE TPAMI 31, 2009, doi:10.1109/TPAMI.2008.173.

    Examples
    --------
    >>> ridge = np.array([[[0.0, 0.1, 0.0, 0.9, 0.2]]], np.float32)
    >>> hierarchy = build_hierarchy(ridge, sigma_px=0)
    >>> hierarchy.fragments.data
    array([[[1, 1, 2, 2, 3]]], dtype=uint32)
    >>> [hierarchy.cut(h).n_segments for h in (0.0, 0.1, 0.7)]
    [3, 2, 1]
    """
    boundary = _as_boundary(boundary)
    sigma_px, floor = check_sigma(sigma_px), _check_floor(floor)
    if mode == "2d":
        return _build_2d(boundary, sigma_px, floor, progress)
    if mode == "3d":
        return _build_3d(boundary, sigma_px, floor, progress)
    raise InputError(f"The mode must be one of {get_args(Mode)}, not '{mode}'.")


def build_section(
    boundary: npt.NDArray[Any], sigma_px: float = 1.5, floor: float = FLOOR
) -> Hierarchy:
    """Build the hierarchy of one section, for the preview while sigma is dragged.

    Parameters
    ----------
    boundary : (y, x) array
        As in :func:`build_hierarchy`.
    sigma_px, floor : float
        As in :func:`build_hierarchy`.

    Returns
    -------
    Hierarchy
        Of shape (1, y, x); but for the numbering the same as this section's
        part of the hierarchy of the stack in "2d".
    """
    volume = _as_boundary(np.asarray(boundary)[np.newaxis])
    return _build_2d(volume, check_sigma(sigma_px), _check_floor(floor), NO_PROGRESS)


def _build_2d(boundary: Volume, sigma_px: float, floor: float, progress: Progress) -> Hierarchy:
    n_z = boundary.shape[0]
    labels, levels = np.empty(boundary.shape, np.uint32), np.empty(boundary.shape, np.uint16)

    def build(z: int) -> Flooded:
        smooth_section(read_section(boundary, z), sigma_px, levels[z])
        return flood(levels[z : z + 1], labels[z : z + 1], floor)

    steps = Steps(progress, n_z)
    parts = map_threads(build, n_z, partial(steps.finish_one, "Flooding each section"))
    starts = np.cumsum([1] + [part.forest.n_fragments for part in parts])

    def number(z: int) -> None:
        labels[z] += np.uint32(starts[z] - 1)

    map_threads(number, n_z)
    joined = join([part.forest for part in parts])
    flooded = Flooded(joined, _join([p.minimum for p in parts]), _join([p.size for p in parts]))
    return _assemble(boundary, labels, levels, flooded, "2d", sigma_px, floor, starts)


def _build_3d(boundary: Volume, sigma_px: float, floor: float, progress: Progress) -> Hierarchy:
    n_z = boundary.shape[0]
    steps = Steps(progress, n_z + count_reports(n_z))
    levels = smooth_volume(boundary, sigma_px, partial(steps.finish_one, "Smoothing"))
    labels = np.empty(boundary.shape, np.uint32)
    flooded = flood(levels, labels, floor, partial(steps.finish_one, "Flooding the volume"))
    starts = np.empty(0, np.int64)
    return _assemble(boundary, labels, levels, flooded, "3d", sigma_px, floor, starts)


def _join(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Concatenate arrays by id, keeping a single unused entry 0."""
    return np.concatenate([parts[0][:1], *(part[1:] for part in parts)])


def _assemble(
    boundary: Volume,
    labels: npt.NDArray[np.uint32],
    levels: Levels,
    flooded: Flooded,
    mode: Mode,
    sigma_px: float,
    floor: float,
    section_starts: npt.NDArray[np.int64],
) -> Hierarchy:
    notes = [*boundary.provenance.get("notes", ()), *_blank_notes(levels, mode)]
    history: dict[str, Any] = {"mode": mode, "sigma_px": sigma_px, "floor": floor}
    if notes:
        history["notes"] = notes
    return Hierarchy(
        fragments=boundary.derive(labels, kind="fragments", **history),
        forest=flooded.forest,
        minimum=flooded.minimum,
        fragment_sizes_voxels=flooded.size,
        smoothed=LevelMap(levels),
        mode=mode,
        sigma_px=sigma_px,
        floor=floor,
        section_starts=section_starts,
    )


def _blank_notes(levels: Levels, mode: Mode) -> list[str]:
    """Say which sections hold one value only, so that they became one fragment."""
    blank = [z for z, section in enumerate(levels) if section.min() == section.max()]
    if mode == "3d" and not (len(blank) == len(levels) and np.ptp(levels[:, 0, 0]) == 0):
        return []
    if mode == "3d":
        return ["The boundary map is blank: the volume is one fragment."]
    return tell_blank(blank, "one fragment")


def _as_boundary(boundary: Volume | npt.NDArray[Any]) -> Volume:
    boundary = as_volume(boundary, kind="boundary", name="boundary map")
    if boundary.kind != "boundary":
        raise InputError(
            f"{boundary.name or 'The volume'} is of kind '{boundary.kind}', but a boundary map is "
            "to be segmented. Predict one from the raw sections, or open it as a boundary map."
        )
    if np.prod(boundary.shape, dtype=float) > MAX_VOXELS:
        raise InputError(
            f"The boundary map has {np.prod(boundary.shape, dtype=float):.3g} voxels; "
            f"{MAX_VOXELS:.3g} can be segmented at once. Cut it into smaller volumes."
        )
    return boundary


def _check_floor(floor: float) -> float:
    if not 0 <= floor < 1:
        raise InputError(f"The floor must lie between 0 and 1, not {floor}; 1/255 is usual.")
    return float(floor)

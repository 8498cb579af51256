"""One function on every section of a boundary map."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.parallel import Steps, map_threads
from napari_emseg.segmentation.smoothing import Map, read_section
from napari_emseg.volume import Volume

SectionFunction = Callable[[int, Map], Map]


def map_sections(
    boundary: Volume,
    function: SectionFunction,
    *,
    message: str,
    progress: Progress = NO_PROGRESS,
    **provenance: Any,
) -> Volume:
    """Apply a function to each section of a boundary map.

    Parameters
    ----------
    boundary : Volume
        Read section by section, so it may be larger than memory.
    function : callable
        ``function(z, section)`` with a (y, x) float32 section in [0, 1] that it may
        overwrite; what it returns is cut to [0, 1]. Called by several threads.
    message : str
        For the progress.
    progress : Progress
        Called once per section.
    **provenance
        Added to that of `boundary`.

    Returns
    -------
    Volume
        Kind "boundary", float32, same grid.

    Raises
    ------
    InputError
        If the map is no boundary map, or holds NaN or values outside [0, 1].
    """
    check_boundary(boundary)
    result = np.empty(boundary.shape, np.float32)

    def one(z: int) -> None:
        np.clip(function(z, read_section(boundary, z)), 0, 1, out=result[z])

    steps = Steps(progress, boundary.shape[0])
    map_threads(one, boundary.shape[0], partial(steps.finish_one, message))
    return boundary.derive(result, kind="boundary", **provenance)


def check_boundary(volume: Volume) -> None:
    """Refuse what is no boundary map.

    Raises
    ------
    InputError
        Saying what it is instead.
    """
    if volume.kind != "boundary":
        raise InputError(
            f"{volume.name or 'The volume'} is of kind '{volume.kind}', but a boundary map is "
            "needed. Predict one from the raw sections, or open it as a boundary map."
        )


def check_same_grid(volumes: Iterable[Volume]) -> None:
    """Refuse volumes that do not cover the same voxels.

    Raises
    ------
    InputError
        Naming the first two whose shapes or voxel sizes differ.
    """
    first, *others = volumes
    for other in others:
        names = f"{first.name or 'the first map'} and {other.name or 'another'}"
        if other.shape != first.shape:
            raise InputError(
                f"The maps must show the same field, but {names} have the shapes {first.shape} "
                f"and {other.shape}."
            )
        one, two = first.voxel_size_nm, other.voxel_size_nm
        if one is not None and two is not None and not np.allclose(one, two, rtol=1e-3):
            raise InputError(
                f"The maps must have the same voxels, but those of {names} measure {one} "
                f"and {two} nm."
            )

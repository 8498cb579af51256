"""Certain boundaries leave their segments, and the gaps are filled from around."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.jit import kernel
from napari_emseg.postprocessing.sections import check_boundary
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.parallel import Steps, map_threads
from napari_emseg.segmentation.smoothing import read_section
from napari_emseg.volume import Volume

_MESSAGE = "Filling between segments"


def refill_certain(
    labels: npt.NDArray[np.uint32],
    sections_map: Volume,
    certain: float,
    *,
    progress: Progress = NO_PROGRESS,
) -> int:
    """Take certain boundaries from the segments and fill them anew, section by section.

    Parameters
    ----------
    labels : (z, y, x) uint32
        C-contiguous, changed in place. What is 0 stays 0.
    sections_map : Volume
        A boundary map of the same voxels, best of a network that sees single sections.
    certain : float
        From this value on a voxel is certain boundary.
    progress : Progress
        Called once per section.

    Returns
    -------
    int
        Voxels taken away. Those that no segment reaches within their section stay 0.

    Raises
    ------
    InputError
        If the map is none, or does not cover the same voxels.

    References
    ----------
    The authors' released script of DeepEM3D; see :func:`fill_by_mode`.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 2, 2, 0]]], np.uint32)
    >>> wall = Volume(np.array([[[0.1, 0.9, 0.9, 0.1, 0.9]]], np.float32), kind="boundary")
    >>> refill_certain(labels, wall, 0.8)
    2
    >>> labels
    array([[[1, 1, 2, 2, 0]]], dtype=uint32)
    """
    check_sections_map(sections_map, labels.shape)
    taken = np.zeros(labels.shape[0], np.int64)

    def refill(z: int) -> None:
        is_certain = _find_certain(sections_map, z, certain) & (labels[z] != 0)
        labels[z][is_certain] = 0
        taken[z] = np.count_nonzero(is_certain)
        _fill(labels[z], np.flatnonzero(is_certain))

    steps = Steps(progress, labels.shape[0])
    map_threads(refill, labels.shape[0], partial(steps.finish_one, _MESSAGE))
    return int(taken.sum())


def clear_certain(labels: npt.NDArray[np.uint32], sections_map: Volume, certain: float) -> None:
    """Set `labels` to 0 where the map is `certain` or more; see :func:`refill_certain`."""
    check_sections_map(sections_map, labels.shape)

    def clear(z: int) -> None:
        labels[z][_find_certain(sections_map, z, certain)] = 0

    map_threads(clear, labels.shape[0])


def check_sections_map(sections_map: Volume, shape: tuple[int, ...]) -> None:
    """Refuse a map of single sections that does not fit labels of `shape`.

    Raises
    ------
    InputError
        Saying what it is instead.
    """
    check_boundary(sections_map)
    if sections_map.shape != tuple(shape):
        raise InputError(
            f"The map of single sections has shape {sections_map.shape}, the labels "
            f"{tuple(shape)}: they must show the same field."
        )


def _find_certain(sections_map: Volume, z: int, certain: float) -> npt.NDArray[np.bool_]:
    is_certain: npt.NDArray[np.bool_] = read_section(sections_map, z) >= np.float32(certain)
    return is_certain


def fill_by_mode(labels: Any, *, progress: Progress = NO_PROGRESS) -> None:
    """Fill the zeros of each section from around until none is left.

    In each round every zero that has a labelled pixel among its 8 neighbours takes the
    commonest label among them, of several the smallest; pixels filled in a round count
    from the next on.

    Parameters
    ----------
    labels : (z, y, x) uint32
        C-contiguous, filled in place. A section of zeros only stays as it is.
    progress : Progress
        Called once per section.

    References
    ----------
    The authors' released script of DeepEM3D; ties and rounds are our reading.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 0, 2]]], np.uint32)
    >>> fill_by_mode(labels)
    >>> labels
    array([[[1, 1, 1, 2]]], dtype=uint32)
    """

    def fill(z: int) -> None:
        _fill(labels[z], np.flatnonzero(labels[z] == 0))

    steps = Steps(progress, labels.shape[0])
    map_threads(fill, labels.shape[0], partial(steps.finish_one, _MESSAGE))


def _fill(section: Any, zeros: npt.NDArray[np.intp]) -> None:
    """Fill these pixels of a contiguous section, round after round, as far as labels reach."""
    while zeros.size:
        new = neighbour_modes(section, zeros)
        found = new != 0
        if not found.any():
            return
        section.reshape(-1)[zeros[found]] = new[found]
        zeros = zeros[~found]


@kernel
def neighbour_modes(section: Any, pixels: Any) -> Any:
    """Return the commonest non-zero label among the 8 neighbours of each pixel, 0 if none."""
    n_y, n_x = section.shape
    around = np.zeros(8, section.dtype)
    modes = np.zeros(pixels.size, section.dtype)
    for k in range(pixels.size):
        y, x = pixels[k] // n_x, pixels[k] % n_x
        n = 0
        for v in range(max(0, y - 1), min(n_y, y + 2)):
            for u in range(max(0, x - 1), min(n_x, x + 2)):
                if section[v, u] != 0:
                    around[n] = section[v, u]
                    n += 1
        best = 0
        for i in range(n):
            count = 0
            for j in range(n):
                count += around[j] == around[i]
            if count > best or (count == best and around[i] < modes[k]):
                best = count
                modes[k] = around[i]
    return modes

"""Sections that are damaged or out of place, and what stands in for their boundaries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.postprocessing.sections import check_boundary, check_same_grid, map_sections
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.parallel import Steps
from napari_emseg.segmentation.smoothing import Map, read_section
from napari_emseg.volume import Volume

N_MAD = 3.0
_LEAST_DROP = 0.02  # where all sections are alike, the MAD is next to nothing


@dataclass(frozen=True, eq=False)
class SectionFaults:
    """Sections unlike their neighbours.

    Attributes
    ----------
    correlation : (n_z - 1,) float64
        Of each section with the next.
    limit : float
        Below this a correlation is low.
    bad : tuple of int
        Damaged sections: unlike both neighbours, which are more alike each other (the
        first and last: unlike their only one, by far).
    shifted : tuple of int
        Both sides of a jump: unlike each other, neither damaged.
    """

    correlation: npt.NDArray[np.float64]
    limit: float
    bad: tuple[int, ...]
    shifted: tuple[int, ...]


def find_faults(
    volume: Volume, *, n_mad: float = N_MAD, progress: Progress = NO_PROGRESS
) -> SectionFaults:
    """Find sections that are unlike their neighbours.

    Parameters
    ----------
    volume : Volume
        Raw sections or a boundary map.
    n_mad : float
        A correlation is low when it lies this many median absolute deviations below
        the median of the stack (and at least 0.02).
    progress : Progress
        Called once per section.

    Returns
    -------
    SectionFaults

    References
    ----------
    T. Zeng, B. Wu, S. Ji, Bioinformatics 33, 2017 chose such sections of one stack by
    eye; this rule is our stand-in.

    Examples
    --------
    >>> stack = np.tile(np.arange(16.0).reshape(1, 4, 4) / 16, (9, 1, 1)).astype(np.float32)
    >>> stack[2] = stack[2, ::-1, ::-1]
    >>> find_faults(Volume(stack, kind="boundary")).bad
    (2,)
    """
    n_z = volume.shape[0]
    correlation = np.ones(max(0, n_z - 1))
    steps = Steps(progress, n_z)
    before = None
    for z in range(n_z):
        section = _read(volume, z)
        if before is not None:
            correlation[z - 1] = _correlate(before, section)
        before = section
        steps.finish_one("Comparing sections")
    if n_z < 3:
        return SectionFaults(correlation, -1.0, (), ())
    median = float(np.median(correlation))
    mad = float(np.median(np.abs(correlation - median)))
    limit = median - max(n_mad * mad, _LEAST_DROP)
    return SectionFaults(correlation, limit, *_blame(volume, correlation, limit))


def _blame(
    volume: Volume, correlation: npt.NDArray[np.float64], limit: float
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tell damaged sections from those beside a jump."""
    n_z = volume.shape[0]
    is_low = correlation < limit
    bad: list[int] = []
    for first, last in _runs(is_low, correlation, limit):
        if first == 0 or last == n_z - 1:
            bad.extend(range(first, last + 1))
            continue
        # Tissue that merely changes fast is still less alike two sections apart.
        across = _correlate(_read(volume, first - 1), _read(volume, last + 1))
        if across > max(correlation[first - 1], correlation[last]):
            bad.extend(range(first, last + 1))
    # Beside a damaged section a low correlation is not one's own fault.
    own = [z for z in np.flatnonzero(is_low) if not {z, z + 1} & {*bad}]
    shifted = sorted({int(z) for low in own for z in (low, low + 1)})
    return tuple(bad), tuple(shifted)


def _runs(
    is_low: npt.NDArray[np.bool_], correlation: npt.NDArray[np.float64], limit: float
) -> list[tuple[int, int]]:
    """Return first and last of the runs of sections unlike all their neighbours."""
    # A section at the rim has one neighbour only, so it must be far less alike.
    half = max(limit, 0.0) / 2
    before = np.concatenate([[bool(correlation[0] < half and not is_low[1])], is_low])
    after = np.concatenate([is_low, [bool(correlation[-1] < half and not is_low[-2])]])
    at = np.flatnonzero(before & after)
    groups = np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)
    return [(int(group[0]), int(group[-1])) for group in groups if group.size]


def _read(volume: Volume, z: int) -> npt.NDArray[np.float64]:
    section: npt.NDArray[np.float64] = volume.read(z).astype(np.float64)
    return section


def _correlate(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Normalised cross-correlation without shift; 0 where one of the two is blank."""
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return float(np.sum(a * b)) / norm if norm > 0 else 0.0


def substitute_sections(
    boundary: Volume,
    faults: SectionFaults,
    *,
    thick: Volume | None = None,
    single: Volume | None = None,
    progress: Progress = NO_PROGRESS,
) -> Volume:
    """Mend a boundary map where sections are damaged or jump.

    A damaged section becomes the maximum of the nearest sound sections above and below;
    a section beside a jump becomes its maximum with a map of thicker membranes, which
    overlap where thin ones miss each other, and as released not its own but that of a
    network that sees single sections and is not misled by the jump.

    Parameters
    ----------
    boundary : Volume
        Kind "boundary".
    faults : SectionFaults
        From :func:`find_faults`, on the raw sections or the map.
    thick : Volume, optional
        The map of a network trained on widened membranes; without one sections
        beside a jump stay as they are.
    single : Volume, optional
        The map of a network that sees single sections; by default `boundary`.
    progress : Progress
        Called once per section.

    Returns
    -------
    Volume
        Kind "boundary", float32; ``provenance["substituted"]`` names the sections.

    Raises
    ------
    InputError
        If the maps differ in shape or all sections are damaged.

    References
    ----------
    "Local boundary substitution": T. Zeng, B. Wu, S. Ji, Bioinformatics 33, 2017,
    doi:10.1093/bioinformatics/btx188, and the authors' released script.

    Examples
    --------
    >>> stack = np.array([[[0.1, 0.6]], [[0.9, 0.9]], [[0.4, 0.2]]], np.float32)
    >>> faults = SectionFaults(np.zeros(2), 0.5, bad=(1,), shifted=())
    >>> substitute_sections(Volume(stack, kind="boundary"), faults).data[1]
    array([[0.4, 0.6]], dtype=float32)
    """
    maps = [volume for volume in (boundary, thick, single) if volume is not None]
    check_same_grid(maps)
    for volume in maps:
        check_boundary(volume)
    sound = [z for z in range(boundary.shape[0]) if z not in faults.bad]
    if not sound:
        raise InputError("All sections are taken for damaged; give a larger n_mad.")

    def mend(z: int, section: Map) -> Map:
        if z in faults.bad:
            return _from_neighbours(boundary, z, sound)
        if z in faults.shifted and thick is not None:
            own = section if single is None else read_section(single, z)
            return np.maximum(own, read_section(thick, z))
        return section

    replaced = [*faults.bad, *(faults.shifted if thick is not None else ())]
    return map_sections(
        boundary,
        mend,
        message="Substituting sections",
        progress=progress,
        substituted=sorted(replaced),
    )


def _from_neighbours(boundary: Volume, z: int, sound: list[int]) -> Map:
    above = max((s for s in sound if s < z), default=None)
    below = min((s for s in sound if s > z), default=None)
    found = [read_section(boundary, s) for s in (above, below) if s is not None]
    return np.maximum(found[0], found[-1])

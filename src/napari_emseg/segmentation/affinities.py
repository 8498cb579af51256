"""Affinity maps: how sure it is that two voxels, some offset apart, are of one neuron."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.inputs import as_volume
from napari_emseg.segmentation.smoothing import read_section
from napari_emseg.volume import Volume

Map = npt.NDArray[np.float32]
Offset = tuple[int, int, int]
Along = Literal["max", "mean"]

NEAREST: tuple[Offset, ...] = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
"""Edges to the previous voxel along z, y and x."""

LONG_RANGE: tuple[Offset, ...] = (
    *((-1, dy, dx) for dy, dx in ((-1, -1), (1, 1), (-1, 1), (1, -1))),
    *((0, dy, dx) for dy, dx in ((-9, 0), (0, -9), (-9, -9), (9, -9))),
    *((0, dy, dx) for dy, dx in ((-9, -4), (-4, -9), (4, -9), (9, -4))),
    *((0, dy, dx) for dy, dx in ((-27, 0), (0, -27))),
)
"""Repulsive edges for sections that are thick: those of the mutex watershed paper."""

LONG_RANGE_ISOTROPIC: tuple[Offset, ...] = (
    *((-9, 0, 0), (0, -9, 0), (0, 0, -9)),
    *((0, -9, -9), (0, 9, -9), (-9, 0, -9), (9, 0, -9), (-9, -9, 0), (9, -9, 0)),
)
"""Repulsive edges for voxels that are cubes."""

_ROUNDING = 1e-3  # how far a float map may stray from [0, 1] by arithmetic alone


@dataclass(frozen=True, eq=False)
class AffinityReader:
    """Reads affinities section by section as float32 in [0, 1].

    Attributes
    ----------
    volume : Volume
        Kind "affinities", (c, z, y, x).
    offsets : tuple of (z, y, x)
        Of each channel.
    """

    volume: Volume
    offsets: tuple[Offset, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size in voxels, (z, y, x)."""
        z, y, x = self.volume.shape[1:]
        return (z, y, x)

    def nearest(self, z: int) -> Map:
        """Return the edges of section `z` to the previous voxel along z, y and x.

        Returns
        -------
        (3, y, x) float32
        """
        return self.read(self._nearest_channels, z)

    def behind(self, z: int) -> Map:
        """Return the edges of section `z` to the section before: (y, x) float32."""
        behind: Map = self.read(self._nearest_channels[:1], z)[0]
        return behind

    def read(self, channels: Sequence[int], z: int) -> Map:
        """Return some channels of section `z`: (channels, y, x) float32.

        Raises
        ------
        InputError
            If a value is not a number between 0 and 1.
        """
        sections = [self.volume.read((channel, z)) for channel in channels]
        return _as_affinities(np.stack(sections), z)

    def read_all(self) -> Map:
        """Return everything: (c, z, y, x) float32."""
        values = np.empty(self.volume.shape, np.float32)
        for z in range(values.shape[1]):
            values[:, z] = self.read(range(values.shape[0]), z)
        return values

    @property
    def _nearest_channels(self) -> list[int]:
        return [self.offsets.index(offset) for offset in NEAREST]


def open_affinities(
    affinities: Volume | npt.NDArray[Any], offsets: Sequence[Sequence[int]] | None = None
) -> AffinityReader:
    """Check an affinity map and find out what its channels are.

    Parameters
    ----------
    affinities : Volume or (c, z, y, x) array
        1 = same neuron; float in [0, 1], or uint8 meaning value / 255.
    offsets : sequence of (z, y, x), optional
        Of each channel, in voxels. By default what the volume's provenance says
        under "offsets", else the first three channels are nearest neighbours
        and the others are not used.

    Returns
    -------
    AffinityReader

    Raises
    ------
    InputError
        If it is no affinity map or lacks the edges to the nearest neighbours.

    Examples
    --------
    >>> open_affinities(np.ones((3, 2, 4, 5), np.float32)).shape
    (2, 4, 5)
    """
    affinities = as_volume(affinities, kind="affinities", name="affinity map")
    name = affinities.name or "The volume"
    if affinities.kind != "affinities":
        raise InputError(
            f"{name} is of kind '{affinities.kind}', but an affinity map is needed. Open it as "
            "affinities, or make some with affinities_from_boundary."
        )
    n_channels = affinities.shape[0]
    if offsets is None:
        offsets = affinities.provenance.get("offsets") or NEAREST[:n_channels]
    known = check_offsets(offsets)
    if n_channels < len(NEAREST):
        raise InputError(
            f"{name} has {n_channels} channel{'s' if n_channels > 1 else ''}, but affinities need "
            "three or more: the edges to the previous voxel along z, y and x. If it is a boundary "
            "map, open it as one (in the shell: without --affinities)."
        )
    if len(known) > n_channels:
        raise InputError(
            f"{name} has {n_channels} channels but {len(known)} offsets; give one for each channel."
        )
    if missing := [near for near in NEAREST if near not in known]:
        raise InputError(
            f"{name} lacks edges to nearest neighbours, those at {_words(missing)}: its channels "
            f"have the offsets {_words(known)}. Predict those too."
        )
    return AffinityReader(affinities, known)


def _words(offsets: Sequence[Offset]) -> str:
    return ", ".join(map(str, offsets))


def check_offsets(offsets: Sequence[Sequence[int]]) -> tuple[Offset, ...]:
    """Return `offsets` as tuples of three whole numbers, or raise InputError."""
    checked: list[Offset] = []
    for offset in offsets:
        if len(offset) != 3 or any(int(step) != step for step in offset) or not any(offset):
            raise InputError(
                f"An offset is three whole numbers of voxels (z, y, x), not {tuple(offset)}."
            )
        checked.append((int(offset[0]), int(offset[1]), int(offset[2])))
    if len(set(checked)) != len(checked):
        raise InputError(f"An offset occurs more than once in {checked}; leave out the copies.")
    return tuple(checked)


def affinities_from_boundary(
    boundary: Volume | npt.NDArray[Any],
    offsets: Sequence[Sequence[int]] = NEAREST,
    *,
    along: Along = "mean",
    progress: Progress = NO_PROGRESS,
) -> Volume:
    """Make affinities of a boundary map, so that methods for affinities can be used on it.

    Two voxels are as surely of one neuron as the straight line between them is
    free of membrane: affinity = 1 - b, with b the mean or the highest value of
    the map on the line, both ends included.

    Parameters
    ----------
    boundary : Volume or (z, y, x) array
        1 = membrane; float in [0, 1], or uint8 meaning value / 255.
    offsets : sequence of (z, y, x)
        In voxels; one channel each.
    along : {"mean", "max"}
        "max" makes all edges of a voxel on a crest equal, so that its basin is a
        matter of chance; with "mean" it goes to its lowest neighbour.
    progress : Progress
        Called once per section.

    Returns
    -------
    Volume
        Kind "affinities", (c, z, y, x) float32; 0 where the line leaves the
        volume. The offsets are in its provenance.

    Raises
    ------
    InputError
        If the map is no boundary map or an offset is none.

    Examples
    --------
    >>> boundary = np.array([[[0.0, 0.0, 0.75, 0.0]]])
    >>> offsets = [(0, 0, -1), (0, 0, -3)]
    >>> affinities_from_boundary(boundary, offsets, along="max").data[:, 0, 0]
    array([[0.  , 1.  , 0.25, 0.25],
           [0.  , 0.  , 0.  , 0.25]], dtype=float32)
    """
    boundary = as_volume(boundary, kind="boundary", name="boundary map")
    computed = view_affinities(boundary, offsets, along=along)
    values = computed.data.compute(progress)
    return replace(computed, data=values)


def view_affinities(
    boundary: Volume, offsets: Sequence[Sequence[int]] = NEAREST, *, along: Along = "mean"
) -> Volume:
    """Like :func:`affinities_from_boundary`, but each section is computed when it is read.

    Takes no memory, and time whenever it is read.

    Parameters
    ----------
    boundary, offsets, along
        As for :func:`affinities_from_boundary`.
    """
    if boundary.kind != "boundary":
        raise InputError(
            f"{boundary.name or 'The volume'} is of kind '{boundary.kind}', but a boundary map "
            "is needed."
        )
    if along not in get_args(Along):
        raise InputError(f"The value along a line must be one of {get_args(Along)}, not '{along}'.")
    checked = check_offsets(offsets)
    data = _ComputedAffinities(boundary, checked, along)
    return boundary.derive(data, kind="affinities", offsets=[list(o) for o in checked])


class _ComputedAffinities:
    """Array-like, (c, z, y, x) float32, of which one section of one channel is read at a time."""

    dtype = np.dtype(np.float32)

    def __init__(self, boundary: Volume, offsets: tuple[Offset, ...], along: Along) -> None:
        self._boundary = boundary
        self._offsets = offsets
        self._along: Along = along
        self.shape = (len(offsets), *boundary.shape)

    def __getitem__(self, key: tuple[int, int]) -> Map:
        channel, z = key
        affinity = np.zeros(self.shape[2:], np.float32)
        read = partial(read_section, self._boundary)
        _fill_section(affinity, self.shape[1:], read, z, self._offsets[channel], self._along)
        return affinity

    def compute(self, progress: Progress) -> Map:
        """Return everything."""
        n_z = self.shape[1]
        sections = np.empty(self.shape[1:], np.float32)
        for z in range(n_z):
            sections[z] = read_section(self._boundary, z)
        affinities = np.zeros(self.shape, np.float32)
        for z in range(n_z):
            for channel, offset in zip(affinities, self._offsets, strict=True):
                read = sections.__getitem__
                _fill_section(channel[z], self.shape[1:], read, z, offset, self._along)
            progress.update(z + 1, n_z, "Computing affinities")
        return affinities


def line(offset: Offset) -> list[Offset]:
    """Voxels on the straight line from a voxel to that at `offset`, both included.

    Examples
    --------
    >>> line((0, -2, 4))
    [(0, 0, 0), (0, 0, 1), (0, -1, 2), (0, -2, 3), (0, -2, 4)]
    """
    n_steps = max(abs(step) for step in offset)
    z, y, x = (np.rint(np.linspace(0, step, n_steps + 1)).astype(int).tolist() for step in offset)
    return list(zip(z, y, x, strict=True))


def boundary_from_nearest(reader: AffinityReader, z: int) -> Map:
    """Return 1 - the mean of a section's edges to the voxels before: (y, x) float32.

    At the first section, row and column the edges that exist count. The very first
    voxel has none and looks like the next one.
    """
    nearest = reader.nearest(z)
    count = np.full(nearest.shape[1:], 3 if z > 0 else 2, np.float32)
    if z == 0:
        nearest[0] = 0
    nearest[1, 0], nearest[2, :, 0] = 0, 0
    count[0] -= 1
    count[:, 0] -= 1
    total = nearest.sum(axis=0)
    mean = np.divide(total, count, out=np.ones_like(total), where=count > 0)
    if z == 0 and mean.size > 1:
        mean.reshape(-1)[0] = mean.reshape(-1)[1]
    return np.asarray(1 - mean, np.float32)


def _fill_section(
    affinity: Map,
    shape: Sequence[int],
    read: Callable[[int], Map],
    z: int,
    offset: Offset,
    along: Along,
) -> None:
    """Write the edges of section `z` at `offset`; `read` gives a section of the map."""
    here = _with_partner(shape, offset)
    if not here[0].start <= z < here[0].stop:
        return
    points = line(offset)
    sections = {z + dz: read(z + dz) for dz in {dz for dz, _, _ in points}}
    shifted = (sections[z + dz][_moved(here[1:], (dy, dx))] for dz, dy, dx in points)
    first = next(shifted).copy()
    for values in shifted:
        if along == "max":
            np.maximum(first, values, out=first)
        else:
            first += values
    value = first if along == "max" else first / np.float32(len(points))
    affinity[here[1:]] = 1 - value


def _moved(where: Sequence[slice], step: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(s.start + d, s.stop + d) for s, d in zip(where, step, strict=True))


def _with_partner(shape: Sequence[int], offset: Sequence[int]) -> tuple[slice, ...]:
    """Voxels that have a partner at `offset`."""
    return tuple(
        slice(max(0, -step), max(min(size, size - step), max(0, -step)))
        for size, step in zip(shape, offset, strict=True)
    )


def _as_affinities(values: npt.NDArray[Any], z: int) -> Map:
    if values.dtype == np.uint8:
        return values.astype(np.float32) / np.float32(255)
    result: Map = np.array(values, np.float32, order="C")
    low, high = float(result.min()), float(result.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # NaN is neither
        raise InputError(
            f"Section {z} of the affinity map has values from {low:g} to {high:g}; affinities lie "
            "between 0 (different neurons) and 1 (the same). Rescale it, or save it as 8 bit."
        )
    return np.clip(result, 0, 1, out=result)

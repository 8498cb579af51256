"""Affinities as the boundary map they amount to: what is looked at, and what carries them along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_emseg.sectionwise import SectionwiseArray
from napari_emseg.segmentation.affinities import (
    AffinityReader,
    boundary_from_nearest,
    open_affinities,
)
from napari_emseg.volume import Volume

Map = npt.NDArray[np.float32]
_KEPT_SECTIONS = 8


class AffinityView(SectionwiseArray):
    """Read-only array-like: 1 - mean affinity of a voxel to those before it.

    Sections are computed when they are indexed.

    Parameters
    ----------
    reader : AffinityReader
        The affinities, which stay reachable as ``reader.volume``.
    """

    def __init__(self, reader: AffinityReader) -> None:
        self.reader = reader
        super().__init__(reader.shape, np.float32)
        self._sections: dict[int, Map] = {}

    def section(self, z: int) -> Map:
        """Return section `z`: (y, x) float32."""
        if z not in self._sections:
            kept = list(self._sections.items())[-_KEPT_SECTIONS + 1 :]
            self._sections = {**dict(kept), z: boundary_from_nearest(self.reader, z)}
        return self._sections[z]


def boundary_of(affinities: Volume) -> Volume:
    """Return the boundary map of `affinities`, which it carries along.

    Parameters
    ----------
    affinities : Volume
        Kind "affinities", (c, z, y, x).

    Returns
    -------
    Volume
        Kind "boundary", (z, y, x) float32; computed section by section when read.

    Raises
    ------
    InputError
        If the channels are not understood.

    Examples
    --------
    >>> affinities = Volume(np.full((3, 1, 2, 2), 0.75, np.float32), kind="affinities")
    >>> boundary = boundary_of(affinities)
    >>> float(boundary.read(0)[1, 1])
    0.25
    >>> affinities_of(boundary) is affinities
    True
    """
    return replace(affinities, data=AffinityView(open_affinities(affinities)), kind="boundary")


def affinities_of(boundary: Volume) -> Volume | None:
    """Return the affinities that a boundary map carries along, or None."""
    data = boundary.data
    return data.reader.volume if isinstance(data, AffinityView) else None


def sections_of(volume: Volume, sections: slice) -> Volume:
    """Return some sections of a volume, with their affinities if it carries any.

    Parameters
    ----------
    volume : Volume
        (z, y, x).
    sections : slice
        Along z.

    Examples
    --------
    >>> affinities = Volume(np.ones((3, 4, 2, 2), np.float32), kind="affinities")
    >>> affinities_of(sections_of(boundary_of(affinities), slice(1, 3))).shape
    (3, 2, 2, 2)
    """
    affinities = affinities_of(volume)
    if affinities is None:
        return replace(volume, data=volume.read((sections,)))
    return boundary_of(replace(affinities, data=affinities.read((slice(None), sections))))

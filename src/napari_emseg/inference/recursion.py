"""The input of a network that takes the boundary maps of an earlier one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from napari_emseg.inference.flat import SectionMapper
from napari_emseg.inference.sections import FloatArray, SectionReader


class MapReader:
    """Gives sections and, behind them, the boundary map of each.

    Each map is computed once, as long as sections are asked for in order, and as in
    training: in one orientation.

    Parameters
    ----------
    reader : SectionReader
        Of the sections of the network.
    earlier : SectionMapper
        Makes the maps.
    earlier_reader : SectionReader
        Of the sections of the earlier network.
    report : callable
        Told after each block of a map.
    """

    def __init__(
        self,
        reader: SectionReader,
        earlier: SectionMapper,
        earlier_reader: SectionReader,
        report: Callable[[str], None],
    ) -> None:
        self._reader = reader
        self._earlier = earlier
        self._earlier_reader = earlier_reader
        self._report = report
        self._maps: dict[int, FloatArray | None] = {}

    @property
    def full_shape_px(self) -> tuple[int, ...]:
        """Size of the raw sections, (y, x)."""
        return self._reader.full_shape_px

    def read(self, z: int) -> FloatArray | None:
        """Return (2 sections, Y, X), or None for a blank section."""
        sections = self._reader.read(z)
        if sections is None:
            return None
        near = self._reader.neighbours(z)
        self._maps = {n: kept for n, kept in self._maps.items() if n in near}
        for n in near:
            if n not in self._maps:
                self._maps[n] = self._map(n)
        middle = self._maps[z]
        found = [middle if self._maps[n] is None else self._maps[n] for n in near]
        return np.concatenate([sections, np.stack([m for m in found if m is not None])])

    def _map(self, z: int) -> FloatArray | None:
        section = self._earlier_reader.read(z)
        if section is None:
            return None
        return self._earlier.map(
            section, tta=False, report=lambda block: self._report(f"map of section {z} {block}")
        )

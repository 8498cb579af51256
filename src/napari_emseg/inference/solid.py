"""Volumes through a 3D network, slab by slab, in blocks as large as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product

import numpy as np
import torch

from napari_emseg.inference.device import is_out_of_memory, release_memory, volume_budget_bytes
from napari_emseg.inference.flat import too_little_memory
from napari_emseg.inference.grid import Grid, Sizes, Span, mirrored_index, plan_grid
from napari_emseg.inference.orientations import IN_SPACE, UPRIGHT, Orientation
from napari_emseg.inference.runner import Runner
from napari_emseg.inference.sections import FloatArray, SectionReader, resize

_SLAB_BYTES = 2 * 2**30
"""About what the maps of one slab of blocks may take."""

Report = Callable[[str], None]


class VolumeMapper:
    """Makes boundary maps or affinities of sections with a 3D network.

    Parameters
    ----------
    runner : Runner
        Of a 3D network.
    block_shape_px : ([z,] y, x), optional
        Largest size of the blocks; by default what fits into memory.
    """

    def __init__(self, runner: Runner, block_shape_px: tuple[int, ...] | None = None) -> None:
        self._runner = runner
        self._block_shape_px = block_shape_px
        self._most_voxels: int | None = None

    def maps(
        self, reader: SectionReader, sections: Sequence[int], *, tta: bool, report: Report
    ) -> Iterator[tuple[int, FloatArray]]:
        """Map one section after the other.

        Parameters
        ----------
        reader : SectionReader
            Of the raw volume.
        sections : sequence of int
            Those wanted, in this order. Only blocks that have a share in them are
            computed.
        tta : bool
            Average over 16 orientations.
        report : callable
            Told after each block which it was.

        Yields
        ------
        int, (Y, X) or, for affinities, (C, Y, X) float32
            The section and its map, as large as the raw section.
        """
        for run in _ascending_runs(sections):
            for z, values in self._run(reader, run, tta, report):
                yield z, self._finish(reader, z, values)

    def _run(
        self, reader: SectionReader, sections: Sequence[int], tta: bool, report: Report
    ) -> Iterator[tuple[int, FloatArray]]:
        left = list(sections)
        while left:
            grid = self._plan(reader, tta)
            try:
                for z, values in self._slabs(grid, reader, left, tta, report):
                    yield z, values
                    left.remove(z)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._most_voxels = grid.voxels // 2
            if left:
                release_memory(self._runner.device)

    def _plan(self, reader: SectionReader, tta: bool) -> Grid:
        network = self._runner.network
        y, x = reader.shape_px
        shape = (reader.n_sections, y, x)
        budget = volume_budget_bytes(self._runner.device) // network.memory_bytes_per_px
        most = self._most_voxels or budget
        grid = plan_grid(shape, network, most_voxels=most, largest=self._largest(shape), turned=tta)
        if grid is None:
            raise too_little_memory(self._runner.device, f"{most:,} voxels")
        return grid

    def _largest(self, shape: Sizes) -> Sizes:
        _, y, x = shape
        affordable = max(1, _SLAB_BYTES // (4 * self._runner.n_channels * y * x))
        if self._block_shape_px is None:
            return (affordable, y, x)
        *depth, block_y, block_x = self._block_shape_px
        return (min([affordable, *depth]), block_y, block_x)

    def _slabs(
        self, grid: Grid, reader: SectionReader, sections: Sequence[int], tta: bool, report: Report
    ) -> Iterator[tuple[int, FloatArray]]:
        """Yield sections as soon as the last slab with a share in them is computed."""
        slabs = [
            span
            for span in grid.spans(0)
            if any(span.used.start <= z < span.used.stop for z in sections)
        ]
        unfinished: dict[int, FloatArray] = {}
        waiting = list(sections)
        for number, slab in enumerate(slabs):
            shares = self._slab(grid, slab, reader, tta, report)
            for z in range(slab.used.start, slab.used.stop):
                if z in waiting:
                    share = shares[:, z - slab.used.start]
                    unfinished[z] = unfinished[z] + share if z in unfinished else share
            last = number + 1 == len(slabs)
            while waiting and (last or waiting[0] < slabs[number + 1].used.start):
                z = waiting.pop(0)
                yield z, unfinished.pop(z)

    def _slab(
        self, grid: Grid, slab: Span, reader: SectionReader, tta: bool, report: Report
    ) -> FloatArray:
        """Return a slab's share in its sections: (C, used z, Y, X)."""
        depth = slab.used.stop - slab.used.start
        shares = np.zeros((self._runner.n_channels, depth, *grid.shape[1:]), np.float32)
        sections = reader.read_stack(_mirrored(grid, 0, slab))
        orientations = IN_SPACE if tta else UPRIGHT
        blocks = list(product(grid.spans(1), grid.spans(2)))
        where = f"sections {slab.used.start} to {slab.used.stop - 1}"
        for number, (rows, columns) in enumerate(blocks, 1):
            words = f"{where}, block {number} of {len(blocks)}"
            seen = np.ix_(
                range(len(sections)), _mirrored(grid, 1, rows), _mirrored(grid, 2, columns)
            )
            block = self._block(sections[seen], orientations, partial(report, words))
            share = block[:, slab.used_in_outer, rows.used_in_outer, columns.used_in_outer]
            for axis, span in enumerate((slab, rows, columns)):
                if span.weight is not None:
                    share = share * np.expand_dims(span.weight, [i for i in range(3) if i != axis])
            shares[:, :, rows.used, columns.used] += share
        return shares

    def _block(
        self, pixels: FloatArray, orientations: Sequence[Orientation], report: Callable[[], None]
    ) -> FloatArray:
        with self._runner.computing():
            tensor = torch.from_numpy(pixels)
            mean: FloatArray = self._runner.average(tensor, orientations, report).cpu().numpy()
        return mean

    def _finish(self, reader: SectionReader, z: int, values: FloatArray) -> FloatArray:
        """Bring a map to the size of the raw section; where there is nothing, it is 0."""
        offsets = self._runner.network.offsets
        if reader.is_blank(z):
            reader.blank.add(z)
            values = np.zeros_like(values)
        for channel, (dz, _, _) in enumerate(offsets):
            if 0 <= z + dz < reader.n_sections and reader.is_blank(z + dz):
                values[channel] = 0
        if values.shape[1:] != reader.full_shape_px:
            values = np.stack([resize(channel, reader.full_shape_px) for channel in values])
        values = values.clip(0, 1)
        return values if offsets else values[0]


def _mirrored(grid: Grid, axis: int, span: Span) -> list[int]:
    """Return which voxels of the volume a block sees along an axis."""
    rim = grid.rim[axis]
    return mirrored_index(range(span.outer.start - rim, span.outer.stop - rim), grid.shape[axis])


def _ascending_runs(sections: Sequence[int]) -> Iterator[list[int]]:
    """Cut the order of sections where it does not go on upwards.

    Examples
    --------
    >>> list(_ascending_runs([2, 3, 7, 0, 1]))
    [[2, 3, 7], [0, 1]]
    """
    run: list[int] = []
    for z in sections:
        if run and z <= run[-1]:
            yield run
            run = []
        run.append(z)
    if run:
        yield run

"""Whole sections through a 2D network, in blocks as large as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from napari_emseg.errors import InputError
from napari_emseg.inference.device import is_out_of_memory, memory_budget_bytes, release_memory
from napari_emseg.inference.orientations import IN_PLANE, UPRIGHT, Orientation
from napari_emseg.inference.runner import Runner
from napari_emseg.inference.sections import FloatArray, Reader, resize
from napari_emseg.inference.tiling import SectionTiling, choose_block_shape, halve_block

_SMALLEST_BLOCK_PX = 32
_SLID_BLOCK_PX = 32
"""A network that computes a window for each pixel takes seconds for so many."""

Report = Callable[[str], None]


class SectionMapper:
    """Makes boundary maps of sections with a 2D network.

    Parameters
    ----------
    runner : Runner
        Of a 2D network.
    block_shape_px : ([z,] y, x), optional
        Size of the blocks; by default the largest that fits into memory. What is
        too large for memory is halved, and that remembered.
    """

    def __init__(self, runner: Runner, block_shape_px: tuple[int, ...] | None = None) -> None:
        self._runner = runner
        self._block_shape_px = block_shape_px and block_shape_px[-2:]

    def maps(
        self, reader: Reader, sections: Sequence[int], *, tta: bool, report: Report
    ) -> Iterator[tuple[int, FloatArray]]:
        """Map one section after the other.

        Parameters
        ----------
        reader : Reader
            Gives the input for a section.
        sections : sequence of int
            Those wanted, in this order.
        tta : bool
            Average over 8 orientations.
        report : callable
            Told after each block which it was; nothing where there is only one.

        Yields
        ------
        int, (Y, X) float32
            The section and its map, as large as the raw section.
        """
        for z in sections:
            section = reader.read(z)
            if section is None:
                yield z, np.zeros(reader.full_shape_px, np.float32)
                continue
            boundary = self.map(section, tta=tta, report=report)
            if boundary.shape != reader.full_shape_px:
                boundary = resize(boundary, reader.full_shape_px).clip(0, 1)
            yield z, boundary

    def map(self, section: FloatArray, *, tta: bool, report: Report) -> FloatArray:
        """Map what the network takes for one section.

        Parameters
        ----------
        section : (channels, Y, X) float32
        tta : bool
            Average over 8 orientations.
        report : callable
            As for :meth:`maps`.

        Returns
        -------
        (Y, X) float32
        """
        with self._runner.computing():
            return self._map(section, IN_PLANE if tta else UPRIGHT, report)

    def _map(
        self, section: FloatArray, orientations: Sequence[Orientation], report: Report
    ) -> FloatArray:
        shape_px = section.shape[1:]
        tiling = SectionTiling(self._runner.network, shape_px)
        rimmed = tiling.add_rim(section)
        block_shape_px = self._block_shape_px or self._choose_block_shape(shape_px)
        while True:
            try:
                return self._blocks(rimmed, tiling, block_shape_px, orientations, report)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            release_memory(self._runner.device)
            block_shape_px = self._smaller(block_shape_px, shape_px)

    def _choose_block_shape(self, shape_px: tuple[int, ...]) -> tuple[int, int]:
        network = self._runner.network
        if network.is_slid:
            return (_SLID_BLOCK_PX, _SLID_BLOCK_PX)
        return choose_block_shape(
            shape_px,
            network.receptive_field_px[1:],
            network.memory_bytes_per_px,
            memory_budget_bytes(self._runner.device),
        )

    def _smaller(
        self, block_shape_px: tuple[int, ...], shape_px: tuple[int, ...]
    ) -> tuple[int, ...]:
        y, x = (min(block, size) for block, size in zip(block_shape_px, shape_px, strict=True))
        if max(y, x) <= _SMALLEST_BLOCK_PX:
            raise too_little_memory(self._runner.device, f"{y}x{x} pixels")
        self._block_shape_px = halve_block((y, x))
        return self._block_shape_px

    def _blocks(
        self,
        rimmed: FloatArray,
        tiling: SectionTiling,
        block_shape_px: tuple[int, ...],
        orientations: Sequence[Orientation],
        report: Report,
    ) -> FloatArray:
        boundary = np.empty(tiling.shape_px, np.float32)
        blocks = list(tiling.iter_blocks(block_shape_px))
        for number, block in enumerate(blocks, 1):
            pixels = torch.from_numpy(rimmed[:, *block.outer])
            words = f"block {number} of {len(blocks)}" if len(blocks) > 1 else ""
            mean = self._runner.average(pixels, orientations, partial(report, words))
            boundary[block.inner] = mean[0][block.inner_in_outer].cpu().numpy()
        return boundary


def too_little_memory(device: str, block: str) -> InputError:
    """Return the error that says that not even a small block fits into memory."""
    remedy = "close other programs" if device == "cpu" else "choose the CPU"
    return InputError(
        f"The memory of device {device} does not suffice, not even for blocks of {block}: {remedy}."
    )

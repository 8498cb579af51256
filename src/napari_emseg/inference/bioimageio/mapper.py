"""Volumes of any size through the network of a package, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from napari_emseg.inference.bioimageio import processing
from napari_emseg.inference.bioimageio.geometry import (
    TileGrid,
    axes_of,
    has_square_tiles,
    plan_tiles,
)
from napari_emseg.inference.bioimageio.reader import PackageReader
from napari_emseg.inference.bioimageio.runner import PackageRunner
from napari_emseg.inference.device import volume_budget_bytes
from napari_emseg.inference.flat import Report, too_little_memory
from napari_emseg.inference.orientations import IN_PLANE, IN_SPACE, Orientation
from napari_emseg.inference.sections import FloatArray, SectionReader
from napari_emseg.inference.solid import VolumeMapper
from napari_emseg.networks.bioimageio_model import PackageModel, Step, Unsupported


class PackageMapper(VolumeMapper):
    """Makes maps of sections with the network of a package.

    A model of sections is given volumes of one section.

    Parameters
    ----------
    runner : PackageRunner
    model : PackageModel
    late_steps : tuple of Step
        Those behind the network that need statistics of a whole section.
    block_shape_px : ([z,] y, x), optional
        Largest size of what a tile gives; by default what fits into memory.
    """

    def __init__(
        self,
        runner: PackageRunner,
        model: PackageModel,
        late_steps: tuple[Step, ...] = (),
        block_shape_px: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(runner, block_shape_px)
        self._model = model
        self._axes = axes_of(model)
        self._is_square = has_square_tiles(model.input.sizes)
        self._late_steps = late_steps

    def maps(
        self, reader: SectionReader, sections: Sequence[int], *, tta: bool, report: Report
    ) -> Iterator[tuple[int, FloatArray]]:
        """Map one section after the other, as :meth:`VolumeMapper.maps`."""
        if isinstance(reader, PackageReader) and sections:
            reader.measure(report)
        return super().maps(reader, sections, tta=tta, report=report)

    def _plan(self, reader: SectionReader, tta: bool) -> TileGrid:
        y, x = reader.shape_px
        shape = (reader.n_sections, y, x)
        budget = volume_budget_bytes(self._runner.device)
        most = self._most_voxels or budget // self._runner.network.memory_bytes_per_px
        offsets = self._model.offsets if tta else ()
        grid = plan_tiles(
            shape,
            self._axes,
            most_voxels=most,
            largest=self._largest(shape),
            shift=[max((abs(offset[axis]) for offset in offsets), default=0) for axis in range(3)],
            square=self._is_square,
        )
        if grid is None:
            raise too_little_memory(self._runner.device, f"{most:,} voxels")
        return grid

    def _block(
        self, pixels: FloatArray, orientations: Sequence[Orientation], report: Callable[[], None]
    ) -> FloatArray:
        return super()._block(pixels, self._suitable(orientations), report)

    def _suitable(self, orientations: Sequence[Orientation]) -> Sequence[Orientation]:
        """Leave out what changes nothing, and turns into sizes that the network does not take."""
        _, y, x = self._axes
        if self._model.dimensions == 2 and orientations == IN_SPACE:
            orientations = IN_PLANE
        if y != x:
            orientations = [o for o in orientations if o.turns % 2 == 0]
        return orientations

    def _finish(self, reader: SectionReader, z: int, values: FloatArray) -> FloatArray:
        for step in self._late_steps:
            values = _with_statistics(step, values, reader, z)
        return super()._finish(reader, z, values)


def split_steps(model: PackageModel) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Part the steps behind the network: those for each value, then those for whole sections.

    Raises
    ------
    Unsupported
        If a step needs the whole map of a volume.
    """
    steps = model.output.steps
    scopes = [processing.scope_of(step, model) for step in steps]
    first = next((i for i, scope in enumerate(scopes) if scope != "point"), len(steps))
    for step, scope in zip(steps[first:], scopes[first:], strict=True):
        if scope == "stack":
            raise Unsupported(
                f"Its postprocessing asks for {step.name} over a whole volume, which cannot be "
                "done tile by tile."
            )
        if model.output.channels > 1 and (step.axes is None or "c" in step.axes):
            raise Unsupported(f"Its postprocessing asks for {step.name} over several channels.")
    return steps[:first], steps[first:]


def _with_statistics(step: Step, values: FloatArray, reader: SectionReader, z: int) -> FloatArray:
    """Do a step behind the network on the map (C, Y, X) of a section."""
    if step.axes is None:
        return np.asarray(processing.apply(step, values, None), np.float32)
    own = processing.measure(step, [values])
    if isinstance(reader, PackageReader):
        if step.name == "scale_mean_variance":
            wanted = reader.input_stat(z, step)
            return np.asarray(processing.to_input_range(step, values, own, wanted), np.float32)
        if step.values.get("of_input"):
            own = reader.input_stat(z, step)
    return np.asarray(processing.apply(step, values, own), np.float32)

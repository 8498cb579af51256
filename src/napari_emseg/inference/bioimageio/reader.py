"""Sections of a stack as the network of a package takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.inference.bioimageio import processing
from napari_emseg.inference.bioimageio.processing import Stat
from napari_emseg.inference.sections import FloatArray, SectionReader, resize
from napari_emseg.networks.bioimageio_model import PackageModel, Step
from napari_emseg.volume import Volume

_MOST_MEASURED_VOXELS = 2**28
"""Of a larger stack, statistics are taken from sections at even distances."""


@dataclass
class _Reading:
    """What is done to sections, and the statistics of the stack that it needs."""

    steps: tuple[Step, ...]
    scopes: tuple[processing.Scope, ...]
    of_stack: dict[int, Stat]


class PackageReader(SectionReader):
    """Reads sections and does what the package asks for before the network.

    Parameters
    ----------
    raw : Volume
    model : PackageModel
    ratio : (y, x) or None
        Data / model pixel size to resample by.
    known : dict of int to Stat
        Statistics of the whole stack by number of the step; those missing are added.
    """

    def __init__(
        self,
        raw: Volume,
        model: PackageModel,
        ratio: tuple[float, float] | None,
        known: dict[int, Stat],
    ) -> None:
        super().__init__(raw, model.in_sections, ratio)
        steps = model.input.steps
        scopes = tuple(processing.scope_of(step, model) for step in steps)
        self._reading = _Reading(steps, scopes, known)

    def measure(self, report: Callable[[str], None]) -> None:
        """Take the statistics of the whole stack, if they are needed; `report` may raise."""
        reading = self._reading
        for number, scope in enumerate(reading.scopes):
            if scope == "stack" and number not in reading.of_stack:
                images = self._images(number, report)
                reading.of_stack[number] = processing.measure(reading.steps[number], images)

    def input_stat(self, z: int, step: Step) -> Stat:
        """Return the statistics of what the network was given for a section."""
        section = self._standardised(z)
        return processing.measure(step, [] if section is None else [section])

    def _images(self, until: int, report: Callable[[str], None]) -> Iterator[npt.NDArray[Any]]:
        """Yield sections as they are before a step; blank ones count as well."""
        sections = _sampled(self.n_sections, self.shape_px)
        for done, z in enumerate(sections):
            report(f"measuring section {done + 1} of {len(sections)}")
            yield self._processed(self._grey(z), until)

    def _standardised(self, z: int) -> FloatArray | None:
        section = self._grey(z)
        if section.min() == section.max():
            return None
        return np.asarray(self._processed(section, len(self._reading.steps)), np.float32)

    def _processed(self, section: npt.NDArray[Any], until: int) -> npt.NDArray[Any]:
        reading = self._reading
        steps = list(zip(reading.steps, reading.scopes, strict=True))[:until]
        for number, (step, scope) in enumerate(steps):
            stat: Stat | None = None
            if scope == "section":
                stat = processing.measure(step, [section])
            elif scope == "stack":
                stat = reading.of_stack[number]
            section = processing.apply(step, section, stat)
        return section

    def _grey(self, z: int) -> npt.NDArray[Any]:
        """Return a section at the pixel size of the model."""
        what = f"Section {z} of {self._raw.name or 'the input'}"
        try:
            section = self._raw.read(z)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{what} cannot be read: {error}.") from error
        if section.dtype == bool:
            section = section.astype(np.uint8)
        if not (np.isfinite(section.min()) and np.isfinite(section.max())):
            raise InputError(
                f"{what} holds values that are not numbers (NaN or infinite); replace them, for "
                "instance by 0."
            )
        return resize(section.astype(np.float32), self.shape_px) if self.is_resampling else section


def _sampled(n_sections: int, shape_px: Sequence[int]) -> list[int]:
    """Return the sections that statistics are taken from: all, unless there are very many."""
    most = max(1, _MOST_MEASURED_VOXELS // max(1, shape_px[0] * shape_px[1]))
    if n_sections <= most:
        return list(range(n_sections))
    return sorted({round(z) for z in np.linspace(0, n_sections - 1, most)})

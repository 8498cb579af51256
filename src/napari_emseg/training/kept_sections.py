"""Some sections of a volume in files of their own, so that another process finds them there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import explain_failure
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

Section = npt.NDArray[Any]


@dataclass(frozen=True)
class KeptFile:
    """Sections in a ``.npy`` file, in this order.

    Attributes
    ----------
    path : Path
    sections : tuple of int
    """

    path: Path
    sections: tuple[int, ...]

    def open(self) -> dict[int, Section]:
        """Return the sections by number, mapped into memory."""
        array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return dict(zip(self.sections, array, strict=True))


class KeptSections:
    """An array of the size of a volume of which some sections are there; read-only.

    Parameters
    ----------
    shape : (z, y, x)
    dtype : dtype-like
    sections : mapping
        By number, (Y, X) each. More may be added later.

    Examples
    --------
    >>> kept = KeptSections((9, 2, 2), np.uint8, {4: np.ones((2, 2), np.uint8)})
    >>> kept[3:6, 0].tolist()
    [[0, 0], [1, 1], [0, 0]]
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: npt.DTypeLike, sections: Mapping[int, Section]
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.sections = dict(sections)

    def __getitem__(self, key: Any) -> Section:
        first, *rest = key if isinstance(key, tuple) else (key,)
        inside = tuple(rest)
        if isinstance(first, int | np.integer):
            section: Section = self.sections[int(first)][inside]
            return section
        numbers = range(self.shape[0])[slice(None) if first is Ellipsis else first]
        size = np.broadcast_to(np.uint8(0), self.shape[1:])[inside].shape
        stack = np.zeros((len(numbers), *size), self.dtype)
        for at, number in enumerate(numbers):
            if number in self.sections:
                stack[at] = self.sections[number][inside]
        return stack


def keep_sections(
    volume: Volume, sections: Iterable[int], path: Path, *, progress: Progress = NO_PROGRESS
) -> KeptFile:
    """Copy sections of a volume, as they are now, into a file.

    Parameters
    ----------
    volume : Volume
        Read one section at a time.
    sections : iterable of int
    path : Path
        ``.npy``.
    progress : Progress
        Told after each section.

    Raises
    ------
    InputError
        If a section cannot be read, or the disk is full.
    """
    numbers = tuple(sorted({int(z) for z in sections}))
    try:
        array = np.lib.format.open_memmap(
            path, "w+", dtype=volume.dtype, shape=(len(numbers), *volume.shape[1:])
        )
        for at, number in enumerate(numbers):
            array[at] = read_section(volume, number)
            progress.update(at + 1, len(numbers), f"reading {volume.name or 'the sections'}")
        array.flush()
    except OSError as error:
        reason = explain_failure(error) or str(error)
        raise InputError(f"Cannot write the sections to train on to {path}: {reason}.") from error
    return KeptFile(path, numbers)


def read_section(volume: Volume, number: int) -> Section:
    """Read one section.

    Raises
    ------
    InputError
        If it cannot be read, whatever the library says that reads it.
    """
    try:
        return volume.read(number)
    except InputError:
        raise
    except Exception as error:
        name = volume.name or "the volume"
        raise InputError(f"Section {number} of {name} cannot be read: {error}.") from error

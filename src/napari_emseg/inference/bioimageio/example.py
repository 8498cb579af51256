"""The example in a package: what goes in and what has to come out."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_emseg.errors import InputError
from napari_emseg.inference.bioimageio import processing
from napari_emseg.inference.bioimageio.weights import Module, compute, load_weights
from napari_emseg.networks.bioimageio_archive import Archive, check_sha256
from napari_emseg.networks.bioimageio_model import FileRef, PackageModel, Step
from napari_emseg.networks.bioimageio_read import read_model

Array = npt.NDArray[Any]
_MOST_BYTES = 2**30
_TOLERANCE = 1e-3
"""What the official library allows too, relative and absolute."""
_MOST_DIFFERING = 1e-4


@dataclass(frozen=True)
class Reproduction:
    """How well the example of a package is reproduced.

    Attributes
    ----------
    weights : str
        Those that were run: "torchscript" or "pytorch_state_dict".
    shape : tuple of int
        Of the output.
    largest : float
        Largest difference from what the package promises.
    differing : float
        Share of the values that differ by more than 0.001.
    """

    weights: str
    shape: tuple[int, ...]
    largest: float
    differing: float

    @property
    def is_good(self) -> bool:
        """Whether the difference is one of rounding."""
        return self.differing <= _MOST_DIFFERING


def check_package(path: Path | str) -> Reproduction | None:
    """Compute the example of a package and compare it with what it promises.

    The example is given to the network as a whole, as the official library does, on
    the CPU.

    Parameters
    ----------
    path : path
        A zip file, or a folder.

    Returns
    -------
    Reproduction or None
        None where there is no example.

    Raises
    ------
    InputError
        If the package cannot be used here, or gives other values than it promises.
    """
    with Archive(path) as archive:
        model = read_model(archive)
        module, weights = load_weights(archive, model)
        given, promised = read_example(archive, model)
    if given is None or promised is None:
        return None
    found = run_example(model, module, given)
    if found.shape != promised.shape:
        raise InputError(
            f"{Path(path).name} gives {found.shape} for its own example, and promises "
            f"{promised.shape}: it is damaged."
        )
    apart = np.abs(found.astype(np.float64) - promised)
    allowed = _TOLERANCE + _TOLERANCE * np.abs(promised.astype(np.float64))
    made = Reproduction(
        weights.kind, found.shape, float(apart.max()), float((apart > allowed).mean())
    )
    if not made.is_good:
        raise InputError(
            f"{Path(path).name} does not give what it promises: {made.differing:.1%} of its own "
            f"example differ, by up to {made.largest:.3g}. It is not used."
        )
    return made


def read_example(archive: Archive, model: PackageModel) -> tuple[Array | None, Array | None]:
    """Return the arrays of the example, as far as they are there.

    Raises
    ------
    InputError
        If a file is damaged.
    """
    return _read(archive, model.input.test), _read(archive, model.output.test)


def run_example(model: PackageModel, module: Module, given: Array) -> Array:
    """Return what the network gives for a whole array, steps before and behind included.

    Parameters
    ----------
    model : PackageModel
    module : callable
    given : array
        With the axes of the input.

    Raises
    ------
    InputError
        If it has other axes, or a step is not known.
    """
    if given.ndim != len(model.input.axes):
        raise InputError("The example of the package has other axes than its description says.")
    entering = _steps(model, model.input.steps, given, model.input.axes, None)
    with torch.inference_mode():
        found = compute(module, torch.from_numpy(np.ascontiguousarray(entering, np.float32)))
    return _steps(model, model.output.steps, found.numpy(), model.output.axes, entering)


def _steps(
    model: PackageModel, steps: tuple[Step, ...], image: Array, axes: str, entered: Array | None
) -> Array:
    for step in steps:
        along = step.values.get("along")
        if step.axes is None:
            image = processing.apply(step, image, None, axes.index(along) if along else None)
            continue
        processing.scope_of(step, model)
        made = np.empty(image.shape, np.float32)
        for part in _parts(image.shape, axes, step.axes):
            made[part] = _measured(step, image[part], entered)
        image = made
    return image


def _parts(shape: tuple[int, ...], axes: str, measured: str) -> Iterator[tuple[int | slice, ...]]:
    """Yield where in an array each part is that has statistics of its own."""
    counts = [1 if axis in measured else n for axis, n in zip(axes, shape, strict=True)]
    for index in np.ndindex(*counts):
        yield tuple(
            slice(None) if axis in measured else i for axis, i in zip(axes, index, strict=True)
        )


def _measured(step: Step, image: Array, entered: Array | None) -> Array:
    stat = processing.measure(step, [image])
    if entered is not None and step.name == "scale_mean_variance":
        return processing.to_input_range(step, image, stat, processing.measure(step, [entered]))
    if entered is not None and step.values.get("of_input"):
        stat = processing.measure(step, [entered])
    return processing.apply(step, image, stat)


def _read(archive: Archive, file: FileRef | None) -> Array | None:
    if file is None or file.name not in archive.names or not file.name.endswith(".npy"):
        return None
    content = archive.read(file.name, most_bytes=_MOST_BYTES)
    check_sha256(content, file)
    try:
        found: Array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{file.name} in {archive.path.name} is damaged: {error}.") from None
    if found.dtype.kind not in "buif":
        raise InputError(f"{file.name} in {archive.path.name} holds no numbers.")
    return found

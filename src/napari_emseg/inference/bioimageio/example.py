"""The example in a package: what goes in and what has to come out."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_emseg.errors import InputError
from napari_emseg.inference.bioimageio import processing
from napari_emseg.inference.bioimageio.weights import Module, load_weights
from napari_emseg.networks.bioimageio_archive import Archive, check_sha256
from napari_emseg.networks.bioimageio_model import FileRef, PackageModel
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
        found = module(torch.from_numpy(np.ascontiguousarray(entering, np.float32)))
        while isinstance(found, tuple | list):
            found = found[0]
    return _steps(model, model.output.steps, found.numpy(), model.output.axes, entering)


def _steps(
    model: PackageModel, steps: Any, image: Array, axes: str, entered: Array | None
) -> Array:
    for step in steps:
        stat = None
        if step.axes is not None:
            processing.scope_of(step, model)
            kept = [i for i, axis in enumerate(axes) if axis not in step.axes]
            if any(image.shape[i] > 1 for i in kept):
                raise InputError("The example of the package has several images at once.")
            stat = processing.measure(step, [image])
            if step.values.get("of_input") and entered is not None:
                stat = processing.measure(step, [entered])
        along = step.values.get("along")
        if step.name == "scale_mean_variance" and entered is not None and stat is not None:
            wanted = processing.measure(step, [entered])
            image = processing.to_input_range(step, image, stat, wanted)
        else:
            image = processing.apply(step, image, stat, axes.index(along) if along else None)
    return image


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

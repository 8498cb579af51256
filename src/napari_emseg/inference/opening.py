"""Any model a user can name, made ready to predict: one of ours, or a BioImage.IO package."""

from __future__ import annotations

import os
from pathlib import Path

from napari_emseg.inference.predictor import Predictor
from napari_emseg.inference.protocol import BoundaryPredictor
from napari_emseg.networks.bioimageio import NETWORK, is_package
from napari_emseg.networks.info import ModelInfo
from napari_emseg.networks.library import find_model


def open_model(
    model: str | Path | ModelInfo = "default",
    *,
    device: str = "auto",
    n_threads: int | None = None,
    block_shape_px: int | tuple[int, ...] | None = None,
) -> BoundaryPredictor:
    """Load a trained model, whatever kind of file it is in.

    Parameters
    ----------
    model : str, path or ModelInfo
        Name from the library, "default", a model file, or a BioImage.IO package.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    n_threads : int, optional
        CPU cores to use at most; by default all.
    block_shape_px : int, ([z,] y, x) or None
        Size of the blocks a section or volume is cut into; None takes the largest
        that fits into memory.

    Returns
    -------
    BoundaryPredictor
        Use it as a context manager.

    Raises
    ------
    InputError
        If there is no such model or device, or it cannot be used here.

    Examples
    --------
    >>> with open_model("drosophila_sstem", device="cpu") as predictor:
    ...     predictor.info.target
    'boundary'
    """
    path = _package_path(model)
    if path is None:
        return Predictor(model, device=device, n_threads=n_threads, block_shape_px=block_shape_px)
    from napari_emseg.inference.bioimageio import PackagePredictor

    return PackagePredictor(path, device=device, n_threads=n_threads, block_shape_px=block_shape_px)


def _package_path(model: str | Path | ModelInfo) -> Path | None:
    """Return where the package is, if the model is one."""
    if isinstance(model, str | Path) and is_package(model):
        return Path(os.fspath(model))
    info = model if isinstance(model, ModelInfo) else find_model(model)
    return info.path if info.network == NETWORK else None

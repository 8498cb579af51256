"""Taking a model into the user's folder, after a look at whether it does what it says."""

from __future__ import annotations

import tempfile
from pathlib import Path

from napari_emseg.inference.bioimageio.describing import OWN
from napari_emseg.inference.bioimageio.example import check_package
from napari_emseg.inference.bioimageio.predictor import PackagePredictor
from napari_emseg.inference.bioimageio.weights import MOST_BYTES
from napari_emseg.networks.bioimageio import is_package, name_of
from napari_emseg.networks.bioimageio_archive import Archive
from napari_emseg.networks.info import ModelInfo
from napari_emseg.networks.upkeep import import_model
from napari_emseg.progress import NO_PROGRESS, Progress


def adopt(
    path: Path | str, name: str | None = None, *, progress: Progress = NO_PROGRESS
) -> tuple[ModelInfo, float | None]:
    """Add a model file or a BioImage.IO package to the user's models.

    A package is loaded, and its own example computed. From a package that this program
    wrote, the model is taken as it was before, so that it can be trained on.

    Parameters
    ----------
    path : path
        A model file, a zip, or a folder.
    name : str, optional
        What it is called from now on; by default as the file.
    progress : Progress, optional
        Told the stages.

    Returns
    -------
    ModelInfo
        Of the copy.
    float or None
        Largest difference from what the package promises for its example; None for
        another kind of file, or without an example.

    Raises
    ------
    InputError
        If it is no model, cannot be used here, or gives something else than it promises.
    """
    if not is_package(path):
        return import_model(path, name), None
    progress.update(0, 2, "trying the model on its own example")
    PackagePredictor(path, device="cpu").close()
    made = check_package(path)
    progress.update(1, 2, "copying")
    info = _take_back(Path(path), name) or import_model(path, name)
    progress.update(2, 2, f"{info.name} is added")
    return info, None if made is None else made.largest


def _take_back(path: Path, name: str | None) -> ModelInfo | None:
    """Add the model file in a package that this program wrote, if there is one."""
    with Archive(path) as archive:
        if OWN not in archive.names:
            return None
        content = archive.read(OWN, most_bytes=MOST_BYTES)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name_of(path)}.safetensors"
        file.write_bytes(content)
        return import_model(file, name)

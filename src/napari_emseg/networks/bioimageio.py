"""Models of the BioImage.IO collection, told by what their packages say; without torch.

A package is a zip file, or a folder, with a description (``rdf.yaml`` or
``bioimageio.yaml``), weights and an example. Formats 0.4 and 0.5 are read.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pydantic import JsonValue, ValidationError

from napari_emseg.errors import InputError
from napari_emseg.networks.bioimageio_archive import DESCRIPTIONS, Archive, is_archive
from napari_emseg.networks.bioimageio_model import PackageModel
from napari_emseg.networks.bioimageio_read import read_model
from napari_emseg.networks.info import ModelInfo

NETWORK = "bioimageio"
"""What stands for the name of the network of a model that comes in a package."""


def is_package(path: Path | str) -> bool:
    """Tell whether there is a BioImage.IO package at a path.

    Parameters
    ----------
    path : path
        A zip file, a folder, or the description in a folder. Only names are looked at.

    Examples
    --------
    >>> is_package("no-such-file.zip")
    False
    """
    return is_archive(path)


def read_package_info(path: Path | str) -> ModelInfo:
    """Read the description of a model from a BioImage.IO package, not the weights.

    Parameters
    ----------
    path : path
        As for :func:`is_package`.

    Returns
    -------
    ModelInfo
        With network "bioimageio". What cannot be used here has a `problem` that says why:
        the axes, a step, or weights that would need code of the package to run.

    Raises
    ------
    InputError
        If there is no such file.

    Examples
    --------
    >>> read_package_info("no-such-file.zip")
    Traceback (most recent call last):
    napari_emseg.errors.InputError: There is no file no-such-file.zip.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    try:
        with Archive(path) as archive:
            return describe_package(read_model(archive), path)
    except InputError as error:
        return ModelInfo(name=name_of(path), path=path, network=NETWORK, problem=str(error))


def describe_package(model: PackageModel, path: Path) -> ModelInfo:
    """Return the description of a model of a package as that of any other model.

    Raises
    ------
    InputError
        If it says what cannot be.
    """
    params: dict[str, JsonValue] = {
        "format_version": model.format_version,
        "weights": [weights.kind for weights in model.weights],
        "channel": model.channel,
        "channels": model.output.channels,
    }
    try:
        return ModelInfo(
            name=name_of(path),
            title=model.title,
            path=path,
            network=NETWORK,
            params=params,
            in_sections=model.in_sections,
            voxel_size_nm=model.voxel_size_nm,
            dimensions=model.dimensions,
            target="affinities" if model.offsets else "boundary",
            offsets=model.offsets,
            trained_on=model.trained_on,
            licence=model.licence,
            summary=model.summary,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path.name} has a bad description: {where}: {first['msg']}.") from None


def name_of(path: Path) -> str:
    """Return the name that users type for the package at a path.

    Examples
    --------
    >>> name_of(Path("lab/impartial-shrimp.zip")), name_of(Path("lab/shrimp/rdf.yaml"))
    ('impartial-shrimp', 'shrimp')
    """
    if path.name in DESCRIPTIONS:
        path = path.absolute().parent
    name = PurePosixPath(path.name)
    return name.stem if name.suffix.lower() == ".zip" else name.name

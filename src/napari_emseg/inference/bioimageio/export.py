"""Giving one of our models to other programs: a BioImage.IO package of format 0.5."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml

from napari_emseg.errors import InputError
from napari_emseg.inference.bioimageio import describing as names
from napari_emseg.inference.bioimageio.describing import describe, spdx_licence
from napari_emseg.inference.bioimageio.script import load_script
from napari_emseg.inference.bioimageio.tracing import Extent, trace
from napari_emseg.inference.grid import mirrored_index
from napari_emseg.inference.loading import load
from napari_emseg.inference.sections import check_raw, standardise
from napari_emseg.io.atomic import atomic_write, check_file_place
from napari_emseg.networks.bioimageio import NETWORK
from napari_emseg.networks.info import ModelInfo
from napari_emseg.networks.library import find_model
from napari_emseg.networks.picture import make_picture
from napari_emseg.progress import NO_PROGRESS, Progress

_EXAMPLE_PX = 256
_EXAMPLE_VOLUME_PX = 96
_STAGES = 4


def export_package(
    model: str | Path | ModelInfo,
    path: str | os.PathLike[str],
    *,
    test_raw: Any = None,
    authors: Sequence[str] = (),
    progress: Progress = NO_PROGRESS,
) -> Path:
    """Write a trained model as a BioImage.IO package that other programs can use.

    The zip holds the network as TorchScript, an example with what has to come out, a
    cover, a page, and the model as it is here, which this program takes back unchanged.

    Parameters
    ----------
    model : str, path or ModelInfo
        Name from the library, or a model file.
    path : path-like
        Target, ``.zip``; replaced only when all is written.
    test_raw : Volume or (Z, Y, X) array, optional
        Grey values for the example, from the middle of which as much is taken as is
        needed; by default made-up tissue.
    authors : sequence of str
        People who made the model, as they want to be named.
    progress : Progress, optional
        Told the stages.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If there is no such model, it is a package already, or takes what no other
        program can give it; or the file cannot be written.
    Cancelled
        If `progress` asks to stop.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "sstem.zip"
    >>> export_package("drosophila_sstem", path).name
    'sstem.zip'
    """
    target = Path(path)
    target = target if target.suffix.lower() == ".zip" else target.with_name(f"{target.name}.zip")
    check_file_place(target)
    info = model if isinstance(model, ModelInfo) else find_model(model)
    _check_exportable(info)
    loaded = load(info)
    progress.update(0, _STAGES, "writing the network")
    content, extents = trace(loaded.network)
    progress.update(1, _STAGES, "computing the example")
    given = _example(info, extents, test_raw)
    promised = _run(content, given)
    progress.update(2, _STAGES, "describing")
    files = {
        names.WEIGHTS: content,
        names.GIVEN: _npy(given),
        names.PROMISED: _npy(promised),
        names.COVER: _cover(given, promised, extents),
        names.PAGE: _page(info).encode(),
    }
    if info.path is not None:
        files[names.OWN] = info.path.read_bytes()
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    described = describe(info, extents, checksums, authors)
    text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
    progress.update(3, _STAGES, "writing the package")
    _write(target, {"bioimageio.yaml": text.encode(), **files})
    progress.update(_STAGES, _STAGES, f"{target.name} is written")
    return target


def _check_exportable(info: ModelInfo) -> None:
    if info.network == NETWORK:
        raise InputError(f"{info.name} is a BioImage.IO package already: copy its file.")
    if info.in_maps:
        raise InputError(
            f"Model '{info.name}' also takes the boundary maps of an earlier model, which no other "
            "program can give it: export that one instead."
        )


def _example(info: ModelInfo, extents: dict[str, Extent], test_raw: Any) -> npt.NDArray[np.float32]:
    """Return the example (1, C, [Z,] Y, X), grey values as they come from the microscope."""
    wanted = _EXAMPLE_VOLUME_PX if info.dimensions == 3 else _EXAMPLE_PX
    sizes = {axis: _size(extent, wanted if axis != "z" else 1) for axis, extent in extents.items()}
    depth = sizes.get("z", info.in_sections)
    raw = check_raw(
        _tissue(info, (depth, sizes["y"], sizes["x"])) if test_raw is None else test_raw
    )
    index = [
        _middle(n, size) for n, size in zip(raw.shape, (depth, sizes["y"], sizes["x"]), strict=True)
    ]
    rows, columns = np.ix_(index[1], index[2])
    sections = [raw.read(z)[rows, columns] for z in index[0]]
    if any(standardise(section) is None for section in sections):
        raise InputError("The middle of the example is blank: give another part of the stack.")
    volume = np.stack(sections).astype(np.float32)
    return volume[None, None] if info.dimensions == 3 else volume[None]


def _size(extent: Extent, wanted: int) -> int:
    if not extent.step or wanted <= extent.least:
        return extent.least
    return extent.least + -(-(wanted - extent.least) // extent.step) * extent.step


def _middle(n: int, size: int) -> list[int]:
    """Return the places of the middle of an axis, mirrored where it is too short."""
    start = (n - size) // 2
    return mirrored_index(range(start, start + size), n)


def _tissue(info: ModelInfo, shape: tuple[int, int, int]) -> Any:
    from napari_emseg.samples import make_synthetic

    return make_synthetic(shape, info.voxel_size_nm or (50.0, 4.0, 4.0))[0]


def _run(content: bytes, given: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what the written network gives, as another program would compute it."""
    module = load_script(content, names.WEIGHTS)
    wide = given.astype(np.float64)
    mean, deviation = (f(axis=(-2, -1), keepdims=True) for f in (wide.mean, wide.std))
    with torch.inference_mode():
        standard = ((wide - mean) / (deviation + 1e-6)).astype(np.float32)
        found: npt.NDArray[np.float32] = torch.sigmoid(module(torch.from_numpy(standard))).numpy()
    return found


def _cover(
    given: npt.NDArray[np.float32], promised: npt.NDArray[np.float32], extents: dict[str, Extent]
) -> bytes:
    raw, made = given[0], promised[0]
    if raw.ndim == 4:  # a volume: its middle section
        raw, made = raw[0, raw.shape[1] // 2][None], made[:, made.shape[1] // 2]
    shown = raw[raw.shape[0] // 2]
    for axis, letter in enumerate("yx"):
        margin = extents[letter].shrink // 2
        shown = np.take(shown, range(margin, shown.shape[axis] - margin), axis)
    boundary = made[0] if made.shape[0] == 1 else 1 - made.min(axis=0)
    return make_picture(shown, boundary)


def _page(info: ModelInfo) -> str:
    scores = "\n".join(f"- {key}: {value}" for key, value in info.scores.items())
    size = info.voxel_size_nm
    learned = f" at {' x '.join(f'{nm:g}' for nm in size)} nm (z, y, x)" if size else ""
    named = spdx_licence(info.licence)
    terms = info.licence or "The author has not said under which terms this model may be used."
    return f"""# {info.title or info.name}

{info.summary or "Finds the boundaries of neurons in electron microscopy."}

Learned on: {info.trained_on or "not said"}{learned}.

## Use

{"Volumes" if info.dimensions == 3 else "Sections"} of grey values go in; each section is brought
to zero mean and unit variance. {_gives(info)} Images whose pixels are more than
1.5 times larger or smaller than those it learned on should be resampled first.
`model.safetensors` is the same model for napari-emseg.

## Validation

Compare segments with ground truth by V_rand or the variation of information on sections
that the model has never seen.

{scores or "No scores are stored with this model."}

## Licence

{terms}{f" ({named})" if named and named != terms else ""}
"""


def _gives(info: ModelInfo) -> str:
    if info.offsets:
        return "Affinities come out: 1 = both voxels belong to the same neuron."
    return "A boundary map comes out: 1 = membrane, 0 = inside of a cell."


def _npy(values: npt.NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _write(target: Path, files: dict[str, bytes]) -> None:
    with atomic_write(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in files.items():
            # weights and images do not become smaller
            kind = (
                zipfile.ZIP_DEFLATED
                if name.endswith((".yaml", ".md", ".npy"))
                else zipfile.ZIP_STORED
            )
            archive.writestr(name, content, kind)

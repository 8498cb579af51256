"""The description of one of our models in format 0.5 of BioImage.IO."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import torch

from napari_emseg import __version__
from napari_emseg.inference.bioimageio.tracing import Extent
from napari_emseg.networks.bioimageio_read import CONFIG_KEY
from napari_emseg.networks.info import ModelInfo

FORMAT_VERSION = "0.5.4"
WEIGHTS, GIVEN, PROMISED = "weights-torchscript.pt", "test_input.npy", "test_output.npy"
COVER, PAGE, OWN = "cover.png", "README.md", "model.safetensors"
_LICENCES = {
    "cc by 4.0": "CC-BY-4.0",
    "cc by-nc 4.0": "CC-BY-NC-4.0",
    "cc by-nc-sa 4.0": "CC-BY-NC-SA-4.0",
    "cc by-sa 4.0": "CC-BY-SA-4.0",
    "cc0 1.0": "CC0-1.0",
    "cc0": "CC0-1.0",
    "mit": "MIT",
    "bsd 3 clause": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
}
"""Names of the SPDX list, which the format asks for, of what people write."""


def describe(
    info: ModelInfo,
    extents: Mapping[str, Extent],
    checksums: Mapping[str, str],
    authors: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the description as it is written to ``bioimageio.yaml``.

    Parameters
    ----------
    info : ModelInfo
    extents : mapping of str to Extent
        The sizes that its network takes, by axis.
    checksums : mapping of str to str
        Of the files of the package; a description names only those.
    authors : sequence of str
        People who made it.
    """
    channel = {"type": "channel", "channel_names": _sections_in(info)}
    licence = spdx_licence(info.licence)
    described = {
        "type": "model",
        "format_version": FORMAT_VERSION,
        "name": _allowed(info.title or info.name or "Neuron boundaries"),
        "description": (info.summary or "Boundaries of neurons in electron microscopy")[:1000],
        "timestamp": datetime.now(UTC).replace(microsecond=0).isoformat(),
        "authors": [{"name": name} for name in authors],
        "tags": _tags(info),
        "documentation": _file(PAGE, checksums),
        "covers": [_file(COVER, checksums)],
        "attachments": [_file(OWN, checksums)] if OWN in checksums else [],
        "inputs": [
            {
                "id": "raw",
                "description": "Grey values; membranes dark as in the data it learned on",
                "axes": [_batch(), channel, *_input_axes(info, extents)],
                "data": {"type": "float32"},
                "test_tensor": _file(GIVEN, checksums),
                "preprocessing": [
                    {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"]}}
                ],
            }
        ],
        "outputs": [
            {
                "id": info.target,
                "description": _what_comes_out(info),
                "axes": [_batch(), _channel_out(info), *_output_axes(info, extents)],
                "data": {"type": "float32", "range": [0.0, 1.0]},
                "test_tensor": _file(PROMISED, checksums),
                "postprocessing": [{"id": "sigmoid"}],
            }
        ],
        "weights": {
            "torchscript": {
                **_file(WEIGHTS, checksums),
                "pytorch_version": torch.__version__.partition("+")[0],
            }
        },
        "config": {CONFIG_KEY: _ours(info)},
    }
    return described | ({"license": licence} if licence else {})


def spdx_licence(text: str) -> str:
    """Return the name of a licence on the SPDX list, or "".

    Examples
    --------
    >>> spdx_licence("CC BY-NC-SA 4.0 (non-commercial)"), spdx_licence("ask me")
    ('CC-BY-NC-SA-4.0', '')
    """
    plain = text.partition("(")[0].strip().lower()
    names = {name.lower(): name for name in _LICENCES.values()}
    return names.get(plain) or _LICENCES.get(plain, "")


def _allowed(title: str) -> str:
    """Return a title of the characters that the format allows."""
    plain = " ".join(re.sub(r"[^a-zA-Z0-9_+\- ()]", " ", title).split())
    return plain[:120] or "Neuron boundaries"


def _tags(info: ModelInfo) -> list[str]:
    kind = "affinity-prediction" if info.offsets else "boundary-prediction"
    space = "3d" if info.dimensions == 3 else "2d"
    return [
        *("electron-microscopy", "neurons", "connectomics", "membrane", "segmentation"),
        *(kind, space, "pytorch", info.network, "napari-emseg"),
    ]


def _what_comes_out(info: ModelInfo) -> str:
    if info.offsets:
        return "Affinities: 1 where both voxels belong to the same neuron"
    return "Boundary map: 1 = membrane, 0 = inside of a cell"


def _batch() -> dict[str, Any]:
    return {"type": "batch", "size": 1}


def _sections_in(info: ModelInfo) -> list[str]:
    reach = info.in_sections // 2
    return [f"section{d:+d}" if d else "raw" for d in range(-reach, reach + 1)]


def _channel_out(info: ModelInfo) -> dict[str, Any]:
    names = [f"affinity {z} {y} {x}" for z, y, x in info.offsets] or ["membrane"]
    return {"type": "channel", "channel_names": names}


def _input_axes(info: ModelInfo, extents: Mapping[str, Extent]) -> list[dict[str, Any]]:
    return [
        _space(axis, info)
        | {"size": {"min": e.least, "step": e.step} if e.step else e.least, "concatenable": False}
        for axis, e in extents.items()
    ]


def _output_axes(info: ModelInfo, extents: Mapping[str, Extent]) -> list[dict[str, Any]]:
    found = []
    for axis, extent in extents.items():
        size = {"tensor_id": "raw", "axis_id": axis, "offset": -extent.shrink}
        halo = {"halo": extent.halo} if extent.halo else {}
        found.append(_space(axis, info) | {"size": size} | halo)
    return found


def _space(axis: str, info: ModelInfo) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "space", "id": axis}
    if info.voxel_size_nm is not None:
        found |= {"unit": "nanometer", "scale": float(info.voxel_size_nm["zyx".index(axis)])}
    return found


def _ours(info: ModelInfo) -> dict[str, Any]:
    """Return what the format has no words for."""
    kept = {"network", "params", "in_sections", "target", "offsets", "trained_on", "scores"}
    found = info.model_dump(mode="json", include=kept | {"voxel_size_nm", "licence"})
    return {**found, "version": __version__}


def _file(name: str, checksums: Mapping[str, str]) -> dict[str, str]:
    return {"source": name, "sha256": checksums[name]}

"""What a model file says about itself, read from its header without torch.

A model is one safetensors file: 8 bytes with the length of the header, the
header (JSON: name, type, shape and place of each tensor), the numbers. Our
description is a JSON string in the header's free-form metadata.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from napari_emseg.errors import InputError

FORMAT_VERSION = 1
METADATA_KEY = "napari_emseg"
STACKER_KEY = "napari_emseg_stacker"
"""Marks what combines models: a safetensors file too, but no model."""
NORMALISATION: Literal["per-section zero mean unit variance"] = (
    "per-section zero mean unit variance"
)
_MAX_HEADER_BYTES = 4 * 2**20
_BYTES_PER_ITEM = {"F16": 2, "F32": 4}

Nanometres = Annotated[float, Field(gt=0, lt=1e6, allow_inf_nan=False)]


class ModelInfo(BaseModel):
    """Description of a trained model.

    Attributes
    ----------
    name : str
        What users type; the stem of the file's name.
    title, summary, trained_on, licence : str
        For people.
    path : Path or None
        The file; None before it is saved.
    network, params
        Entry of ``NETWORKS`` and its parameters.
    in_sections : int
        Neighbouring sections the network sees at once: 1, 3 or 5.
    dimensions : {2, 3}
        Whether it takes sections or whole volumes.
    in_maps : int
        Boundary maps of an earlier model it takes beside the sections.
    maps_from : ModelInfo or None
        That earlier model, whose weights are in the same file.
    offsets : tuple of (z, y, x)
        Of the affinities that come out, for target "affinities".
    voxel_size_nm : (z, y, x) in nm, or None
        Of the training data; None when unknown.
    target, normalisation : str
        What the output means and what is done to the input.
    training, scores : dict
        Summary of the training run; scores by name.
    default : bool
        Whether this is the model taken when none is named.
    problem : str
        Why the file cannot be used; empty for a good one.
    origin : {"bundled", "own", "lab", "file"}
        Whose folder it lies in; not stored in the file.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    title: str = ""
    path: Path | None = None
    network: str
    params: dict[str, JsonValue] = Field(default_factory=dict)
    in_sections: Literal[1, 3, 5] = 1
    voxel_size_nm: tuple[Nanometres, Nanometres, Nanometres] | None = None
    dimensions: Literal[2, 3] = 2
    in_maps: Literal[0, 1, 3, 5] = 0
    maps_from: ModelInfo | None = None
    target: Literal["boundary", "affinities"] = "boundary"
    offsets: tuple[tuple[int, int, int], ...] = ()
    normalisation: Literal["per-section zero mean unit variance"] = NORMALISATION
    trained_on: str = ""
    training: dict[str, JsonValue] = Field(default_factory=dict)
    scores: dict[str, JsonValue] = Field(default_factory=dict)
    licence: str = ""
    summary: str = ""
    default: bool = False
    problem: str = ""
    origin: Literal["bundled", "own", "lab", "file"] = "file"


_NOT_STORED = {"name", "path", "problem", "origin"}


def metadata_of(info: ModelInfo) -> dict[str, str]:
    """Return the safetensors metadata that describes `info`."""
    content = info.model_dump(mode="json", exclude=_NOT_STORED)
    return {METADATA_KEY: json.dumps({"format_version": FORMAT_VERSION, **content})}


def read_info(path: Path | str) -> ModelInfo:
    """Read the description of a model from its file, not the weights.

    Raises
    ------
    InputError
        If the file is missing, is no model of ours, or its header is damaged.
    """
    return read_header(path)[0]


def read_header(path: Path | str) -> tuple[ModelInfo, dict[str, tuple[int, ...]]]:
    """Read the description and the shape of each tensor.

    Raises
    ------
    InputError
        As :func:`read_info`.
    """
    path = Path(path)
    header = read_raw_header(path)
    text = metadata_in(header).get(METADATA_KEY)
    header.pop("__metadata__", None)
    if text is None:
        raise InputError(f"{path.name} is a safetensors file, but not a napari-emseg model.")
    return _parse_info(text, path), _parse_shapes(header, path)


def metadata_in(header: dict[str, Any]) -> dict[str, str]:
    """Return the free-form texts of a header."""
    metadata = header.get("__metadata__")
    texts = metadata.items() if isinstance(metadata, dict) else ()
    return {key: text for key, text in texts if isinstance(text, str)}


def read_raw_header(path: Path) -> dict[str, Any]:
    """Read the header of a safetensors file: tensors by name, and ``__metadata__``.

    Raises
    ------
    InputError
        If the file is missing, is no safetensors file, or is damaged.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            length = int.from_bytes(prefix, "little")
            readable = len(prefix) == 8 and 2 <= length <= min(size - 8, _MAX_HEADER_BYTES)
            content = file.read(length) if readable else b""
    except FileNotFoundError:
        raise InputError(f"There is no model file {path}.") from None
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    if not readable and (prefix[:2] == b"PK" or prefix[:1] == b"\x80"):
        raise InputError(
            f"{path.name} is a pickled PyTorch file, which could run any code when opened; "
            "ask its author for a safetensors file."
        )
    try:
        header = json.loads(content)
        data_bytes = max((int(t["data_offsets"][1]) for k, t in header.items() if k[:2] != "__"))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise InputError(
            f"{path.name} is no model file, or a damaged one: it has no valid header."
        ) from None
    if size - 8 - length != data_bytes:
        raise InputError(
            f"{path.name} is incomplete: {size:,} bytes where its header announces "
            f"{8 + length + data_bytes:,}; copy or download it again."
        )
    return dict(header)


def _parse_info(text: str, path: Path) -> ModelInfo:
    try:
        content = json.loads(text)
        version = content.pop("format_version")
        if version == FORMAT_VERSION:
            content |= {"name": path.stem, "path": path, "problem": "", "origin": "file"}
            return ModelInfo.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path.name} has a bad description: {where}: {first['msg']}.") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InputError(f"{path.name} has a description that cannot be read.") from None
    raise InputError(
        f"{path.name} has format version {version!r}, this program reads version "
        f"{FORMAT_VERSION}: update napari-emseg."
    )


def _parse_shapes(header: dict[str, Any], path: Path) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, tensor in header.items():
        try:
            shape = tuple(int(n) for n in tensor["shape"])
            start, stop = (int(n) for n in tensor["data_offsets"])
            fits = stop - start == math.prod(shape) * _BYTES_PER_ITEM[tensor["dtype"]]
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits or start < 0 or min(shape, default=1) < 0:
            raise InputError(f"{path.name} is damaged: tensor {name[:80]!r} makes no sense.")
        shapes[name] = shape
    return shapes

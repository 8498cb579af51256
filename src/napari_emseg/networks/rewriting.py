"""Changing what a model file says of itself; its numbers are copied byte for byte."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_emseg.io.atomic import atomic_write
from napari_emseg.networks.info import metadata_in, metadata_of, read_info

_ALIGNMENT = 8  # the numbers of a safetensors file begin at a multiple of this


def with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a safetensors file with this metadata, in the order given.

    The library that writes these files puts several entries in an order of chance.

    Examples
    --------
    >>> from safetensors.numpy import load, save
    >>> with_metadata(save({}), {"b": "1", "a": "2"})[8:]
    b'{"__metadata__":{"b":"1","a":"2"}}      '
    """
    stop = 8 + int.from_bytes(content[:8], "little")
    return _head(json.loads(content[8:stop]), metadata) + content[stop:]


def rewrite_metadata(path: Path | str, changes: Mapping[str, str | None]) -> None:
    """Replace entries of the metadata of a model file.

    Parameters
    ----------
    path : path
        A model; replaced only when all is written.
    changes : mapping
        New values by key; None removes an entry.

    Raises
    ------
    InputError
        If the file is no model of ours, is damaged, or cannot be written.
    """
    path = Path(path)
    read_info(path)
    with path.open("rb") as source:
        header = json.loads(source.read(int.from_bytes(source.read(8), "little")))
        metadata = {**metadata_in(header), **changes}
        with atomic_write(path) as temporary, temporary.open("wb") as target:
            target.write(_head(header, {k: v for k, v in metadata.items() if v is not None}))
            shutil.copyfileobj(source, target, 2**20)


def rewrite_title(path: Path | str, title: str) -> None:
    """Give a model another title.

    Parameters
    ----------
    path : path
    title : str

    Raises
    ------
    InputError
        As :func:`rewrite_metadata`.
    """
    info = read_info(path)
    rewrite_metadata(path, metadata_of(info.model_copy(update={"title": title})))


def _head(header: dict[str, Any], metadata: Mapping[str, str]) -> bytes:
    """Return what comes before the numbers."""
    tensors = {key: value for key, value in header.items() if key != "__metadata__"}
    content = json.dumps(
        {"__metadata__": dict(metadata), **tensors}, separators=(",", ":")
    ).encode()
    content += b" " * (-len(content) % _ALIGNMENT)
    return len(content).to_bytes(8, "little") + content

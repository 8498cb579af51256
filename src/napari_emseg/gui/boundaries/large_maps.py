"""When a map does not fit into memory, and where it is written to instead."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from napari_emseg.gui.maps import how_of
from napari_emseg.io.location import split_location
from napari_emseg.steps.predict import PredictParams
from napari_emseg.volume import Volume

SHARE = 0.25
"""Of the free memory; segmenting the map takes several times what the map does."""


def folder_if_large(raw: Volume, n_channels: int = 1) -> Path | None:
    """Return where to write the map of `raw`, or None where it fits into memory.

    The rule: a map larger than a quarter of the free memory is written to a Zarr store
    beside the raw file; beside nothing known, in the user's home folder.
    """
    n_bytes = 4 * n_channels * math.prod(raw.shape)
    if n_bytes <= SHARE * psutil.virtual_memory().available:
        return None
    source = raw.provenance.get("source")
    folder = split_location(str(source))[0].parent if source else Path.home()
    return folder if folder.is_dir() else Path.home()


def store_name(raw: Volume, params: PredictParams) -> str:
    """Name the store after what goes into it, so that the same prediction goes on there."""
    how = json.dumps(how_of(params), sort_keys=True)
    stem = "".join(c if c.isalnum() or c in "-_. " else "_" for c in raw.name) or "stack"
    return f"{stem} boundaries {zlib.crc32(how.encode()):08x}.zarr"

"""The picture of a BioImage.IO package: the first of its covers, made small."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from napari_emseg.errors import InputError
from napari_emseg.networks.bioimageio_archive import Archive
from napari_emseg.networks.bioimageio_yaml import MOST_BYTES, read_yaml
from napari_emseg.networks.picture import MAX_HEIGHT_PX, MAX_WIDTH_PX

_MOST_COVER_BYTES = 4 * 2**20
_MOST_PIXELS = 16 * 2**20


def read_cover(path: Path | str) -> bytes | None:
    """Read the cover of a package.

    Parameters
    ----------
    path : path
        A zip file, a folder, or the description in a folder.

    Returns
    -------
    bytes or None
        A PNG of at most 480 x 480 pixels; None where there is no cover that is a PNG or
        JPEG of some megabytes.

    Raises
    ------
    InputError
        If it is no package.
    """
    with Archive(path) as archive:
        description = archive.read(archive.description, most_bytes=MOST_BYTES)
        covers = read_yaml(description, archive.description).get("covers")
        for name in filter(None, map(_name_of, covers if isinstance(covers, list) else [])):
            try:
                return _shrink(archive.read(name, most_bytes=_MOST_COVER_BYTES))
            except InputError:  # not in the package, too large, or no picture: try the next
                continue
    return None


def _name_of(cover: Any) -> str:
    source = cover.get("source") if isinstance(cover, dict) else cover
    return source.removeprefix("./") if isinstance(source, str) else ""


def _shrink(content: bytes) -> bytes:
    from PIL import Image

    out = BytesIO()
    try:
        with Image.open(BytesIO(content), formats=["PNG", "JPEG"]) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise InputError(f"A cover of {image.width} x {image.height} pixels is too large.")
            small = image.convert("RGB")
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise of many kinds on bad bytes
        raise InputError("The cover is no PNG or JPEG, or a damaged one.") from error
    small.thumbnail((MAX_WIDTH_PX, MAX_HEIGHT_PX))
    small.save(out, "PNG")
    return out.getvalue()

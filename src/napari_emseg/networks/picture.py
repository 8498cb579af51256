"""The picture of a model: what it saw and what it made of it, side by side, in its file."""

from __future__ import annotations

import base64
import binascii
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.networks.info import metadata_in, read_raw_header
from napari_emseg.networks.rewriting import rewrite_metadata

PICTURE_KEY = "napari_emseg_picture"
"""Entry of the metadata: a PNG, in base64."""
MAX_BYTES = 200_000
MAX_WIDTH_PX, MAX_HEIGHT_PX = 480, 480
SIDE_PX = 238
"""Width of each half; a gap of 4 px lies between them."""
_GAP_PX = 4
_DARKEST, _BRIGHTEST = 0.5, 99.5  # percentiles of the raw section that are black and white


def make_picture(raw_section: npt.ArrayLike, map_section: npt.ArrayLike) -> bytes:
    """Draw a raw section and its boundary map side by side.

    Parameters
    ----------
    raw_section : array (Y, X)
        Any numbers; the middle is taken where it is large, contrast is stretched.
    map_section : array (Y, X), float in [0, 1]
        1 = membrane, shown dark as the membranes are in the section.

    Returns
    -------
    bytes
        A PNG of at most 480 x 238 pixels and 200 kB.

    Raises
    ------
    InputError
        If the two differ in shape, are no sections or hold nothing.

    Examples
    --------
    >>> ramp = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    >>> make_picture(ramp, ramp)[1:4]
    b'PNG'
    """
    from PIL import Image

    raw, boundary = (np.asarray(a, np.float32) for a in (raw_section, map_section))
    if raw.shape != boundary.shape or raw.ndim != 2 or 0 in raw.shape:
        raise InputError(
            f"A picture needs a section and its map of the same size, not {raw.shape} and "
            f"{boundary.shape}."
        )
    window = tuple(slice((n - min(n, SIDE_PX)) // 2, None) for n in raw.shape)
    raw, boundary = (np.nan_to_num(a[window][:SIDE_PX, :SIDE_PX]) for a in (raw, boundary))
    gap = np.full((raw.shape[0], _GAP_PX), 255, np.uint8)
    grey = np.hstack([_stretch(raw), gap, _to_bytes(1 - boundary)])
    for colours in (256, 64, 16):
        out = BytesIO()
        image = Image.fromarray(grey)
        image = image if colours == 256 else image.quantize(colours)
        image.save(out, "PNG", optimize=True)
        if out.tell() <= MAX_BYTES:
            break
    return out.getvalue()


def read_picture(path: Path | str) -> bytes | None:
    """Read the picture in a model's file.

    Returns
    -------
    bytes or None
        A PNG that was looked through; None where there is none, or none to be trusted.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    text = metadata_in(read_raw_header(Path(path))).get(PICTURE_KEY)
    if not text or len(text) > 2 * MAX_BYTES:
        return None
    try:
        picture = base64.b64decode(text, validate=True)
        check_picture(picture)
    except (binascii.Error, ValueError):
        return None
    return picture


def write_picture(path: Path | str, picture: bytes | None) -> None:
    """Put a picture into a model's file, or take it out; weights stay as they are.

    Parameters
    ----------
    path : path
    picture : bytes or None
        From :func:`make_picture`.

    Raises
    ------
    InputError
        If it is no PNG, or too large, or the file cannot be written.
    """
    rewrite_metadata(path, picture_metadata(picture) or {PICTURE_KEY: None})


def picture_metadata(picture: bytes | None) -> dict[str, str]:
    """Return the metadata that holds a picture.

    Raises
    ------
    InputError
        If it is no PNG, or too large.
    """
    if picture is None:
        return {}
    check_picture(picture)
    return {PICTURE_KEY: base64.b64encode(picture).decode("ascii")}


def check_picture(picture: bytes) -> None:
    """Make sure that bytes are a small, whole PNG.

    Raises
    ------
    InputError
        If they are not.
    """
    from PIL import Image

    if len(picture) > MAX_BYTES:
        raise InputError(f"A picture may have {MAX_BYTES:,} bytes, this one has {len(picture):,}.")
    try:
        with Image.open(BytesIO(picture), formats=["PNG"]) as image:
            width, height = image.size
            if width > MAX_WIDTH_PX or height > MAX_HEIGHT_PX:
                raise InputError(
                    f"A picture may have {MAX_WIDTH_PX} x {MAX_HEIGHT_PX} pixels, this one has "
                    f"{width} x {height}."
                )
            image.load()
    except InputError:
        raise
    except Exception as error:  # Pillow's decoder raises of many kinds on bad bytes
        raise InputError("The picture is no PNG, or a damaged one.") from error


def _stretch(raw: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    low, high = np.percentile(raw, [_DARKEST, _BRIGHTEST])
    return _to_bytes((raw - low) / max(high - low, 1e-6))


def _to_bytes(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    grey: npt.NDArray[np.uint8] = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    return grey

"""What a reader finds in a file, before anything is decided about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from napari_emseg.errors import InputError
from napari_emseg.volume import (
    KINDS,
    ZYX,
    ArrayLike,
    Volume,
    check_offset,
    check_voxel_size,
)

Size = tuple[float | None, float | None, float | None]
UNKNOWN: Size = (None, None, None)


@dataclass(frozen=True)
class Source:
    """Array and metadata as a file has them.

    Attributes
    ----------
    data : array-like
        Lazy where the file allows; one axis for each letter of `axes`.
    axes : str
        Letters of the axes in order: T, C, Z, Y, X, S (colour samples); others are
        axes without a known meaning.
    format : str
        For people: "TIFF", "OME-Zarr 0.5", ...
    size_nm : (z, y, x) in nm
        Voxel size; None along an axis where the file does not tell.
    offset_nm : (z, y, x) in nm
        Centre of the first voxel.
    ours : mapping
        What `save_volume` wrote down: kind, name, provenance and exact geometry.
    kind : str or None
        Kind the format itself tells (OME-Zarr labels).
    notes : tuple of str
        One sentence for everything noticed.
    offsets : tuple of (z, y, x)
        Of each channel of affinities, in voxels; empty where the file does not tell.
    coarser : tuple of Source
        The same image at lower resolutions, finest first.
    """

    data: ArrayLike
    axes: str
    format: str
    size_nm: Size = UNKNOWN
    offset_nm: ZYX = (0.0, 0.0, 0.0)
    ours: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None
    notes: tuple[str, ...] = ()
    offsets: tuple[tuple[int, int, int], ...] = ()
    coarser: tuple[Source, ...] = ()


def describe_volume(volume: Volume) -> str:
    """Return as one line of ASCII JSON what no image format has a place for."""
    return json.dumps(
        {
            "kind": volume.kind,
            "name": volume.name,
            "voxel_size_nm": volume.voxel_size_nm,
            "offset_nm": volume.offset_nm,
            "provenance": dict(volume.provenance),
        },
        default=str,
    )


def parse_ours(text: Any) -> dict[str, Any]:
    """Return what `describe_volume` wrote, or an empty dict for anything else."""
    try:
        ours = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return check_ours(ours)


def check_ours(ours: Any) -> dict[str, Any]:
    """Keep of what a file says to be ours that which makes sense; nothing without a kind."""
    if not isinstance(ours, Mapping) or ours.get("kind") not in KINDS:
        return {}
    kept: dict[str, Any] = {"kind": ours["kind"]}
    for name, kind in (("name", str), ("provenance", Mapping)):
        if isinstance(ours.get(name), kind):
            kept[name] = ours[name]
    for name, check in (("voxel_size_nm", check_voxel_size), ("offset_nm", check_offset)):
        with suppress(InputError):
            kept[name] = check(ours.get(name))
    return kept


def check_replaced(where: str, ours: Mapping[str, Any], kind: str) -> None:
    """Make sure that what is replaced inside a file is an earlier result of the same kind.

    Parameters
    ----------
    where : str
        What is replaced, for messages.
    ours : mapping
        What `describe_volume` wrote with it; empty if it is not ours.
    kind : str
        Kind of the volume to write.

    Raises
    ------
    InputError
        If it is not ours or of another kind.

    Examples
    --------
    >>> check_replaced("a.h5:/labels", {"kind": "labels"}, "labels")
    """
    if not ours:
        raise InputError(
            f"{where} was not written by napari-emseg and would be lost; choose another name."
        )
    if ours["kind"] != kind:
        raise InputError(
            f"{where} holds {ours['kind']}, which {kind} would replace; choose another name."
        )

"""A stack from a file into the viewer, lying where the stack that is open lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info

from napari_emseg.gui.context import context_of
from napari_emseg.gui.layers import add_volume, free_name, volume_of
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer


def open_into(viewer: Viewer, path: Path) -> Layer:
    """Open a stack as a layer of `viewer`.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    from napari_emseg.io import open_volume

    volume = lay_on_open_stack(viewer, open_volume(path))
    return add_volume(viewer, volume, name=free_name(viewer, volume.name or path.stem))


def lay_on_open_stack(viewer: Viewer | None, volume: Volume) -> Volume:
    """Take the voxel size of the open stack for a volume of the same field that has none."""
    raw = context_of(viewer).layer("raw") if viewer is not None else None
    if raw is None or volume.voxel_size_nm is not None:
        return volume
    known = volume_of(raw, "raw")
    if known.voxel_size_nm is None or known.shape[1:] != volume.shape[-2:]:
        return volume
    words = f"The file says no voxel size: that of '{raw.name}', of the same field, was taken."
    show_info(f"{volume.name}: {words}")
    notes = [*volume.provenance.get("notes", []), words]
    return replace(
        volume,
        voxel_size_nm=known.voxel_size_nm,
        offset_nm=known.offset_nm,
        provenance={**volume.provenance, "notes": notes},
    )

"""Files in and out of the viewer: what napari's readers and writers call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info, show_warning

from napari_emseg.errors import InputError
from napari_emseg.gui.context import context_of
from napari_emseg.gui.layers import add_volume, free_name, layer_data, nm_per_unit, volume_of
from napari_emseg.session import FILE_SUFFIX
from napari_emseg.volume import ZYX, Kind, Volume

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

LayerData = tuple[Any, dict[str, Any], str]
_NOTHING: Any = [(None,)]  # how a reader tells napari that there is nothing to show


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return the reader of a path or of several, None if it is not ours to read."""
    from napari_emseg.io import can_open

    paths = [path] if isinstance(path, str) else list(path)
    if all(one.endswith(FILE_SUFFIX) for one in paths):
        return _restore
    return read_layers if all(can_open(one) for one in paths) else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Open one or several stacks as layers, lazily where the file allows."""
    paths = [path] if isinstance(path, str) else list(path)
    try:
        return [_read(one) for one in paths]
    except InputError as error:
        show_warning(str(error))
        return _NOTHING  # type: ignore[no-any-return]


def open_into(viewer: Viewer, path: Path) -> Layer:
    """Open a stack as a layer of `viewer`.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    from napari_emseg.io import open_volume

    volume = _lay_on_open_stack(viewer, open_volume(path))
    return add_volume(viewer, volume, name=free_name(viewer, volume.name or path.stem))


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save an image layer with its geometry."""
    kind = attributes.get("metadata", {}).get("emseg", {}).get("kind", "raw")
    return [_write(path, data, attributes, kind)]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save a labels layer with its geometry; the preview is written as it is seen."""
    return [_write(path, data, attributes, "labels")]


def _lay_on_open_stack(viewer: Viewer | None, volume: Volume) -> Volume:
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


def _read(path: str) -> LayerData:
    from napari import current_viewer

    from napari_emseg.io import open_pyramid

    levels = open_pyramid(path)
    data, attributes, kind = layer_data(_lay_on_open_stack(current_viewer(), levels[0]))
    if len(levels) > 1 and kind == "image":  # labels with a pyramid could not be painted in
        data = [level.data for level in levels]
        attributes["multiscale"] = True
    return data, attributes, kind


def _restore(path: str | Sequence[str]) -> list[LayerData]:
    from napari import current_viewer

    from napari_emseg.gui.workspace import open_workspace

    viewer = current_viewer()
    first = path if isinstance(path, str) else path[0]
    if viewer is not None:
        open_workspace(viewer).session_bar.restore_from(Path(first))
    return _NOTHING  # type: ignore[no-any-return]


def _write(path: str, data: Any, attributes: dict[str, Any], kind: Kind) -> str:
    from napari_emseg.io import save_volume

    known = dict(attributes.get("metadata", {}).get("emseg", {}))
    known.pop("kind", None)
    size, offset = _geometry(attributes)
    volume = Volume(
        data[0] if isinstance(data, list) else data,
        kind=kind,
        voxel_size_nm=size,
        offset_nm=offset,
        name=str(attributes.get("name", "")),
        provenance=known,
    )
    return str(save_volume(volume, path))


def _geometry(attributes: dict[str, Any]) -> tuple[ZYX | None, ZYX]:
    factors = nm_per_unit(attributes.get("units") or ())
    if factors is None or len(factors) != 3:
        return None, (0.0, 0.0, 0.0)
    size = [float(s) * f for s, f in zip(attributes["scale"], factors, strict=True)]
    offset = [float(t) * f for t, f in zip(attributes["translate"], factors, strict=True)]
    return (size[0], size[1], size[2]), (offset[0], offset[1], offset[2])

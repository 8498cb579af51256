"""Files in and out of the viewer: what napari's readers and writers call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_warning

from napari_emseg.errors import InputError
from napari_emseg.gui.layers import layer_data, nm_per_unit
from napari_emseg.gui.opening import lay_on_open_stack
from napari_emseg.session import FILE_SUFFIX
from napari_emseg.volume import ZYX, Kind, Volume

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


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save an image layer with its geometry."""
    kind = attributes.get("metadata", {}).get("emseg", {}).get("kind", "raw")
    return [_write(path, data, attributes, kind)]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save a labels layer with its geometry; the preview is written as it is seen."""
    return [_write(path, data, attributes, "labels")]


def _read(path: str) -> LayerData:
    from napari import current_viewer

    from napari_emseg.io import open_pyramid

    levels = open_pyramid(path)
    data, attributes, kind = layer_data(lay_on_open_stack(current_viewer(), levels[0]))
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

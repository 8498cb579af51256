"""Files in and out of the viewer: readers, writers, samples, sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emseg.gui.layers import layer_data
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]]:
    """Return the reader of a path or of several (napari's reader contribution)."""
    return read_layers


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Open one or several stacks as layers, lazily where the file allows."""
    from napari_emseg.io import open_volume

    paths = [path] if isinstance(path, str) else list(path)
    return [layer_data(open_volume(one)) for one in paths]


def open_into(viewer: Viewer, path: Path) -> Layer:
    """Open a stack as a layer of `viewer`.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    from napari_emseg.gui.layers import add_volume, free_name
    from napari_emseg.io import open_volume

    volume = open_volume(path)
    return add_volume(viewer, volume, name=free_name(viewer, volume.name or path.stem))


def write_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save one image or labels layer with its geometry (napari's writer contribution)."""
    from napari_emseg.io import save_volume

    known = dict(attributes.get("metadata", {}).get("emseg", {}))
    kind = known.pop("kind", None) or ("labels" if _is_whole(data) and "labels" in known else "raw")
    volume = Volume(
        data,
        kind=kind,
        voxel_size_nm=_scale_in_nm(attributes),
        offset_nm=_translate_in_nm(attributes),
        name=str(attributes.get("name", "")),
        provenance=known,
    )
    return [str(save_volume(volume, path))]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save a labels layer; see :func:`write_layer`."""
    metadata = dict(attributes.get("metadata", {}))
    metadata["emseg"] = {**metadata.get("emseg", {}), "kind": "labels"}
    return write_layer(path, data, {**attributes, "metadata": metadata})


def _is_whole(data: Any) -> bool:
    return bool(data.dtype.kind in "ui")


def _factors(attributes: dict[str, Any]) -> list[float] | None:
    import pint

    registry = pint.get_application_registry()
    units = [registry.Unit(str(unit)) for unit in attributes.get("units") or ()]
    lengths = [1 * unit for unit in units]
    if len(lengths) != 3 or not all(length.check("[length]") for length in lengths):
        return None
    return [float(length.to("nm").magnitude) for length in lengths]


def _scale_in_nm(attributes: dict[str, Any]) -> tuple[float, float, float] | None:
    factors = _factors(attributes)
    if factors is None:
        return None
    z, y, x = (float(s) * f for s, f in zip(attributes["scale"], factors, strict=True))
    return (z, y, x)


def _translate_in_nm(attributes: dict[str, Any]) -> tuple[float, float, float]:
    factors = _factors(attributes)
    if factors is None:
        return (0.0, 0.0, 0.0)
    z, y, x = (float(t) * f for t, f in zip(attributes["translate"], factors, strict=True))
    return (z, y, x)



"""Volumes as napari layers, and any napari layer as a volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.io.lazy import LazyArray
from napari_emseg.volume import ZYX, Kind, Volume

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

AXES = ("z", "y", "x")
_THICKNESS = "section_thickness_nm"  # of a layer with two axes, which has no scale along z
_LOOKS: dict[str, dict[str, Any]] = {
    "raw": {"colormap": "gray"},
    "boundary": {
        "colormap": "magma",
        "contrast_limits": (0.0, 1.0),
        "blending": "additive",
        "opacity": 0.7,
    },
    "labels": {"opacity": 0.45},
    "fragments": {"opacity": 0.45},
}


def layer_data(
    volume: Volume, *, like: Layer | None = None, **look: Any
) -> tuple[Any, dict[str, Any], str]:
    """Turn a volume into napari's (data, attributes, layer type).

    Parameters
    ----------
    volume : Volume
        Its voxel size, offset and provenance travel with the layer.
    like : Layer, optional
        Where to lie when the voxel size is unknown: on top of this layer.
    **look
        Attributes of the layer that win over the usual ones.
    """
    if volume.kind == "affinities":  # shown as the boundaries they amount to, which carry them
        from napari_emseg.segmentation.affinity_view import boundary_of

        volume = boundary_of(volume)
    attributes: dict[str, Any] = {"name": volume.name or volume.kind, "axis_labels": AXES}
    if volume.voxel_size_nm is not None:
        attributes |= {"scale": volume.voxel_size_nm, "translate": volume.offset_nm}
        attributes["units"] = ("nm",) * 3
    elif like is not None and like.ndim == 3:
        attributes |= {"scale": like.scale, "translate": like.translate, "units": like.units}
    attributes["metadata"] = {"emseg": {**volume.provenance, "kind": volume.kind}}
    usual = dict(_LOOKS.get(volume.kind, {}))
    if volume.kind == "boundary" and volume.dtype == np.uint8:
        usual["contrast_limits"] = (0, 255)
    if volume.is_label:
        return _paintable(volume), attributes | usual | look, "labels"
    return volume.data, attributes | usual | look, "image"


def _paintable(volume: Volume) -> Any:
    """Voxels that a brush can change: those of a file are read into memory."""
    is_stored = isinstance(volume.data, LazyArray | np.memmap)
    return np.array(volume.read()) if is_stored else volume.data


def add_volume(viewer: Viewer, volume: Volume, *, like: Layer | None = None, **look: Any) -> Layer:
    """Show `volume` in a new layer; see :func:`layer_data`."""
    data, attributes, kind = layer_data(volume, like=like, **look)
    add = viewer.add_labels if kind == "labels" else viewer.add_image
    return add(data, **attributes)


def volume_of(layer: Layer, kind: Kind) -> Volume:
    """Read a layer as a volume of the given kind, without copying its voxels.

    Raises
    ------
    InputError
        If the layer has not three axes or its values do not suit the kind.
    """
    if getattr(layer, "rgb", False):
        raise InputError(f"Layer '{layer.name}' is a colour image; convert it to grey first.")
    data = layer.data[0] if layer.multiscale else layer.data
    size, offset = voxel_size_of(layer), _offset_of(layer)
    if data.ndim == 2:  # one section
        data = np.asarray(data)[None]
    known = layer.metadata.get("emseg", {})
    return Volume(
        data,
        kind=kind,
        voxel_size_nm=size,
        offset_nm=offset,
        name=layer.name,
        provenance={k: v for k, v in known.items() if k not in ("kind", _THICKNESS)},
    )


def voxel_size_of(layer: Layer) -> ZYX | None:
    """Return the voxel size (z, y, x) in nm, None unless the units are lengths.

    A single section is as thick as was said of it, else as its pixels are high.
    """
    factors = nm_per_unit(layer.units)
    if layer.ndim not in (2, 3) or factors is None:
        return None
    *z, y, x = (float(s) * f for s, f in zip(layer.scale, factors, strict=True))
    thickness = z[0] if z else float(layer.metadata.get("emseg", {}).get(_THICKNESS, y))
    return (thickness, y, x) if min(thickness, y, x) > 0 else None


def set_voxel_size(layer: Layer, voxel_size_nm: ZYX) -> None:
    """Give a layer a voxel size in nm, keeping where its corner lies in voxels."""
    scale = np.asarray(layer.scale, float)
    first_voxel = np.asarray(layer.translate, float) / np.where(scale, scale, 1)
    layer.axis_labels = AXES[-layer.ndim :]
    layer.units = ("nm",) * layer.ndim
    layer.scale = voxel_size_nm[-layer.ndim :]
    layer.translate = first_voxel * voxel_size_nm[-layer.ndim :]
    if layer.ndim == 2:
        known = layer.metadata.get("emseg", {})
        layer.metadata = {**layer.metadata, "emseg": {**known, _THICKNESS: voxel_size_nm[0]}}


def kind_of(layer: Layer) -> str:
    """Say what the voxels are known or likely to be: a kind, or "" when nothing says so."""
    known = layer.metadata.get("emseg", {}).get("kind", "")
    if known:
        return str(known)
    return "labels" if type(layer).__name__ == "Labels" else ""


def free_name(viewer: Viewer, name: str) -> str:
    """Return `name`, or the first of "name 2", "name 3" ... that no layer has."""
    taken, candidate, number = {layer.name for layer in viewer.layers}, name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate


def nm_per_unit(units: Sequence[Any]) -> list[float] | None:
    """Nanometres per unit of each axis, or None unless all units are lengths."""
    import pint

    registry: Any = pint.get_application_registry()  # type: ignore[no-untyped-call]
    ones = [1 * registry.Unit(str(unit)) for unit in units]
    if not all(one.check("[length]") for one in ones):
        return None
    return [float(one.to("nm").magnitude) for one in ones]


def _offset_of(layer: Layer) -> ZYX:
    factors = nm_per_unit(layer.units)
    if layer.ndim != 3 or factors is None:
        return (0.0, 0.0, 0.0)
    z, y, x = (float(t) * f for t, f in zip(layer.translate, factors, strict=True))
    return (z, y, x)

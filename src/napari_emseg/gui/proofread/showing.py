"""What a proofreading takes from the viewer, and the layer it puts there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_emseg.gui.layers import add_volume, free_name, layer_data, volume_of
from napari_emseg.gui.proofread.opening import Material, Opened
from napari_emseg.gui.proofread.tools import paint_strokes

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_emseg.gui.context import Context
    from napari_emseg.gui.proofread.layer import ProofreadLabels
    from napari_emseg.gui.proofread.proofreading import Proofreading
    from napari_emseg.volume import Volume

_OPACITY = 0.5
_FIELD_PX = (80, 600)  # less or more than that is seen across: look_at zooms
_GOOD_FIELD_PX = 300


def material_for(context: Context, layer: Layer) -> Material:
    """Return what the labels of a layer are corrected with: raw sections, map, fragments.

    Raises
    ------
    InputError
        If the layer cannot be read as labels.
    """
    labels = volume_of(layer, "labels")
    is_mapped = context.layer("boundary") is not None and context.is_boundary_complete
    return Material(
        labels=labels,
        session=context.session.model_copy(),
        raw=_same_grid(context.volume("raw"), labels) if context.layer("raw") else None,
        boundary=_same_grid(context.volume("boundary"), labels) if is_mapped else None,
        hierarchy=context.hierarchy,
    )


def show_raw(context: Context, opened: Opened) -> Layer | None:
    """Show what the segmentation is of, unless it is there."""
    known, raw = context.layer("raw"), opened.raw
    if known is not None and tuple(known.data.shape) == opened.editor.view.shape:
        return known
    return add_volume(context.viewer, raw) if raw is not None else None


def make_layer(proofreading: Proofreading, like: Layer | None) -> ProofreadLabels:
    """Make the layer over an editor, on the grid of its labels or else of `like`."""
    from napari_emseg.gui.proofread.layer import ProofreadLabels

    editor = proofreading.editor
    assert editor is not None
    shown = editor.state.volume.derive(editor.view, kind="labels")
    _, look, _ = layer_data(shown, like=like)
    look |= {
        "name": free_name(proofreading.viewer, f"{proofreading.name} proofread"),
        "metadata": {"emseg": {"kind": "labels", "proofread": True}},
        "opacity": _OPACITY,
    }
    return ProofreadLabels(
        editor,
        on_strokes=partial(paint_strokes, proofreading),
        on_undo=proofreading.undo,
        on_redo=proofreading.redo,
        on_refused=proofreading.refuse,
        **look,
    )


def look_at(viewer: Viewer, layer: ProofreadLabels, voxel: tuple[int, int, int]) -> None:
    """Turn to a voxel (z, y, x): section and camera, with a ring around it."""
    world = np.asarray(layer.data_to_world(voxel), float)
    dims, camera = viewer.dims, viewer.scene.camera
    camera.center = tuple(world[-3:])
    if dims.ndisplay == 2:
        pixel, side = float(abs(layer.scale[-1])), min(viewer.canvas.size)
        field_px = side / max(camera.zoom * pixel, 1e-9)
        if not _FIELD_PX[0] <= field_px <= _FIELD_PX[1]:
            camera.zoom = side / (_GOOD_FIELD_PX * pixel)
    layer.zoom = camera.zoom
    layer.mark(voxel)
    dims.set_point(dims.ndim - 3, world[0])


def _same_grid(volume: Volume, labels: Volume) -> Volume | None:
    return volume if volume.shape == labels.shape else None

"""Corrected labels as a file or a layer, written while the next edit is made already."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info

from napari_emseg.gui.jobs import FILES
from napari_emseg.gui.layers import add_volume, free_name
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_emseg.gui.proofread.proofreading import Proofreading
    from napari_emseg.segmentation import Segmentation
    from napari_emseg.volume import Volume

EXPORT_JOB, LAYER_JOB = "export corrected labels", "corrected labels as a layer"


def export_labels(proofreading: Proofreading, path: Path) -> None:
    """Write the labels as they are now; edits made meanwhile are not in the file."""
    if proofreading.editor is None:
        return
    proofreading.context.jobs.start(
        partial(_write, proofreading.editor.segmentation, path),
        title="Exporting corrected labels",
        key=EXPORT_JOB,
        lane=FILES,
        on_result=lambda target: show_info(f"Corrected labels are in {target}."),
    )


def labels_as_layer(proofreading: Proofreading) -> None:
    """Make an ordinary labels layer of the labels as they are now, for the next steps."""
    editor = proofreading.editor
    if editor is None:
        return
    name = proofreading.name
    proofreading.context.jobs.start(
        partial(_make, editor.segmentation),
        title="Writing corrected labels",
        key=LAYER_JOB,
        on_result=partial(_show, proofreading, name, proofreading.layer),
    )


def _write(segmentation: Segmentation, path: Path, progress: Progress) -> Path:
    from napari_emseg.io import save_volume

    save_volume(segmentation.to_volume(progress=progress), path, progress=progress)
    return path


def _make(segmentation: Segmentation, progress: Progress) -> Volume:
    return segmentation.to_volume(progress=progress)


def _show(proofreading: Proofreading, name: str, like: Layer | None, labels: Volume) -> None:
    viewer = proofreading.viewer
    active = viewer.layers.selection.active
    layer = add_volume(
        viewer,
        labels,
        like=like or proofreading.context.layer("raw"),
        name=free_name(viewer, f"{name} corrected"),
        visible=proofreading.layer is None,
    )
    proofreading.context.set_layer("segmentation", layer)
    if proofreading.layer is not None:
        viewer.layers.selection.active = active
    show_info(f"'{layer.name}' holds the corrected labels: Evaluate scores it.")

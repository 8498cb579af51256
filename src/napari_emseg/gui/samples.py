"""File > Open Sample: made or fetched in the background while the window lives on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_emseg.gui.layers import layer_data
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari_emseg.gui.files import LayerData
    from napari_emseg.volume import Volume


def open_synthetic() -> list[LayerData]:
    """Make raw sections with the neurons that are truly in them."""
    return _open("Making synthetic sections", _make)


def open_isbi2012() -> list[LayerData]:
    """Open the ISBI 2012 stack, downloaded the first time."""
    return _open("Fetching ISBI 2012", partial(_fetch, "isbi2012"))


def open_snemi3d() -> list[LayerData]:
    """Open SNEMI3D, downloaded the first time."""
    return _open("Fetching SNEMI3D", partial(_fetch, "snemi3d"))


def open_cremi() -> list[LayerData]:
    """Open CREMI sample A, downloaded the first time."""
    return _open("Fetching CREMI A", partial(_fetch, "cremi-a"))


def _open(title: str, work: Any) -> list[LayerData]:
    from napari import current_viewer

    from napari_emseg.gui.context import context_of

    viewer = current_viewer()
    assert viewer is not None
    volumes: list[Volume] = context_of(viewer).jobs.wait_for(work, title=title)
    return [layer_data(volume, visible=not volume.is_label) for volume in volumes]


def _make(progress: Progress) -> list[Volume]:
    from napari_emseg.samples import make_synthetic

    return list(make_synthetic())


def _fetch(name: str, progress: Progress) -> list[Volume]:
    from napari_emseg.samples import fetch

    return list(fetch(name, progress).values())

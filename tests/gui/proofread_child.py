"""Proofreads in a window of its own until it is killed; says how many edits it has shown."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtWidgets import QApplication
from tests.gui.proofread_worlds import SECTION, Hand, inside, largest

from napari_emseg.gui.context import context_of
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.proofread.proofreading import proofreading_of
from napari_emseg.volume import Volume


def main() -> None:
    data = np.load(sys.argv[1])
    viewer = napari.Viewer(show=True)
    proofreading = proofreading_of(context_of(viewer))
    size = (10.0, 10.0, 10.0)
    labels = Volume(data, kind="labels", name="killed", voxel_size_nm=size)
    proofreading.start(add_volume(viewer, labels))
    while proofreading.editor is None:
        QApplication.processEvents()
    viewer.dims.set_current_step(0, SECTION)
    hand, layer = Hand(viewer), proofreading.layer
    shown = Path(sys.argv[2])
    hand.key("A")
    one, *others = largest(layer.data[SECTION], 5)
    hand.click(layer, inside(layer.data[SECTION], one))
    for other in others:
        hand.click(layer, inside(layer.data[SECTION], other))
        hand.key("Return")
        np.save(shown.with_suffix(".tmp.npy"), np.asarray(layer.data))
        shown.with_suffix(".tmp.npy").rename(shown)
        sys.stdout.write(f"{proofreading.editor.position}\n")
        sys.stdout.flush()
    while True:
        QApplication.processEvents()
        time.sleep(0.01)


main()

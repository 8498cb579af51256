"""Take the picture of docs/meshes.md from the real plugin on the synthetic sample.

Run under a screen of at least 1600x1000, for instance
``xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/render_surfaces_picture.py``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "surfaces.png"
SHAPE, SIZE_NM = (40, 200, 200), (30.0, 8.0, 8.0)
N_CELLS, PATIENCE_S = 4, 600


def wait_until(is_done: Callable[[], bool]) -> None:
    from qtpy.QtTest import QTest

    start = time.monotonic()
    while not is_done():
        QTest.qWait(50)
        if time.monotonic() - start > PATIENCE_S:
            sys.exit("the picture was not ready in time")


def open_window() -> tuple[Any, Any]:
    import napari

    from napari_emseg.gui.context import context_of
    from napari_emseg.gui.layers import add_volume
    from napari_emseg.gui.proofread.proofreading import proofreading_of
    from napari_emseg.samples import make_synthetic

    raw, truth = make_synthetic(SHAPE, SIZE_NM, seed=3, misalignment_px=0)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1280, 800)
    context = context_of(viewer)
    add_volume(viewer, raw)
    layer = add_volume(viewer, truth)
    proofreading = proofreading_of(context)
    proofreading.start(layer)
    wait_until(lambda: proofreading.editor is not None)
    return viewer, proofreading


def main() -> None:
    from PIL import Image
    from qtpy.QtTest import QTest

    with TemporaryDirectory() as folder:
        os.environ["EMSEG_PROOFREADING"] = os.environ["EMSEG_CONFIG"] = folder
        from napari_emseg.gui.proofread.surfaces import SurfacesPanel

        viewer, proofreading = open_window()
        panel = SurfacesPanel(proofreading)
        viewer.window.add_dock_widget(panel, name="3D surfaces", area="right")
        state = proofreading.editor.state
        cells = sorted(state.members, key=lambda s: -state.size(s))[1 : N_CELLS + 1]
        proofreading.select(cells)
        panel.toggle()
        jobs = proofreading.context.jobs
        wait_until(lambda: len(panel._fine) == N_CELLS and not jobs.is_busy("proofread surfaces"))
        panel.section.setValue(SHAPE[0] // 2)
        QTest.qWait(1000)
        picture = viewer.screenshot(canvas_only=False, flash=False)[..., :3]
        small = Image.fromarray(np.ascontiguousarray(picture)).quantize(128)
        small.save(OUT, optimize=True)
        print(OUT)
        proofreading.finish()
        viewer.close()


if __name__ == "__main__":
    main()

"""Take the pictures of the documentation from the real plugin on the synthetic sample.

Run under a screen of at least 1600x1000, for instance
``xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/render_docs_pictures.py``.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SIZE = (1280, 800)
PATIENCE_S = 1800


def wait_until(is_done: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    from qtpy.QtTest import QTest

    start = time.monotonic()
    while not is_done():
        QTest.qWait(20)
        if time.monotonic() - start > seconds:
            sys.exit(f"the pictures were not ready after {seconds} s")


class Photographer:
    """Writes small PNGs of the window, or of one widget of it."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        OUT.mkdir(parents=True, exist_ok=True)

    def window(self, name: str) -> None:
        from qtpy.QtTest import QTest

        QTest.qWait(700)
        picture = self.viewer.screenshot(canvas_only=False, flash=False)[..., :3]
        self._write(name, picture)

    def widget(self, name: str, widget: Any) -> None:
        from qtpy.QtTest import QTest

        QTest.qWait(300)
        path = OUT / f"{name}.png"
        widget.grab().save(str(path))
        print(path)

    def _write(self, name: str, picture: np.ndarray) -> None:
        from PIL import Image

        path = OUT / f"{name}.png"
        Image.fromarray(picture).quantize(160, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path} {path.stat().st_size // 1024} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sections", type=int, default=10)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--fast", action="store_true", help="no averaging over 8 orientations")
    parser.add_argument("--only", choices=("steps", "training"), help="part of the pictures")
    parser.add_argument("--train-minutes", type=float, default=2.0)
    arguments = parser.parse_args()

    from napari_emseg.samples import make_synthetic

    shape = (arguments.sections, arguments.side, arguments.side)
    raw, truth = make_synthetic(shape, seed=2)
    if arguments.only != "steps":
        with TemporaryDirectory() as folder:
            os.environ["EMSEG_MODELS"] = folder
            picture_training(raw, truth, arguments.train_minutes)
        del os.environ["EMSEG_MODELS"]
    if arguments.only != "training":
        picture_steps(raw, truth, is_fast=arguments.fast)


def picture_training(raw: Any, truth: Any, minutes: float) -> None:
    """Paint, train, and look at what came of it."""
    import napari
    from qtpy.QtTest import QTest

    from napari_emseg.gui.layers import add_volume
    from napari_emseg.gui.workspace import open_workspace

    viewer = napari.Viewer(show=True)
    viewer.theme = "dark"
    viewer.window.resize(*SIZE)
    workspace = open_workspace(viewer)
    photo = Photographer(viewer)
    step: Any = workspace.step("train")
    add_volume(viewer, raw, name="my tissue")
    for name, frame in workspace.frames.items():
        frame.set_open(name == "train")
    step.new_painting()
    painting, middle = step.wishes.layer("labels"), raw.shape[0] // 2
    for z in (1, middle):
        paint(painting, truth, z)
    viewer.dims.set_current_step(0, middle)
    step.tools.take("Inside")
    wait_until(lambda: step.outlook.now.is_ready)
    photo.window("train_1_painting")
    step.wishes.choose(minutes=minutes)
    viewer.dims.set_current_step(0, middle + 1)
    step.train()
    wait_until(lambda: step.training.map.layer is not None and step.training.share > 0.6)
    photo.window("train_2_running")
    wait_until(lambda: step.training.state == "finished")
    step.predict_section()
    wait_until(lambda: not step.context.jobs.is_busy("predict"))
    QTest.qWait(5000)  # the notice has gone
    photo.window("train_3_finished")
    viewer.close()


def paint(layer: Any, truth: Any, z: int) -> None:
    """Draw strokes along some borders of the true cells and inside some of them."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.segmentation import find_boundaries

    ids = truth.read(z)
    border = find_boundaries(ids, mode="thick") | (ids == 0)
    room = distance_transform_edt(~border)
    noise = gaussian_filter(np.random.default_rng(z).normal(size=ids.shape), 14)
    here = noise > np.quantile(noise, 0.85)
    for label, where in ((2, here & (room > 5)), (1, here & border)):
        layer.data_setitem((np.full(int(where.sum()), z), *np.nonzero(where)), label)


def picture_steps(raw: Any, truth: Any, *, is_fast: bool) -> None:
    """Walk through the steps of the workspace."""
    import napari

    from napari_emseg.gui.layers import add_volume
    from napari_emseg.gui.models.library import open_model_library
    from napari_emseg.gui.workspace import open_workspace

    viewer = napari.Viewer(show=True)
    viewer.theme = "dark"
    viewer.window.resize(*SIZE)
    workspace = open_workspace(viewer)
    context, photo = workspace.context, Photographer(viewer)
    steps: dict[str, Any] = {name: workspace.step(name) for name in workspace.frames}

    add_volume(viewer, raw, name="synthetic ssTEM")
    photo.window("1_data")
    library = open_model_library(context)
    photo.widget("models", library)
    library.close()
    if is_fast:
        steps["boundaries"].tta.setChecked(False)
    steps["boundaries"].predict_all()
    wait_until(lambda: context.done_sections is not None and context.done_sections.sum() >= 2)
    photo.window("2_boundaries")
    wait_until(lambda: context.hierarchy is not None)
    photo.window("3_segment")
    steps["segment"].outlines.setChecked(True)
    photo.window("3_outlines")
    steps["segment"].outlines.setChecked(False)
    layer = add_volume(viewer, truth, name="true neurons", visible=False)
    context.set_layer("ground_truth", layer)
    steps["segment"].volume.setChecked(True)
    wait_until(lambda: context.hierarchy is not None)
    steps["evaluate"].evaluate()
    wait_until(lambda: steps["evaluate"].curve is not None)
    steps["evaluate"].use_best()
    steps["segment"].write_labels()
    wait_until(lambda: context.layer("segmentation") is not None)
    steps["evaluate"].evaluate()
    wait_until(lambda: bool(context.session.scores))
    for name, frame in workspace.frames.items():
        frame.set_open(name in ("segment", "evaluate"))
    photo.window("4_evaluate")
    photo.widget("dock", workspace)
    workspace.frames["segment"].set_open(False)
    steps["evaluate"].error_list.step(1)
    photo.window("5_errors")
    picture_proofreading(workspace, photo)
    viewer.theme = "light"
    photo.window("light_theme")
    viewer.close()


def picture_proofreading(workspace: Any, photo: Photographer) -> None:
    """Look at a suspicious place, and at the keys."""
    from napari_emseg.gui.proofread.cheat_sheet import open_cheat_sheet
    from napari_emseg.gui.proofread.proofreading import proofreading_of
    from napari_emseg.gui.proofread.sites import queue_of

    for name, frame in workspace.frames.items():
        frame.set_open(name == "proofread")
    step: Any = workspace.step("proofread")
    proofreading = proofreading_of(workspace.context)
    queue = queue_of(proofreading)
    step.start()
    wait_until(lambda: proofreading.is_active and bool(queue.order.sites))
    queue.step(1)
    photo.window("6_proofread")
    sheet = open_cheat_sheet(proofreading)
    photo.widget("keys", sheet)
    sheet.close()


if __name__ == "__main__":
    main()

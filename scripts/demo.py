"""The main job on a sample: raw sections, boundary map, segments, scores, in napari.

With a screen the window stays open. Without one the same window is opened on a
virtual screen and leaves ``demo/screenshot.png`` and ``demo/scores.json``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.viewer import Viewer

OUT = Path(__file__).resolve().parents[1] / "demo"
VIRTUAL_SCREEN = "-screen 0 1600x1000x24"
PATIENCE_S = 900


def has_screen() -> bool:
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def wait_until(is_done: Callable[[], bool], what: str) -> None:
    """Let the window live until `is_done`."""
    from qtpy.QtWidgets import QApplication

    start = time.monotonic()
    while not is_done():
        QApplication.processEvents()
        time.sleep(0.01)
        if time.monotonic() - start > PATIENCE_S:
            sys.exit(f"demo: {what} did not finish within {PATIENCE_S} s")
    print(f"demo: {what} ({time.monotonic() - start:.1f} s)", flush=True)


def do_the_job(viewer: Viewer, sections: int) -> None:
    """Go through the dock's steps with its own buttons' actions."""
    from napari_emseg.gui.context import context_of
    from napari_emseg.gui.layers import add_volume
    from napari_emseg.gui.workspace import Workspace
    from napari_emseg.samples import make_synthetic

    raw, truth = make_synthetic((sections, 384, 384), seed=2)
    workspace = Workspace(viewer)
    viewer.window.add_dock_widget(workspace, name="EM Segmentation", area="right")
    context = context_of(viewer)
    truth_layer = add_volume(viewer, truth, visible=False)
    context.set_layer("raw", add_volume(viewer, raw))
    context.set_layer("ground_truth", truth_layer)

    def idle(*keys: str) -> bool:
        return not any(context.jobs.is_busy(key) for key in keys)

    workspace.step("boundaries").predict_all()
    wait_until(lambda: context.is_boundary_complete and idle("predict"), "boundary map")
    wait_until(lambda: context.hierarchy is not None, "hierarchy")
    segment, evaluate = workspace.step("segment"), workspace.step("evaluate")
    evaluate.evaluate()
    wait_until(lambda: evaluate.curve is not None and idle("evaluate"), "score curve")
    evaluate.use_best()
    segment.write_labels()
    wait_until(lambda: context.layer("segmentation") is not None, "labels")
    evaluate.evaluate()
    wait_until(lambda: bool(context.session.scores) and idle("evaluate"), "scores")
    for name, frame in workspace.frames.items():
        frame.set_open(name in ("segment", "evaluate"))
    OUT.mkdir(exist_ok=True)
    evaluate.export_to(OUT / "scores.json")
    print(f"demo: V_rand {context.session.scores['v_rand']:.4f}, scores in {OUT / 'scores.json'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headless", action="store_true", help="take the picture and leave")
    parser.add_argument("--sections", type=int, default=12)
    arguments = parser.parse_args()
    if not has_screen():
        screen = shutil.which("xvfb-run")
        if screen is None:
            sys.exit("demo: no screen and no xvfb-run; install the package xvfb")
        again = [sys.executable, __file__, "--headless", "--sections", str(arguments.sections)]
        os.execv(screen, [screen, "-a", "-s", VIRTUAL_SCREEN, *again])

    import napari

    viewer = napari.Viewer(show=True)
    viewer.window.resize(1500, 950)
    do_the_job(viewer, arguments.sections)
    if not arguments.headless:
        napari.run()
        return
    settled = time.monotonic() + 1.5
    wait_until(lambda: time.monotonic() > settled, "window painted")
    picture = OUT / "screenshot.png"
    viewer.screenshot(str(picture), canvas_only=False, flash=False)
    print(f"demo: picture in {picture}")
    viewer.close()


if __name__ == "__main__":
    main()

"""Latency of edits in a real window, the repaint included: 100x1024x1024, 200,000 segments.

A merge, a split of the region graph, their undo, a preview and a stroke of the brush, each
from the call to the end of the frame that shows it; at most 50 ms. The canvas is drawn by
the processor where there is no graphics card, so a frame in which nothing changed is measured,
too. A timer of 5 ms tells how long the event loop was held up, while edits are made four
times a second, while the corrected labels are written to a file, while the list of suspicious
places is made, and with the 3D view of surfaces on. Needs a screen, for
instance ``xvfb-run -a -s "-screen 0 1600x1000x24"``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from proofreading import N_WHOLE, Stopwatch, _inside, make_fragments, make_map

LIMIT_MS = 50.0
SECTION = 50
TICK_MS = 5
PATIENCE_S = 5.0


class WindowWatch(Stopwatch):
    """Milliseconds on the clock, and of the processor for the window's thread alone."""

    def time(self, name: str, function: Callable[[], Any]) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        function()
        self.cpu.setdefault(name, []).append(1000 * (time.thread_time() - cpu))
        self.wall.setdefault(name, []).append(1000 * (time.perf_counter() - wall))


class Window:
    """A viewer in which an editor is open, and the frames it draws."""

    def __init__(self, opened: Any, boundary: Any) -> None:
        import napari

        from napari_emseg.gui.context import context_of
        from napari_emseg.gui.layers import add_volume
        from napari_emseg.gui.proofread.proofreading import proofreading_of
        from napari_emseg.gui.workspace import open_workspace

        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1280, 800)
        self.workspace = open_workspace(self.viewer)
        self.workspace.frames["proofread"].set_open(True)
        raw = boundary.derive(255 - boundary.data, kind="raw")
        add_volume(self.viewer, raw, name="raw")
        self.proofreading = proofreading_of(context_of(self.viewer))
        self.proofreading.adopt(opened)
        self.viewer.dims.set_current_step(0, SECTION)
        canvas = self.viewer.window._qt_window._qt_viewer.canvas
        self.n_drawn = 0
        canvas._scene_canvas.events.draw.connect(self._on_drawn, position="last")
        self.settle(2.0)

    def _on_drawn(self, _event: Any) -> None:
        self.n_drawn += 1

    def settle(self, seconds: float) -> None:
        """Let everything that waits come first."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.002)

    def until_drawn(self, action: Callable[[], object]) -> Callable[[], None]:
        """Do something, and wait for the frame that shows it."""
        from qtpy.QtWidgets import QApplication

        def run() -> None:
            before, end = self.n_drawn, time.monotonic() + PATIENCE_S
            action()
            while self.n_drawn == before and time.monotonic() < end:
                QApplication.processEvents()

        return run


def time_edits(window: Window, n: int) -> WindowWatch:
    """Edits on random contacts of the visible section, and on the largest segments."""
    proofreading = window.proofreading
    editor, watch = proofreading.editor, WindowWatch()
    random = np.random.default_rng(0)
    visible = np.unique(editor.view[SECTION])[1:]
    canvas = window.viewer.window._qt_window._qt_viewer.canvas.native

    def timed(name: str, action: Callable[[], object]) -> None:
        window.settle(0.15)
        watch.time(name, window.until_drawn(action))

    for k in range(n + 3):
        name = "" if k >= 3 else "warm up "
        timed(f"{name}nothing", canvas.update)
        pair = [int(s) for s in random.choice(visible, 2, replace=False)]
        timed(f"{name}merge_preview", partial(proofreading.propose, "merge", pair))
        timed(f"{name}merge", proofreading.accept)
        timed(f"{name}undo_merge", proofreading.undo)
    whole = [
        s for s in list(editor.state.members)[:N_WHOLE] if editor.state.members.of(s).size > 30
    ]
    for k, segment in enumerate(whole[: n + 2]):
        name = "" if k >= 2 else "warm up "
        fragments = editor.state.members.of(segment)
        ends = [[_inside(editor, int(f))] for f in (fragments[0], fragments[-1])]
        timed(f"{name}split_preview", partial(proofreading.propose, "split", ends))
        timed(f"{name}graph_split", proofreading.accept)
        timed(f"{name}undo_graph_split", proofreading.undo)
    layer = proofreading.layer
    for k in range(n // 2 + 2):
        name = "" if k >= 2 else "warm up "
        y, x = (int(v) for v in random.integers(100, 900, 2))
        label = layer.selected_label = layer.next_segment
        timed(f"{name}stroke", partial(layer.paint, (SECTION, y, x), label))
        proofreading.undo()
    return watch


def time_gaps(window: Window, seconds: float, action: Callable[[], object]) -> dict[str, float]:
    """How late a timer is while something is done four times a second."""
    from qtpy.QtCore import QElapsedTimer, Qt, QTimer

    clock, late = QElapsedTimer(), []

    def tick() -> None:
        late.append(max(0.0, clock.nsecsElapsed() / 1e6 - TICK_MS))
        clock.restart()

    timer, actor = QTimer(), QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(tick)
    actor.timeout.connect(action)
    clock.start()
    timer.start(TICK_MS)
    actor.start(250)
    window.settle(seconds)
    timer.stop()
    actor.stop()
    return {
        "p95_ms": round(float(np.percentile(late, 95)), 1),
        "p99_ms": round(float(np.percentile(late, 99)), 1),
        "max_ms": round(max(late), 1),
    }


def list_anew(window: Window) -> Callable[[], None]:
    """Return what looks for suspicious places unless that is being done."""
    from napari_emseg.gui.proofread.sites import queue_of

    queue = queue_of(window.proofreading)

    def act() -> None:
        if not queue.is_busy:
            queue.refresh()

    return act


def edits_in_turn(window: Window) -> Callable[[], None]:
    """Return what merges two segments, and undoes it the next time."""
    proofreading = window.proofreading
    visible = np.unique(proofreading.editor.view[SECTION])[1:]
    pair = [int(s) for s in visible[:2]]

    def act() -> None:
        if proofreading.editor.position:
            proofreading.undo()
        else:
            proofreading.edit("merge", pair)

    return act


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", default=os.environ.get("EMSEG_TEST_DATA", shared), type=Path)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=8.0)
    arguments = parser.parse_args()

    from napari_emseg import Proofreader, Segmentation, Volume
    from napari_emseg.gui.proofread.export import EXPORT_JOB, export_labels
    from napari_emseg.gui.proofread.opening import Opened
    from napari_emseg.session.proofreads import ProofreadFolder

    fragments, table = make_fragments(arguments.data)
    size = (40.0, 32.0, 32.0)
    boundary = Volume(make_map(fragments), kind="boundary", voxel_size_nm=size)
    volume = Volume(fragments, kind="fragments", voxel_size_nm=size)
    with TemporaryDirectory() as place:
        os.environ["EMSEG_PROOFREADING"] = os.environ["EMSEG_CONFIG"] = place
        folder = ProofreadFolder(Path(place), "pinky40", "")
        editor = Proofreader(Segmentation(volume, table), boundary=boundary, log=folder.log)
        editor.prepare()
        window = Window(Opened(editor, folder), boundary)
        watch = time_edits(window, arguments.repeats)
        report: dict[str, Any] = {
            "segments": sum(1 for _ in editor.state.members),
            "load": os.getloadavg()[0],
            **{k: v for k, v in watch.report().items() if not k.startswith("warm up")},
        }
        act = edits_in_turn(window)
        report["loop_at_rest"] = time_gaps(window, arguments.seconds, lambda: None)
        report["loop_with_edits"] = time_gaps(window, arguments.seconds, act)
        export_labels(window.proofreading, Path(place) / "labels.h5")
        report["loop_with_edits_and_export"] = time_gaps(window, arguments.seconds, act)
        report["loop_while_listing"] = time_gaps(window, arguments.seconds, list_anew(window))
        surfaces = window.workspace.step("proofread").panels["SurfacesPanel"]
        surfaces.toggle()
        window.settle(2.0)
        report["loop_with_edits_and_surfaces"] = time_gaps(window, arguments.seconds, act)
        surfaces.toggle()
        jobs = window.proofreading.context.jobs
        while jobs.is_busy(EXPORT_JOB):
            window.settle(0.1)
        kinds = ("merge", "undo_merge", "graph_split", "undo_graph_split")
        report["holds"] = all(report[kind]["cpu_p95_ms"] <= LIMIT_MS for kind in kinds)
        print(json.dumps(report))
        window.proofreading.finish()
        window.viewer.close()


if __name__ == "__main__":
    main()

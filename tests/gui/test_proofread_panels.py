"""Keys, queue, segment and history in a real window, with real key presses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication, QWidget

from napari_emseg.gui.context import context_of
from napari_emseg.gui.frame import column
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.proofread.cheat_sheet import CheatSheet, open_cheat_sheet
from napari_emseg.gui.proofread.history import HistoryPanel
from napari_emseg.gui.proofread.keys import ACTIONS, KeyListener, keys_of, napari_keys
from napari_emseg.gui.proofread.progress import ProgressPanel
from napari_emseg.gui.proofread.proofreading import Proofreading, proofreading_of
from napari_emseg.gui.proofread.queue import QueuePanel
from napari_emseg.gui.proofread.segment import SegmentPanel
from napari_emseg.gui.proofread.sites import SIDES_JOB, Found
from napari_emseg.volume import Volume

PATIENCE_MS = 60_000
SHAPE = (3, 24, 48)
WALLS = {12: 0.1, 24: 0.9, 36: 0.6}


class Bench:
    """A window with labels, by default four rooms in a row, and the panels in its dock."""

    def __init__(self, viewer: Any, qtbot: Any, labels: np.ndarray | None = None) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.context = context_of(viewer)
        self.proofreading: Proofreading = proofreading_of(self.context)
        rooms = np.broadcast_to(np.repeat(np.arange(1, 5, dtype=np.uint32), 12), SHAPE).copy()
        rooms = rooms if labels is None else labels
        wall = np.zeros(rooms.shape, np.float32)
        for x, height in WALLS.items() if labels is None else ():
            wall[:, :, x - 1 : x + 1] = height
        size = (8.0, 8.0, 8.0)
        for kind, data in (("boundary", wall), ("labels", rooms)):
            volume = Volume(data, kind=kind, name=kind, voxel_size_nm=size)  # type: ignore[arg-type]
            layer = add_volume(viewer, volume)
        self.context.set_layer("ground_truth", layer)
        self.proofreading.start(layer)
        self.wait(lambda: self.proofreading.editor is not None)
        self.dock = QWidget()
        rows = column(self.dock)
        self.segment = SegmentPanel(self.proofreading)
        self.queue = QueuePanel(self.proofreading)
        self.history = HistoryPanel(self.proofreading)
        self.progress = ProgressPanel(self.proofreading)
        for panel in (self.segment, self.queue, self.history, self.progress):
            rows.addWidget(panel)
        KeyListener(self.dock, self.proofreading)  # as in the step, beside those of the panels
        viewer.window.add_dock_widget(self.dock, name="panels", area="right")
        self.canvas = viewer.window._qt_viewer.canvas.native
        self.wait(lambda: self.queue.queue.is_listed)

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=PATIENCE_MS)

    def press(self, key: str, on: Any = None) -> None:
        modifier = Qt.KeyboardModifier.NoModifier
        for word, flag in (("Ctrl", "ControlModifier"), ("Shift", "ShiftModifier")):
            if key.startswith(f"{word}+"):
                modifier, key = getattr(Qt.KeyboardModifier, flag), key.removeprefix(f"{word}+")
        code = getattr(Qt.Key, f"Key_{key}")
        self.qtbot.keyClick(on if on is not None else self.canvas, code, modifier)


@pytest.fixture
def open_bench(viewer: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("EMSEG_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("EMSEG_PROOFREADING", str(tmp_path / "proofreading"))
    made: list[Bench] = []

    def open_with(labels: np.ndarray | None = None) -> Bench:
        made.append(Bench(viewer, qtbot, labels))
        return made[0]

    yield open_with
    made[0].progress.detach()
    made[0].proofreading.finish()
    made[0].context.close()


@pytest.fixture
def bench(open_bench: Callable[[], Bench]) -> Bench:
    return open_bench()


def test_a_cell_is_cut_as_soon_as_the_cut_is_found(open_bench: Callable[..., Bench]) -> None:
    """One fragment is small and left up to section 5, large and right from section 6 on."""
    labels = np.zeros((12, 20, 40), np.uint32)
    labels[:6, 8:12, 2:8] = labels[6:, 2:18, 6:38] = 1
    bench = open_bench(labels)
    editor, queue = bench.proofreading.editor, bench.queue.queue
    assert editor is not None
    bench.press("N")
    assert queue.current is not None
    assert queue.current.question == "jump"
    bench.press("R")  # at once: the window does not wait for the cut
    assert editor.position == 0
    bench.wait(lambda: editor.position == 1)
    (item,) = editor.history
    assert item.delta.voxels is not None
    assert item.lesson is not None
    queue.set_marks(False)
    bench.press("Ctrl+Z")
    bench.press("R")
    bench.press("N")  # gone on before it was found: nothing is cut behind one's back
    bench.wait(lambda: not bench.context.jobs.is_busy(SIDES_JOB))
    bench.qtbot.wait(100)
    assert editor.position == 0
    queue.set_marks(True)
    bench.wait(lambda: queue._sides_now is not None)
    bench.press("R")  # what was shown is made at once
    assert editor.position == 1


def test_a_walk_with_the_keys(bench: Bench) -> None:
    """Next, merge, undo brings the place back; a neighbour; the history; the keys' own rules."""
    _no_key_is_naparis(bench)
    _decide_with_keys(bench)
    _the_list_waits_for_the_mouse(bench)
    _merge_a_neighbour(bench)
    _keys_work_in_the_dock(bench)
    _polygons_keep_their_keys(bench)
    _change_a_key(bench)
    _ends(bench)


def _no_key_is_naparis(bench: Bench) -> None:
    taken = napari_keys(bench.proofreading)
    assert {"P", "E", "F", "Ctrl+Z", "Space", "Ctrl+O"} <= set(taken)  # the list is no empty one
    shared = {action.key for action in ACTIONS} & set(taken)
    assert shared == {"Enter", "Escape"}  # napari's only while it draws a polygon


def _decide_with_keys(bench: Bench) -> None:
    proofreading, queue = bench.proofreading, bench.queue.queue
    n = len(queue.order.sites)
    bench.press("N")
    assert queue.current is not None
    assert (queue.current.kind, queue.current.segments) == ("merge", (1, 2))
    assert proofreading.selection == (1, 2)
    bench.wait(lambda: proofreading._sides_now is not None)  # both sides are coloured
    banner = proofreading._banner
    assert banner is not None
    assert banner.words == "Blue and orange: one cell? Merge (Q), keep (W), later (T)."
    bench.queue.marks.setChecked(False)
    assert banner.words == "One cell? Merge (Q), keep (W), later (T)."
    bench.queue.marks.setChecked(True)
    proofreading.select([3])
    assert banner.words.startswith("Click a segment")  # something else is looked at
    proofreading.select([1, 2])
    assert bench.queue.buttons["merge"].isEnabled()
    assert not bench.queue.buttons["split"].isEnabled()
    bench.press("R")  # not what is asked here: said, and nothing done
    assert proofreading.editor is not None
    assert proofreading.editor.position == 0
    bench.press("Q")
    assert set(proofreading.editor.view[1, 5]) == {1, 3, 4}
    assert len(queue.order.sites) < n
    assert queue.current is not None
    assert 1 in queue.current.segments or 3 in queue.current.segments
    bench.wait(lambda: "→" in bench.progress.score.text())
    bench.press("Ctrl+Z")
    assert queue.current is not None
    assert queue.current.fragments == (1, 2)
    bench.press("T")
    assert queue.order.is_late(queue.order.sites[-1])


def _the_list_waits_for_the_mouse(bench: Bench) -> None:
    queue, editor = bench.queue.queue, bench.proofreading.editor
    assert editor is not None
    before = queue.order.sites
    QApplication.sendEvent(bench.queue.table, QEvent(QEvent.Type.Enter))
    queue.found(Found([], editor.version, 0))
    assert queue.order.sites is before
    QApplication.sendEvent(bench.queue.table, QEvent(QEvent.Type.Leave))
    assert queue.order.sites != before  # only what was walked through is left


def _merge_a_neighbour(bench: Bench) -> None:
    proofreading, panel = bench.proofreading, bench.segment
    bench.press("Shift+G")
    assert bench.viewer.window._qt_window.focusWidget() is panel.wanted
    panel.wanted.setText("44")
    panel.jump()
    assert proofreading.selection != (44,)
    panel.wanted.setText("4")
    panel.jump()
    assert proofreading.selection == (4,)
    bench.wait(lambda: [n.segment for n in panel.model.neighbours] == [3])
    assert panel.model.data(panel.model.index(0, 1)) == "0.00461 µm²"  # 72 faces of (8 nm)^2
    bench.qtbot.mouseClick(
        panel.table.viewport(),
        Qt.MouseButton.LeftButton,
        pos=panel.table.visualRect(panel.model.index(0, 3)).center(),
    )
    assert proofreading.preview is not None
    bench.press("Return")
    assert proofreading.editor is not None
    assert proofreading.editor.history[-1].words == "Merged segment 4 into 3."


def _keys_work_in_the_dock(bench: Bench) -> None:
    proofreading = bench.proofreading
    editor = proofreading.editor
    assert editor is not None
    proofreading.select([3])
    bench.press("D", bench.queue.table)
    assert editor.state.done == {3}
    assert "50.0 %" in bench.progress.share.text()
    bench.press("F", bench.history)  # napari's own
    assert proofreading.layer is not None
    assert str(proofreading.layer.mode) == "fill"
    proofreading.set_mode("look")
    bench.press("D", bench.segment.name)  # a letter of a name is no key
    assert editor.state.done == {3}
    bench.press("Ctrl+Z", bench.history)
    assert not editor.state.done
    model = bench.history.model
    assert (model.n_rows, model.row_now) == (3, 1)
    bench.qtbot.mouseClick(
        bench.history.table.viewport(),
        Qt.MouseButton.LeftButton,
        pos=bench.history.table.visualRect(model.index(2, 0)).center(),
    )
    assert editor.position == 0


def _polygons_keep_their_keys(bench: Bench) -> None:
    proofreading, layer = bench.proofreading, bench.proofreading.layer
    assert layer is not None
    layer.mode = "polygon"
    bench.press("Escape")
    assert (str(layer.mode), proofreading.mode) == ("polygon", "paint")
    layer.mode = "pan_zoom"
    bench.press("A")
    assert proofreading.mode == "merge"
    bench.press("Escape")
    bench.press("Escape")
    assert proofreading.mode == "look"


def _change_a_key(bench: Bench) -> None:
    sheet = open_cheat_sheet(bench.proofreading)
    assert sheet.sizeHint().height() < 760
    for key, said in (("P", "belongs to napari"), ("S", "is the key of"), ("H", "H is now")):
        sheet.choose("merge")
        bench.press(key, sheet)
        assert said in sheet.words.text()
    bench.press("H")
    assert bench.proofreading.mode == "merge"
    bench.press("Escape")
    bench.press("A")
    assert bench.proofreading.mode == "look"
    sheet.reset()
    bench.press("Escape", sheet)
    assert not sheet.isVisible()
    bench.qtbot.keyClicks(bench.canvas, "?")
    assert bench.viewer.window._qt_window.findChild(CheatSheet).isVisible()
    sheet.close()


def _ends(bench: Bench) -> None:
    layer = bench.proofreading.layer
    bench.proofreading.finish()
    assert not layer.keymap
    assert "Q" not in {str(key) for key in bench.viewer.keymap}
    assert not keys_of(bench.proofreading).press("Q")
    assert bench.queue.model.n_rows == 0
    assert bench.segment.title.text() == "No segment is selected"

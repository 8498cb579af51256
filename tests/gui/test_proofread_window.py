"""Proofreading by mouse and keys in a real window, on FIB-25; nothing is lost by a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.gui.conftest import PATIENCE_MS
from tests.gui.proofread_worlds import SECTION, Hand, core_of, inside, largest, read_crop

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.proofread.bringing import LostPanel, bring_in_menu
from napari_emseg.gui.proofread.export import EXPORT_JOB, LAYER_JOB, export_labels
from napari_emseg.gui.proofread.proofreading import Proofreading
from napari_emseg.gui.workspace import Workspace
from napari_emseg.volume import Volume

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMSEG_PROOFREADING", str(tmp_path / "kept"))
    monkeypatch.setenv("EMSEG_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def desk(workspace: Workspace, shared_data: Path, qtbot: Any) -> Iterator[tuple[Any, ...]]:
    """FIB-25 segmented by the product, step 5 begun, and a hand."""
    context = workspace.context
    raw, boundary = read_crop(shared_data)
    context.session.change("segment", mode="3d", h=0.15, sigma_px=1.0, min_size_voxels=60)
    add_volume(context.viewer, raw)
    add_volume(context.viewer, boundary)
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)
    workspace.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    workspace.frames["proofread"].set_open(True)
    step: Any = workspace.step("proofread")
    proofreading: Proofreading = step.proofreading
    qtbot.mouseClick(step.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: proofreading.editor is not None, timeout=PATIENCE_MS)
    context.viewer.dims.set_current_step(0, SECTION)
    yield proofreading, Hand(context.viewer), step
    proofreading.finish()


def section(proofreading: Proofreading) -> np.ndarray:
    return np.asarray(proofreading.layer.data[SECTION])  # type: ignore[union-attr]


def test_a_day_of_proofreading(
    desk: tuple[Any, ...], qtbot: Any, notices: list[str], tmp_path: Path
) -> None:
    proofreading, hand, step = desk
    editor, layer = proofreading.editor, proofreading.layer
    start = np.asarray(layer.data)
    written = proofreading.context.layer("segmentation").data
    assert np.array_equal(start, written)  # shows just what was written

    # Two segments clicked are one, when it is accepted; the banner says what comes.
    one, two, three, four = largest(section(proofreading), 4)
    hand.key("A")
    assert proofreading.mode == "merge"
    for segment in (one, two):
        hand.click(layer, inside(section(proofreading), segment))
    assert proofreading.selection == (one, two)
    assert "Enter" in proofreading.hint
    assert np.array_equal(layer.data, start)  # a preview changes nothing
    hand.key("Return")
    merged = proofreading.segment_at(inside(section(proofreading), one))
    assert not (section(proofreading) == (two if merged == one else one)).any()
    assert "1 edit" in step.words

    # Ctrl+Z and Ctrl+Shift+Z of napari are the editor's.
    after = np.asarray(layer.data)
    hand.key("Z", CTRL)
    assert np.array_equal(layer.data, start)
    hand.key("Z", CTRL | SHIFT)
    assert np.array_equal(layer.data, after)

    # Split again by a click on each side: the region graph is cut.
    hand.key("Escape")
    hand.key("S")
    places = [inside(start[SECTION], segment) for segment in (one, two)]
    for place in places:
        hand.click(layer, place)
    qtbot.waitUntil(lambda: proofreading.preview is not None, timeout=PATIENCE_MS)
    hand.key("Return")
    sides = {proofreading.segment_at(place) for place in places}
    assert len(sides) == 2
    assert editor.history[-1].delta.voxels is None

    # Two points in one fragment: its voxels are cut, in the background.
    fragments = editor.state.fragments[SECTION]
    target = largest(np.where(section(proofreading) == three, fragments, 0), 1)[0]
    rows, columns = np.nonzero(core_of(fragments == target))  # a click may be a voxel beside
    ends = [(SECTION, int(rows[k]), int(columns[k])) for k in (0, -1)]
    for end in ends:
        hand.click(layer, end)
    qtbot.waitUntil(lambda: proofreading.preview is not None, timeout=PATIENCE_MS)
    hand.key("Return")
    assert editor.history[-1].delta.voxels is not None
    assert proofreading.segment_at(ends[0]) != proofreading.segment_at(ends[1])

    # One fragment is broken off, and given back.
    hand.key("Escape")
    whole = next(
        s for s in largest(section(proofreading), 9) if editor.state.members.of(s).size > 1
    )
    here = inside(section(proofreading), whole)
    hand.click(layer, here)
    hand.key("D", SHIFT)
    assert proofreading.preview is not None
    hand.key("Return")
    assert editor.history[-1].operation == "detach"
    broken_off = proofreading.segment_at(here)
    proofreading.select([s for s in editor.history[-1].after if s != broken_off])
    hand.key("E", SHIFT)
    hand.key("Return")
    assert editor.history[-1].operation == "absorb"
    assert proofreading.segment_at(here) == editor.history[-1].after[-1] != broken_off

    # A locked segment refuses, in one sentence, and nothing is changed.
    hand.key("Escape")
    hand.click(layer, inside(section(proofreading), four))
    hand.key("D")
    assert editor.state.done == {four}
    n = editor.position
    hand.key("Delete")
    hand.key("X", SHIFT)
    assert editor.position == n
    assert any("locked" in notice for notice in notices)

    # One stroke of the brush is one edit; the eraser too; undo takes strokes back.
    hand.key("P")
    assert proofreading.mode == "paint"
    layer.selected_label = three = proofreading.segment_at(ends[0])
    before = section(proofreading)
    y, x = inside(before, one)[1:]
    hand.drag(layer, [(SECTION, y, x), (SECTION, y, x + 4), (SECTION, y + 3, x + 6)])
    assert editor.position == n + 1
    assert proofreading.segment_at((SECTION, y, x)) == three
    hand.key("Z", CTRL)
    assert np.array_equal(section(proofreading), before)
    layer.data[SECTION, y, x : x + 3] = 0  # another plugin writes voxels
    assert editor.history[editor.position - 1].operation == "paint"
    hand.key("Z", CTRL)
    proofreading.set_mode("look")

    # The places are walked through, and one is decided.
    queue = step.panels["QueuePanel"]
    assert queue.isVisible()
    from napari_emseg.gui.proofread.sites import queue_of

    qtbot.waitUntil(lambda: bool(queue_of(proofreading).order.sites), timeout=PATIENCE_MS)
    hand.key("N")
    site = queue_of(proofreading).current
    assert site is not None
    assert proofreading.context.viewer.dims.current_step[0] == site.position[0]
    n = editor.position
    hand.key("W")
    qtbot.waitUntil(lambda: editor.position == n + 1, timeout=PATIENCE_MS)
    assert editor.history[-1].operation == "keep"

    # Corrected labels are written while it goes on; a copy of the layer is an ordinary one.
    now = np.asarray(layer.data)
    export_labels(proofreading, tmp_path / "out.tif")
    proofreading.undo()
    context = proofreading.context
    qtbot.waitUntil(lambda: not context.jobs.is_busy(EXPORT_JOB), timeout=PATIENCE_MS)
    from napari_emseg import open_volume

    assert np.array_equal(open_volume(tmp_path / "out.tif", kind="labels").read(), now)
    assert layer.as_layer_data_tuple()[2] == "labels"


def test_a_killed_window_loses_nothing(
    workspace: Workspace, shared_data: Path, tmp_path: Path, qtbot: Any
) -> None:
    from napari_emseg import build_hierarchy

    _, boundary = read_crop(shared_data)
    found = build_hierarchy(boundary, sigma_px=1.0, mode="3d").cut(0.15, 60)
    labels = found.segment_of[np.asarray(found.fragments.data)]
    np.save(tmp_path / "labels.npy", labels)
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.gui.proofread_child",
            str(tmp_path / "labels.npy"),
            str(tmp_path / "shown.npy"),
        ],
        cwd=ROOT,
        env=os.environ.copy(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    said = 0
    while said < 2:  # somewhere in the middle of its work
        said = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    shown = np.load(tmp_path / "shown.npy")

    step: Any = workspace.step("proofread")
    step.refresh_earlier()
    workspace.frames["proofread"].set_open(True)
    assert step.earlier.count() == 1
    qtbot.mouseClick(step.resume_button, Qt.MouseButton.LeftButton)
    proofreading = step.proofreading
    qtbot.waitUntil(lambda: proofreading.editor is not None, timeout=PATIENCE_MS)
    assert proofreading.editor.position >= said
    while proofreading.editor.position > np.unique(labels).size - np.unique(shown).size:
        proofreading.undo()  # an edit may be on disk that was not shown yet
    assert np.array_equal(proofreading.layer.data, shown)
    proofreading.finish()
    # The same labels opened again go on with the same edits.
    volume = Volume(labels, kind="labels", name="killed", voxel_size_nm=(10.0, 10.0, 10.0))
    proofreading.start(add_volume(workspace.context.viewer, volume))
    qtbot.waitUntil(lambda: proofreading.editor is not None, timeout=PATIENCE_MS)
    assert np.array_equal(proofreading.layer.data, shown)
    proofreading.finish()


def test_edits_of_earlier_labels_are_brought_in(
    workspace: Workspace, qtbot: Any, notices: list[str]
) -> None:
    """Labels made anew: what fits is made again, the rest is listed, with the way there."""
    step: Any = workspace.step("proofread")
    proofreading, viewer = step.proofreading, workspace.context.viewer
    workspace.frames["proofread"].set_open(True)
    blocks = np.arange(1, 17, dtype=np.uint32).reshape(1, 4, 4).repeat(3, 0)
    labels = blocks.repeat(12, 1).repeat(12, 2)

    def start(data: np.ndarray, name: str) -> None:
        volume = Volume(data, kind="labels", name=name, voxel_size_nm=(10.0, 10.0, 10.0))
        proofreading.start(add_volume(viewer, volume))
        qtbot.waitUntil(lambda: proofreading.editor is not None, timeout=PATIENCE_MS)

    start(labels, "first")
    proofreading.edit("merge", [1, 2])
    proofreading.edit("mark_done", [16])
    proofreading.finish()
    pieces = 20 + labels
    pieces[:, 36:, 36:] = 40 + np.arange(16).reshape(4, 4).repeat(3, 0).repeat(3, 1)
    start(pieces, "anew")
    assert "Bring in edits" in step.said.text()
    proofreading.edit("merge", [23, 24])
    lost = step.findChild(LostPanel)
    assert lost.isHidden()
    menu = bring_in_menu(proofreading, step)
    chosen = [action for action in menu.actions() if action.text().startswith("first, 2 edits")]
    assert len(chosen) == 1
    chosen[0].trigger()
    qtbot.waitUntil(lambda: proofreading.editor is not None, timeout=PATIENCE_MS)
    assert "1 edit was brought in, 1 could not be made." in step.said.text()
    operations = [(item.operation, item.place) for item in proofreading.editor.history]
    assert [operation for operation, _ in operations] == ["merge", "merge"]
    shown = np.asarray(proofreading.layer.data[0])
    assert shown[0, 0] == shown[0, 13] != shown[13, 0]
    assert lost.isVisible()
    model = lost.model
    assert "voxels now, not" in model.data(model.index(0, 1))
    view = lost.table.viewport()
    where = lost.table.visualRect(model.index(0, 0)).center()
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=where)
    assert tuple(viewer.dims.current_step[:1]) == (model.lost[0].place[0],)
    # The grid stays, also where no raw sections tell it.
    scale = tuple(layer_scale(workspace, "anew"))
    assert tuple(proofreading.layer.scale) == scale
    proofreading.edit("rename", int(shown[0, 0]), "both")
    folder = proofreading.folder
    step.finish()
    context = workspace.context
    qtbot.waitUntil(lambda: not context.jobs.is_busy(LAYER_JOB), timeout=PATIENCE_MS)
    corrected = context.layer("segmentation")
    assert corrected.name.endswith("corrected")
    assert tuple(corrected.scale) == scale
    assert lost.isHidden()
    proofreading.resume(folder)
    qtbot.waitUntil(lambda: proofreading.editor is not None, timeout=PATIENCE_MS)
    assert proofreading.editor.position == 3
    # What cannot be read is said, and nothing is closed for it.
    damaged = folder.log.with_name("damaged.jsonl")
    damaged.write_text("no log")
    proofreading.bring_in(damaged)
    qtbot.waitUntil(lambda: proofreading.editor is not None, timeout=PATIENCE_MS)
    assert "is no log of edits" in step.said.text()
    assert proofreading.editor.position == 3
    proofreading.bring_in(folder.log)
    step.stop()
    qtbot.waitUntil(lambda: proofreading.editor is not None, timeout=PATIENCE_MS)
    assert proofreading.editor.position == 3
    proofreading.finish()


def layer_scale(workspace: Workspace, name: str) -> np.ndarray:
    return np.asarray(workspace.context.viewer.layers[name].scale)

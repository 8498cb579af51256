"""What is painted survives the program: written as it is painted, offered to the next window."""

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
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from tests.gui.conftest import PATIENCE_MS
from tests.gui.train_fakes import paint_some, raw_stack

from napari_emseg.gui.context import Context
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.painting.journal import take_left
from napari_emseg.gui.painting.layer import add_painting, is_painting
from napari_emseg.gui.session_bar import SessionBar
from napari_emseg.gui.train.paint_keeper import painting_keeper_of
from napari_emseg.gui.train.paint_offers import painting_offers_of
from napari_emseg.gui.train.take_back import TakeBack
from napari_emseg.gui.train.wishes import wishes_of

PAINT_AND_WAIT = """
import napari
from qtpy.QtTest import QTest
from tests.gui.train_fakes import paint_some, raw_stack
from napari_emseg.gui.context import context_of
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.painting.journal import journals_folder
from napari_emseg.gui.train.paint_keeper import painting_keeper_of
from napari_emseg.gui.train.wishes import wishes_of
viewer = napari.Viewer(show=False)
add_volume(viewer, raw_stack())
painting_keeper_of(context_of(viewer))
paint_some(wishes_of(context_of(viewer)).new_painting(), 1, 3)
while len(list(journals_folder().glob("*/*.npz"))) < 2:
    QTest.qWait(50)
print("painted", flush=True)
QTest.qWait(60_000)
"""


@pytest.fixture
def context(qtbot: Any) -> Iterator[Context]:
    """A viewer with a stack; nothing here needs its window."""
    made = Context(ViewerModel())
    add_volume(made.viewer, raw_stack())
    yield made
    made.close()


@pytest.fixture
def row(context: Context, qtbot: Any) -> TakeBack:
    """What offers paint."""
    made = TakeBack(context)
    qtbot.addWidget(made)
    return made


def wait_for_sections(context: Context, layer: Any, qtbot: Any, *sections: int) -> Any:
    keeper = painting_keeper_of(context)

    def is_kept() -> bool:
        journal = keeper.journal_of(layer)
        return journal is not None and journal.sections == sections

    qtbot.waitUntil(is_kept, timeout=PATIENCE_MS)
    return keeper.journal_of(layer)


def press(qtbot: Any, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_killed_window_s_paint_is_offered_to_the_next(
    context: Context, row: TakeBack, qtbot: Any
) -> None:
    viewer = context.viewer
    program = subprocess.Popen(
        [sys.executable, "-c", PAINT_AND_WAIT],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "painted\n"
    assert take_left() == []  # it still paints
    os.kill(program.pid, signal.SIGKILL)
    program.wait()
    program.stdout.close()
    other = add_volume(viewer, raw_stack("another", depth=2))
    context.set_layer("raw", other)
    offers = painting_offers_of(context)
    qtbot.waitUntil(lambda: bool(offers._left), timeout=PATIENCE_MS)
    assert not row.is_due  # it is of another stack
    context.set_layer("raw", viewer.layers["stack"])
    assert row.isVisibleTo(row.parentWidget())
    words = row.words.text()
    assert words.startswith("'stack painting' was not saved: paint in 2 sections, last painted ")
    assert row.is_due
    press(qtbot, row.take_button)
    assert not row.is_due
    qtbot.waitUntil(lambda: wishes_of(context).layer("labels") is not None, timeout=PATIENCE_MS)
    layer: Any = wishes_of(context).layer("labels")
    expected = add_painting(viewer, viewer.layers["stack"])
    paint_some(expected, 1, 3)
    assert np.array_equal(layer.data, expected.data)
    assert np.array_equal(layer.scale, expected.scale)
    assert layer.units == expected.units
    assert is_painting(layer)
    assert take_left() == []  # this window goes on with it
    paint_some(layer, 0)
    wait_for_sections(context, layer, qtbot, 0, 1, 3)


def test_strokes_and_undo_reach_the_disk(context: Context, qtbot: Any) -> None:
    keeper = painting_keeper_of(context)
    layer: Any = add_painting(context.viewer, context.layer("raw"))
    layer.data[4, 5] = 1  # was there before anybody painted
    paint_some(layer, 2)
    journal = wait_for_sections(context, layer, qtbot, 2, 4)
    for section in (0, 1, 2):
        context.viewer.dims.set_current_step(0, section)  # tells of new voxels, too
    assert not keeper._kept[0].dirty
    layer.undo()
    layer.undo()
    wait_for_sections(context, layer, qtbot, 4)
    layer.redo()
    wait_for_sections(context, layer, qtbot, 2, 4)
    sections, _ = journal.read()
    assert np.array_equal(sections[2], layer.data[2])
    add_painting(context.viewer, context.layer("raw"))  # is not painted in
    context.close()  # the window is closed, and nothing saved
    (left,) = take_left()
    assert left.folder == journal.folder


def test_painted_over_labels_come_back_where_they_were(
    context: Context, row: TakeBack, qtbot: Any
) -> None:
    viewer, offers = context.viewer, painting_offers_of(context)
    ids = np.full((5, 60, 76), 9, np.int32)
    neurons: Any = viewer.add_labels(ids.copy(), name="neurons")
    wishes_of(context).set_layer("labels", neurons)
    neurons.data_setitem((np.array([3]), np.array([7]), np.array([8])), 0)
    journal = wait_for_sections(context, neurons, qtbot, 3)
    viewer.layers.remove(neurons)
    assert row.words.text() == "'neurons' was deleted: paint in 1 section."
    again: Any = viewer.add_labels(ids.copy(), name="neurons")
    press(qtbot, row.take_button)
    qtbot.waitUntil(lambda: painting_keeper_of(context).journal_of(again) is journal)
    assert np.argwhere(again.data != 9).tolist() == [[3, 7, 8]]
    again.undo()
    assert np.array_equal(again.data, ids)
    assert offers.present == []


def test_what_is_deleted_or_thrown_away_can_be_had_back_for_a_while(
    context: Context, row: TakeBack, qtbot: Any, paintings_folder: Path
) -> None:
    viewer, offers = context.viewer, painting_offers_of(context)
    layer: Any = add_painting(viewer, context.layer("raw"))
    paint_some(layer, 2)
    before = layer.data.copy()
    viewer.layers.remove(layer)  # sooner than anything was written
    assert row.words.text() == "'stack painting' was deleted: paint in 1 section."
    press(qtbot, row.take_button)
    qtbot.waitUntil(lambda: "stack painting" in viewer.layers, timeout=PATIENCE_MS)
    assert np.array_equal(viewer.layers["stack painting"].data, before)
    painting_keeper_of(context).journal_of(viewer.layers["stack painting"]).release()  # type: ignore[union-attr]
    offers._look()  # as another window would find it
    qtbot.waitUntil(lambda: row.words.text().startswith("'stack painting' was not saved"))
    assert row.throw_button.text() == "Throw away"
    press(qtbot, row.throw_button)
    assert row.words.text() == "'stack painting' was thrown away: paint in 1 section."
    assert len(list(paintings_folder.glob("*/*.npz"))) == 1
    offers._expire()
    assert offers.present == []
    assert list(paintings_folder.iterdir()) == []


def test_a_saved_session_closes_the_journal_of_what_it_holds(
    context: Context, qtbot: Any, tmp_path: Path, paintings_folder: Path
) -> None:
    keeper, bar = painting_keeper_of(context), SessionBar(context)
    qtbot.addWidget(bar)
    layer: Any = add_painting(context.viewer, context.layer("raw"))
    paint_some(layer, 2)
    wait_for_sections(context, layer, qtbot, 2)
    bar.save_to(tmp_path / "a.emseg")
    paint_some(layer, 4)  # while it is being saved
    qtbot.waitUntil(lambda: not context.jobs.is_busy("save"), timeout=PATIENCE_MS)
    wait_for_sections(context, layer, qtbot, 2, 4)
    bar.save_to(tmp_path / "a.emseg")
    qtbot.waitUntil(lambda: keeper.journal_of(layer) is None, timeout=PATIENCE_MS)
    assert list(paintings_folder.iterdir()) == []
    paint_some(layer, 0)
    wait_for_sections(context, layer, qtbot, 0, 2, 4)  # all of it again


@pytest.mark.skipif(sys.platform == "win32", reason="a file is no folder elsewhere")
def test_a_disk_that_fails_is_told_once_and_painting_goes_on(
    context: Context, qtbot: Any, notices: list[str], paintings_folder: Path
) -> None:
    paintings_folder.touch()
    layer: Any = add_painting(context.viewer, context.layer("raw"))
    painting_keeper_of(context)
    for section in (1, 3):
        paint_some(layer, section)
        qtbot.waitUntil(lambda: len(notices) == 1, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: not context.jobs.is_busy("keep paint"), timeout=PATIENCE_MS)
    assert notices[0].startswith("Strokes are only in memory (")
    assert notices[0].endswith("): save the session now and then.")
    paintings_folder.unlink()
    paint_some(layer, 4)
    wait_for_sections(context, layer, qtbot, 1, 3, 4)
    assert len(notices) == 1

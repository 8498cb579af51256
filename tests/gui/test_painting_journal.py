"""Paint on disk: what was written is whole, whenever the program is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.gui.painting.journal import About, PaintingJournal, take_left

SHAPE = (7, 20, 31)
ABOUT = About(layer="strokes", shape=SHAPE, dtype="|u1", fingerprint="2-aa-")
PAINT_FOR_EVER = """
import itertools, sys
import numpy as np
from napari_emseg.gui.painting.journal import About, PaintingJournal
about = About(layer="strokes", shape=(3, 400, 500), dtype="<u4")
journal, data = PaintingJournal.create(about), np.empty((3, 400, 500), np.uint32)
for number in itertools.count(1):
    data[:] = number
    data[1, :, number % 500] = 0
    journal.keep(data, (0, 1), about)
    if number == 2:
        print("painting", flush=True)
"""


def painted() -> np.ndarray:
    data = np.zeros(SHAPE, np.uint8)
    data[2, 3:9], data[5, :, 4] = 1, 2
    return data


def test_only_painted_sections_cost_anything(paintings_folder: Path) -> None:
    journal = PaintingJournal.create(ABOUT)
    data = painted()
    journal.keep(data, range(7), ABOUT)
    assert journal.sections == (2, 5)
    assert sum(path.stat().st_size for path in journal.folder.iterdir()) < 2000
    sections, damaged = journal.read()
    assert damaged == ()
    assert all(np.array_equal(sections[z], data[z]) for z in (2, 5))
    data[2] = 0  # undone
    journal.keep(data, (2,), ABOUT)
    assert journal.sections == (5,)


def test_of_other_labels_also_what_was_erased_is_kept() -> None:
    about = ABOUT.model_copy(update={"is_painting": False})
    journal = PaintingJournal.create(about)
    journal.keep(painted(), (0, 2), about)
    assert journal.sections == (0, 2)


def test_a_section_is_written_again_only_when_it_differs() -> None:
    journal = PaintingJournal.create(ABOUT)
    data = painted()
    journal.keep(data, (2, 5), ABOUT)
    before = {z: (journal.folder / f"{z:06}.npz").stat().st_mtime_ns for z in (2, 5)}
    data[5, 0, 0] = 1
    journal.keep(data, (2, 5), ABOUT)
    after = {z: (journal.folder / f"{z:06}.npz").stat().st_mtime_ns for z in (2, 5)}
    assert after[2] == before[2]
    assert after[5] > before[5]


def test_what_a_window_holds_is_not_offered_to_another() -> None:
    journal = PaintingJournal.create(ABOUT)
    journal.keep(painted(), range(7), ABOUT)
    assert take_left() == []
    journal.release()
    (found,) = take_left()
    assert (found.about, found.sections) == (ABOUT, (2, 5))
    assert take_left() == []  # the first to look has it
    found.remove()
    assert take_left() == []


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_killed_while_it_writes_it_leaves_whole_sections(paintings_folder: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PAINT_FOR_EVER], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "painting\n"
    assert take_left() == []  # it lives
    os.kill(program.pid, signal.SIGKILL)
    program.wait()
    program.stdout.close()
    (journal,) = take_left()
    sections, damaged = journal.read()
    assert damaged == ()
    assert sections.keys() == {0, 1}
    assert np.unique(sections[0]).size == 1  # of one moment
    assert 0 <= int(sections[0][0, 0]) - int(sections[1].max()) <= 1
    journal.remove()
    assert list(paintings_folder.iterdir()) == []


def test_a_section_that_the_disk_has_spoiled_costs_no_other() -> None:
    journal = PaintingJournal.create(ABOUT)
    journal.keep(painted(), range(7), ABOUT)
    file = journal.folder / "000002.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    np.savez(journal.folder / "000003.npz", section=np.zeros((9, 9), np.uint8))
    np.savez(journal.folder / "000004.npz", section=np.array([{}], object))
    sections, damaged = journal.read()
    assert (list(sections), damaged) == ([5], (2, 3, 4))


@pytest.mark.parametrize("content", ["", "[" * 100_000, '{"layer": 3}'])
def test_a_folder_of_something_else_is_left_alone(content: str, paintings_folder: Path) -> None:
    (paintings_folder / "x").mkdir(parents=True)
    (paintings_folder / "x" / "about.json").write_text(content)
    assert take_left() == []
    assert (paintings_folder / "x").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="a file is no folder elsewhere")
def test_where_nothing_can_be_written_it_is_said(
    paintings_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paintings_folder.touch()
    with pytest.raises(InputError, match="Paint is not kept on disk"):
        PaintingJournal.create(ABOUT)

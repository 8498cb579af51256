"""Every edit is on the disk before it is seen: torn lines, kills, other fragments."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.proofreading.killed_editor import summary
from tests.proofreading.worlds import VOXEL_SIZE_NM, edit_at_random, make_segmentation

from napari_emseg import InputError, Proofreader, Segmentation, Volume
from napari_emseg.proofreading import Delta, read_log
from napari_emseg.proofreading.log import pack
from napari_emseg.proofreading.runs import VoxelRuns

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "edits.jsonl"


def _labels(*ids: int) -> Volume:
    row = np.array([[[*ids]]], np.uint16)
    return Volume(row, kind="labels", voxel_size_nm=VOXEL_SIZE_NM, offset_nm=(0, 0, 100))


def test_a_line_tells_what_was_done_where_and_by_whom(log: Path) -> None:
    editor = Proofreader(_labels(1, 1, 1, 2), log=log, who="Ada")
    editor.merge([1, 2], positions=[(0, 0, 2), (0, 0, 3)])
    editor.undo()
    header, edit, undo = (json.loads(line) for line in log.read_text().splitlines())
    assert header["format"] == "napari-emseg edits"
    assert header["voxel_size_nm"] == list(VOXEL_SIZE_NM)
    assert {k: edit[k] for k in ("n", "who", "operation", "before", "after")} == {
        "n": 1,
        "who": "Ada",
        "operation": "merge",
        "before": [1, 2],
        "after": [1],
    }
    assert edit["positions"] == [[[0, 0, 110]], [[0, 0, 115]]]  # nm, with the offset
    assert edit["time"].endswith("Z")
    assert edit["seconds"] >= 0
    assert {k: undo[k] for k in ("n", "operation", "to")} == {"n": 2, "operation": "undo", "to": 0}


def test_an_edit_is_in_the_file_before_it_is_made(log: Path) -> None:
    editor = Proofreader(_labels(1, 2), log=log)
    seen = []
    editor.on_change(lambda _: seen.append(len(log.read_text().splitlines())))
    editor.merge([1, 2])
    editor.undo()
    assert seen == [2, 3]


def test_opening_a_log_goes_on_with_it(log: Path) -> None:
    segmentation, boundary = make_segmentation(1)
    random_edits = np.random.default_rng(1)
    for _ in range(3):
        editor = Proofreader(segmentation, boundary=boundary, log=log)
        edit_at_random(editor, random_edits, 5)
        said = summary(editor)
        editor.close()
        assert summary(Proofreader.replay(log, segmentation, boundary=boundary)) == said


def test_a_torn_last_line_is_left_out_and_written_over(log: Path) -> None:
    labels = _labels(1, 2, 3)
    with_two = Proofreader(labels, log=log)
    with_two.merge([1, 2])
    said = summary(with_two)
    with_two.merge([1, 3])
    with_two.close()
    whole = log.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last, len(whole)):
        log.write_bytes(whole[:cut])
        assert len(read_log(log).entries) == 1
    editor = Proofreader(labels, log=log)
    assert summary(editor) == said
    editor.merge([3, 1])
    editor.close()
    assert len(read_log(log).entries) == 2


def test_any_other_damage_is_refused_by_line(log: Path) -> None:
    editor = Proofreader(_labels(1, 2, 3), log=log)
    editor.merge([1, 2])
    editor.undo()
    editor.close()
    lines = log.read_bytes().splitlines(keepends=True)
    for damaged in (
        [lines[0], lines[1][:-9] + b"\n", lines[2]],
        [lines[0], lines[2]],
        [lines[0], lines[1], lines[1]],
        [lines[0], b"[]\n", lines[2]],
    ):
        log.write_bytes(b"".join(damaged))
        with pytest.raises(InputError, match=r"Line [23] of .* is damaged"):
            read_log(log)
    far = VoxelRuns((0, 0, 2), (1, 1, 9), np.array([8]), np.array([1]), _ids(3), _ids(4))
    for delta in (
        "AAAA",
        pack(Delta(_ids(2**32 - 2), _ids(0), _ids(1))),
        pack(Delta(_ids(2), _ids(3), _ids(1))),
        pack(Delta(_ids(4), _ids(0), _ids(1), voxels=far)),
    ):
        entry = {**json.loads(lines[1]), "delta": delta}
        log.write_bytes(lines[0] + json.dumps(entry).encode() + b"\n")
        with pytest.raises(InputError, match=r"Edit 1 of .* cannot be made again"):
            Proofreader(_labels(1, 2, 3), log=log)


def _ids(*ids: int) -> np.ndarray:
    return np.array(ids, np.uint32)


def test_a_log_of_other_fragments_is_refused_by_name(log: Path) -> None:
    Proofreader(_labels(1, 2, 3), log=log).close()
    with pytest.raises(InputError, match=r"edits.jsonl holds edits of other fragments"):
        Proofreader(_labels(1, 1, 3), log=log)
    with pytest.raises(InputError, match=r"1 x 1 x 3 voxels, but this one has 1 x 1 x 2"):
        Proofreader.replay(log, _labels(1, 2))


@pytest.mark.parametrize("content", ["z,y,x\n1,2,3\n", "{}\n", "half a line"])
def test_another_file_is_never_written_over(log: Path, content: str) -> None:
    log.write_text(content)
    with pytest.raises(InputError, match="is no log of edits"):
        Proofreader(_labels(1, 2), log=log)
    assert log.read_text() == content


def test_a_log_killed_while_it_was_made_is_made_again(log: Path) -> None:
    Proofreader(_labels(1, 2), log=log).close()
    first = log.read_bytes()
    for n in (0, 1, 15, len(first) - 1):
        log.write_bytes(first[:n])
        editor = Proofreader(_labels(1, 2), log=log)
        editor.merge([1, 2])
        editor.close()
        assert len(read_log(log).entries) == 1


def test_a_disk_that_fails_leaves_segmentation_and_log_as_they_were(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = Proofreader(_labels(1, 2, 3), log=log)
    editor.merge([1, 2])
    said, content = summary(editor), log.read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    for attempt in (lambda: editor.merge([1, 3]), editor.undo):
        with pytest.raises(InputError, match=r"The edit was not made.*the disk is full"):
            attempt()
    assert summary(editor) == said
    assert log.read_bytes() == content
    monkeypatch.undo()
    editor.merge([1, 3])
    assert len(read_log(log).entries) == 2


def test_two_windows_on_one_log_do_not_mix_their_edits(log: Path) -> None:
    one, two = (Proofreader(_labels(1, 2, 3), log=log) for _ in "ab")
    one.merge([1, 2])
    with pytest.raises(InputError, match="Another window has written"):
        two.merge([2, 3])
    assert two.history == ()
    assert len(read_log(log).entries) == 1


def test_every_edit_said_is_back_after_a_kill(log: Path) -> None:
    """A real process, killed with -9 at random moments, goes on where it was."""
    moments = random.Random(5)
    segmentation, boundary = make_segmentation(0)
    for seed in range(2):
        said = kill_editor(log, seed, moments.uniform(0.05, 0.6))
        assert_all_back(log, said, segmentation, boundary)


def kill_editor(log: Path, seed: int, seconds: float) -> list[str]:
    """Run the editor, kill it some time after it was ready; return what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.proofreading.killed_editor", str(log), str(seed)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    time.sleep(seconds)
    process.kill()
    said = process.stdout.read().splitlines(keepends=True)
    process.wait()
    return [line.strip() for line in said if line.endswith("\n")]


def assert_all_back(
    log: Path, said: list[str], segmentation: Segmentation, boundary: Volume
) -> None:
    """Compare with the last line said; one more edit may have reached the disk unsaid."""
    back = Proofreader.replay(log, segmentation, boundary=boundary)
    if not said:
        return
    n_said = int(said[-1].split()[0])
    assert back.n_entries in (n_said, n_said + 1)
    if back.n_entries > n_said:
        lines = log.read_bytes().splitlines(keepends=True)
        shorter = log.with_name("shorter.jsonl")
        shorter.write_bytes(b"".join(lines[: n_said + 1]))
        back = Proofreader.replay(shorter, segmentation, boundary=boundary)
    assert summary(back) == said[-1]

"""``emseg proofread`` gives the labels a window showed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.proofreading.worlds import edit_at_random, make_map

from napari_emseg import Proofreader, Volume, build_hierarchy, open_volume, save_volume
from napari_emseg.cli import main
from napari_emseg.session import Session
from napari_emseg.session.file import save_session

SIZE = (50.0, 4.0, 4.0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rooms = np.repeat(np.arange(1, 7, dtype=np.uint16), 4)
    labels = Volume(np.broadcast_to(rooms, (2, 9, 24)), kind="labels", voxel_size_nm=SIZE)
    save_volume(labels, "rooms.tif")
    return tmp_path


def _run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, Any], str]:
    code = main(["proofread", *argv, "--json", "--quiet"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def test_replay_of_labels(capsys: pytest.CaptureFixture[str]) -> None:
    editor = Proofreader(open_volume("rooms.tif", kind="labels"), log="edits.jsonl")
    editor.merge([1, 2])
    editor.split([[(0, 4, 9)], [(1, 4, 11)]])
    code, report, err = _run(capsys, "replay", "edits.jsonl", "rooms.tif", "out.tif")
    assert code == 0, err
    assert (report["edits"], report["segments"]) == (2, 6)
    written = open_volume("out.tif", kind="labels")
    np.testing.assert_array_equal(written.read(), editor.view[...])
    assert written.voxel_size_nm == SIZE


def test_replay_on_the_fragments_of_a_session(capsys: pytest.CaptureFixture[str]) -> None:
    boundary = make_map(1)
    hierarchy = build_hierarchy(boundary, sigma_px=0.5, mode="3d")
    cut = hierarchy.cut(0.05)
    save_session("work.emseg", Session(), hierarchy=hierarchy, segment_of=cut.segment_of)
    editor = Proofreader(cut, boundary=boundary, log="edits.jsonl")
    edit_at_random(editor, np.random.default_rng(3), 5)
    code, _, err = _run(capsys, "replay", "edits.jsonl", "work.emseg", "out.h5:/labels")
    assert code == 0, err
    written = open_volume("out.h5:/labels", kind="labels").read()
    np.testing.assert_array_equal(written, editor.view[...])


def test_carry_and_join(capsys: pytest.CaptureFixture[str]) -> None:
    labels = open_volume("rooms.tif", kind="labels")
    for name, pair in (("a.jsonl", [1, 2]), ("b.jsonl", [4, 5])):
        Proofreader(labels, log=name, who=name[0]).merge(pair)
    code, report, err = _run(
        capsys, "join", "a.jsonl", "rooms.tif", "out.tif", "--other", "b.jsonl", "--new-log", "c"
    )
    assert code == 0, err
    assert (report["edits"], report["segments"], report["not_carried"]) == (2, 4, [])
    remade = labels.derive(np.where(labels.read() == 4, 0, labels.read()), kind="labels")
    save_volume(remade, "remade.tif")
    code, report, _ = _run(capsys, "carry", "c", "remade.tif", "out.tif")
    assert (code, report["edits"]) == (0, 1)
    assert report["not_carried"][0]["who"] == "b"
    assert main(["proofread", "carry", "c", "remade.tif", "out.tif", "--quiet"]) == 0
    assert "not made: edit 2 of b, Merged segment" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["replay", "none.jsonl", "rooms.tif", "out.tif"], "cannot be read"),
        (["replay", "rooms.tif", "rooms.tif", "out.tif"], "is no log of edits"),
        (["replay", "a", "rooms.tif", "rooms.tif"], "replace its own input"),
        (["join", "a", "rooms.tif", "out.tif"], "needs --other"),
        (["replay", "a", "rooms.tif", "out.tif", "--other", "b"], "--other is for join"),
        (["carry", "a", "rooms.tif", "out.tif", "--new-log", "rooms.tif"], "exists already"),
    ],
)
def test_faults_are_one_sentence(
    capsys: pytest.CaptureFixture[str], argv: list[str], sentence: str
) -> None:
    code, _, err = _run(capsys, *argv)
    assert code == 2
    assert sentence in err

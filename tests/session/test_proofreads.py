"""A proofreading is found again by its labels, travels in a session, and is never overwritten."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.proofreading import Proofreader
from napari_emseg.segmentation import Segmentation
from napari_emseg.session import Session, load_session, save_session
from napari_emseg.session.proofreads import (
    ProofreadFolder,
    bring_in,
    create_folder,
    folder_of,
    list_folders,
    open_folder,
    pack_folder,
    remove_unused,
    unpack_folder,
)
from napari_emseg.steps.fingerprint import fingerprint
from napari_emseg.steps.proofread import prepare
from napari_emseg.volume import Volume


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMSEG_PROOFREADING", str(tmp_path / "kept"))
    return tmp_path / "kept"


def some_labels(shift: int = 0) -> Volume:
    data = np.zeros((2, 9, 12), np.uint32)
    for k, label in enumerate((3, 5, 4_000_000_000 + shift)):
        data[:, :8, 4 * k : 4 * k + 4] = label
    return Volume(data, kind="labels", name="cells / 1", voxel_size_nm=(40, 4, 4))


def make(labels: Volume) -> ProofreadFolder:
    raw = Volume(np.arange(216, dtype=np.uint8).reshape(2, 9, 12), voxel_size_nm=(40, 4, 4))
    return create_folder(
        labels, prepare(labels), known_by=fingerprint(labels), session=Session(), raw=raw
    )


def edit(folder: ProofreadFolder) -> Proofreader:
    saved = folder.open()
    assert saved.fragments is not None
    assert saved.segment_of is not None
    return Proofreader(Segmentation(saved.fragments, saved.segment_of), log=folder.log)


def test_the_same_labels_find_their_edits() -> None:
    folder = make(some_labels())
    editor = edit(folder)
    editor.merge([3, 5])
    editor.close()
    found = folder_of(fingerprint(some_labels()), "cells / 1")
    assert found == folder
    assert found.n_edits == 1
    again = edit(found)
    assert np.array_equal(again.view[0], editor.view[0])
    assert folder.open().raw is not None
    assert folder_of(fingerprint(some_labels(1)), "cells / 1") is None


def test_a_second_one_of_that_name_lies_beside(place: Path) -> None:
    one, two = make(some_labels()), make(some_labels(1))
    assert one.path != two.path
    assert {folder.path for folder in list_folders()} == {one.path, two.path}


def test_a_session_takes_it_along(tmp_path: Path) -> None:
    folder = make(some_labels())
    editor = edit(folder)
    editor.merge([3, 5])
    target = save_session(tmp_path / "s", Session(), proofreading=pack_folder(folder))
    packed = load_session(target).proofreading
    assert packed is not None
    editor.undo()  # gone on with after the session was saved
    assert unpack_folder(packed) == folder
    assert folder.n_edits == 2
    editor.close()
    os.rename(folder.path, tmp_path / "elsewhere")  # another computer
    arrived = unpack_folder(packed)
    assert edit(arrived).segmentation.n_segments == 2


def test_edits_of_another_log_are_not_overwritten(tmp_path: Path) -> None:
    folder = make(some_labels())
    editor = edit(folder)
    editor.merge([3, 5])
    packed = pack_folder(folder)
    editor.close()
    folder.log.unlink()
    other = edit(folder)
    other.mark_done([3])
    arrived = unpack_folder(packed)
    assert arrived.path != folder.path
    assert "mark_done" in folder.log.read_text()


def test_only_old_ones_without_edits_are_removed() -> None:
    used, unused, young = (make(some_labels(k)) for k in range(3))
    edit(used).merge([3, 5])
    edit(young)
    long_ago = time.time() - 60 * 24 * 3600
    for path in (used.log, unused.start):
        os.utime(path, (long_ago, long_ago))
    remove_unused()
    assert {folder.path for folder in list_folders()} == {used.path, young.path}


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no proofreading"):
        open_folder(tmp_path)


def test_the_shell_makes_the_edits_of_a_folder_again(tmp_path: Path) -> None:
    from napari_emseg import open_volume
    from napari_emseg.cli.main import main

    folder = make(some_labels())
    editor = edit(folder)
    editor.merge([3, 5])
    editor.close()
    out = tmp_path / "out.tif"
    arguments = [str(folder.log), str(folder.start), str(out), "--quiet"]
    assert main(["proofread", "replay", *arguments]) == 0
    assert np.array_equal(open_volume(out, kind="labels").read(), editor.view[...])


def made_anew() -> Volume:
    """Other ids; the third cell is in four pieces."""
    data = np.zeros((2, 9, 12), np.uint32)
    data[:, :8, :4], data[:, :8, 4:8] = 8, 2
    data[:, :8, 8:] = [6, 7, 9, 10]
    return Volume(data, kind="labels", name="cells / 2", voxel_size_nm=(40, 4, 4))


def test_edits_of_earlier_labels_are_brought_in() -> None:
    """What fits is made after one's own, the rest is listed; both proofreadings stay."""
    earlier, folder = make(some_labels()), make(made_anew())
    assert earlier.shape == ()  # nothing was edited yet
    theirs = edit(earlier)
    theirs.merge([3, 5])
    theirs.mark_done([4_000_000_000])
    theirs.close()
    assert earlier.shape == (2, 9, 12)
    mine = edit(folder)
    mine.rename(2, "mine")
    mine.close()
    before = folder.log.read_bytes()
    brought = bring_in(folder, earlier.log)
    assert (brought.n_brought, brought.n_needless) == (1, 0)
    (lost,) = brought.lost
    assert lost.reason == "The segment there has 16 voxels now, not 64."
    assert brought.folder.path not in (folder.path, earlier.path)
    assert folder.log.read_bytes() == before
    again = edit(brought.folder)
    assert [item.operation for item in again.history] == ["rename", "merge"]
    assert again.view[0][0, 0] == again.view[0][0, 4]
    again.close()
    # Once more: what was made already is not made twice, and no folder is left behind.
    n = len(list_folders())
    once_more = bring_in(brought.folder, earlier.log)
    assert (once_more.n_brought, once_more.n_needless, once_more.folder) == (0, 1, brought.folder)
    assert len(list_folders()) == n


def test_what_both_had_before_they_parted_is_made_once(tmp_path: Path) -> None:
    folder = make(some_labels())
    editor = edit(folder)
    editor.merge([3, 5])
    editor.close()
    packed = pack_folder(folder)
    os.rename(folder.path, tmp_path / "mine")
    theirs = edit(unpack_folder(packed))
    theirs.paint(np.ones((1, 2, 2), bool), 3, origin=(0, 0, 8))
    theirs.close()
    os.rename(folder.path, tmp_path / "theirs")
    mine = open_folder(tmp_path / "mine")
    brought = bring_in(mine, tmp_path / "theirs" / "edits.jsonl")
    assert (brought.n_brought, brought.n_needless, brought.lost) == (1, 1, ())
    made = edit(brought.folder)
    assert [item.operation for item in made.history] == ["merge", "paint"]
    # Nothing is made twice, nor again what was undone here.
    made.undo()
    made.close()
    again = bring_in(brought.folder, tmp_path / "theirs" / "edits.jsonl")
    assert (again.n_brought, again.n_needless, again.lost) == (0, 2, ())


def test_a_log_that_is_none_changes_nothing(tmp_path: Path) -> None:
    folder = make(some_labels())
    (tmp_path / "no.jsonl").write_text("{}")
    with pytest.raises(InputError, match="is no log of edits"):
        bring_in(folder, tmp_path / "no.jsonl")
    assert [other.path for other in list_folders()] == [folder.path]


def test_folders_being_written_are_nobodys(place: Path) -> None:
    """They are not listed, and their place is not given to another."""
    from napari_emseg.session.proofreads import _new_folder

    make(some_labels())
    with _new_folder("cells / 1") as (target, temporary):
        assert len(list_folders()) == 1
        for path in list_folders()[0].path.iterdir():
            (temporary / path.name).write_bytes(path.read_bytes())
        other = make(some_labels(1))
        assert other.path not in (target, temporary)
        assert {folder.path for folder in list_folders()} == {
            other.path,
            place / "cells_1.proofread",
        }
    assert len(list_folders()) == 3
    with pytest.raises(RuntimeError), _new_folder("cells / 1"):
        raise RuntimeError
    assert len(list(place.iterdir())) == 3

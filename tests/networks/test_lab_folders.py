"""The folders of a lab are remembered, also when they cannot be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_emseg.errors import InputError
from napari_emseg.networks.lab_folders import add_lab_folder, lab_folders, remove_lab_folder


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMSEG_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def test_folders_are_added_once_and_removed(tmp_path: Path) -> None:
    one, two = tmp_path / "Labör 1", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    assert lab_folders() == ()
    add_lab_folder(one)
    add_lab_folder(str(two) + "/")
    assert add_lab_folder(one) == (one, two) == lab_folders()
    one.rmdir()
    assert lab_folders() == (one, two)  # a drive that is not connected today
    assert remove_lab_folder(one) == (two,) == lab_folders()
    assert remove_lab_folder(one) == (two,)


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no folder"):
        add_lab_folder(tmp_path / "nowhere")


BAD = ["", "{", "[]", '{"lab_folders": 3}', '{"lab_folders": [3]}', '{"lab_folders": [""]}']


@pytest.mark.parametrize("text", BAD)
def test_a_damaged_list_is_an_empty_one(text: str, config: Path, tmp_path: Path) -> None:
    config.mkdir()
    (config / "lab_folders.json").write_text(text)
    assert lab_folders() == ()
    assert add_lab_folder(tmp_path) == (tmp_path,)


def test_a_folder_that_cannot_be_made_is_named(config: Path, tmp_path: Path) -> None:
    config.write_text("a file in its place")
    with pytest.raises(InputError, match="cannot be made"):
        add_lab_folder(tmp_path)

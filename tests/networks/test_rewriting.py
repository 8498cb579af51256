"""Changing the description of a model file leaves its numbers alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load, save

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import METADATA_KEY, ModelInfo, read_info
from napari_emseg.networks.rewriting import rewrite_metadata, rewrite_title, with_metadata


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    info = ModelInfo(network="unet2d", title="Mine", scores={"v_rand": 0.9})
    save_model(path, build_network("unet2d", "tiny"), info)
    return path


def split(path: Path) -> tuple[dict, bytes]:
    content = path.read_bytes()
    stop = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:stop]), content[stop:]


def test_another_title_changes_nothing_else(model_file: Path) -> None:
    before, (_, numbers) = read_info(model_file), split(model_file)
    rewrite_title(model_file, "Köder, 神経")
    assert read_info(model_file) == before.model_copy(update={"title": "Köder, 神経"})
    header, same_numbers = split(model_file)
    assert same_numbers == numbers
    assert (len(model_file.read_bytes()) - len(numbers)) % 8 == 0
    assert header["__metadata__"].keys() == {METADATA_KEY}


def test_entries_come_and_go(model_file: Path) -> None:
    rewrite_metadata(model_file, {"mine": "1", "other": "2"})
    with safe_open(model_file, framework="numpy") as file:
        assert file.metadata()["mine"] == "1"
    rewrite_metadata(model_file, {"mine": None, "never": None})
    assert split(model_file)[0]["__metadata__"].keys() == {METADATA_KEY, "other"}


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=4))
def test_any_text_comes_back_by_the_official_library(metadata: dict[str, str]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(with_metadata(save({}), metadata))
        with safe_open(path, framework="numpy") as file:
            assert (file.metadata() or {}) == metadata
        assert load(path.read_bytes()) == {}


def test_what_is_no_model_of_ours_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(save({}, {"format": "pt"}))
    content = path.read_bytes()
    with pytest.raises(InputError):
        rewrite_title(path, "Mine")
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == [path.name]

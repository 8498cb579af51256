"""A list of models that follows the library and never changes the choice by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gui.test_model_library import save_model_at

from napari_emseg.gui.context import Context
from napari_emseg.gui.models.combo import ModelCombo


class _Viewer:
    """As much of a viewer as a context without layers needs."""

    def __init__(self) -> None:
        from napari.components import LayerList

        self.layers = LayerList()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundled model "fly", and room for one's own."""
    made = {name: tmp_path / name for name in ("bundled", "own")}
    for path in made.values():
        path.mkdir()
    monkeypatch.setenv("EMSEG_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("EMSEG_MODELS", str(made["own"]))
    monkeypatch.setattr("napari_emseg.networks.library.bundled_folder", lambda: made["bundled"])
    save_model_at(made["bundled"] / "fly.safetensors", "Fly")
    return made["own"]


@pytest.fixture
def context(folder: Path, qapp: Any) -> Iterator[Context]:
    made = Context(_Viewer())  # type: ignore[arg-type]
    yield made
    made.close()


def entries(combo: ModelCombo) -> list[str]:
    return [combo.itemText(row) for row in range(combo.count())]


def test_the_choice_stays_when_models_come_and_go(context: Context, folder: Path) -> None:
    told: list[int] = []
    combo = ModelCombo(context, first=("none", ""))
    combo.currentIndexChanged.connect(told.append)
    assert entries(combo) == ["none", "Fly"]
    combo.show_model("fly")
    path = save_model_at(folder / "ant.safetensors", "Ant")
    combo._known.refresh()
    assert sorted(entries(combo)) == ["Ant", "Fly", "none"]
    assert combo.currentText() == "Fly"
    combo.show_model("ant")
    assert combo.info is not None
    path.rename(folder / "bee.safetensors")
    combo._known.refresh()
    assert combo.currentText() == "ant (not found)"
    assert combo.currentData() == "ant"
    assert combo.info is None
    combo.show_model("")
    assert combo.currentText() == "none"
    assert told == []  # nobody but the user chooses


def test_a_model_may_be_a_file_elsewhere(context: Context, tmp_path: Path) -> None:
    path = save_model_at(tmp_path / "mine.safetensors", "On my desk")
    combo = ModelCombo(context)
    combo.show_model(str(path))
    assert combo.currentText() == "On my desk"
    assert combo.info is not None
    assert combo.info.path == path
    path.write_bytes(b"torn")
    assert combo.info is None


def test_only_what_is_accepted_is_offered(context: Context, folder: Path) -> None:
    save_model_at(folder / "ant.safetensors", "Ant")
    combo = ModelCombo(context, accepts=lambda info: info.name != "fly")
    assert entries(combo) == ["Ant"]
    combo.show_model("fly")  # as a session says that was saved elsewhere
    assert combo.currentText() == "Fly (cannot be used)"
    assert combo.info is None


def test_without_models_it_says_so(context: Context, folder: Path) -> None:
    (folder.parent / "bundled" / "fly.safetensors").unlink()
    combo = ModelCombo(context)
    combo._known.refresh()
    combo.show_model("default")
    assert entries(combo) == ["no model found"]
    assert combo.info is None

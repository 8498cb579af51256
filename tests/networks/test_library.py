"""Finding models by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network, library
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the bundled models."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    monkeypatch.setattr(library, "bundled_folder", lambda: folder)
    return folder


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("EMSEG_MODELS", str(folder))
    return folder


def add_model(folder: Path, name: str, *, default: bool = False) -> Path:
    path = folder / f"{name}.safetensors"
    network = build_network("unet2d", width=4, depth=1)
    save_model(path, network, ModelInfo(network="unet2d", title=folder.name, default=default))
    return path


def test_models_of_both_folders_are_listed_default_first(bundled: Path, own: Path) -> None:
    add_model(bundled, "b", default=True)
    add_model(own, "a")
    assert [m.name for m in library.list_models()] == ["b", "a"]
    assert library.find_model().name == "b"
    assert library.find_model("a").path == own / "a.safetensors"


def test_a_broken_file_is_listed_with_its_problem(bundled: Path, own: Path) -> None:
    add_model(bundled, "good")
    (own / "bad.safetensors").write_bytes(b"nothing")
    (own / "notes.txt").write_text("no model")
    bad, good = library.list_models()
    assert (bad.name, good.name) == ("bad", "good")
    assert "no valid header" in bad.problem
    assert not good.problem
    with pytest.raises(InputError, match="no valid header"):
        library.find_model("bad")


def test_what_combines_models_is_not_listed_among_them(bundled: Path, own: Path) -> None:
    from napari_emseg.inference.stacker import Stacker, save_stacker

    add_model(bundled, "good")
    save_stacker(Stacker((0.5, 1.0), 0.1, (("a", "1"), ("b", "2"))), own / "two.safetensors")
    assert [model.name for model in library.list_models()] == ["good"]


def test_an_own_model_hides_a_bundled_one_of_that_name_unless_broken(
    bundled: Path, own: Path
) -> None:
    add_model(bundled, "fly")
    path = add_model(own, "fly")
    assert [m.title for m in library.list_models()] == ["own"]
    path.write_bytes(b"nothing")
    assert [m.title for m in library.list_models()] == ["bundled"]


def test_a_file_anywhere_is_found_by_its_path(bundled: Path, own: Path, tmp_path: Path) -> None:
    path = add_model(tmp_path, "mine")
    assert library.find_model(path).name == "mine"
    assert library.find_model(str(path)).path == path


def test_an_unknown_name_lists_the_known_ones(bundled: Path, own: Path) -> None:
    with pytest.raises(InputError, match="and none in"):
        library.find_model("fly")
    add_model(bundled, "fly")
    with pytest.raises(InputError, match="no model 'bee'; choose one of: fly"):
        library.find_model("bee")
    with pytest.raises(InputError, match="There is no model file"):
        library.find_model("bee.safetensors")


def test_a_missing_folder_is_an_empty_one(
    bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMSEG_MODELS", str(tmp_path / "nowhere"))
    assert library.list_models() == []


def test_listing_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from napari_emseg.networks import NETWORKS\n"
        "from napari_emseg.networks.library import list_models\n"
        "import napari_emseg.inference\n"
        "list_models()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

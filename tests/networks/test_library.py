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


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No lab folders."""
    monkeypatch.setenv("EMSEG_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder of the lab."""
    folder = tmp_path / "lab"
    folder.mkdir()
    library.add_lab_folder(folder)
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


def test_each_model_says_whose_it_is(bundled: Path, own: Path, lab: Path, tmp_path: Path) -> None:
    add_model(bundled, "a")
    add_model(own, "b")
    add_model(lab, "c")
    assert {m.name: m.origin for m in library.list_models()} == {
        "a": "bundled",
        "b": "own",
        "c": "lab",
    }
    assert [m.name for m in library.list_models(with_lab=False)] == ["a", "b"]
    assert library.find_model("c").origin == "lab"
    assert library.find_model(add_model(tmp_path, "d")).origin == "file"
    assert b"origin" not in (lab / "c.safetensors").read_bytes()


def test_a_model_of_the_lab_hides_none_and_is_not_hidden(
    bundled: Path, own: Path, lab: Path
) -> None:
    add_model(bundled, "fly")
    add_model(lab, "fly")
    assert [m.name for m in library.list_models()] == ["fly", "fly (lab)"]
    assert library.find_model("fly").origin == "bundled"
    assert library.find_model("fly (lab)").path == lab / "fly.safetensors"


def test_no_file_from_elsewhere_becomes_the_default(bundled: Path, own: Path, lab: Path) -> None:
    add_model(lab, "a", default=True)
    add_model(own, "b", default=True)
    with pytest.raises(InputError, match="no model 'default'"):
        library.find_model()
    add_model(bundled, "c", default=True)
    assert library.find_model().name == "c"
    add_model(own, "c")  # what hides the default is the default
    assert library.find_model().path == own / "c.safetensors"


def test_a_folder_that_cannot_be_reached_is_passed_over(
    bundled: Path, own: Path, lab: Path
) -> None:
    add_model(own, "b")
    lab.rmdir()
    assert [m.name for m in library.list_models()] == ["b"]


def test_the_lab_is_asked_only_for_what_is_nowhere_else(
    bundled: Path, own: Path, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add_model(bundled, "a", default=True)

    def fail() -> None:
        raise AssertionError("a server would have been asked")

    monkeypatch.setattr(library, "lab_folders", fail)
    for wanted in ("a", "default", path, str(path)):
        assert library.find_model(wanted).path == path
    with pytest.raises(AssertionError):
        library.find_model("b")


def test_a_file_written_anew_is_read_anew(bundled: Path, own: Path) -> None:
    from napari_emseg.networks.rewriting import rewrite_title

    path = add_model(own, "a")
    assert library.find_model("a").title == "own"
    rewrite_title(path, "longer than before")
    assert library.find_model("a").title == "longer than before"


def test_packages_are_listed_too(bundled: Path, own: Path, lab: Path) -> None:
    """A zip that is no package, and a folder of anything else, are not."""
    from zipfile import ZipFile

    for name, member in (("shrimp", "rdf.yaml"), ("photos", "a.jpg")):
        with ZipFile(own / f"{name}.zip", "w") as package:
            package.writestr(member, "format_version: 0.1.0")
    (lab / "crab").mkdir()
    (lab / "crab" / "bioimageio.yaml").write_text("type: model")
    (lab / "other").mkdir()
    found = {m.name: m for m in library.list_models()}
    assert found.keys() == {"shrimp", "crab"}
    for info in found.values():
        assert info.network == "bioimageio"
        assert info.problem
    with pytest.raises(InputError):
        library.find_model("shrimp")
    with pytest.raises(InputError):
        library.find_model(lab / "crab")

"""Models by their id, from a server on this computer that plays the collection."""

from __future__ import annotations

import functools
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.inference.bioimageio import packages
from torch import nn

from napari_emseg.cli import main
from napari_emseg.errors import InputError
from napari_emseg.inference.bioimageio import PackagePredictor, fetch_package
from napari_emseg.inference.bioimageio.fetch import is_address
from napari_emseg.progress import Cancelled


class _Quiet(SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, *_: Any) -> None:
        self.asked.append(self.path)


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path, list[str]]]:
    """The address of a collection, its folder, and what was asked for."""
    root = tmp_path / "zoo"

    def add_covers(description: dict[str, Any]) -> None:
        description["covers"] = [{"source": "cover.png"}, {"source": "second.png"}]

    files = packages.package_5(nn.Identity(), change=add_covers) | {"cover.png": b"PNG"}
    packages.write_folder(root / "brave-fox" / "files", files)
    asked: list[str] = []
    handler = type("Handler", (_Quiet,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    source = f"{url}/brave-fox/files/bioimageio.yaml?version=v2"
    sha256 = packages.sha256(files["bioimageio.yaml"])
    item = {
        "id": "bioimage-io/brave-fox",
        "type": "model",
        "versions": [
            {"version": "v1", "source": f"{url}/gone/rdf.yaml", "sha256": sha256},
            {"version": "v2", "source": source, "sha256": sha256},
        ],
    }
    other = {"id": "bioimage-io/shy-data", "type": "dataset", "versions": []}
    (root / "index.json").write_text(json.dumps({"items": [other, item]}))
    monkeypatch.setenv("EMSEG_BIOIMAGEIO_INDEX", f"{url}/index.json")
    yield url, root, asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_by_its_id(zoo: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    path = fetch_package("brave-fox", tmp_path)
    assert path.name == "brave-fox.zip"
    with PackagePredictor(path, device="cpu") as predictor:
        assert predictor.info.title == "Made for a test"
    # of the version that was asked for, and nothing that is not needed
    assert zoo[2] == [
        "/index.json",
        "/brave-fox/files/bioimageio.yaml?version=v2",
        "/brave-fox/files/weights.pt?version=v2",
        "/brave-fox/files/cover.png?version=v2",
    ]
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["bioimageio.yaml", "cover.png", "weights.pt"]


def test_a_model_by_its_address(zoo: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    url, root, _ = zoo
    path = fetch_package(f"{url}/brave-fox/files/bioimageio.yaml", tmp_path)
    assert path.name == "brave-fox.zip"
    packages.write_zip(root / "fox.zip", packages.package_5(nn.Identity()))
    assert fetch_package(f"{url}/fox.zip", tmp_path).name == "fox.zip"


def test_what_cannot_be_had_leaves_nothing(
    zoo: tuple[str, Path, list[str]], tmp_path: Path
) -> None:
    url, root, _ = zoo
    folder = tmp_path / "models"
    folder.mkdir()
    (root / "text.zip").write_text("no zip")
    (root / "other").mkdir()
    (root / "other" / "rdf.yaml").write_text("format_version: 0.3.2")
    for wanted, words in [
        ("shy-mouse", "no model 'shy-mouse'"),
        ("shy-data", "no model, but a dataset"),
        ("brave-fox/v7", "no version v7"),
        ("brave-fox/v1", "nothing at"),
        (f"{url}/none.zip", "nothing at"),
        (f"{url}/text.zip", "no zip"),
        (f"{url}/other/rdf.yaml", "0.3.2"),
        ("http://example.org/m.zip", "https"),
        ("http://127.0.0.1:9/m.zip", "cannot be reached"),
        ("file:///etc/passwd", "neither a file nor the id"),
    ]:
        with pytest.raises(InputError, match=words):
            fetch_package(wanted, folder)
        assert list(folder.iterdir()) == []


def test_what_comes_is_compared_with_its_checksum(
    zoo: tuple[str, Path, list[str]], tmp_path: Path
) -> None:
    place = zoo[1] / "brave-fox" / "files"
    (place / "weights.pt").write_bytes(b"PK others")
    with pytest.raises(InputError, match="came damaged"):
        fetch_package("brave-fox", tmp_path)
    text = (place / "bioimageio.yaml").read_text()
    (place / "bioimageio.yaml").write_text(text + "\n# more")
    with pytest.raises(InputError, match="not the one of the collection"):
        fetch_package("brave-fox", tmp_path)


def test_stopping_leaves_nothing(zoo: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    class Stop:
        def update(self, done: int, total: int, message: str = "") -> None:
            assert message == "Downloading brave-fox: weights.pt"
            raise Cancelled

    folder = tmp_path / "models"
    folder.mkdir()
    with pytest.raises(Cancelled):
        fetch_package("brave-fox", folder, Stop())
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("impartial-shrimp", True),
        ("bioimage-io/impartial-shrimp/1.1", True),
        ("https://zoo.org/m.zip", True),
        ("../impartial-shrimp", False),
        ("my-model.zip", False),
        ("C:/models/my-model", False),
        ("shrimp", False),
    ],
)
def test_ids_are_told_from_files(text: str, expected: bool) -> None:
    assert is_address(text) is expected


def test_the_command_imports_and_exports(
    zoo: tuple[str, Path, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EMSEG_MODELS", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path)
    assert main(["models", "import", "brave-fox", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["imported"]["network"] == "bioimageio"
    assert main(["models", "--json"]) == 0
    names = [model["name"] for model in json.loads(capsys.readouterr().out)["models"]]
    assert "brave-fox" in names
    assert main(["models", "export", "brave-fox", "out.zip"]) == 2
    assert main(["models", "export", "drosophila_sstem", "out.tif"]) == 2
    assert ".safetensors" in capsys.readouterr().err
    assert main(["models", "export", "drosophila_sstem", "out.safetensors"]) == 0
    assert main(["models", "import", "out.safetensors", "--name", "again"]) == 0
    assert "again added" in capsys.readouterr().out
    assert main(["models", "import", "timid-vole"]) == 2
    assert "no model 'timid-vole'" in capsys.readouterr().err
    assert main(["models", "import"]) == 2

"""Packages of bad people, and those that need what this program does not do."""

from __future__ import annotations

import io
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.inference.bioimageio import packages
from torch import Tensor, nn

from napari_emseg.errors import InputError
from napari_emseg.inference.bioimageio import PackagePredictor
from napari_emseg.inference.bioimageio.script import load_script
from napari_emseg.networks.bioimageio import is_package, read_package_info
from napari_emseg.networks.bioimageio_yaml import read_yaml

Change = Callable[[dict[str, Any]], None]


def _refused(path: Path) -> str:
    """Return why a package cannot be used; opening it has to give the same reason."""
    problem = read_package_info(path).problem
    with pytest.raises(InputError) as caught:
        PackagePredictor(path, device="cpu")
    assert problem in ("", str(caught.value))
    return str(caught.value)


def _package(folder: Path, change: Change, **options: Any) -> Path:
    files = packages.package_5(nn.Identity(), change=change, **options)
    return packages.write_zip(folder / "m.zip", files)


class Thief:
    """Whoever unpickles it has written a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.write_text, (self.marker, "stolen")


class Reader(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.from_file("/etc/hostname", False, 1).sum()


class Writer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 1e9:
            torch.save(x, "/tmp/stolen")
        return x


def test_a_network_that_reads_files_is_not_run(tmp_path: Path) -> None:
    weights = packages.script(Reader())
    files = packages.package_5(nn.Identity(), weights=weights)
    assert "aten::from_file" in _refused(packages.write_zip(tmp_path / "m.zip", files))


def test_a_network_that_may_write_files_is_not_run(tmp_path: Path) -> None:
    weights = packages.script(Writer())
    files = packages.package_5(nn.Identity(), weights=weights)
    assert "aten::save" in _refused(packages.write_zip(tmp_path / "m.zip", files))


class Hidden(nn.Module):
    """Does it in a function of a part, in a loop, in a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Writer()

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(int(x.shape[0])):
            if x.dim() > 2:
                x = self.inner(x)
        return x


def test_nor_one_that_hides_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="aten::save"):
        load_script(packages.script(Hidden()), "weights.pt")


class OnOpening(nn.Module):
    """Runs while it is being opened."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, bool]:
        return torch.zeros(1), self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]) -> None:
        torch.save(state[0], "/tmp/stolen")
        self.training = state[1]


def test_what_runs_on_opening_is_not_opened() -> None:
    with pytest.raises(InputError, match="__setstate__"):
        load_script(packages.script(OnOpening()), "weights.pt")


def test_ordinary_branches_and_loops_are_run() -> None:
    class Ordinary(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3):
                x = torch.relu(x) if x.dim() > 2 else x.tanh()
            return x

    module = load_script(packages.script(Ordinary()), "weights.pt")
    assert module(torch.tensor([[[-1.0, 2.0]]])).tolist() == [[[0.0, 2.0]]]


@pytest.fixture(scope="module")
def shrimp(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], Path]:
    """The files of a package, and what is there once its code was run."""
    marker = tmp_path_factory.mktemp("marker") / "was-run"
    return packages.shrimp(marker), marker


@pytest.mark.parametrize("kind", ["torchscript", "pytorch_state_dict"])
def test_a_pickle_is_not_unpickled(
    kind: str, shrimp: tuple[dict[str, bytes], Path], tmp_path: Path
) -> None:
    marker = tmp_path / "stolen"
    content = pickle.dumps({"encoder.weight": Thief(marker)})
    buffer = io.BytesIO()
    torch.save({"out_conv.weight": Thief(marker)}, buffer)
    files, _ = shrimp
    for weights in (content, buffer.getvalue()):
        description = packages.shrimp_description({**files, "weights.pt": weights})
        entry = description["weights"].pop("pytorch_state_dict")
        entry["source"] = "weights.pt"
        entry["sha256"] = packages.sha256(weights)
        description["weights"] = {kind: entry}
        made = {"rdf.yaml": yaml.safe_dump(description).encode(), "weights.pt": weights}
        _refused(packages.write_zip(tmp_path / "m.zip", made))
        assert not marker.exists()


def test_code_of_the_package_is_never_run(
    shrimp: tuple[dict[str, bytes], Path], tmp_path: Path
) -> None:
    files, marker = dict(shrimp[0]), shrimp[1]
    del files["weights-torchscript.pt"]
    text = files["rdf.yaml"].decode()
    files["rdf.yaml"] = text.replace("unet.py:AnisotropicUNet", "net.py:TheirNet").encode()
    assert "TorchScript" in _refused(packages.write_zip(tmp_path / "m.zip", files))
    files["rdf.yaml"] = text.replace("gain: 2", "wings: 2").encode()
    assert "wings" in _refused(packages.write_zip(tmp_path / "m.zip", files))
    files["rdf.yaml"] = text.replace("gain: 2", "gain: 3").encode()
    assert "does not fit" in _refused(packages.write_zip(tmp_path / "m.zip", files))
    assert not marker.exists()


def test_weights_that_are_others_are_noticed(tmp_path: Path) -> None:
    files = packages.package_5(nn.Identity())
    files["weights.pt"] = packages.trace(nn.Conv3d(1, 1, 1), (1, 1, 4, 8, 8))
    assert "is not the file" in _refused(packages.write_zip(tmp_path / "m.zip", files))


@pytest.mark.parametrize("cut", [0, 10, 1000])
def test_damaged_weights_are_told(cut: int, tmp_path: Path) -> None:
    files = packages.package_5(nn.Conv3d(1, 1, 1), weights=b"PK" + bytes(cut))
    assert "damaged" in _refused(packages.write_zip(tmp_path / "m.zip", files))


def _set(path: str, value: Any) -> Change:
    def change(description: dict[str, Any]) -> None:
        *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
        place: Any = description
        for parent in parents:
            place = place[parent]
        place[last] = value

    return change


def _second_input(description: dict[str, Any]) -> None:
    description["inputs"].append(dict(description["inputs"][0], id="prompt"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("format_version", "0.3.6"), "0.3.6"),
        (_set("type", "dataset"), "dataset"),
        (_set("weights", {"tensorflow_js": {"source": "w"}}), "tensorflow_js"),
        (_set("weights", {"torchscript": {"source": "gone.pt"}}), "gone.pt"),
        (_set("weights", {}), "no weights"),
        (_set("inputs", []), "no inputs"),
        (_second_input, "2 inputs"),
        (_set("inputs.0.axes.1.channel_names", ["r", "g", "b"]), "3 channels"),
        (_set("inputs.0.axes.2.type", "time"), "cannot fill"),
        (_set("inputs.0.axes.2.size", {"min": 0, "step": 1}), "a rule not known"),
        (_set("inputs.0.axes.2.size", 10**9), "bad description"),
        (_set("inputs.0.axes.2.size", {"max": 5}), "a rule not known"),
        (_set("outputs.0.axes.4.scale", 2.0), "another resolution"),
        (_set("outputs.0.axes.4.size.offset", 4), "in the middle"),
        (_set("outputs.0.axes.4.size.offset", -3), "in the middle"),
        (_set("outputs.0.axes.4.size", {"min": 1}), "depends on the data"),
        (_set("inputs.0.preprocessing", [{"id": "custom"}]), "custom"),
        (_set("inputs.0.preprocessing", "none"), "no list"),
        (_set("inputs.0.axes.4.scale", "wide"), "bad description"),
    ],
)
def test_descriptions_that_cannot_be_followed(change: Change, words: str, tmp_path: Path) -> None:
    path = _package(tmp_path, change)
    assert words in _refused(path)
    assert words in read_package_info(path).problem


def test_a_network_that_gives_something_else_is_told(tmp_path: Path) -> None:
    weights = packages.trace(nn.AvgPool3d(2), (1, 1, 4, 8, 8))
    files = packages.package_5(nn.Identity(), weights=weights)
    path = packages.write_zip(tmp_path / "m.zip", files)
    raw = np.random.default_rng(0).random((4, 9, 9))
    with (
        PackagePredictor(path, device="cpu") as predictor,
        pytest.raises(InputError, match="damaged"),
    ):
        predictor.predict(raw, tta=False)


class Picky(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != 8:
            raise ValueError("only 8 will do")
        return x


def test_a_network_that_fails_is_told(tmp_path: Path) -> None:
    files = packages.package_5(nn.Identity(), weights=packages.script(Picky()))
    path = packages.write_zip(tmp_path / "m.zip", files)
    raw = np.random.default_rng(0).random((4, 9, 9))
    with (
        PackagePredictor(path, device="cpu") as predictor,
        pytest.raises(InputError, match=r"fails for an input of 1x1x4x9x9.*only 8 will do"),
    ):
        predictor.predict(raw, tta=False)


@pytest.mark.parametrize(
    "name", ["../up.txt", "/root.txt", "a/../../up.txt", "c:/up.txt", "a\\..\\up.txt"]
)
def test_names_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    files = packages.package_5(nn.Identity()) | {name: b"out"}
    path = packages.write_zip(tmp_path / "m.zip", files)
    problem = _refused(path)
    # on reading, zipfile itself turns a backslash into a slash where that is the separator
    assert "leads out" in problem
    assert not (tmp_path.parent / "up.txt").exists()


def test_links_twins_and_bombs_are_refused(tmp_path: Path) -> None:
    files = packages.package_5(nn.Identity())
    link = packages.write_zip(tmp_path / "link.zip", files)
    entry = zipfile.ZipInfo("more.txt")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(link, "a") as archive:
        archive.writestr(entry, "/etc/passwd")
    assert "a link" in _refused(link)

    twin = packages.write_zip(tmp_path / "twin.zip", files)
    with zipfile.ZipFile(twin, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("weights.pt", "others")
    assert "twice" in _refused(twin)

    bomb = bytes(100 * 2**20)
    description = yaml.safe_load(files["bioimageio.yaml"])
    description["weights"]["torchscript"] = {"source": "weights.pt"}
    made = {"bioimageio.yaml": yaml.safe_dump(description).encode(), "weights.pt": bomb}
    assert "grows" in _refused(packages.write_zip(tmp_path / "bomb.zip", made))


def test_a_link_in_a_folder_is_not_followed(tmp_path: Path) -> None:
    folder = packages.write_folder(tmp_path / "m", packages.package_5(nn.Identity()))
    (tmp_path / "real.pt").write_bytes((folder / "weights.pt").read_bytes())
    (folder / "weights.pt").unlink()
    (folder / "weights.pt").symlink_to(tmp_path / "real.pt")
    assert "weights.pt" in _refused(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"!!python/object/apply:os.system [ls]", "may run"),
        (b"name: !!python/name:os.system ''", "may run"),
        (b"name: !mine {}", "may run"),
        (b"- a\n- b", "no description"),
        (b"a: [1, 2", "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (b"a: &a [*a]", "unfolds"),
        (
            b"a: &a [1,1,1,1,1,1,1,1,1]\n"
            + b"".join(
                f"{n}: &{n} [{', '.join([f'*{o}'] * 9)}]\n".encode()
                for o, n in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "unfolds",
        ),
    ],
)
def test_yaml_is_read_as_plain_values_only(text: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_yaml(text, "rdf.yaml")


def test_what_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("hello")
    packages.write_zip(tmp_path / "other.zip", {"a.txt": b"hello"})
    for path in (tmp_path / "text.zip", tmp_path / "other.zip", tmp_path, tmp_path / "none.zip"):
        assert not is_package(path)
    assert "no BioImage.IO package" in read_package_info(tmp_path / "other.zip").problem
    assert read_package_info(tmp_path / "text.zip").problem


def test_a_package_in_a_folder_of_the_zip_and_by_its_description(tmp_path: Path) -> None:
    files = packages.package_5(nn.Identity())
    path = packages.write_zip(tmp_path / "m.zip", files, prefix="my model/")
    assert is_package(path)
    assert read_package_info(path).problem == ""
    folder = packages.write_folder(tmp_path / "unpacked", files)
    info = read_package_info(folder / "bioimageio.yaml")
    assert (info.name, info.problem) == ("unpacked", "")

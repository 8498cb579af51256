"""Our models in the hands of the official library, and back."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.inference.bioimageio import packages

from napari_emseg.errors import InputError
from napari_emseg.inference import Predictor
from napari_emseg.inference.bioimageio import PackagePredictor, check_package, export_package
from napari_emseg.inference.bioimageio.own import adopt
from napari_emseg.inference.bioimageio.tracing import trace
from napari_emseg.networks import NETWORKS, build_network
from napari_emseg.networks.bioimageio import read_package_info
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.volume import Volume

RAW = np.random.default_rng(7).integers(0, 256, (9, 70, 80)).astype(np.uint8)
CASES: dict[str, dict[str, Any]] = {
    "unet2d": {"width": 4, "depth": 3},
    "deepem3d": {"width": 4, "in_sections": 3, "pyramid": False},
    "n4": {},
    "rsunet": {},
}


def _model(name: str, folder: Path) -> Path:
    torch.manual_seed(0)
    params = CASES.get(name, {})
    network = build_network(name, **params) if params else build_network(name, "tiny")
    info = ModelInfo(
        network=name,
        title="My tissue, 4/4 nm",
        voxel_size_nm=(50, 4, 4),
        licence="CC BY 4.0",
        trained_on="two sections of mine",
        scores={"v_rand": 0.98},
    )
    path = folder / f"{name}.safetensors"
    save_model(path, network, info)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Models of each kind, and their packages."""
    folder = tmp_path_factory.mktemp("exported")
    raw = Volume(np.random.default_rng(1).integers(0, 256, (5, 80, 80)).astype(np.uint8))
    made = {}
    for name in CASES:
        path = _model(name, folder)
        made[name] = (path, export_package(path, folder / f"{name}.zip", test_raw=raw))
    return made


@pytest.mark.parametrize("name", CASES)
def test_the_official_library_gives_the_same(
    name: str, exported: dict[str, tuple[Path, Path]]
) -> None:
    packages.official()
    from bioimageio.core import test_model
    from bioimageio.spec import load_model_description

    path = exported[name][1]
    with np.errstate(all="ignore"):
        description = load_model_description(path)
        summary = test_model(description)
    assert summary.status == "passed", summary.format()
    assert str(description.license) == "CC-BY-4.0"


@pytest.mark.parametrize("name", CASES)
def test_our_own_reader_gives_what_our_models_give(
    name: str, exported: dict[str, tuple[Path, Path]]
) -> None:
    path, package = exported[name]
    made = check_package(package)
    assert made is not None
    assert made.largest < 1e-5
    info, own = read_package_info(package), read_package_info(package).model_dump()
    assert (info.target, info.voxel_size_nm) == (
        "affinities" if name == "rsunet" else "boundary",
        (50.0, 4.0, 4.0),
    )
    assert own["trained_on"] == "two sections of mine"
    raw = Volume(RAW, voxel_size_nm=(50, 4, 4))
    with Predictor(path, device="cpu") as predictor:
        expected = predictor.predict(raw, tta=False)
    with PackagePredictor(package, device="cpu") as predictor:
        found = predictor.predict(raw, tta=False)
    assert found.kind == expected.kind
    assert found.provenance.get("offsets") == expected.provenance.get("offsets")
    # more of the surroundings of a volume is mirrored, where 9 sections are all border
    inner = (..., slice(2, -2), slice(20, -20), slice(20, -20))
    apart = np.abs(found.read() - expected.read())[inner]
    assert apart.max() < (0.03 if name == "rsunet" else 1e-3)


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - CASES.keys()))
def test_every_network_can_be_written_for_others(name: str) -> None:
    from importlib import import_module

    presets = getattr(import_module(NETWORKS[name].partition(":")[0]), "PRESETS", {})
    network = build_network(name, "tiny" if "tiny" in presets else None)
    if network.in_maps:
        return
    content, extents = trace(network.eval())
    assert content[:2] == b"PK"
    assert all(extent.step for extent in extents.values())


def test_what_is_in_a_package(exported: dict[str, tuple[Path, Path]]) -> None:
    model, package = exported["deepem3d"]
    with zipfile.ZipFile(package) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    described = yaml.safe_load(files["bioimageio.yaml"])
    assert described["format_version"].startswith("0.5.")
    assert described["inputs"][0]["axes"][1]["channel_names"] == ["section-1", "raw", "section+1"]
    assert described["inputs"][0]["preprocessing"][0]["id"] == "zero_mean_unit_variance"
    assert b"v_rand: 0.98" in files["README.md"]
    assert files["cover.png"][:4] == b"\x89PNG"
    assert files["model.safetensors"] == model.read_bytes()
    attachment = described["attachments"][0]
    assert attachment["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()


def test_our_own_model_comes_back_as_it_was(
    exported: dict[str, tuple[Path, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMSEG_MODELS", str(tmp_path / "models"))
    model, package = exported["unet2d"]
    info, apart = adopt(package, "back")
    assert (info.name, info.network) == ("back", "unet2d")
    assert info.path is not None
    assert info.path.read_bytes() == model.read_bytes()
    assert apart is not None
    assert apart < 1e-5


def test_what_cannot_be_exported(exported: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="package already"):
        export_package(exported["unet2d"][1], tmp_path / "again.zip")
    recursive = ModelInfo(name="r", network="vd2d3d", in_maps=5, in_sections=5)
    with pytest.raises(InputError, match="earlier model"):
        export_package(recursive, tmp_path / "r.zip")
    with pytest.raises(InputError, match="no folder"):
        export_package("drosophila_sstem", tmp_path / "none" / "m.zip")
    blank = np.zeros((3, 200, 200), np.uint8)
    with pytest.raises(InputError, match="blank"):
        export_package(exported["n4"][0], tmp_path / "m.zip", test_raw=blank)
    assert list(tmp_path.iterdir()) == []

"""Models of the collection predict as their packages promise, for volumes of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.inference.bioimageio import packages

from napari_emseg.inference import predict
from napari_emseg.inference.bioimageio import PackagePredictor, check_package
from napari_emseg.inference.opening import open_model
from napari_emseg.inference.protocol import BoundaryPredictor
from napari_emseg.networks import build_network
from napari_emseg.networks.bioimageio import is_package, read_package_info
from napari_emseg.volume import Volume


@pytest.fixture(scope="module")
def shrimp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shrimp")
    files = packages.shrimp(folder / "was-run")
    packages.write_folder(folder, {"weights.pt": files["weights.pt"]})
    return packages.write_zip(folder / "impartial-shrimp.zip", files)


def test_the_shrimp_is_described(shrimp: Path) -> None:
    assert is_package(shrimp)
    info = read_package_info(shrimp)
    assert info.problem == ""
    assert info.title == "Neuron Segmentation in EM (Membrane Prediction)"
    assert (info.name, info.network, info.dimensions) == ("impartial-shrimp", "bioimageio", 3)
    assert info.voxel_size_nm == (40.0, 4.0, 4.0)
    assert (info.target, info.licence) == ("boundary", "CC-BY-4.0")


def test_the_shrimp_gives_what_it_promises(shrimp: Path) -> None:
    made = check_package(shrimp)
    assert made is not None
    assert made.weights == "torchscript"
    assert made.largest < 1e-5


def test_its_weights_alone_give_the_same_without_its_code(shrimp: Path, tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    files = packages.shrimp(marker)
    del files["weights-torchscript.pt"]
    made = check_package(packages.write_folder(tmp_path / "package", files))
    assert made is not None
    assert made.weights == "pytorch_state_dict"
    assert made.largest < 1e-5
    assert not marker.exists()


def test_the_shrimp_maps_a_volume_of_any_size(shrimp: Path) -> None:
    """One tile: the volume with a mirror image around it, 8 x 72 x 72 voxels on each side."""
    network = packages.Shrimp(2, packages.SHRIMP_FACTORS)
    network.load_state_dict(torch.load(shrimp.parent / "weights.pt", weights_only=True))
    raw = np.random.default_rng(0).integers(0, 256, (5, 60, 66)).astype(np.uint8)
    with open_model(shrimp, device="cpu") as predictor:
        assert isinstance(predictor, BoundaryPredictor)
        made = predictor.predict(Volume(raw, voxel_size_nm=(40, 4, 4)), tta=False)
    widths = [(8, 24 - 13), (72, 216 - 132), (72, 216 - 138)]
    around = np.pad(packages.standardised(raw), widths, mode="reflect")
    with torch.no_grad():
        whole = network.eval()(torch.from_numpy(around)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(made.read(), whole[8:13, 72:132, 72:138], atol=1e-5)
    assert made.kind == "boundary"
    assert made.provenance["predict"]["weights"] == "torchscript"


def test_weights_of_a_network_of_ours_are_enough(tmp_path: Path) -> None:
    """Our networks give logits, so a package that names one says sigmoid behind it."""
    network = build_network("unet2d", width=4, depth=2).eval()
    weights = packages.state_of(network)

    def name_network(description: dict[str, Any]) -> None:
        architecture = {
            "import_from": "napari_emseg.networks",
            "callable": "build_network",
            "kwargs": {"name": "unet2d", "width": 4, "depth": 2},
        }
        entry = {"source": "weights.pt", "architecture": architecture}
        description["weights"] = {"pytorch_state_dict": entry}

    files = packages.package_5(
        network,
        axes="bcyx",
        least=(1, 32, 32),
        step=(1, 2, 2),
        halo=(0, 10, 10),
        preprocessing=[{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"]}}],
        postprocessing=[{"id": "sigmoid"}],
        change=name_network,
        weights=weights,
    )
    raw = np.random.default_rng(0).integers(0, 256, (2, 50, 61)).astype(np.uint8)
    with PackagePredictor(packages.write_zip(tmp_path / "m.zip", files), device="cpu") as one:
        assert one.weights == "pytorch_state_dict"
        made = one.predict(raw, tta=False).read()
    expected = predict(raw, model=network, tta=False, device="cpu").read()
    np.testing.assert_allclose(made[:, 12:-12, 12:-12], expected[:, 12:-12, 12:-12], atol=1e-4)


def test_the_official_library_takes_this_shrimp_for_one(shrimp: Path) -> None:
    packages.official()
    from bioimageio.core import test_model
    from bioimageio.spec import load_model_description

    # of the weights for which it need not run code of the package
    summary = test_model(load_model_description(shrimp), weight_format="torchscript")
    assert summary.status == "passed", summary.format()

"""A BioImage.IO package predicts wherever a model of our own does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.inference.bioimageio import packages

import napari_emseg as emseg
from napari_emseg.inference.opening import open_model
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.steps import predict
from napari_emseg.steps.predict import PredictParams
from napari_emseg.volume import Volume

RAW = Volume(
    np.random.default_rng(0).integers(0, 256, (4, 40, 50), np.uint8), voxel_size_nm=(40, 4, 4)
)


@pytest.fixture(scope="module")
def shrimp(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("package")
    files = packages.shrimp(folder / "was-run")
    return str(packages.write_zip(folder / "shrimp.zip", files))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("own") / "own.safetensors"
    save_model(path, build_network("unet2d", width=4, depth=2), ModelInfo(network="unet2d"))
    return str(path)


@pytest.fixture(scope="module")
def expected(shrimp: str) -> np.ndarray:
    with open_model(shrimp, device="cpu") as predictor:
        return predictor.predict(RAW, tta=False).read()


def test_in_every_way(shrimp: str, expected: np.ndarray, tmp_path: Path) -> None:
    params = PredictParams(model=shrimp, tta=False, device="cpu")
    made = predict.run(RAW, params=params)
    stored = predict.stream(RAW, tmp_path / "map.zarr", params=params)
    called = emseg.predict(RAW, model=shrimp, tta=False, device="cpu")
    for volume in (made, stored, called):
        np.testing.assert_array_equal(volume.read(), expected)
    assert made.provenance["predict"]["model"] == "shrimp"


def test_beside_a_model_of_our_own(shrimp: str, own: str, expected: np.ndarray) -> None:
    params = PredictParams(model=own, tta=False, device="cpu")
    alone = predict.run(RAW, params=params).read()
    both = predict.run(
        RAW, params=params.model_copy(update={"others": (shrimp,), "combine": "max"})
    )
    np.testing.assert_array_equal(both.read(), np.maximum(alone, expected))
    sums = [model["sha256"] for model in both.provenance["predict"]["models"]]
    assert all(len(sha256) == 64 for sha256 in sums)


def test_as_what_stands_in_for_bad_sections(shrimp: str, own: str) -> None:
    params = PredictParams(
        model=own, tta=False, device="cpu", bad_sections=("2:misaligned",), substitute=shrimp
    )
    made = predict.run(RAW, params=params)
    assert made.provenance["predict"]["substitute"]["name"] == "shrimp"

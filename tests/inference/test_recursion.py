"""A network that takes the boundary maps of an earlier one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_emseg.errors import InputError
from napari_emseg.inference import Predictor, predict
from napari_emseg.inference.sections import standardise
from napari_emseg.networks import build_network
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import load_earlier, load_model, save_model
from napari_emseg.networks.info import ModelInfo

RAW = np.random.default_rng(1).integers(0, 256, (4, 22, 19)).astype(np.uint8)


def make(name: str, preset: str) -> Network:
    torch.manual_seed(3)
    network = build_network(name, preset).eval()
    sections = torch.randn(1, network.in_sections + network.in_maps, 24, 24)
    with torch.no_grad():
        network.get_parameter("head.weight").div_(network(sections).std())
        network.get_parameter("head.bias")[1] -= network(sections).mean()
    return network


@pytest.fixture(scope="module")
def earlier() -> Network:
    return make("unet", "tiny")


@pytest.fixture(scope="module")
def network() -> Network:
    return make("vd2d3d", "tiny_recursive")


@pytest.fixture
def model_file(network: Network, earlier: Network, tmp_path: Path) -> Path:
    path = tmp_path / "recursive.safetensors"
    known = ModelInfo(network="unet", title="the first")
    save_model(path, network, ModelInfo(network="vd2d3d"), maps_from=(earlier, known))
    return path


def test_maps_are_made_first_and_go_in_beside_the_sections(
    network: Network, earlier: Network, model_file: Path
) -> None:
    sections = torch.stack([torch.from_numpy(standardise(section)) for section in RAW])
    with torch.no_grad():
        maps = earlier(sections[:, None]).sigmoid()[:, 0]
        assert maps.std() > 0.01
        near = [0, 0, 1, 2, 3]  # of section 1
        both = torch.cat([sections[near], maps[near]])[None]
        expected = network(both).sigmoid()[0, 0].numpy()
    options = {"tta": False, "device": "cpu", "sections": [1]}
    alone = predict(RAW, model=model_file, **options)
    np.testing.assert_allclose(alone.read(1), expected, atol=1e-4)
    with Predictor(network, device="cpu", maps_from=earlier, block_shape_px=12) as predictor:
        boundary = predictor.predict(RAW, tta=False).read()
        np.testing.assert_allclose(boundary[1], expected, atol=1e-4)
        np.testing.assert_array_equal(predictor.predict_section(RAW, 1), boundary[1])


def test_a_blank_neighbour_is_replaced_by_the_section_itself(model_file: Path) -> None:
    blank, repeated = RAW.copy(), RAW.copy()
    blank[0], repeated[0] = 7, RAW[1]
    options = {"model": model_file, "tta": False, "device": "cpu", "sections": [1]}
    np.testing.assert_allclose(
        predict(blank, **options).read(1), predict(repeated, **options).read(1), atol=1e-6
    )


def test_one_file_holds_both(model_file: Path, network: Network, earlier: Network) -> None:
    second, info = load_model(model_file)
    found = load_earlier(model_file)
    assert found is not None
    first, known = found
    assert (info.maps_from, known.title) == (known, "the first")
    for loaded, saved in ((second, network), (first, earlier)):
        expected = saved.state_dict()
        assert all(torch.equal(v, expected[k]) for k, v in loaded.state_dict().items())


def test_without_the_earlier_model_one_sentence_says_so(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_model(path, network, ModelInfo(network="vd2d3d"))
    assert load_earlier(path) is None
    with pytest.raises(InputError, match=r"earlier model, and its file holds none: name that one"):
        predict(RAW, model=path, device="cpu")


def test_what_makes_no_maps_of_sections_is_refused(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    for name, preset in (("rsunet", "tiny"), ("vd2d3d", "tiny_recursive")):
        other = build_network(name, preset)
        info = ModelInfo(network=name, name="other")
        with pytest.raises(InputError, match=r"2D model that needs none itself, not from 'other'"):
            save_model(path, network, ModelInfo(network="vd2d3d"), maps_from=(other, info))
    with pytest.raises(InputError, match="'unet2d' takes no boundary maps"):
        save_model(
            path,
            build_network("unet2d", "tiny"),
            ModelInfo(network="unet2d"),
            maps_from=(build_network("unet2d", "tiny"), ModelInfo(network="unet2d")),
        )

"""Networks without padding see a mirror image around the section."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_emseg.inference import predict
from napari_emseg.inference.sections import standardise
from napari_emseg.networks import build_network
from napari_emseg.networks.base import Network

RAW = np.random.default_rng(1).integers(0, 256, (2, 37, 30)).astype(np.uint8)
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("n4", {}),
    ("n3", {}),
    ("vd2d", {}),
    ("unet", {}),
    ("unet", {"depth": 5, "width": 2}),
]


def make_network(name: str, **params: Any) -> Network:
    torch.manual_seed(3)
    network = build_network(name, preset="tiny", **params)
    noise = torch.randn(1, 1, 12, 12)
    with torch.no_grad():
        network.get_parameter("head.weight").div_(network.eval()(noise).std())
        network.get_parameter("head.bias")[1] -= network(noise).mean()
    return network


@pytest.mark.parametrize(("name", "params"), NETWORKS)
def test_the_map_is_that_of_the_whole_section(name: str, params: dict[str, Any]) -> None:
    network = make_network(name, **params)
    section = standardise(RAW[0])
    assert section is not None
    with torch.no_grad():
        expected = network(torch.from_numpy(section)[None, None]).sigmoid()[0, 0].numpy()
    assert expected.std() > 0.01
    for block_shape_px in (None, 11, (16, 30)):
        boundary = predict(
            RAW,
            model=network,
            tta=False,
            device="cpu",
            sections=[0],
            block_shape_px=block_shape_px,
        )
        np.testing.assert_allclose(boundary.read(0), expected, atol=1e-4)


@pytest.mark.parametrize(("name", "params"), NETWORKS)
def test_turning_the_section_turns_the_map(name: str, params: dict[str, Any]) -> None:
    network = make_network(name, **params)
    raw = RAW[:1, :36, :20] if name == "unet" else RAW[:1]  # what needs no filling up
    upright = predict(raw, model=network, device="cpu", block_shape_px=20).read(0)
    for turn in (np.rot90, np.fliplr):
        turned = predict(turn(raw[0])[None], model=network, device="cpu").read(0)
        np.testing.assert_allclose(turned, turn(upright), atol=1e-4)


def test_a_network_that_slides_its_window_reports_block_after_block() -> None:
    network = make_network("n4", foveated=True, nonuniform=True, width=2, hidden=2)
    raw = RAW[:1].reshape(1, -1, 74)[:, :1, :66]
    section = standardise(raw[0])
    assert section is not None
    with torch.no_grad():
        expected = network(torch.from_numpy(section)[None, None]).sigmoid()[0, 0].numpy()
    reports = []

    class Recorder:
        def update(self, done: int, total: int, message: str = "") -> None:
            reports.append(message)

    boundary = predict(raw, model=network, tta=False, device="cpu", progress=Recorder())
    np.testing.assert_allclose(boundary.read(0), expected, atol=1e-4)
    assert reports[:2] == ["section 1 of 1, block 1 of 3", "section 1 of 1, block 2 of 3"]

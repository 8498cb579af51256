"""Networks run on all pixels at once give what sliding their window gives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from napari_emseg.networks import build_network
from napari_emseg.networks.layers import boundary_logit
from napari_emseg.networks.padding import mirror
from napari_emseg.networks.vd2d3d import VD2D3D
from napari_emseg.networks.window import WindowNetwork, join_phases, split_phases


def slide(network: WindowNetwork, sections: torch.Tensor) -> torch.Tensor:
    """Classify a window around every pixel, one window at a time."""
    margins = (network.margin_px,) * 2
    side = network.window_px
    windows = mirror(sections, margins, margins)[0].unfold(1, side, 1).unfold(2, side, 1)
    rows = windows.permute(1, 2, 0, 3, 4)
    return torch.stack([network.classify(row) for row in rows])


@pytest.mark.parametrize("name", ["n3", "n4", "vd2d"])
@pytest.mark.parametrize("preset", ["paper", "modern"])
@pytest.mark.parametrize("size", [(4, 6), (19, 1)])
def test_dense_is_the_window_at_every_pixel(name: str, preset: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    params = {"foveated": False, "nonuniform": False} if name == "n3" else {}
    network = build_network(name, preset=preset, **params).eval()
    assert isinstance(network, WindowNetwork)
    sections = torch.randn(1, 1, *size)
    with torch.inference_mode():
        dense, window = network(sections)[0, 0], slide(network, sections)
    assert dense.std() > 1e-3
    torch.testing.assert_close(dense.sigmoid(), window.sigmoid(), rtol=0, atol=1e-5)
    torch.testing.assert_close(dense, window, rtol=1e-4, atol=1e-5)


def test_without_padding_only_whole_windows_are_classified() -> None:
    network = build_network("n4", preset="tiny").eval()
    patch = torch.randn(2, 1, 100, 97)
    valid = network.forward_valid(patch)
    assert valid.shape == (2, 1, 6, 3)
    torch.testing.assert_close(valid, network(patch)[..., 47:-47, 47:-47])


def sparse_vd2d3d(network: VD2D3D, sections: torch.Tensor) -> torch.Tensor:
    """VD2D3D by filters made sparse in three dimensions, one layer after the other."""

    def run(conv: nn.Module, x: torch.Tensor, d: int) -> torch.Tensor:
        weight = conv.weight if conv.weight.ndim == 5 else conv.weight[:, :, None]
        return functional.conv3d(x, weight, conv.bias, dilation=(1, d, d))

    beside = sections[:, None, 5:]
    for index in (0, 2):
        beside = run(network.second_input[index], beside, 1).relu()
    beside = run(network.second_input[4], beside, 1)
    x, d = sections[:, None, :5], 1
    for number, stage in enumerate(network.stages):
        for conv in stage.convs[:-1]:
            x = run(conv, x, d).relu()
        x = run(stage.convs[-1], x, d) + (beside if number == 0 else 0)
        x = 1.7159 * torch.tanh(0.6666 * x)
        depth = 2 if number == 2 else 1
        x = functional.max_pool3d(x, (depth, 2, 2), stride=1, dilation=(1, d, d))
        d *= 2
    for block in network.volumetric:
        x = run(block.conv, x, d).relu()
    return boundary_logit(run(network.head, x, 1))[:, :, 0]


def test_phases_are_sparse_filters() -> None:
    torch.manual_seed(0)
    network = build_network("vd2d3d", preset="tiny_recursive").eval()
    assert isinstance(network, VD2D3D)
    sections = torch.randn(2, 10, 93, 86)
    with torch.inference_mode():
        valid = network.forward_valid(sections)
        expected = sparse_vd2d3d(network, sections)
    assert valid.shape == (2, 1, 9, 2)
    assert expected.std() > 1e-4
    torch.testing.assert_close(valid, expected, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_joining_phases_undoes_splitting_them(n: int, step: int, y: int, x: int) -> None:
    image = torch.randn(n, 2, step * y, step * x)
    parts = split_phases(image, step)
    assert torch.equal(parts[0], image[0, :, ::step, ::step])
    assert torch.equal(join_phases(parts, step), image)

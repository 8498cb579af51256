"""Networks run on all pixels at once give what sliding their window gives."""

from __future__ import annotations

import pytest
import torch

from napari_emseg.networks import build_network
from napari_emseg.networks.padding import mirror
from napari_emseg.networks.window import WindowNetwork


def slide(network: WindowNetwork, sections: torch.Tensor) -> torch.Tensor:
    """Classify a window around every pixel, one window at a time."""
    margins = (network.margin_px,) * 2
    side = network.window_px
    windows = mirror(sections, margins, margins)[0].unfold(1, side, 1).unfold(2, side, 1)
    rows = windows.permute(1, 2, 0, 3, 4)
    return torch.stack([network.classify(row) for row in rows])


@pytest.mark.parametrize("name", ["n4", "vd2d"])
@pytest.mark.parametrize("preset", ["paper", "modern"])
@pytest.mark.parametrize("size", [(4, 6), (19, 1)])
def test_dense_is_the_window_at_every_pixel(name: str, preset: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = build_network(name, preset=preset, in_sections=1).eval()
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

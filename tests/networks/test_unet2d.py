"""The 2D residual U-Net."""

from __future__ import annotations

import pytest
import torch

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network


def test_default_is_the_size_that_ships() -> None:
    with torch.device("meta"):
        network = build_network("unet2d")
    assert sum(p.numel() for p in network.parameters()) == 1_792_305
    assert network.receptive_field_px == (1, 217, 217)
    assert network.size_multiple_px == 16


def test_neighbouring_sections_are_seen() -> None:
    network = build_network("unet2d", preset="tiny", in_sections=5).eval()
    sections = torch.randn(1, 5, 16, 16)
    changed = sections.clone()
    changed[:, 0] += 1
    assert not torch.equal(network(sections), network(changed))


@pytest.mark.parametrize("params", [{"width": 10**9}, {"depth": 40}, {"dropout": 1.0}])
def test_parameters_are_bounded(params: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(params))):
        build_network("unet2d", **params)

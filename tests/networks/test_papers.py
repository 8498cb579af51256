"""The networks of the papers have the sizes of the papers' tables."""

from __future__ import annotations

import pytest
import torch

from napari_emseg.networks import build_network
from napari_emseg.networks.layers import count_parameters

TABLES = [
    # name, parameters of the preset, numbers to train, receptive field (z, y, x)
    ("n4", {"preset": "paper"}, 219_290, (1, 95, 95)),
    ("vd2d", {"preset": "paper"}, 230_714, (1, 109, 109)),
]


@pytest.mark.parametrize(("name", "params", "count", "field"), TABLES)
def test_sizes_are_those_of_the_table(name, params, count, field) -> None:
    with torch.device("meta"):
        network = build_network(name, **params)
    assert count_parameters(network) == count
    assert network.receptive_field_px == field

"""A network's map does not depend on the blocks a section is cut into."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_emseg.inference import Predictor
from napari_emseg.networks import NETWORKS, build_network


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"unet3d", "rsunet"}))
def test_blocks_give_what_the_whole_section_gives(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(name, preset="tiny")
    raw = np.random.default_rng(0).integers(0, 256, (5, 60, 230), np.uint8)
    maps = []
    for block_px in (200, 48):
        with Predictor(network, device="cpu", block_shape_px=block_px) as predictor:
            maps.append(predictor.predict_section(raw, 2))
    assert maps[0].std() > 0
    np.testing.assert_allclose(maps[0], maps[1], rtol=0, atol=1e-5)

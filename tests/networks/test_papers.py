"""The networks of the papers have the sizes of the papers' tables."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from napari_emseg.networks import build_network
from napari_emseg.networks.layers import count_parameters
from napari_emseg.networks.vd2d import VD2D
from napari_emseg.networks.vd2d3d import VD2D3D

TABLES = [
    # name, parameters, numbers to train, weights of convolutions, receptive field (z, y, x)
    ("n3", {"preset": "n1"}, 270_746, None, (1, 65, 65)),
    ("n3", {"preset": "znn"}, 117_806, None, (1, 65, 65)),
    ("n3", {"preset": "paper"}, 270_746, None, (1, 123, 123)),
    ("n4", {"preset": "paper"}, 219_290, None, (1, 95, 95)),
    ("vd2d", {"preset": "paper"}, 230_714, None, (1, 109, 109)),
    ("vd2d3d", {"preset": "paper"}, 296_486, None, (5, 85, 85)),
    ("cumedvision", {"preset": "paper"}, 15_216_582, None, (1, 93, 93)),
    ("fusionnet", {"preset": "paper"}, None, 78_484_096, (1, 521, 521)),
    ("fusionnet", {"preset": "author"}, None, 62_780_032, (1, 459, 459)),
    ("fusionnet", {"preset": "paper_4_levels"}, None, 19_501_696, (1, 249, 249)),
    ("deepem3d", {"preset": "paper"}, None, 24_001_136, (5, 461, 461)),
    ("deepem3d", {"preset": "paper", "in_sections": 3}, None, 23_982_704, (3, 461, 461)),
    ("deepem3d", {"preset": "paper", "in_sections": 1}, None, 23_963_696, (1, 461, 461)),
    ("pdeepem3d", {"preset": "paper"}, None, 21_416_560, (5, 219, 219)),
    ("unet", {"preset": "paper"}, 31_030_658, None, (1, 215, 215)),
    # 19,069,955 with 3 channels in and out, without the scales of batch normalisation
    (
        "unet3d",
        {"preset": "paper"},
        19_069_955 - 2 * 27 * 32 - 2 * 65 + 2_336,
        None,
        (103, 103, 103),
    ),
    ("rsunet", {"preset": "paper"}, 1_449_600, None, (29, 317, 317)),
    ("rdn", {"preset": "paper"}, 15_620_357, None, (1, 165, 165)),
]


@pytest.mark.parametrize(("name", "params", "count", "weights", "field"), TABLES)
def test_sizes_are_those_of_the_table(
    name: str,
    params: dict[str, Any],
    count: int | None,
    weights: int | None,
    field: tuple[int, int, int],
) -> None:
    with torch.device("meta"):
        network = build_network(name, **params)
    if count is not None:
        assert count_parameters(network) == count
    if weights is not None:
        assert sum(p.numel() for p in network.parameters() if p.ndim > 1) == weights
    assert network.receptive_field_px == field


def test_the_deep_contextual_network_has_16_convolutions_3_deconvolutions_3_outputs() -> None:
    network = build_network("cumedvision", preset="tiny").eval()
    kinds = [type(module) for module in network.modules()]
    assert kinds.count(torch.nn.Conv2d) == 16
    assert kinds.count(torch.nn.ConvTranspose2d) == 3
    total, *parts = network.forward_training(torch.randn(1, 1, 40, 32))
    assert len(parts) == 3
    torch.testing.assert_close(total, sum(parts))


def test_recursive_input_changes_the_map_and_lower_layers_come_from_vd2d() -> None:
    torch.manual_seed(0)
    trained = build_network("vd2d", width=4, hidden=8, before_pooling="tanh")
    network = build_network("vd2d3d", preset="tiny_recursive").eval()
    assert isinstance(network, VD2D3D)
    assert isinstance(trained, VD2D)
    network.start_from(trained)
    for key, value in network.stages.state_dict().items():
        assert torch.equal(value, trained.stages.state_dict()[key])
    sections = torch.randn(1, 10, 12, 12)
    changed = sections.clone()
    changed[:, 5] = 1 - changed[:, 5]
    assert not torch.equal(network(sections), network(changed))


def test_an_own_first_stage_makes_the_maps_and_is_not_trained() -> None:
    torch.manual_seed(0)
    trained = build_network("vd2d", width=4).eval()
    whole = build_network("vd2d3d", preset="recursive", width=4, hidden=8)
    part = build_network("vd2d3d", preset="tiny_recursive").eval()
    assert isinstance(whole, VD2D3D)
    assert isinstance(part, VD2D3D)
    assert isinstance(trained, VD2D)
    whole.start_from(trained)
    part.load_state_dict(
        {k: v for k, v in whole.state_dict().items() if not k.startswith("first.")}
    )
    sections = torch.randn(1, 5, 200, 197)
    maps = torch.cat([trained.forward_valid(sections[:, [z]]).sigmoid() for z in range(5)], 1)
    expected = part.forward_valid(torch.cat([sections[..., 54:-54, 54:-54], maps], 1))
    assert whole.receptive_field_px == (5, 193, 193)
    torch.testing.assert_close(whole.forward_valid(sections), expected)
    whole.train()(sections[..., :9, :9]).sum().backward()
    assert whole.first is not None
    assert not whole.first.training
    assert all(p.grad is None for p in whole.first.parameters())
    assert all(p.grad is not None for p in whole.stages.parameters())


def test_the_nearest_affinities_come_first() -> None:
    offsets = build_network("rsunet", preset="paper", widths=(2, 2)).offsets
    assert offsets[:3] == ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
    assert len(offsets) == len(set(offsets)) == 12
    network = build_network("unet3d", preset="tiny", offsets=offsets[:3]).eval()
    assert network(torch.randn(1, 1, 4, 8, 8)).shape == (1, 3, 4, 8, 8)


def test_the_u_net_makes_388_pixels_of_572() -> None:
    network = build_network("unet", preset="paper", width=1).eval()
    assert network.forward_valid(torch.randn(1, 1, 572, 572)).shape[-2:] == (388, 388)


@pytest.mark.parametrize("name", ["deepem3d", "pdeepem3d"])
@pytest.mark.parametrize("in_sections", [1, 3, 5])
def test_each_stem_sees_all_its_sections(name: str, in_sections: int) -> None:
    network = build_network(name, preset="tiny", in_sections=in_sections).eval()
    sections = torch.randn(1, in_sections, 24, 40, requires_grad=True)
    logits = network(sections)
    assert logits.shape == (1, 1, 24, 40)
    logits.square().sum().backward()
    assert sections.grad is not None
    assert (sections.grad.abs().sum(dim=(0, 2, 3)) > 0).all()

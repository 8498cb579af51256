"""What every entry of NETWORKS promises."""

from __future__ import annotations

import pytest
import torch

from napari_emseg.errors import InputError
from napari_emseg.networks import NETWORKS, build_network
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import load_model, save_model
from napari_emseg.networks.info import ModelInfo


@pytest.fixture(params=sorted(NETWORKS))
def network(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(0)
    return build_network(request.param, preset="tiny")


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 33), (32, 32)])
def test_every_size_gives_a_map_of_that_size(network: Network, size: tuple[int, int]) -> None:
    sections = torch.randn(2, network.in_sections, *size)
    assert network.eval()(sections).shape == (2, 1, *size)


def test_every_parameter_gets_a_gradient(network: Network) -> None:
    network(torch.randn(2, network.in_sections, 32, 32)).sigmoid().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_an_odd_size_gives_what_padding_by_reflection_gives(network: Network) -> None:
    multiple = network.size_multiple_px
    if multiple == 1:
        pytest.skip("takes any size as it is")
    sections = torch.randn(1, network.in_sections, 8 * multiple - 1, 8 * multiple)
    padded = torch.cat([sections, sections[..., -2:-1, :]], dim=-2)
    network.eval()
    torch.testing.assert_close(network(sections), network(padded)[..., :-1, :])


def test_receptive_field_is_what_gradients_reach(network: Network) -> None:
    """With positive weights and a ramp as input, max-pooling passes the far corner."""
    network.eval().requires_grad_(False)
    for tensor in network.state_dict().values():
        tensor.abs_()
    channels, multiple = network.in_sections, network.size_multiple_px
    z, y, x = network.receptive_field_px
    assert (z, y) == (channels, x)
    size = 2 * x // multiple * multiple + 4 * multiple
    ramp = torch.arange(size) + torch.arange(size)[:, None]
    reach = 0
    for phase in range(multiple):
        at = size // 2 // multiple * multiple + phase
        for direction in (ramp, ramp.flip(0, 1)):
            image = direction.float().expand(1, channels, -1, -1).clone().requires_grad_()
            network(image)[0, 0, at, at].backward()
            assert image.grad is not None
            touched = image.grad.abs().sum(dim=(0, 1)).nonzero()
            reach = max(reach, int((touched - at).abs().max()))
    assert 2 * reach + 1 == x


def test_moving_the_input_by_the_pooling_moves_the_output(network: Network) -> None:
    multiple, field = network.size_multiple_px, network.receptive_field_px[2]
    sections = torch.randn(1, network.in_sections, 2 * multiple, 2 * field + 4 * multiple)
    network.eval()
    whole = network(sections)
    moved = network(sections[..., multiple:])
    inside = slice(field, -field)
    torch.testing.assert_close(whole[..., multiple:][..., inside], moved[..., inside])


def test_fusing_changes_nothing(network: Network) -> None:
    sections = torch.randn(1, network.in_sections, 32, 32)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    expected = network.eval()(sections)
    network.fuse()
    torch.testing.assert_close(network(sections), expected, rtol=1e-4, atol=1e-4)


def test_saved_and_loaded_it_computes_the_same(network: Network, tmp_path) -> None:
    sections = torch.randn(1, network.in_sections, 32, 32)
    network(sections)
    save_model(tmp_path / "mine.safetensors", network, ModelInfo(network=network.name))
    loaded, info = load_model(tmp_path / "mine.safetensors")
    assert (info.name, info.network) == ("mine", network.name)
    assert loaded.params == network.params
    assert torch.equal(loaded(sections), network.eval()(sections))


def test_unknown_names_and_bad_parameters_are_explained() -> None:
    with pytest.raises(InputError, match=r"no network named 'unet9d'; choose one of: .*unet2d"):
        build_network("unet9d")
    for name in NETWORKS:
        with pytest.raises(InputError, match="no preset 'huge'"):
            build_network(name, preset="huge")
        with pytest.raises(InputError, match="in_sections"):
            build_network(name, in_sections=2)
        with pytest.raises(InputError, match="wdth"):
            build_network(name, wdth=16)

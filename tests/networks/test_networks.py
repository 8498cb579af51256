"""What every entry of NETWORKS promises."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_emseg.errors import InputError
from napari_emseg.networks import NETWORKS, build_network
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import load_model, save_model
from napari_emseg.networks.info import ModelInfo


def presets_of(name: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = importlib.import_module(
        NETWORKS[name].partition(":")[0]
    ).PRESETS
    return found


TINY = [(name, preset) for name in NETWORKS for preset in presets_of(name) if preset[:4] == "tiny"]


@pytest.fixture(params=TINY, ids=[f"{name}-{preset}" for name, preset in TINY])
def network(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(0)
    name, preset = request.param
    return build_network(name, preset=preset)


def make_input(network: Network, *size: int, sections: int = 3, batch: int = 1) -> Tensor:
    """Random sections, or a volume of as many for a 3D network."""
    channels = network.in_sections + network.in_maps
    depth = (sections,) if network.dimensions == 3 else ()
    return torch.randn(batch, channels, *depth, *size)


def test_every_network_has_a_small_a_paper_and_a_modern_preset() -> None:
    for name in NETWORKS:
        wanted = {"tiny", "modern"} if name == "unet2d" else {"tiny", "modern", "paper"}
        assert wanted <= set(presets_of(name)), name
        with torch.device("meta"):
            for preset in presets_of(name):
                assert build_network(name, preset).name == name


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 33), (32, 32)])
def test_every_size_gives_a_map_of_that_size(network: Network, size: tuple[int, int]) -> None:
    sections = make_input(network, *size, batch=2)
    channels = len(network.offsets) or 1
    assert network.eval()(sections).shape == (2, channels, *sections.shape[2:])


def test_every_parameter_gets_a_gradient(network: Network) -> None:
    network(make_input(network, 32, 32, batch=2)).sigmoid().square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_another_memory_format_changes_nothing(network: Network) -> None:
    sections = make_input(network, 24, 16)
    expected = network.eval()(sections)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(sections), expected, rtol=1e-4, atol=1e-4)


def test_training_outputs_are_of_one_shape_and_start_with_the_output(network: Network) -> None:
    sections = make_input(network, 20, 24)
    expected = network.eval()(sections)
    first, *others = network.forward_training(sections)
    torch.testing.assert_close(first, expected)
    assert all(other.shape == expected.shape for other in others)


def test_without_padding_the_output_is_smaller_by_the_margin(network: Network) -> None:
    margin = network.margin_px
    sections = make_input(network, 2 * margin + 16, 2 * margin + 9)
    inside = (..., slice(margin, margin + 16), slice(margin, margin + 9))
    network.eval()
    torch.testing.assert_close(network.forward_valid(sections), network(sections)[inside])


def test_an_odd_size_gives_what_padding_by_reflection_gives(network: Network) -> None:
    multiple = network.size_multiple_px
    if network.margin_px:
        pytest.skip("is mirrored on all sides, without regard to what it pools")
    sections = make_input(network, 2 * multiple - 1, 2 * multiple)
    padded = torch.cat([sections, sections[..., -2:-1, :]], dim=-2)
    network.eval()
    torch.testing.assert_close(network(sections), network(padded)[..., :-1, :])


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_receptive_field_is_what_gradients_reach(network: Network, axis: str) -> None:
    """With positive weights and a ramp as input, max-pooling passes the far corner."""
    if axis == "z" and network.dimensions == 2:
        assert network.receptive_field_px[0] == network.in_sections
        return
    network.eval().requires_grad_(False).double()
    for tensor in network.state_dict().values():
        if tensor.ndim > 1:  # a mean instead of a sum, so that nothing saturates
            tensor.abs_().div_(tensor[0].numel())
    multiple = network.size_multiple_sections if axis == "z" else network.size_multiple_px
    field = network.receptive_field_px["zyx".index(axis)]
    size = 2 * field // multiple * multiple + 4 * multiple
    reach = 0
    for ramp in (torch.linspace(0, 1, size).double(), torch.linspace(1, 0, size).double()):
        reach = max(reach, _reach_along(network, axis, ramp, multiple))
    assert 2 * reach + 1 == field


def _reach_along(network: Network, axis: str, ramp: Tensor, multiple: int) -> int:
    dim = "zyx".index(axis) - 3
    like = make_input(network, 1, 1, sections=1).double()
    image = ramp.view([-1 if d == dim else 1 for d in range(-like.ndim, 0)])
    image = (image + torch.zeros_like(like)).requires_grad_()
    logits = network(image).sum(dim=1, keepdim=True).transpose(dim, -1).flatten(0, -2)[0]
    middle, reach = len(ramp) // 2 // multiple * multiple, 0
    for at in range(middle, middle + multiple):
        (gradient,) = torch.autograd.grad(logits[at], image, retain_graph=True)
        others = [d for d in range(gradient.ndim) if d != gradient.ndim + dim]
        touched = gradient.abs().sum(dim=others).nonzero()
        reach = max(reach, int((touched - at).abs().max()))
    return reach


def test_moving_the_input_by_the_pooling_moves_the_output(network: Network) -> None:
    multiple, field = network.size_multiple_px, network.receptive_field_px[2]
    sections = make_input(network, multiple, 2 * field + 4 * multiple)
    network.eval()
    whole = network(sections)
    moved = network(sections[..., multiple:])
    inside = slice(field, -field)
    torch.testing.assert_close(
        whole[..., multiple:][..., inside], moved[..., inside], rtol=1e-4, atol=1e-4
    )


def test_fusing_changes_nothing(network: Network) -> None:
    sections = make_input(network, 32, 32)
    norms = torch.nn.BatchNorm2d | torch.nn.BatchNorm3d
    for module in network.modules():
        if isinstance(module, norms):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    expected = network.eval()(sections)
    network.fuse()
    torch.testing.assert_close(network(sections), expected, rtol=1e-3, atol=1e-3)


def test_saved_and_loaded_it_computes_the_same(network: Network, tmp_path: Path) -> None:
    sections = make_input(network, 32, 32)
    network(sections)
    save_model(tmp_path / "mine.safetensors", network, ModelInfo(network=network.name))
    loaded, info = load_model(tmp_path / "mine.safetensors")
    assert (info.name, info.network) == ("mine", network.name)
    assert loaded.params == network.params
    assert torch.equal(loaded(sections), network.eval()(sections))


def test_it_learns_two_cells(network: Network) -> None:
    """A dark line between two cells is told from what lies beside it."""
    image = torch.full((24, 40), 0.5)
    image[:, 19:21] = -2
    image += 0.2 * torch.randn(24, 40)
    sections = make_input(network, 24, 40, sections=2)
    sections[:] = image
    if network.in_maps:
        sections[:, network.in_sections :] = 0
    wanted = torch.zeros(24, 40)
    wanted[:, 19:21] = 1
    truth = wanted.expand(network.eval()(sections).shape)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-2)
    network.train()
    loss = torch.tensor(torch.inf)
    for _ in range(40):
        if loss < 0.2:
            break
        optimiser.zero_grad()
        outputs = network.forward_training(sections)
        weight = torch.tensor(19.0)
        losses = [
            functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=weight)
            for logits in outputs
        ]
        loss = torch.stack(losses).mean()
        loss.backward()
        optimiser.step()
    chance = network(sections).sigmoid()
    assert chance[..., 19:21].mean() > chance[..., :19].mean() + 0.2


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


def test_a_wrong_input_is_one_sentence() -> None:
    for name in NETWORKS:
        network = build_network(name, "tiny").eval()
        if network.dimensions == 3:
            with pytest.raises(InputError, match="takes whole volumes"):
                network(torch.zeros(1, 1, 32, 32))
        elif name != "unet2d":
            with pytest.raises(InputError, match=r"takes . channels, but 7 are given"):
                network(torch.zeros(1, 7, 32, 32))
            with pytest.raises(InputError, match="not a volume"):
                network(torch.zeros(1, network.in_sections, 3, 32, 32))
    with pytest.raises(InputError, match=r"boundary maps of its 5 sections.*'recursive'"):
        build_network("vd2d3d", "tiny_recursive")(torch.zeros(1, 5, 32, 32))

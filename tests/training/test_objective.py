from __future__ import annotations

import pytest
import torch

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network
from napari_emseg.training import TrainParams
from napari_emseg.training.losses import map_loss
from napari_emseg.training.objective import Objective
from napari_emseg.training.targets import IGNORED


def draw_targets(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    values = torch.tensor([0, 0, 1, IGNORED], dtype=torch.uint8)
    return values[torch.randint(4, shape, generator=generator)]


@pytest.mark.parametrize(("step", "weight"), [(0, 0.5), (10, 0.05), (10_000, 0.01)])
def test_auxiliary_classifiers_are_added_with_a_weight_that_falls(step, weight):
    network = build_network("cumedvision", "tiny").eval()
    params = TrainParams(auxiliary_weight=0.5, auxiliary_decay_steps=10, dice_weight=0)
    images, targets = torch.randn(2, 1, 16, 16), draw_targets(2, 1, 16, 16)
    main, *others = (map_loss(o, targets) for o in network.forward_training(images))
    assert len(others) == 3
    expected = main + weight * sum(others)
    torch.testing.assert_close(Objective(network, params)(images, targets, step=step), expected)


def test_without_weight_auxiliary_classifiers_do_not_count():
    network = build_network("cumedvision", "tiny").eval()
    params = TrainParams(auxiliary_weight=0, dice_weight=0)
    images, targets = torch.randn(1, 1, 16, 16), draw_targets(1, 1, 16, 16)
    expected = map_loss(network(images), targets)
    torch.testing.assert_close(Objective(network, params)(images, targets, step=0), expected)


def test_networks_without_padding_see_the_surroundings_of_a_patch():
    network = build_network("n4", "tiny").eval()
    around = torch.randn(1, 1, 94 + 8, 94 + 5)
    targets = draw_targets(1, 1, 8, 5)
    expected = map_loss(network.forward_valid(around), targets)
    params = TrainParams(dice_weight=0)
    torch.testing.assert_close(Objective(network, params)(around, targets, step=0), expected)


def test_windows_cost_what_the_same_pixels_cost_in_a_patch():
    network = build_network("n4", "tiny").eval()
    around, targets = torch.randn(1, 1, 94 + 3, 94 + 4), draw_targets(1, 1, 3, 4)
    positions = torch.cartesian_prod(torch.arange(3), torch.arange(4)) + 47
    windows = torch.stack(
        [around[0, :, y - 47 : y + 48, x - 47 : x + 48] for y, x in positions.tolist()]
    )
    dense = Objective(network, TrainParams(dice_weight=0))(around, targets, step=0)
    params = TrainParams(dice_weight=0, sampling="windows", class_balance=True)
    single = Objective(network, params)(windows, targets.flatten(), step=0)
    torch.testing.assert_close(single, dense)


def test_of_affinities_all_channels_count_and_zeros_are_boundary():
    network = build_network("rsunet", "tiny").eval()
    volume = torch.randn(1, 1, 4, 16, 16)
    targets = draw_targets(1, len(network.offsets), 4, 16, 16)
    targets[:, 1] = IGNORED
    params = TrainParams(dice_weight=0.2, class_balance=True)
    options = {"dice_weight": 0.2, "class_balance": True, "boundary_is": 0}
    expected = map_loss(network(volume), targets, **options)
    torch.testing.assert_close(Objective(network, params)(volume, targets, step=0), expected)


@pytest.mark.parametrize("name", ["unet2d", "unet3d", "rsunet", "cumedvision", "n4"])
def test_a_batch_of_which_nothing_is_known_teaches_nothing(name):
    network = build_network(name, "tiny")
    depth = (4,) if network.dimensions == 3 else ()
    side = 16 + 2 * network.margin_px
    images = torch.randn(2, network.in_sections, *depth, side, side)
    targets = torch.full((2, len(network.offsets) or 1, *depth, 16, 16), IGNORED)
    loss = Objective(network, TrainParams(class_balance=True))(
        images, targets.to(torch.uint8), step=0
    )
    loss.backward()
    assert float(loss.detach()) == 0
    assert not any(p.grad.any() for p in network.parameters() if p.grad is not None)


def test_3d_networks_have_no_windows():
    with pytest.raises(InputError, match="choose sampling 'patches'"):
        Objective(build_network("unet3d", "tiny"), TrainParams(sampling="windows"))

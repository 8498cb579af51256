from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.training.losses import LARGEST_WEIGHT, map_loss
from napari_emseg.training.targets import IGNORED


def row(*values: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype).reshape(1, 1, 1, -1)


def truth(*values: int) -> torch.Tensor:
    return row(*values, dtype=torch.uint8)


def test_unknown_pixels_do_not_count() -> None:
    entropy = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    assert float(map_loss(row(2, -1, 50), truth(1, 0, IGNORED))) == pytest.approx(entropy)


@pytest.mark.parametrize("options", [{}, {"dice_weight": 1.0}, {"class_balance": True}])
def test_a_batch_of_which_nothing_is_known_costs_and_teaches_nothing(options: dict) -> None:
    logits = row(3, -3, 8).requires_grad_()
    loss = map_loss(logits, truth(IGNORED, IGNORED, IGNORED), **options)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "mae"])
@pytest.mark.parametrize("boundary_is", [0, 1])
def test_a_perfect_map_costs_nothing(loss: str, boundary_is: int) -> None:
    targets = truth(1, 0, 0)
    logits = (targets.float() * 2 - 1) * 40
    options = {"loss": loss, "dice_weight": 1.0, "boundary_is": boundary_is}
    assert float(map_loss(logits, targets, **options)) == pytest.approx(0, abs=1e-4)


def test_squared_and_absolute_differences_are_of_probabilities() -> None:
    logits = row(0, 0, math.log(3))  # 0.5, 0.5, 0.75
    targets = truth(1, 0, 0)
    assert float(map_loss(logits, targets, loss="mae")) == pytest.approx((0.5 + 0.5 + 0.75) / 3)
    assert float(map_loss(logits, targets, loss="mse")) == pytest.approx((0.25 + 0.25 + 0.5625) / 3)


def test_balanced_classes_weigh_the_same_whatever_their_number() -> None:
    def cost(n_inside: int) -> float:
        logits = row(1, *[1] * n_inside)
        return float(map_loss(logits, truth(1, *[0] * n_inside), class_balance=True))

    assert cost(2) == pytest.approx(cost(1))
    assert cost(9) == pytest.approx(cost(1))
    assert cost(100) > cost(1)  # where the largest weight stops the balance


def test_no_voxel_weighs_more_than_the_largest_weight() -> None:
    targets = truth(1, *[0] * 999)
    logits = torch.zeros(1, 1, 1, 1000, requires_grad=True)
    map_loss(logits, targets, class_balance=True).backward()
    ratio = (logits.grad[..., 0] / logits.grad[..., 1]).abs()
    inside = 1000 / (2 * 999)
    assert float(ratio) == pytest.approx(LARGEST_WEIGHT / inside, rel=1e-4)


def test_boundary_counts_more_where_that_is_wanted() -> None:
    logits = torch.zeros(1, 1, 1, 2, requires_grad=True)
    map_loss(logits, truth(1, 0), boundary_weight=3.0).backward()
    assert float(logits.grad[..., 0]) == pytest.approx(-3 * float(logits.grad[..., 1]))


def test_in_affinities_it_is_the_zeros_that_are_boundary() -> None:
    logits = torch.zeros(1, 1, 1, 2, requires_grad=True)
    map_loss(logits, truth(1, 0), boundary_weight=3.0, boundary_is=0).backward()
    assert float(logits.grad[..., 1]) == pytest.approx(-3 * float(logits.grad[..., 0]))


def test_channels_count_the_same_however_much_of_them_is_known() -> None:
    logits = torch.tensor([[[0.0, 0.0, 0.0]], [[2.0, 9.0, 9.0]], [[9.0, 9.0, 9.0]]])[None]
    targets = torch.tensor([[[1, 0, 1]], [[1, 255, 255]], [[255, 255, 255]]], dtype=torch.uint8)
    expected = (math.log(2) + math.log1p(math.exp(-2))) / 2
    assert float(map_loss(logits, targets[None])) == pytest.approx(expected)


@pytest.mark.parametrize("only", [0, 1])
@pytest.mark.parametrize("boundary_is", [0, 1])
def test_of_one_kind_alone_an_overlap_costs_nothing(only: int, boundary_is: int) -> None:
    logits, targets = row(3, -1, 2), truth(only, only, IGNORED)
    plain = map_loss(logits, targets, boundary_is=boundary_is)
    options = {"dice_weight": 5.0, "class_balance": True, "boundary_is": boundary_is}
    assert float(map_loss(logits, targets, **options)) == pytest.approx(float(plain))
    both = truth(only, 1 - only, IGNORED)
    assert float(map_loss(logits, both, **options)) > float(
        map_loss(logits, both, **{**options, "dice_weight": 0.0})
    )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, IGNORED]), min_size=1, max_size=12),
    st.booleans(),
    st.sampled_from(["cross_entropy", "mse", "mae"]),
)
def test_what_the_map_is_where_nothing_is_known_changes_nothing(
    values: list[int], class_balance: bool, loss: str
) -> None:
    targets = truth(*values)
    logits = torch.linspace(-2, 2, len(values)).reshape(targets.shape)
    other = torch.where(targets == IGNORED, 5.0, logits)
    options = {"class_balance": class_balance, "loss": loss, "dice_weight": 0.5}
    assert float(map_loss(logits, targets, **options)) == float(map_loss(other, targets, **options))

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_emseg.training.augment import change_brightness, draw_fields, look_up
from napari_emseg.training.params import AugmentParams

STILL = AugmentParams(
    affine_fraction=0,
    elastic_sigma_px=0,
    contrast=0,
    brightness=0,
    gamma=0,
    shading=0,
    blur_sigma_px=0,
    noise_sigma=0,
    defect_fraction=0,
)
FULL = AugmentParams()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_warp_the_patches_are_the_eight_orientations():
    image = torch.arange(49.0).reshape(1, 7, 7)
    centre = torch.tensor([3.0, 3.0])
    expected = {
        np.rot90(m, k).tobytes() for m in (image[0].numpy(), image[0].numpy().T) for k in range(4)
    }
    fields = draw_fields(seeded(), 100, 7, STILL)
    drawn = {
        look_up(image, field, centre, "bilinear")[0].round(decimals=3).numpy().tobytes()
        for field in fields
    }
    assert drawn == expected


def test_a_patch_over_the_edge_is_a_mirror_image():
    image = torch.arange(5.0).reshape(1, 1, 5).expand(1, 5, 5)
    axis = torch.arange(5.0) - 2
    field = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    patch = look_up(image, field, torch.tensor([2.0, 4.0]), "nearest")
    assert patch[0, 2].tolist() == [2, 3, 4, 3, 2]


@pytest.mark.parametrize("shape_yx", [(1, 9), (9, 1), (3, 200)])
def test_sections_smaller_than_a_patch_work(shape_yx):
    image = torch.rand(1, *shape_yx)
    field = draw_fields(seeded(), 1, 32, FULL)[0]
    patch = look_up(image, field, torch.tensor([0.0, 0.0]), "bilinear")
    assert patch.shape == (1, 32, 32)
    assert patch.min() >= image.min() - 1e-5
    assert patch.max() <= image.max() + 1e-5


def test_labels_are_never_mixed():
    image = torch.zeros(1, 64, 64)
    image[:, 20:] = 255
    for field in draw_fields(seeded(), 8, 48, FULL):
        patch = look_up(image, field, torch.tensor([30.0, 30.0]), "nearest")
        assert set(patch.unique().tolist()) <= {0.0, 255.0}


def test_scale_keeps_within_its_limits():
    params = STILL.model_copy(update={"affine_fraction": 1.0, "shear": 0.0})
    fields = draw_fields(seeded(), 200, 3, params)
    step = (fields[:, 1, 1] - fields[:, 0, 1]).norm(dim=-1)  # section px per patch px
    assert 1 / 1.4 - 1e-4 <= step.min() < 0.8
    assert 1.3 < step.max() <= 1 / 0.7 + 1e-4


def test_elastic_nodes_have_the_asked_strength():
    params = STILL.model_copy(update={"elastic_sigma_px": 5.0})
    with_field = draw_fields(seeded(), 2000, 24, params)
    without = draw_fields(seeded(), 2000, 24, STILL)
    assert float((with_field - without)[:, 0, 0].std()) == pytest.approx(5, rel=0.1)


def test_brightness_off_changes_nothing():
    # values within the range that gamma works on
    batch = torch.rand(3, 2, 16, 16) * 4 - 2
    assert torch.allclose(change_brightness(seeded(), batch, STILL), batch, atol=1e-5)


def test_same_seed_same_patches_and_every_change_acts():
    batch = torch.randn(6, 1, 40, 40).clamp(-2, 2)
    first, again = (change_brightness(seeded(5), batch, FULL) for _ in range(2))
    assert torch.equal(first, again)
    for name in ("contrast", "brightness", "gamma", "shading", "blur_sigma_px", "noise_sigma"):
        other = FULL.model_copy(update={name: 0.0})
        assert not torch.equal(change_brightness(seeded(5), batch, other), first), name


def test_blur_keeps_the_mean_of_a_flat_patch_and_softens_an_edge():
    params = STILL.model_copy(update={"blur_sigma_px": 1.5})
    flat = torch.full((8, 2, 24, 24), 0.7)
    assert torch.allclose(change_brightness(seeded(), flat, params), flat, atol=1e-5)
    edge = torch.zeros(8, 1, 24, 24)
    edge[..., 12:] = 1
    steps = change_brightness(seeded(), edge, params).diff(dim=-1).amax(dim=(1, 2, 3))
    assert steps.min() < 0.6
    assert steps.max() == pytest.approx(1, abs=1e-4)


def test_a_defect_is_a_stripe():
    params = STILL.model_copy(update={"defect_fraction": 1.0})
    changed = change_brightness(seeded(), torch.zeros(16, 1, 64, 64), params) != 0
    share = changed.float().mean(dim=(1, 2, 3))
    assert share.min() > 0.01
    assert share.max() < 0.5

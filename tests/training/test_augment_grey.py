"""What happens to grey values of patches."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emseg.training.augment_grey import change_grey
from napari_emseg.training.augment_params import AugmentParams

FULL = AugmentParams()
STILL = AugmentParams(
    contrast=0,
    brightness=0,
    gamma=0,
    shading=0,
    defect_fraction=0,
    blurred_section_fraction=0,
    black_section_fraction=0,
    missing_section_fraction=0,
    blur_sigma_px=0,
    noise_sigma=0,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def picture(depth: int = 1, size: int = 24) -> np.ndarray:
    return rng(9).uniform(-2, 2, (depth, size, size)).astype(np.float32)


def with_(**changes: float) -> AugmentParams:
    return STILL.model_copy(update=changes)


def test_all_switched_off_changes_nothing():
    assert np.array_equal(change_grey(rng(), picture(3), STILL), picture(3))


@pytest.mark.parametrize(
    "name",
    [
        "contrast",
        "brightness",
        "gamma",
        "shading",
        "defect_fraction",
        "blurred_section_fraction",
        "black_section_fraction",
        "missing_section_fraction",
        "blur_sigma_px",
        "noise_sigma",
    ],
)
def test_each_change_acts_and_can_be_switched_off(name):
    everything = FULL.model_copy(
        update={key: 1.0 for key in STILL.model_fields_set if key.endswith("_fraction")}
    )
    without = everything.model_copy(update={name: 0.0})
    alone = with_(**{name: getattr(everything, name)})
    differs = acts = 0
    for seed in range(24):
        full = change_grey(rng(seed), picture(3), everything)
        assert np.array_equal(full, change_grey(rng(seed), picture(3), everything))
        differs += not np.array_equal(full, change_grey(rng(seed), picture(3), without))
        acts += not np.array_equal(picture(3), change_grey(rng(seed), picture(3), alone))
    assert differs > 2
    assert acts > 2


def test_one_switched_off_leaves_the_draws_of_the_others():
    flat = np.zeros((1, 16, 16), np.float32)
    bright = change_grey(rng(3), flat.copy(), with_(brightness=1.0))
    both = change_grey(rng(3), flat.copy(), with_(brightness=1.0, contrast=0.5))
    assert np.array_equal(bright, both)


def test_gamma_keeps_black_and_white_where_they_are():
    ends = np.full((1, 8, 8), -3.5, np.float32)
    ends[:, 4:] = 3.5
    assert np.allclose(change_grey(rng(), ends.copy(), with_(gamma=1.0)), ends, atol=1e-5)


def test_blur_keeps_the_mean_of_a_flat_patch_and_softens_an_edge():
    params = with_(blur_sigma_px=3.0)
    flat = np.full((2, 24, 24), 0.7, np.float32)
    assert np.allclose(change_grey(rng(), flat.copy(), params), flat, atol=1e-5)
    edge = np.zeros((1, 24, 24), np.float32)
    edge[..., 12:] = 1
    steps = [np.diff(change_grey(rng(s), edge.copy(), params)).max() for s in range(16)]
    assert min(steps) < 0.4
    assert max(steps) == 1


def test_a_defect_is_a_stripe_of_one_section():
    params = with_(defect_fraction=1.0)
    for seed in range(10):
        changed = change_grey(rng(seed), np.zeros((3, 64, 64), np.float32), params) != 0
        shares = np.sort(changed.mean(axis=(1, 2)))
        assert shares[:2].tolist() == [0, 0]
        assert 0.01 < shares[2] < 0.5


def test_a_missing_section_is_replaced_as_prediction_does():
    params = with_(missing_section_fraction=1.0)
    for seed in range(20):
        before = picture(3)
        after = change_grey(rng(seed), before.copy(), params, middle=1)
        (hit,) = np.flatnonzero((after != before).any(axis=(1, 2)))
        assert hit != 1
        assert np.array_equal(after[hit], before[1])
        volume = change_grey(rng(seed), before.copy(), params)
        (hit,) = np.flatnonzero((volume != before).any(axis=(1, 2)))
        assert not volume[hit].any()


def test_a_black_section_is_black_and_not_the_one_predicted():
    params = with_(black_section_fraction=1.0)
    for seed in range(20):
        before = picture(5)
        after = change_grey(rng(seed), before.copy(), params, middle=2)
        (hit,) = np.flatnonzero((after != before).any(axis=(1, 2)))
        assert hit != 2
        assert after[hit].max() < -1.2
        assert after[hit].std() > 0


def test_single_sections_and_cubic_voxels_have_no_bad_sections():
    names = ("blurred_section_fraction", "black_section_fraction", "missing_section_fraction")
    params = with_(**dict.fromkeys(names, 1.0))
    assert np.array_equal(change_grey(rng(), picture(1), params), picture(1))
    cubic = change_grey(rng(), picture(3), params, has_sections=False)
    assert np.array_equal(cubic, picture(3))

"""Damaged sections and jumps are found, and their boundaries replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from napari_emseg import InputError, Volume
from napari_emseg.postprocessing import (
    SectionFaults,
    find_faults,
    fuse_maps,
    substitute_sections,
)


def _tissue(n_z: int = 12, seed: int = 0) -> np.ndarray:
    """Sections that change slowly along z, (z, 40, 44), in [0, 1]."""
    noise = np.random.default_rng(seed).normal(size=(n_z, 40, 44))
    smooth = ndimage.gaussian_filter(noise, (3, 2, 2))
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


def test_sound_tissue_has_no_faults() -> None:
    faults = find_faults(Volume(_tissue(), kind="boundary"))
    assert (faults.bad, faults.shifted) == ((), ())


@pytest.mark.parametrize("z", [0, 1, 5, 11])
def test_a_section_replaced_by_noise_is_the_only_bad_one(z: int) -> None:
    stack = _tissue()
    stack[z] = np.random.default_rng(1).random((40, 44))
    faults = find_faults(Volume(stack, kind="boundary"))
    assert faults.bad == (z,)
    assert faults.shifted == ()


def test_a_blank_section_is_bad() -> None:
    stack = _tissue()
    stack[4] = 0.5
    assert find_faults(Volume(stack, kind="boundary")).bad == (4,)


def test_both_sides_of_a_jump_are_shifted() -> None:
    stack = _tissue()
    stack[7:] = np.roll(stack[7:], (9, -11), (1, 2))
    faults = find_faults(Volume(stack, kind="boundary"))
    assert faults.bad == ()
    assert faults.shifted == (6, 7)


def test_where_the_tissue_merely_moves_fast_nothing_is_damaged() -> None:
    """Sections 5, 6, 7 each move by 3 px: unlike both neighbours, and even less alike beyond."""
    stack = _tissue()
    for z in (5, 6, 7):
        stack[z:] = np.roll(stack[z:], 3, axis=2)
    faults = find_faults(Volume(stack, kind="boundary"))
    assert faults.bad == ()
    assert {5, 6, 7} <= {*faults.shifted}


@pytest.mark.parametrize("name", ["isbi2012/train_raw", "fib25/raw"])
def test_recorded_stacks_are_sound_but_for_what_is_spoilt(name: str, shared_data: Path) -> None:
    stack = tifffile.imread(shared_data / f"{name}.tif", key=range(10, 30))[:, :200, :200]
    assert find_faults(Volume(stack)).bad == ()
    stack[7] = stack[7, ::-1, ::-1]
    assert find_faults(Volume(stack)).bad == (7,)


def test_grey_values_and_few_sections_will_do() -> None:
    grey = (255 * _tissue(3)).astype(np.uint8)
    assert find_faults(Volume(grey)).correlation.shape == (2,)
    for n_z in (1, 2):
        assert find_faults(Volume(grey[:n_z])).bad == ()


def test_bad_sections_become_the_maximum_of_the_nearest_sound_ones() -> None:
    stack = _tissue()
    stack[5:7] = np.random.default_rng(1).random((2, 40, 44))
    boundary = Volume(stack, kind="boundary")
    faults = find_faults(boundary)
    assert faults.bad == (5, 6)
    mended = substitute_sections(boundary, faults)
    for z in (5, 6):
        np.testing.assert_array_equal(mended.read(z), np.maximum(stack[4], stack[7]))
    np.testing.assert_array_equal(mended.read()[:5], stack[:5])
    assert mended.provenance["substituted"] == [5, 6]


def test_at_the_rim_the_only_neighbour_stands_in() -> None:
    stack = _tissue()
    stack[0] = 0.1
    boundary = Volume(stack, kind="boundary")
    np.testing.assert_array_equal(
        substitute_sections(boundary, find_faults(boundary)).read(0), stack[1]
    )


def test_beside_a_jump_the_thick_map_joins_in() -> None:
    stack = _tissue()
    stack[7:] = np.roll(stack[7:], (9, -11), (1, 2))
    thick = Volume(ndimage.grey_dilation(stack, (1, 3, 3)), kind="boundary")
    boundary = Volume(stack, kind="boundary")
    faults = find_faults(boundary)
    mended = substitute_sections(boundary, faults, thick=thick).read()
    for z in range(12):
        wanted = thick.read(z) if z in (6, 7) else stack[z]
        np.testing.assert_array_equal(mended[z], wanted)
    np.testing.assert_array_equal(substitute_sections(boundary, faults).read(), stack)


def test_as_released() -> None:
    """Global map of three nets; sections 7 to 9 and 4 of 12 as the script treats its own."""
    random = np.random.default_rng(2)
    s1, s3, s5, thick = (random.random((12, 5, 6)).astype(np.float32) for _ in range(4))
    everywhere = np.maximum(np.maximum(s1, s3), s5)
    expected = everywhere.copy()
    expected[7:10] = np.maximum(s1[7:10], thick[7:10])
    expected[4] = np.maximum(everywhere[3], everywhere[5])
    maps = [Volume(data, kind="boundary") for data in (s1, s3, s5, thick)]
    faults = SectionFaults(np.zeros(11), 0.5, bad=(4,), shifted=(7, 8, 9))
    fused = fuse_maps(maps[:3], how="max")
    mended = substitute_sections(fused, faults, thick=maps[3], single=maps[0])
    np.testing.assert_array_equal(mended.read(), expected)
    assert mended.provenance["substituted"] == [4, 7, 8, 9]


def test_a_thick_map_of_another_stack_is_refused() -> None:
    boundary = Volume(_tissue(), kind="boundary")
    other = Volume(_tissue(3), kind="boundary")
    with pytest.raises(InputError, match="shapes"):
        substitute_sections(boundary, find_faults(boundary), thick=other)

"""Smoothing, isotropic in nm in 3D."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_emseg.errors import InputError
from napari_emseg.segmentation.levels import TOP
from napari_emseg.segmentation.smoothing import (
    as_map,
    read_section,
    smooth_section,
    smooth_volume,
)
from napari_emseg.volume import Volume

MAP = np.random.default_rng(0).random((7, 9, 11)).astype(np.float32)


@pytest.mark.parametrize(
    ("voxel_size_nm", "sigma"),
    [
        (None, (2, 2, 2)),
        ((8, 8, 8), (2, 2, 2)),
        ((20, 4, 4), (0.4, 2, 2)),
        ((50, 4, 4), (0, 2, 2)),  # 0.16 px: not worth it
        ((4, 8, 4), (2, 1, 2)),
    ],
)
def test_same_length_along_all_axes(voxel_size_nm, sigma):
    smoothed = smooth_volume(Volume(MAP, kind="boundary", voxel_size_nm=voxel_size_nm), 2)
    assert np.abs(smoothed / TOP - ndimage.gaussian_filter(MAP, sigma)).max() < 0.52 / TOP


def test_no_smoothing_keeps_the_map():
    bytes_map = (MAP * 255).astype(np.uint8)
    levels = smooth_volume(Volume(bytes_map, kind="boundary"), 0)
    assert np.array_equal(levels, bytes_map.astype(np.uint16) * 256)


def test_section_is_smoothed_as_scipy_does_even_where_it_is_narrower_than_the_kernel():
    for section in (MAP[0], MAP[0, :1], MAP[0, :, :2]):
        levels = np.empty(section.shape, np.uint16)
        smooth_section(section, 3.0, levels)
        expected = ndimage.gaussian_filter(section, 3.0)
        assert np.abs(levels / TOP - expected).max() < 0.52 / TOP


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_chunks_of_any_size_give_the_same(monkeypatch, chunk):
    volume = Volume(MAP, kind="boundary")
    whole = smooth_volume(volume, 1.0)
    monkeypatch.setattr("napari_emseg.segmentation.smoothing._CHUNK", chunk)
    assert np.array_equal(smooth_volume(volume, 1.0), whole)


def test_8_bit_means_255ths():
    values = np.array([[0, 51, 255]], np.uint8)
    assert np.allclose(as_map(values, "it"), [[0, 0.2, 1]])


def test_rounding_beyond_the_range_is_forgiven():
    assert as_map(np.array([[-1e-5, 1.0001]]), "it").tolist() == [[0, 1]]


def test_bad_section_is_named():
    boundary = MAP.copy()
    boundary[4, 2, 3] = np.inf
    with pytest.raises(InputError, match=r"Section 4 .* 1 value"):
        read_section(Volume(boundary, kind="boundary"), 4)


def test_an_absurd_voxel_size_is_not_smoothed_for_ever():
    boundary = Volume(np.zeros((2, 5, 6)), kind="boundary", voxel_size_nm=(1e-300, 4, 4))
    with pytest.raises(InputError, match=r"would reach over .* voxels; correct it"):
        smooth_volume(boundary, 1.5)

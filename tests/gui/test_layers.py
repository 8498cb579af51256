"""A volume becomes a layer and comes back the same; unknown stays unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.layers import Layer as NapariLayer

from napari_emseg.errors import InputError
from napari_emseg.gui.layers import (
    add_volume,
    layer_data,
    set_voxel_size,
    volume_of,
    voxel_size_of,
)
from napari_emseg.gui.roles import is_drawing
from napari_emseg.io import open_volume, save_volume
from napari_emseg.volume import Volume


def make_layer(volume: Volume, **look: Any) -> Any:
    return NapariLayer.create(*layer_data(volume, **look))


@pytest.mark.parametrize("kind", ["raw", "boundary", "labels"])
def test_there_and_back(kind: Any) -> None:
    volume = Volume(
        np.zeros((3, 5, 7), np.uint8),
        kind=kind,
        voxel_size_nm=(50, 4, 3.5),
        offset_nm=(100, -8, 7),
        name="ugly",
        provenance={"notes": ["squeezed"]},
    )
    layer = make_layer(volume)
    again = volume_of(layer, kind)
    assert isinstance(layer, Labels if kind == "labels" else Image)
    assert again.data is volume.data
    assert again.voxel_size_nm == pytest.approx(volume.voxel_size_nm)
    assert again.offset_nm == pytest.approx(volume.offset_nm)
    assert again.provenance["notes"] == ["squeezed"]
    assert layer.axis_labels == ("z", "y", "x")


def test_pixels_are_no_voxel_size() -> None:
    layer = Image(np.zeros((2, 3, 4)), scale=(50, 4, 4))
    assert voxel_size_of(layer) is None
    set_voxel_size(layer, (50, 4, 4))
    assert voxel_size_of(layer) == (50, 4, 4)


def test_micrometres_become_nanometres() -> None:
    layer = Image(np.zeros((2, 3, 4)), scale=(0.05, 0.004, 0.004), units=("um",) * 3)
    assert voxel_size_of(layer) == pytest.approx((50, 4, 4))


def test_unknown_voxel_size_lies_on_its_source() -> None:
    source = Image(np.zeros((2, 3, 4)), scale=(5, 2, 2), translate=(1, 2, 3))
    layer = make_layer(Volume(np.zeros((2, 3, 4), np.float32), kind="boundary"), like=source)
    assert np.allclose(layer.scale, source.scale)
    assert np.allclose(layer.translate, source.translate)
    assert voxel_size_of(layer) is None


def test_one_section_gets_an_axis() -> None:
    assert volume_of(Image(np.zeros((4, 5), np.uint8)), "raw").shape == (1, 4, 5)


def test_full_resolution_of_a_pyramid() -> None:
    levels = [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 4, 4), np.uint8)]
    assert volume_of(Image(levels, multiscale=True), "raw").shape == (2, 8, 8)


def test_colour_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="colour image"):
        volume_of(Image(np.zeros((4, 5, 3), np.uint8), rgb=True), "raw")


def test_labels_from_a_file_can_be_painted(viewer: Any, tmp_path: Path) -> None:
    ids = Volume(np.ones((2, 8, 9), np.uint32), kind="labels", voxel_size_nm=(50, 4, 4))
    for name in ("labels.tif", "labels.h5", "labels.zarr"):
        layer = add_volume(viewer, open_volume(save_volume(ids, tmp_path / name)))
        layer.paint((0, 4, 4), 7)
        assert layer.data[0, 4, 4] == 7
        layer.undo()
        assert layer.data[0, 4, 4] == 1


def test_a_section_alone_or_a_blank_one_is_no_drawing(viewer: Any) -> None:
    blank_and_grey = np.zeros((2, 6, 7), np.float32)
    blank_and_grey[1] = np.linspace(0, 1, 42).reshape(6, 7)
    drawn = np.zeros((2, 6, 7), np.uint8)
    drawn[:, 2:4] = 255
    assert not is_drawing(viewer.add_image(blank_and_grey[1]))
    assert not is_drawing(viewer.add_image(blank_and_grey))
    assert is_drawing(viewer.add_image(drawn))
    assert is_drawing(viewer.add_image(drawn[0]))

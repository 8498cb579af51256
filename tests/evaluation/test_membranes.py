"""Membrane images: which value is membrane, and which cells that leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from napari_emseg.errors import InputError
from napari_emseg.evaluation import inspect_membranes, membranes_to_labels
from napari_emseg.volume import Volume


def grid(shape: tuple[int, int, int] = (3, 40, 61), spacing: int = 13) -> npt.NDArray[np.bool_]:
    """Two-pixel lines around square cells: membranes are True."""
    _, y, x = np.indices(shape)
    return np.asarray((y % spacing < 2) | (x % spacing < 2))


@pytest.mark.parametrize("bright_is_membrane", [True, False])
@pytest.mark.parametrize(("low", "high", "dtype"), [(0, 255, "u1"), (0, 1, "f4"), (1, 2, "i8")])
def test_either_polarity_is_recognised_and_said(
    bright_is_membrane: bool, low: int, high: int, dtype: str
) -> None:
    image = np.where(grid() == bright_is_membrane, high, low).astype(dtype)
    labels, note = membranes_to_labels(image)
    np.testing.assert_array_equal(labels == 0, grid())
    word = "bright" if bright_is_membrane else "dark"
    assert note.startswith(f"Membranes: {word} voxels taken as membrane (31 %)")


def test_forced_polarity_wins() -> None:
    image = grid().astype(np.uint8)
    np.testing.assert_array_equal(membranes_to_labels(image, invert=True)[0] > 0, grid())
    np.testing.assert_array_equal(membranes_to_labels(image, invert=False)[0] == 0, grid())
    assert "as chosen" in membranes_to_labels(image, invert=False)[1]


def test_cells_are_4_connected_and_numbered_through_the_stack() -> None:
    # the cells touch at a corner only, and lie on top of each other
    membrane = np.array([[[0, 0, 1], [0, 0, 1], [1, 1, 0]]] * 2)
    labels, _ = membranes_to_labels(membrane, invert=False)
    assert labels.dtype == np.uint32
    np.testing.assert_array_equal(labels[0], [[1, 1, 0], [1, 1, 0], [0, 0, 2]])
    np.testing.assert_array_equal(labels[1], [[3, 3, 0], [3, 3, 0], [0, 0, 4]])


def test_a_single_section_and_a_volume_are_taken_too() -> None:
    image = grid()[0].astype(np.uint8)
    flat, _ = membranes_to_labels(image)
    assert flat.shape == image.shape
    deep, _ = membranes_to_labels(Volume(image[np.newaxis], kind="boundary"))
    np.testing.assert_array_equal(deep[0], flat)


def test_a_section_without_membranes_is_one_cell() -> None:
    membrane = grid()
    membrane[1] = False
    labels, _ = membranes_to_labels(membrane)
    assert np.unique(labels[1]).size == 1
    assert labels[1, 0, 0] > labels[0].max()


def test_a_probability_map_is_cut_at_half() -> None:
    soft = np.where(grid(), 0.8, 0.1).astype(np.float32)
    soft[:, 5, 5] = 0.45
    labels, note = membranes_to_labels(soft)
    np.testing.assert_array_equal(labels == 0, grid())
    assert note.endswith("Grey values were cut at 0.5.")


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((2, 8, 8), np.uint8), "the same everywhere"),
        (np.arange(128, dtype=np.uint32).reshape(2, 8, 8), "choose labels as the kind"),
        (np.arange(1, 129, dtype=np.uint8).reshape(2, 8, 8), "choose another layer or file"),
        (np.full((1, 4, 4), np.nan), "NaN"),
        (np.zeros((2, 2, 8, 8), np.uint8), "z, y, x are needed"),
    ],
)
def test_what_is_no_membrane_image_is_refused(image: npt.NDArray[np.generic], says: str) -> None:
    with pytest.raises(InputError, match=says):
        membranes_to_labels(image)


def test_real_membranes_of_opposite_polarity(shared_data: Path) -> None:
    fly = tifffile.imread(shared_data / "isbi2012/train_membranes_z00-23.tif", key=range(2))
    larva = tifffile.imread(shared_data / "vnc2013/stack1_membranes_z00-13.tif", key=0)
    assert "dark voxels taken as membrane" in inspect_membranes(fly).note
    assert "bright voxels taken as membrane" in inspect_membranes(larva).note
    assert membranes_to_labels(larva)[0].max() > 200


@pytest.mark.parametrize(
    "name", ["isbi2012/train_raw.tif", "vnc2013/stack1_raw.tif", "snemi_mini/labels.tif"]
)
def test_real_images_that_are_no_membranes_are_refused(shared_data: Path, name: str) -> None:
    with pytest.raises(InputError):
        inspect_membranes(tifffile.imread(shared_data / name, key=0))

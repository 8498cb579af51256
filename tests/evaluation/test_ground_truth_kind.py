"""Ids or membranes? Looked at in several sections, as the first may be blank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from napari_emseg.evaluation import guess_ground_truth_kind
from napari_emseg.volume import Volume


def drawing(dtype: str = "u1", high: int = 255) -> npt.NDArray[Any]:
    _, y, x = np.indices((5, 40, 61))
    return ((y % 13 > 1) & (x % 17 > 1)).astype(dtype) * np.dtype(dtype).type(high)


def ids(dtype: str = "u2") -> npt.NDArray[Any]:
    _, y, x = np.indices((5, 40, 61))
    return (y // 13 * 4 + x // 17 + 1).astype(dtype)


def blobs() -> npt.NDArray[Any]:
    mask = np.zeros((5, 60, 80), np.uint8)
    for y in range(5, 55, 16):
        mask[:, y : y + 7, 4:12] = mask[:, y : y + 7, 30:39] = mask[:, y : y + 6, 60:70] = 255
    return mask


def rings() -> npt.NDArray[Any]:
    mask = np.zeros((5, 60, 80), np.uint8)
    for x in (4, 30, 56):
        mask[:, 10:30, x : x + 20] = 255
        mask[:, 13:27, x + 3 : x + 17] = 0
    return mask


def blank(volume: npt.NDArray[Any], *sections: int) -> npt.NDArray[Any]:
    volume = volume.copy()
    volume[list(sections)] = 0
    return volume


@pytest.mark.parametrize(
    ("volume", "kind"),
    [
        (drawing(), "membranes"),
        (255 - drawing(), "membranes"),
        (drawing("i8", 1), "membranes"),
        (drawing() > 0, "membranes"),
        (drawing()[0], "membranes"),
        (drawing("f4", 1), "membranes"),
        (blank(drawing(), 0, 1, 2, 3), "membranes"),
        (np.random.default_rng(0).integers(0, 256, (2, 40, 40)).astype(np.uint8), "membranes"),
        (ids(), "labels"),
        (ids("u1"), "labels"),
        (ids("i8") + 2**40, "labels"),
        (blank(ids(), 0, 2), "labels"),
        (np.where(ids() == 3, 255, 0).astype(np.uint8), "labels"),
        (blobs(), "labels"),
        (rings(), "labels"),
        (np.zeros((3, 9, 9), np.uint16), "labels"),
        (np.arange(5).reshape(5, 1, 1) * np.ones((5, 8, 8), int), "labels"),
    ],
)
def test_the_kind_is_recognised(volume: npt.NDArray[Any], kind: str) -> None:
    assert guess_ground_truth_kind(volume) == kind


def test_a_boundary_map_is_one_of_membranes() -> None:
    assert guess_ground_truth_kind(Volume(blobs(), kind="boundary")) == "membranes"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("isbi2012/train_membranes_z00-23.tif", "membranes"),
        ("vnc2013/stack1_membranes_z00-13.tif", "membranes"),
        ("gala_fib/train_boundary.tif", "membranes"),
        ("vnc2013/stack1_mitochondria_z00-13.tif", "labels"),
        ("sbem_mito/train_mitochondria.tif", "labels"),
        ("fib25/neurons_z000-169.tif", "labels"),
        ("snemi_mini/labels.tif", "labels"),
    ],
)
def test_real_ground_truth_is_recognised(shared_data: Path, name: str, kind: str) -> None:
    assert guess_ground_truth_kind(tifffile.imread(shared_data / name)) == kind

"""What is looked at is what the affinities say, section by section, and they are not lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_emseg.segmentation.affinities import affinities_from_boundary
from napari_emseg.segmentation.affinity_view import affinities_of, boundary_of
from napari_emseg.volume import Volume


@pytest.fixture
def affinities() -> Volume:
    data = np.random.default_rng(0).random((3, 4, 5, 7), np.float32)
    return Volume(data, kind="affinities", voxel_size_nm=(40, 4, 5), name="cell")


def test_every_way_of_indexing_reads_the_same(affinities: Volume) -> None:
    view = boundary_of(affinities).data
    whole = np.asarray(view)
    assert whole.shape == view.shape == (4, 5, 7)
    keys: list[Any] = [
        2, -1, (1, 2, 3), (1, slice(1, 3)), slice(1, 3), (slice(None), 2), (..., 0),
        ([0, 2], slice(None), 1), np.array([True, False, True, False]),
    ]  # fmt: skip
    for key in keys:
        np.testing.assert_array_equal(view[key], whole[key])


def test_geometry_and_affinities_travel_along(affinities: Volume) -> None:
    boundary = boundary_of(affinities)
    assert boundary.kind == "boundary"
    assert boundary.voxel_size_nm == (40, 4, 5)
    assert affinities_of(boundary) is affinities
    assert affinities_of(Volume(np.zeros((1, 2, 3), np.float32), kind="boundary")) is None


def test_the_view_is_bright_where_the_map_was() -> None:
    """Affinities made from a map show its membranes: a wall between two cells."""
    wall = np.zeros((3, 6, 9), np.float32)
    wall[:, :, 4] = 1
    view = np.asarray(boundary_of(affinities_from_boundary(wall)).data)
    assert view[1, 3, 4] > 0.3
    assert view[1, 3, 1] == 0

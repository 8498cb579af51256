"""Single thresholds of the affinity watershed can be set beside the presets."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.segmentation import build_affinity_hierarchy
from napari_emseg.segmentation.affinity_view import boundary_of
from napari_emseg.steps.segment import SegmentParams, build
from napari_emseg.volume import Volume


@pytest.fixture
def affinities() -> Volume:
    data = np.random.default_rng(0).random((3, 4, 12, 15), np.float32)
    return Volume(data, kind="affinities")


def test_each_threshold_is_that_of_the_watershed(affinities: Volume) -> None:
    params = SegmentParams(
        mode="3d",
        grouping="zlateski_seung",
        affinity_low=0.3,
        affinity_high=0.8,
        affinity_size_voxels=20,
        affinity_weight=0.4,
    )
    ours = build(boundary_of(affinities), params=params)
    plain = build_affinity_hierarchy(
        affinities,
        grouping="zlateski_seung",
        low=0.3,
        high=0.8,
        size_threshold_voxels=20,
        weight_threshold=0.4,
        dust_voxels=20,
    )
    np.testing.assert_array_equal(ours.fragments.read(), plain.fragments.read())
    assert 1 < plain.n_fragments < 100


def test_one_threshold_changes_the_preset(affinities: Volume) -> None:
    counts = []
    for low in (None, 0.6, 0.95):
        params = SegmentParams(
            mode="3d",
            grouping="mean_affinity",
            affinity_thresholds="deepseg_cli",
            affinity_low=low,
            affinity_high=0.97,
            affinity_size_voxels=0,
        )
        fragments = build(boundary_of(affinities), params=params).fragments.read()
        counts.append(int((fragments == 0).sum()))
    assert counts == sorted(counts)
    assert counts[0] < counts[2]  # what has no edge left is background


def test_thresholds_the_wrong_way_round_are_refused(affinities: Volume) -> None:
    params = SegmentParams(grouping="mean_affinity", affinity_low=0.9, affinity_high=0.2)
    with pytest.raises(InputError):
        build(boundary_of(affinities), params=params)

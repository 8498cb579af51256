"""Several maps become one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg import InputError, Volume
from napari_emseg.postprocessing import (
    SectionFaults,
    add_watershed_lines,
    build_deepem3d,
    calibrate,
    deepem3d_labels,
    filter_gaussian,
    filter_median,
    fit_calibration,
    fuse_maps,
    substitute_sections,
    tune_watershed_weight,
)
from napari_emseg.progress import Cancelled

SHAPE = (3, 7, 5)


def _maps(seed: int, n: int) -> list[Volume]:
    random = np.random.default_rng(seed)
    return [
        Volume(
            random.random(SHAPE).astype(np.float32),
            kind="boundary",
            voxel_size_nm=(50, 4, 4),
            name=f"net {i}",
        )
        for i in range(n)
    ]


@given(st.integers(0, 99), st.integers(2, 4), st.sampled_from(["max", "mean"]))
@settings(max_examples=20, deadline=None)
def test_the_order_does_not_matter_and_nothing_leaves_the_range_of_the_maps(
    seed: int, n: int, how: str
) -> None:
    maps = _maps(seed, n)
    fused = fuse_maps(maps, how=how).read()
    np.testing.assert_allclose(fused, fuse_maps(maps[::-1], how=how).read(), rtol=1e-6)
    stacked = np.stack([m.read() for m in maps])
    assert (fused <= stacked.max(0) + 1e-6).all()
    assert (fused >= stacked.min(0) - 1e-6).all()


def test_each_way_is_what_it_says() -> None:
    a, b, c = _maps(1, 3)
    x, y, z = a.read(), b.read(), c.read()
    np.testing.assert_array_equal(
        fuse_maps([a, b, c], how="max").read(), np.maximum(np.maximum(x, y), z)
    )
    np.testing.assert_allclose(fuse_maps([a, b, c]).read(), (x + y + z) / 3, rtol=1e-6)
    weighted = fuse_maps([a, b, c], how="weighted", weights=[2, 0, 6])
    np.testing.assert_allclose(weighted.read(), 0.25 * x + 0.75 * z, rtol=1e-6)
    assert weighted.provenance["fused"]["weights"] == [0.25, 0, 0.75]
    assert weighted.provenance["fused"]["maps"] == ["net 0", "net 1", "net 2"]
    assert weighted.voxel_size_nm == (50, 4, 4)


def test_bytes_and_decimals_mix() -> None:
    white = Volume(np.full(SHAPE, 255, np.uint8), kind="boundary")
    black = Volume(np.zeros(SHAPE, np.float32), kind="boundary")
    fused = fuse_maps([white, black])
    assert fused.dtype == np.float32
    np.testing.assert_allclose(fused.read(), 0.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"how": "weighted"}, "2 maps need 2 weights, not 0"),
        ({"how": "weighted", "weights": [1]}, "2 maps need 2 weights, not 1"),
        ({"how": "weighted", "weights": [0, 0]}, "not all 0"),
        ({"how": "weighted", "weights": [1, -1]}, "0 or more"),
        ({"how": "mean", "weights": [1, 1]}, "weighted only"),
        ({"how": "least"}, "not by 'least'"),
    ],
)
def test_what_does_not_fit_is_told(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        fuse_maps(_maps(0, 2), **options)


def test_maps_of_other_stacks_are_refused() -> None:
    a = _maps(0, 1)[0]
    with pytest.raises(InputError, match="Two or more"):
        fuse_maps([a])
    with pytest.raises(InputError, match="shapes"):
        fuse_maps([a, Volume(np.zeros((3, 7, 6), np.float32), kind="boundary")])
    with pytest.raises(InputError, match="same voxels"):
        fuse_maps([a, Volume(a.data, kind="boundary", voxel_size_nm=(50, 8, 8))])
    with pytest.raises(InputError, match="of kind 'raw'"):
        fuse_maps([a, Volume(np.zeros(SHAPE, np.uint8))])


def test_it_reports_each_section_and_stops_when_told() -> None:
    seen: list[int] = []

    class StopAtTwo:
        def update(self, done: int, total: int, message: str = "") -> None:
            assert total == SHAPE[0]
            seen.append(done)
            if done == 2:
                raise Cancelled

    with pytest.raises(Cancelled):
        fuse_maps(_maps(0, 2), progress=StopAtTwo())
    assert seen == [1, 2]


def test_no_operation_touches_the_map_it_is_given() -> None:
    a, b = _maps(5, 2)
    before = a.read().copy(), b.read().copy()
    truth = Volume((a.read() > 0.2).astype(np.uint8), kind="labels")
    faults = SectionFaults(np.zeros(2), 0.5, bad=(1,), shifted=(0,))
    for how in ("max", "mean"):
        fuse_maps([a, b], how=how)
    filter_median(a)
    filter_gaussian(a)
    calibrate(a, fit_calibration(a, truth))
    add_watershed_lines(a, tune_watershed_weight(a, truth, weights=(0, 1)).best)
    substitute_sections(a, faults, thick=b)
    deepem3d_labels(build_deepem3d([a, b]), sections_map=a)
    np.testing.assert_array_equal(a.read(), before[0])
    np.testing.assert_array_equal(b.read(), before[1])

"""The steps between map and watershed do what the functions do, and recipes replay them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_emseg import InputError, Volume, open_volume, save_volume
from napari_emseg.postprocessing import filter_gaussian, filter_median, fuse_maps
from napari_emseg.recipe import Recipe, load_recipe, run_recipe, save_recipe
from napari_emseg.steps.fuse import FuseParams
from napari_emseg.steps.fuse import run as fuse
from napari_emseg.steps.params import parse_params
from napari_emseg.steps.postprocess import PostprocessParams
from napari_emseg.steps.postprocess import run as postprocess
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.steps.step import all_records, last_record

SHAPE = (4, 30, 33)


@pytest.fixture
def maps() -> list[Volume]:
    random = np.random.default_rng(3)
    x = np.arange(SHAPE[2])
    wall = np.where(x % 11 == 10, 0.9, 0.05)
    return [
        Volume(
            np.float32(np.clip(wall + random.normal(0, 0.05, SHAPE), 0, 1)),
            kind="boundary",
            voxel_size_nm=(50, 4, 4),
            name=f"net{i} boundary",
        )
        for i in range(2)
    ]


def test_by_default_the_map_stays_as_it_is(maps: list[Volume]) -> None:
    result = postprocess(maps[0], params=PostprocessParams())
    np.testing.assert_array_equal(result.read(), maps[0].read())


def test_operations_come_in_the_order_of_the_parameters(maps: list[Volume]) -> None:
    params = PostprocessParams(median_px=2, gaussian_size_px=6, gaussian_sigma_px=0.8)
    expected = filter_gaussian(filter_median(maps[0], 2), 6, 0.8)
    result = postprocess(maps[0], params=params)
    np.testing.assert_array_equal(result.read(), expected.read())
    record = last_record(result.provenance)
    assert record is not None
    assert (record.step, record.params["median_px"]) == ("postprocess", 2)
    assert result.voxel_size_nm == (50, 4, 4)
    assert result.name == "net0 boundary"


def test_calibration_is_four_numbers(maps: list[Volume]) -> None:
    params = parse_params(PostprocessParams, {"calibration": "0, 0.5, 0, 0"})
    half = postprocess(maps[0], params=params)
    np.testing.assert_allclose(half.read(), maps[0].read() / 2, rtol=1e-6)
    with pytest.raises(InputError, match="calibration must be four numbers"):
        parse_params(PostprocessParams, {"calibration": "1,2"})
    with pytest.raises(InputError, match="numbers with commas"):
        parse_params(PostprocessParams, {"calibration": "steep"})


def test_a_recipe_fuses_postprocesses_and_segments_to_the_bit(
    maps: list[Volume], tmp_path: Path
) -> None:
    paths = [str(save_volume(m, tmp_path / f"{i}.tif")) for i, m in enumerate(maps)]
    steps = (
        ("fuse", FuseParams(others=(paths[1],), how="max")),
        ("postprocess", PostprocessParams(median_px=1, watershed_weight=0.3)),
        ("segment", SegmentParams(h=0.2, min_size_voxels=5)),
    )
    save_recipe(Recipe(steps), tmp_path / "recipe.yaml")
    report = run_recipe(load_recipe(tmp_path / "recipe.yaml"), paths[0], tmp_path / "out")
    fused = fuse(open_volume(paths[0]), params=steps[0][1])
    np.testing.assert_array_equal(
        fused.read(), fuse_maps([open_volume(p) for p in paths], how="max").read()
    )
    mended = postprocess(fused, params=steps[1][1])
    assert [record.step for record in all_records(mended.provenance)] == ["fuse", "postprocess"]
    replayed = open_volume(report["files"]["boundary"])
    np.testing.assert_array_equal(replayed.read(), mended.read())
    assert len(np.unique(open_volume(report["files"]["labels"]).read())) == 3 * SHAPE[0]


def test_a_fuse_step_without_another_map_is_told(maps: list[Volume]) -> None:
    with pytest.raises(InputError, match="at least one other map"):
        fuse(maps[0], params=FuseParams())

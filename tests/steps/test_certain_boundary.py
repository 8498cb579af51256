"""Segmenting as DeepEM3D's authors released it, from the shell and as a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from napari_emseg import InputError, Volume, open_volume, save_volume
from napari_emseg.cli import main
from napari_emseg.postprocessing import (
    build_deepem3d,
    deepem3d_labels,
    find_faults,
    substitute_sections,
)
from napari_emseg.postprocessing.refill import refill_certain
from napari_emseg.recipe import parse_recipe, run_recipe
from napari_emseg.steps.segment import SegmentParams, run

GAUSSIAN = ["--gaussian-size-px", "6", "--gaussian-sigma-px", "0.105"]
RELEASED = SegmentParams(
    mode="3d", sigma_px=0, h=0.19, min_size_voxels=0, exact_borders=True, certain_boundary=0.8
)
FLAGS = ["--mode", "3d", "--sigma-px", "0", "--h", "0.19", "--min-size-voxels", "0"]
FLAGS += ["--exact-borders", "--certain-boundary", "0.8"]


@pytest.fixture(scope="module")
def maps() -> tuple[Volume, Volume]:
    """The map of one network, and of one that sees single sections; the last is certain."""
    random = np.random.default_rng(11)
    smooth = ndimage.gaussian_filter(random.random((5, 47, 52)), (0.6, 1.6, 1.6))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    blurred = ndimage.gaussian_filter(smooth, (0, 0.5, 0.5)).clip(0, 1)
    blurred[4] = 0.9
    first, second = (
        Volume(np.float32(a), kind="boundary", name=name, voxel_size_nm=(30, 6, 6))
        for a, name in ((smooth, "deep"), (blurred * 1.5, "sections"))
    )
    return first, Volume(np.minimum(second.read(), 1), kind="boundary", name="sections")


def _expected(boundary: Volume, extra: Volume) -> np.ndarray:
    labels = deepem3d_labels(build_deepem3d([boundary], preset="released"), sections_map=extra)
    return labels.read()


def _from_the_shell(boundary: Path, extra: Path, folder: Path) -> np.ndarray:
    smoothed, out = folder / "smoothed.tif", folder / "labels.tif"
    common = ["--no-invert", "--force", "--json"]
    assert main(["postprocess", str(boundary), str(smoothed), *GAUSSIAN, *common]) == 0
    arguments = [str(smoothed), str(out), *FLAGS, "--certain-map", str(extra), *common]
    assert main(["segment", *arguments]) == 0
    return open_volume(out).read()


def _as_recipe(boundary: Path, extra: Path, folder: Path) -> np.ndarray:
    recipe = parse_recipe(
        f"""
        version: 2
        steps:
          - step: postprocess
            params: {{gaussian_size_px: 6, gaussian_sigma_px: 0.105}}
          - step: segment
            params: {json.dumps({**RELEASED.model_dump(), "certain_map": str(extra)})}
        """
    )
    made = run_recipe(recipe, boundary, folder / "made", invert=False, force=True)
    return open_volume(made["files"]["labels"]).read()


@pytest.mark.parametrize("way", [_from_the_shell, _as_recipe])
def test_shell_and_recipe_give_the_very_labels(maps, way, tmp_path: Path) -> None:
    boundary, extra = (save_volume(m, tmp_path / f"{m.name}.tif") for m in maps)
    labels, expected = way(boundary, extra, tmp_path), _expected(*maps)
    np.testing.assert_array_equal(labels, expected)
    unfilled = deepem3d_labels(build_deepem3d(maps[:1], preset="released")).read()
    assert 0.005 < np.mean(unfilled[:4] != expected[:4]) < 0.5
    assert (expected[:4] > 0).all()
    assert (expected[4] == 0).all()


@pytest.mark.parametrize("way", [_from_the_shell, _as_recipe])
def test_on_a_recorded_map(shared_data: Path, way, tmp_path: Path) -> None:
    crop = tifffile.imread(shared_data / "gala_fib" / "train_boundary.tif")[:8, :120, :130]
    rolled = np.maximum(crop, np.roll(crop, 1, axis=2))  # another network's map, nearly
    volumes = [Volume(a, kind="boundary", name=n) for a, n in ((crop, "one"), (rolled, "two"))]
    files = [save_volume(v, tmp_path / f"{v.name}.tif") for v in volumes]
    labels = way(*files, tmp_path)
    np.testing.assert_array_equal(labels, _expected(*volumes))
    assert len(np.unique(labels)) > 5


def test_without_another_map_the_segmented_one_tells(maps) -> None:
    boundary, _ = maps
    labels = run(boundary, params=RELEASED)
    plain = run(boundary, params=RELEASED.model_copy(update={"certain_boundary": 0.0})).read()
    refill_certain(plain, boundary, 0.8)
    np.testing.assert_array_equal(labels.read(), plain)
    n_certain = np.count_nonzero(boundary.read() >= np.float32(0.8))
    assert (
        f"{n_certain} voxels of certain boundary were filled from around."
        in (labels.provenance["notes"])
    )


def test_background_stays_background_and_a_lost_section_is_named(maps) -> None:
    labels = np.array([[[0, 0, 1, 1, 2]], [[3, 3, 3, 3, 3]]], np.uint32)
    wall = Volume(np.array([[[1, 0, 0, 1, 0]], [[1] * 5]], np.float32), kind="boundary")
    assert refill_certain(labels, wall, 0.8) == 6
    np.testing.assert_array_equal(labels, [[[0, 0, 1, 1, 2]], [[0] * 5]])
    blank = Volume(np.where(np.arange(5)[:, None, None] == 4, 0.9, maps[0].read()), kind="boundary")
    notes = run(blank, params=RELEASED).provenance["notes"]
    assert "All of these sections is certain boundary, so they have no labels: 4." in notes


def test_a_map_that_does_not_fit_is_refused_before_the_work(maps, tmp_path: Path) -> None:
    small = Volume(maps[0].read()[:, :-1], kind="boundary", name="small")
    path = save_volume(small, tmp_path / "small.tif")
    with pytest.raises(InputError, match="same field"):
        run(maps[0], params=RELEASED.model_copy(update={"certain_map": str(path)}))
    with pytest.raises(InputError, match="no file"):
        run(maps[0], params=RELEASED.model_copy(update={"certain_map": "missing.tif"}))


def test_the_map_alone_does_nothing_and_the_shell_says_so(maps, tmp_path: Path, capsys) -> None:
    path = save_volume(maps[0], tmp_path / "map.tif")
    arguments = [str(path), str(tmp_path / "out.tif"), "--certain-map", str(path), "--json"]
    assert main(["segment", *arguments]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert "--certain-map does nothing without --certain-boundary, such as 0.8." in notes


def test_the_released_recipe_mends_smooths_and_fills(maps, tmp_path: Path) -> None:
    """All but its network: the same as the functions one after the other."""
    file = Path(__file__).parents[2] / "examples" / "recipes" / "deepem3d_released.yaml"
    text = file.read_text().replace("  - step: predict\n    params: {model: default}\n", "")
    data = np.repeat(maps[0].read()[:1], 9, axis=0)
    data[4] = np.random.default_rng(0).random(data[4].shape)  # torn
    boundary = Volume(data, kind="boundary", name="torn")
    path = save_volume(boundary, tmp_path / "torn.tif")
    made = run_recipe(parse_recipe(text), path, tmp_path / "made", invert=False, force=True)
    mended = substitute_sections(boundary, find_faults(boundary))
    assert list(mended.provenance["substituted"]) == [4]
    hierarchy = build_deepem3d([mended], preset="released")
    smoothed = open_volume(made["files"]["boundary"], kind="boundary", invert=False)
    expected = deepem3d_labels(hierarchy, sections_map=smoothed).read()
    np.testing.assert_array_equal(open_volume(made["files"]["labels"]).read(), expected)

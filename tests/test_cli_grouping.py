"""The flags ``--grouping`` and ``--merge-threshold``, and what a recipe makes of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from napari_emseg import Volume, open_volume, save_volume
from napari_emseg.cli import main
from napari_emseg.recipe import Recipe, load_recipe, run_recipe, save_recipe
from napari_emseg.steps.segment import SegmentParams

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three rooms a section: a strong wall with a gap at x = 8, a weak one at x = 20."""
    monkeypatch.chdir(tmp_path)
    walls = np.random.default_rng(0).uniform(0, 0.02, (3, 20, 30)).astype(np.float32)
    walls[:, :, 8] = 0.9
    walls[:, 10, 8] = 0.1
    walls[:, :, 20] = 0.4
    save_volume(Volume(walls, kind="boundary", voxel_size_nm=(50, 4, 4)), "map.tif")
    rooms = np.ones(walls.shape, np.uint32) + np.arange(3, dtype=np.uint32)[:, None, None] * 2
    rooms[:, :, :8] += 1  # right of the strong wall all is one
    save_volume(Volume(rooms, kind="labels", voxel_size_nm=(50, 4, 4)), "truth.tif")
    return tmp_path


def run_json(capsys: Capture, *arguments: str) -> dict:
    assert main([*arguments, "--json", "--quiet"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert isinstance(report, dict)
    return report


def test_a_merge_threshold_alone_means_mean_boundary(capsys: Capture) -> None:
    flags = ["--sigma-px", "0", "--merge-threshold", "0.3"]
    report = run_json(capsys, "segment", "map.tif", "out.tif", *flags)
    assert (report["grouping"], report["merge_threshold"]) == ("mean_boundary", 0.3)
    labels = open_volume("out.tif").read()
    assert report["segments"] == 6 == np.unique(labels).size
    assert (labels[:, :, 10] == labels[:, :, 25]).all()
    assert (labels[:, :, 5] != labels[:, :, 10]).all()
    assert report["notes"] == []


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--grouping", "mean_boundary", "--h", "0.1"], "--h does nothing .* --merge-threshold"),
        (["--grouping", "h_minima", "--merge-threshold", "0.1"], "--merge-threshold does .* --h"),
    ],
)
def test_a_threshold_without_effect_is_told(flags: list[str], told: str, capsys: Capture) -> None:
    notes = run_json(capsys, "segment", "map.tif", "out.tif", *flags)["notes"]
    assert re.search(told, " ".join(notes))


def test_exact_borders_without_effect_are_told(capsys: Capture) -> None:
    flags = ["--merge-threshold", "0.3", "--exact-borders"]
    notes = run_json(capsys, "segment", "map.tif", "out.tif", *flags)["notes"]
    assert any("Exact borders are those of H-minima" in note for note in notes)


def test_another_grouping_is_refused(capsys: Capture) -> None:
    assert main(["segment", "map.tif", "out.tif", "--grouping", "best"]) == 2
    assert "mean_boundary" in capsys.readouterr().err


def test_the_flags_that_tune_gives_make_what_it_scored(capsys: Capture) -> None:
    common = ["--sigma-px", "0", "--grouping", "mean_boundary"]
    report = run_json(capsys, "tune", "map.tif", "truth.tif", *common)
    assert (report["grouping"], report["threshold"]) == ("mean_boundary", "merge_threshold")
    assert report["best_value"] > 0.95
    told = re.search(r"segment with (.+)\.", " ".join(report["notes"]))
    assert told is not None
    run_json(capsys, "segment", "map.tif", "out.tif", *told.group(1).split())
    scores = run_json(capsys, "evaluate", "out.tif", "truth.tif")
    assert scores["v_rand"] == pytest.approx(report["best_value"], abs=1e-9)


def test_tune_says_how_a_merge_threshold_scores(capsys: Capture) -> None:
    flags = ["--sigma-px", "0", "--merge-threshold", "0.3"]
    report = run_json(capsys, "tune", "map.tif", "truth.tif", *flags)
    assert report["grouping"] == "mean_boundary"
    run_json(capsys, "segment", "map.tif", "out.tif", *flags, "--min-size-voxels", "0")
    value = run_json(capsys, "evaluate", "out.tif", "truth.tif")["v_rand"]
    assert f"With --merge-threshold 0.3 v_rand is {value:.4f}." in report["notes"]


def test_a_recipe_keeps_the_grouping(folder: Path) -> None:
    params = SegmentParams(sigma_px=0, merge_threshold=0.3)
    save_recipe(Recipe((("segment", params),)), "recipe.yaml")
    recipe = load_recipe("recipe.yaml")
    assert recipe.steps[0][1] == params
    files = run_recipe(recipe, "map.tif", folder / "out")["files"]
    assert np.unique(open_volume(files["labels"]).read()).size == 6

"""``emseg tune`` searches sigma and grouping, and the flags it gives make what it scored."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_emseg import Volume, save_volume
from napari_emseg.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A noisy map of square rooms in six sections, and the rooms."""
    rng = np.random.default_rng(1)
    z, y, x = np.indices((6, 40, 53))
    wall = np.minimum(np.abs(y % 12 - 6), np.abs(x % 12 - 6)) < 1
    data = np.clip(wall * 0.7 + rng.normal(0.1, 0.12, wall.shape), 0, 1).astype(np.float32)
    rooms = np.where(wall, 0, 1 + (y + 6) // 12 * 10 + (x + 6) // 12 + 100 * z)
    size = (50, 4, 4)
    save_volume(Volume(data, kind="boundary", voxel_size_nm=size), tmp_path / "map.tif")
    truth = Volume(rooms.astype(np.uint32), kind="labels", voxel_size_nm=size)
    save_volume(truth, tmp_path / "truth.tif")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json", "--quiet"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_the_search_and_its_flags(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["tune", "map.tif", "truth.tif", "--sigma-px", "0", "--search-sigma", "0.5,1"]
    found = run_json(capsys, *command)
    assert (found["tuning_sections"], found["validation_sections"]) == ([0, 4], [4, 6])
    assert found["value_before"] < found["validation_value"] <= 1
    tried = {trial["parameters"]["sigma_px"] for trial in found["trials"]}
    assert {0.5, 1.0} < tried <= {0.5, 0.75, 1.0}
    told = next(re.search(r"Segment with (.+)\.$", n) for n in found["notes"] if "Segment" in n)
    assert told is not None
    run_json(capsys, "segment", "map.tif", "labels.tif", *told.group(1).split())
    for sections, value in (("0:4", "best_value"), ("4:6", "validation_value")):
        scores = run_json(capsys, "evaluate", "labels.tif", "truth.tif", "--sections", sections)
        assert scores["v_rand"] == pytest.approx(found[value])


def test_grouping_alone_can_be_searched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = "h_minima,mean_boundary"
    command = ["tune", "map.tif", "truth.tif", "--sigma-px", "1", "--search-grouping", names]
    found = run_json(capsys, *command)
    tried = [(t["parameters"]["sigma_px"], t["parameters"]["grouping"]) for t in found["trials"]]
    assert sorted(tried) == [(1.0, "h_minima"), (1.0, "mean_boundary")]
    assert main([*command, "--keep-aside", "0"]) == 0
    assert "kept aside" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--search-sigma", "a"], "--search-sigma must be a number"),
        (["--search-sigma", "99"], "between 0 and 20"),
        (["--search-grouping", "nose"], "no grouping named 'nose'"),
        (["--search-sigma", "--keep-aside", "2"], "--keep-aside must be at most 0.9"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    assert main(["tune", "map.tif", "truth.tif", "--quiet", *flags]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1

"""Flags that would make no difference are refused or named; nothing is ignored in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_emseg import Volume, save_volume
from napari_emseg.cli import main

SHAPE = (4, 30, 34)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wall between two rooms, as a map, as affinities and as ids; recipes."""
    monkeypatch.chdir(tmp_path)
    wall = np.full(SHAPE, 0.1, np.float32)
    wall[:, :, 16:18] = 0.8
    wall += np.random.default_rng(0).uniform(0, 0.05, SHAPE).astype(np.float32)
    rooms = np.ones(SHAPE, np.uint16)
    rooms[:, :, 17:] = 2
    save_volume(Volume(wall, kind="boundary", voxel_size_nm=(40, 4, 4)), "map.tif")
    save_volume(Volume(np.stack([1 - wall] * 3), kind="affinities"), "affinities.tif")
    save_volume(Volume(rooms, kind="labels", voxel_size_nm=(40, 4, 4)), "rooms.tif")
    save_volume(Volume((wall * 255).astype(np.uint8), kind="raw"), "raw.tif")
    Path("segment.yaml").write_text("version: 2\nsteps: [{step: segment}]\n")
    Path("predict.yaml").write_text("version: 2\nsteps: [{step: predict}]\n")
    return tmp_path


EVALUATE = ["evaluate", "rooms.tif", "rooms.tif"]
SNEMI = [*EVALUATE, "--protocol", "snemi3d"]
ISBI = ["evaluate", "map.tif", "rooms.tif", "--protocol", "isbi"]
POSTPROCESS = ["postprocess", "map.tif", "out.tif"]
FIT = [*POSTPROCESS, "--ground-truth", "rooms.tif", "--fit"]
TUNE = ["tune", "map.tif", "rooms.tif"]
CREMI = ["submit", "rooms.tif", "out.hdf", "--challenge", "cremi"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([*POSTPROCESS, "--sections", "0:2"], "--sections is for --fit"),
        ([*POSTPROCESS, "--ground-truth-kind", "labels"], "--ground-truth-kind is for --fit"),
        ([*FIT, "calibration", "--calibration", "0,1,0,0"], "--calibration is what --fit"),
        ([*FIT, "watershed-weight", "--watershed-weight", "0.2"], "--watershed-weight is what"),
        ([*EVALUATE, "--border-nm", "10"], "--border-nm is for a --protocol"),
        ([*SNEMI, "--border-nm", "10"], "--border-nm is for --protocol cremi, not snemi3d"),
        ([*ISBI, "--as-published"], "--as-published is for --protocol snemi3d or cremi, not isbi"),
        ([*ISBI, "--ground-truth-kind", "labels"], "isbi takes membranes as ground truth"),
        ([*SNEMI, "--ground-truth-kind", "labels_2d"], "snemi3d takes labels as ground truth"),
        ([*SNEMI, "--metrics", "v_rand"], "either --metrics or a --protocol"),
        ([*SNEMI, "--invert-ground-truth"], "--invert-ground-truth is for an image of membranes"),
        ([*EVALUATE, "--no-invert-ground-truth"], "ids have no polarity"),
        ([*EVALUATE, "--invert"], "--invert is for a boundary map"),
        ([*TUNE, "--keep-aside", "0.5"], "--keep-aside is for --search-sigma"),
        ([*TUNE, "--invert-ground-truth"], "--invert-ground-truth is for"),
        ([*TUNE, "--h", "0.1"], "h is what is tuned"),
        ([*TUNE, "--grouping", "linking"], "tune it with --mode 3d"),
        ([*CREMI, "--invert"], "--invert is for a boundary map; rooms.tif is labels"),
        (["run", "predict.yaml", "raw.tif", "made", "--no-invert"], "'invert' is for boundary"),
        (["run", "predict.yaml", "raw.tif", "made", "--affinities"], "begins with predict"),
        (
            ["run", "segment.yaml", "affinities.tif", "made", "--affinities", "--invert"],
            "affinities must be 1",
        ),
    ],
)
def test_refused_in_one_sentence(argv: list[str], words: str, capsys: Capture) -> None:
    assert main(argv) == 2
    err = capsys.readouterr().err.strip()
    assert words in err
    assert "\n" not in err
    assert not any(Path(name).exists() for name in ("out.tif", "out.hdf", "made"))


def run_json(capsys: Capture, *argv: str) -> dict[str, Any]:
    code = main([*argv, "--json", "--quiet"])
    out, err = capsys.readouterr()
    assert code == 0, err
    report: dict[str, Any] = json.loads(out)
    return report


SEGMENT = ["segment", "map.tif", "out.tif"]
AFFINITY = ["segment", "affinities.tif", "out.tif", "--grouping", "mean_affinity"]


@pytest.mark.parametrize(
    ("argv", "note"),
    [
        ([*POSTPROCESS, "--gaussian-sigma-px", "2"], "--gaussian-sigma-px does nothing without "),
        ([*POSTPROCESS, "--watershed-h", "0.2"], "--watershed-h does nothing without --watershed-"),
        ([*SEGMENT, "--prior-faces", "5"], "--prior-faces does nothing with --mode 2d --grouping"),
        ([*SEGMENT, "--min-sections", "2"], "--min-sections does nothing with --mode 2d"),
        (
            [*SEGMENT, "--mode", "3d", "--short-segments", "drop"],
            "--short-segments does nothing without --min-sections",
        ),
        ([*SEGMENT, "--certain-map", "map.tif"], "--certain-map does nothing without"),
        ([*AFFINITY, "--sigma-px", "2"], "--sigma-px does nothing with affinities and --grouping"),
        ([*AFFINITY, "--floor", "0"], "--floor does nothing with affinities and --grouping"),
        ([*TUNE, "--wall-quantile", "0.5"], "--wall-quantile does nothing with"),
        (
            ["run", "segment.yaml", "map.tif", "made", "--ground-truth", "rooms.tif"],
            "The ground truth was not used: the recipe has no step 'evaluate'.",
        ),
    ],
)
def test_named_in_the_notes(argv: list[str], note: str, capsys: Capture) -> None:
    assert sum(told.startswith(note) for told in run_json(capsys, *argv)["notes"]) == 1


@pytest.mark.parametrize(
    "argv",
    [
        [*POSTPROCESS, "--gaussian-size-px", "3", "--gaussian-sigma-px", "2"],
        [
            *SEGMENT,
            "--grouping",
            "mean_affinity",
            "--sigma-px",
            "2",
        ],  # the map is smoothed
        [*SEGMENT, "--mode", "3d", "--min-sections", "2", "--short-segments", "drop"],
        [*TUNE, "--grouping", "quantile_boundary", "--wall-quantile", "0.5"],
    ],
)
def test_flags_that_count_are_not_named(argv: list[str], capsys: Capture) -> None:
    assert not [n for n in run_json(capsys, *argv)["notes"] if "does nothing" in n]

"""``emseg fuse`` and ``emseg postprocess``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_emseg import Volume, open_volume, save_volume
from napari_emseg.cli import main
from napari_emseg.postprocessing import filter_median, fuse_maps

SHAPE = (3, 40, 44)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two maps of a wall between two rooms, and the rooms."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        wall = np.full(SHAPE, 0.1)
        wall[:, :, 20:22] = 0.8
        noisy = (wall + random.uniform(-0.1, 0.1, SHAPE)).astype(np.float32)
        save_volume(Volume(noisy, kind="boundary", voxel_size_nm=(50, 4, 4)), f"{name}.tif")
    rooms = np.ones(SHAPE, np.uint16)
    rooms[:, :, 20:22] = 0
    rooms[:, :, 22:] = 2
    save_volume(Volume(rooms, kind="labels", voxel_size_nm=(50, 4, 4)), "rooms.tif")
    return tmp_path


def run_json(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    code = main([*argv, "--json", "--quiet"])
    out, err = capsys.readouterr()
    assert code == 0, err
    report: dict[str, Any] = json.loads(out)
    return report


def test_fuse(capsys: pytest.CaptureFixture[str]) -> None:
    report = run_json(capsys, "fuse", "a.tif", "b.tif", "c.tif", "--how", "max")
    assert (report["sections"], report["maps"]) == (3, ["a.tif", "b.tif"])
    expected = fuse_maps([open_volume("a.tif"), open_volume("b.tif")], how="max")
    fused = open_volume("c.tif")
    np.testing.assert_array_equal(fused.read(), expected.read())
    assert (fused.kind, fused.voxel_size_nm) == ("boundary", (50, 4, 4))


def test_fuse_with_weights(capsys: pytest.CaptureFixture[str]) -> None:
    run_json(capsys, "fuse", "a.tif", "b.tif", "c.h5", "--how", "weighted", "--weights", "3,1")
    mixed = 0.75 * open_volume("a.tif").read() + 0.25 * open_volume("b.tif").read()
    np.testing.assert_allclose(open_volume("c.h5").read(), mixed, rtol=1e-5)


def test_postprocess(capsys: pytest.CaptureFixture[str]) -> None:
    report = run_json(capsys, "postprocess", "a.tif", "c.tif", "--median-px", "2")
    assert report["median_px"] == 2
    expected = filter_median(open_volume("a.tif"), 2).read()
    np.testing.assert_array_equal(open_volume("c.tif").read(), expected)


def test_what_is_fitted_can_be_given_again(capsys: pytest.CaptureFixture[str]) -> None:
    fit = ["--fit", "calibration", "watershed-weight", "--ground-truth", "rooms.tif"]
    report = run_json(capsys, "postprocess", "a.tif", "c.tif", *fit, "--sections", "0:2")
    numbers = report["calibration"]
    assert len(numbers) == 4
    text = ",".join(map(repr, numbers))
    weight = str(report["watershed_weight"])
    run_json(
        capsys,
        "postprocess",
        "a.tif",
        "d.tif",
        "--watershed-weight",
        weight,
        f"--calibration={text}",
    )
    np.testing.assert_array_equal(open_volume("c.tif").read(), open_volume("d.tif").read())
    assert open_volume("c.tif").read()[:, :, 20:22].mean() > 0.9


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["fuse", "a.tif", "c.tif"], "two or more maps"),
        (["fuse", "a.tif", "b.tif", "a.tif"], "replace its own input"),
        (["fuse", "a.tif", "b.tif", "c.tif", "--how", "weighted"], "2 weights"),
        (["fuse", "a.tif", "b.tif", "c.tif", "--weights", "x,y"], "numbers with commas"),
        (["postprocess", "a.tif", "c.tif", "--fit", "calibration"], "go together"),
        (["postprocess", "a.tif", "c.tif", "--median-px", "-1"], "--median-px must be at least"),
        (["postprocess", "a.tif", "c.tif", "--calibration", "0,1,-1,0"], "falls somewhere"),
    ],
)
def test_what_is_wrong_gets_one_sentence(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    err = capsys.readouterr().err.strip()
    assert words in err
    assert "\n" not in err
    assert not Path("c.tif").exists()

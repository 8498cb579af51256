from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from napari_emseg.cli import main
from napari_emseg.io import open_volume, save_volume
from napari_emseg.networks.checkpoint import load_model
from napari_emseg.networks.picture import read_picture
from napari_emseg.training.presets import QUICK_NEW
from napari_emseg.volume import Volume

SMALL = ("--width", "4", "--depth", "2", "--patch-px", "32", "--device", "cpu", "--steps", "2")
SMALL += ("--batch-size", "1", "--workers", "0", "--quiet")


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ids and grey values of squares, in the working folder."""
    z, y, x = np.indices((4, 40, 44))
    ids = (y // 11 * 50 + x // 11 + 1).astype(np.uint16)
    raw = (90 + 40 * (y % 11 > 1) * (x % 11 > 1) + (7 * x + 3 * y + z) % 5).astype(np.uint8)
    size = (50.0, 4.0, 4.0)
    save_volume(Volume(raw, voxel_size_nm=size), tmp_path / "raw.tif")
    save_volume(Volume(ids, kind="labels", voxel_size_nm=size), tmp_path / "labels.tif")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(capsys: pytest.CaptureFixture[str], *flags: str) -> dict:
    assert main(["train", "raw.tif", "labels.tif", "m.safetensors", *SMALL, *flags, "--json"]) == 0
    report: dict = json.loads(capsys.readouterr().out)
    return report


def fail(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert main(["train", "raw.tif", "labels.tif", "m.safetensors", *SMALL, *flags]) == 2
    return capsys.readouterr().err


def test_the_report_tells_how_long_the_network_waited(stack, capsys):
    report = train(capsys)
    assert 0 <= report["waited_share"] <= 1
    assert main(["train", "raw.tif", "labels.tif", "n.safetensors", *SMALL]) == 0
    assert "of it waiting for data" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [(), ("--network", "unet3d", "--patch-sections", "2")])
def test_the_model_shows_what_it_makes_of_a_section(flags, stack, capsys):
    train(capsys, *flags)
    with Image.open(BytesIO(read_picture(stack / "m.safetensors") or b"")) as picture:
        seen, found = np.asarray(picture)[:, :44], np.asarray(picture)[:, 48:]
    raw = open_volume(stack / "raw.tif").read(3)  # held out
    assert np.corrcoef(seen.ravel(), raw.ravel())[0, 1] > 0.99
    assert found.shape == raw.shape
    assert found.std() > 0


def test_folds_give_a_model_each_and_mean_scores(stack, capsys):
    report = train(capsys, "--folds", "2")
    assert [Path(fold["output"]).name for fold in report["folds"]] == [
        "m-fold1.safetensors",
        "m-fold2.safetensors",
    ]
    values = [fold["scores"]["raw"]["v_rand"] for fold in report["folds"]]
    assert report["scores"]["raw"]["v_rand"] == pytest.approx(np.mean(values))
    assert "m-fold1.safetensors exists" in fail(capsys, "--folds", "2")
    assert main(["train", "raw.tif", "labels.tif", "n.safetensors", *SMALL, "--folds", "2"]) == 0
    assert "mean of raw: v_rand" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folds", "words"), [("1", "at least 2 folds"), ("5", "cannot be parted into 5 folds")]
)
def test_folds_that_make_no_sense_are_one_sentence(folds, words, stack, capsys):
    assert words in fail(capsys, "--folds", folds)


def test_options_of_the_network_reach_it(stack, capsys):
    train(capsys, "--network-option", "dropout=0.25")
    assert load_model(stack / "m.safetensors")[0].params.dropout == 0.25


@pytest.mark.parametrize("text", ["dropout", "=1", "dropout=[1"])
def test_a_torn_option_is_one_sentence(text, stack, capsys):
    assert "write NAME=VALUE" in fail(capsys, "--network-option", text)


def test_an_option_the_network_has_not_is_one_sentence(stack, capsys):
    error = fail(capsys, "--network-option", "foveated=true")
    assert "This network has no parameter foveated: leave it out; there are " in error
    assert "width, depth, in_sections" in error
    assert "no parameter width" in fail(capsys, "--network", "rsunet")


def test_a_stop_says_that_something_is_saved_only_where_it_is(stack, capsys, monkeypatch):
    class Stopping:
        def __init__(self, stream, *, quiet):
            pass

        def update(self, done, total, message=""):
            if done >= 2:
                raise KeyboardInterrupt

        def close(self):
            pass

    stopped = ["train", "raw.tif", "labels.tif", "m.safetensors", *SMALL, "--steps", "3"]
    monkeypatch.setattr("napari_emseg.training.trainer._Trainer.run", _interrupted)
    assert main(stopped) == 130
    assert "--resume" not in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(stack)
    monkeypatch.setattr(sys.modules["napari_emseg.cli.main"], "TerminalProgress", Stopping)
    for flags in ([], ["--folds", "2"]):
        assert main([*stopped, *flags]) == 130
        assert "go on with --resume (m.safetensors)" in capsys.readouterr().err


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_options_in_a_file(stack, capsys):
    entry = {"name": "s", "raw": "raw.tif", "labels": "labels.tif", "train_sections": "0-1"}
    params = {"network_options": {"dropout": 0.5}, "schedule": "poly", "gradient_clip": None}
    (stack / "set.yaml").write_text(yaml.safe_dump({"sets": [entry], "params": params}))
    assert main(["train", "set.yaml", "m.safetensors", *SMALL]) == 0
    network, info = load_model(stack / "m.safetensors")
    assert network.params.dropout == 0.5
    assert info.training["params"]["schedule"] == "poly"


def test_tensorboard_writes_its_folder(stack, capsys):
    train(capsys, "--tensorboard", "board")
    assert list((stack / "board").glob("events.*"))
    train(capsys, "--tensorboard", "board", "--folds", "2")
    assert list((stack / "board" / "fold2").glob("events.*"))


def paint_some(folder: Path, *sections: int) -> None:
    """Paint lines of membrane and of cells in a few sections."""
    paint = np.zeros((4, 40, 44), np.uint8)
    for z in sections:
        paint[z, 11:22:11, 5:40], paint[z, 16, 5:40] = 1, 2
    save_volume(Volume(paint, kind="labels"), folder / "labels.tif")


def test_a_few_strokes_are_enough(stack, capsys):
    paint_some(stack, 0, 2)
    assert main(["train", "raw.tif", "labels.tif", "m.safetensors", *SMALL,
                 "--labels-kind", "painted"]) == 0  # fmt: skip
    assert "2 of 4 sections are painted" in capsys.readouterr().err
    assert load_model("m.safetensors")[1].trained_on == "raw sections 0, 2"


def test_of_four_painted_sections_the_last_is_scored(stack, capsys):
    paint_some(stack, 0, 1, 2, 3)
    report = train(capsys, "--labels-kind", "painted")
    assert set(report["scores"]["raw"]) == {"accuracy", "membrane_recall", "inside_recall"}


def test_paint_of_membrane_alone_is_refused(stack, capsys):
    paint_some(stack, 0)
    paint = open_volume("labels.tif", kind="labels").read()
    save_volume(Volume(np.where(paint == 1, 1, 0), kind="labels"), stack / "labels.tif")
    assert "paint some strokes of the inside" in fail(capsys, "--labels-kind", "painted")


def test_a_file_of_paint_needs_no_list_of_sections(stack, capsys):
    paint_some(stack, 1, 3)
    entry = {"name": "a", "raw": "raw.tif", "labels": "labels.tif", "labels_kind": "painted"}
    Path("set.yaml").write_text(yaml.safe_dump({"sets": [entry]}))
    assert main(["train", "set.yaml", "m.safetensors", *SMALL]) == 0
    assert load_model("m.safetensors")[1].trained_on == "a sections 1, 3"
    entry["validation_sections"] = [3]
    Path("set.yaml").write_text(yaml.safe_dump({"sets": [entry]}))
    assert main(["train", "set.yaml", "n.safetensors", *SMALL]) == 0
    assert load_model("n.safetensors")[1].trained_on == "a sections 1"


def test_ready_made_settings_lie_under_what_is_given(stack, capsys):
    train(capsys, "--settings", "quick")
    params = load_model("m.safetensors")[1].training["params"]
    assert params["learning_rate"] == QUICK_NEW["learning_rate"]
    assert (params["steps"], params["minutes"]) == (2, None)
    train(capsys, "--settings", "quick", "--learning-rate", "0.001", "--overwrite")
    assert load_model("m.safetensors")[1].training["params"]["learning_rate"] == 0.001
    assert "No paper says how to train" in fail(capsys, "--settings", "paper", "--overwrite")


def test_settings_take_the_network_of_the_model_to_start_from(stack, capsys):
    train(capsys, "--network", "fusionnet", "--preset", "tiny", "--width", "4", "--depth", "3")
    small = SMALL[4:]  # the size is that of the model
    more = ["--start-from", "m.safetensors", "--settings", "quick"]
    assert main(["train", "raw.tif", "labels.tif", "n.safetensors", *small, *more]) == 0
    assert load_model("n.safetensors")[1].network == "fusionnet"


def test_data_are_brought_to_the_pixel_size_of_the_model_to_start_from(stack, capsys):
    train(capsys)
    more = ["--start-from", "m.safetensors", "--voxel-size-nm", "50", "8", "8"]
    command = ["train", "raw.tif", "labels.tif", "n.safetensors", *SMALL, *more]
    assert main(command) == 0
    assert "resampled to the 4 x 4 nm that m was trained at" in capsys.readouterr().err
    assert load_model("n.safetensors")[1].voxel_size_nm == (50, 4, 4)
    assert main([*command, "--no-resample", "--overwrite"]) == 0
    assert load_model("n.safetensors")[1].voxel_size_nm == (50, 8, 8)

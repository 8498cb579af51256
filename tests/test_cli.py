"""The command line does the whole job, and what it prints can be read by programs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from napari_emseg import Volume, open_volume, save_volume
from napari_emseg.cli import main
from napari_emseg.cli.main import COMMANDS
from napari_emseg.cli.output import dump_json, format_value, to_plain
from napari_emseg.cli.progress import TerminalProgress
from napari_emseg.networks import build_network, library
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import Cancelled
from napari_emseg.recipe import Recipe
from napari_emseg.segmentation import affinities_from_boundary
from napari_emseg.steps.predict import PredictParams
from napari_emseg.steps.segment import SegmentParams

SHAPE = (5, 48, 61)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw, a boundary map with walls of four heights, the true rooms, and a model."""
    folder = tmp_path_factory.mktemp("cli")
    random = np.random.default_rng(2)
    x = np.arange(SHAPE[2])
    walls = np.where(x % 10 == 9, 0.2 * (1 + x // 10 % 4), 0)
    noise = random.uniform(0, 0.02, SHAPE)
    rooms = x // 10 + 1 + 100 * np.arange(SHAPE[0])[:, None, None]
    rooms = np.broadcast_to(np.where(x % 10 == 9, 0, rooms), SHAPE)
    size = (50, 4, 4)
    grey = random.normal(130, 30, SHAPE).clip(1, 254).astype(np.uint8)
    save_volume(Volume(grey, voxel_size_nm=size), folder / "raw.tif")
    boundary = Volume((walls + noise).astype(np.float32), kind="boundary", voxel_size_nm=size)
    save_volume(boundary, folder / "map.tif")
    truth = Volume(rooms.astype(np.uint32)[:4], kind="labels", voxel_size_nm=size)
    save_volume(truth, folder / "truth.tif")
    torch.manual_seed(0)
    network = build_network("unet2d", width=4, depth=2)
    (folder / "models").mkdir()
    info = ModelInfo(network="unet2d", title="Tiny", voxel_size_nm=size)
    save_model(folder / "models" / "tiny.safetensors", network, info)
    return folder


@pytest.fixture(autouse=True)
def _in_the_folder(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stack)
    monkeypatch.setenv("EMSEG_MODELS", str(stack / "models"))


def run_json(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    capsys.readouterr()
    code = main([*argv, "--json", "--quiet"])
    out, err = capsys.readouterr()
    assert code == 0, err
    report: dict[str, Any] = json.loads(out)
    return report


class TestReports:
    def test_info(self, capsys: pytest.CaptureFixture[str]) -> None:
        report = run_json(capsys, "info", "map.tif")
        assert report["shape"] == list(SHAPE)
        assert report["dtype"] == "float32"
        assert report["kind"] == "boundary"
        assert report["voxel_size_nm"] == [50, 4, 4]

    def test_info_of_an_unknown_voxel_size_is_null(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        path = save_volume(Volume(np.zeros((2, 9, 9), np.uint8)), tmp_path / "a.tif")
        assert run_json(capsys, "info", str(path))["voxel_size_nm"] is None

    def test_models(self, capsys: pytest.CaptureFixture[str]) -> None:
        models = {m["name"]: m for m in run_json(capsys, "models")["models"]}
        assert models["tiny"]["title"] == "Tiny"
        assert models["tiny"]["default"] is False

    def test_predict(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        out = tmp_path / "out.tif"
        report = run_json(
            capsys, "predict", "raw.tif", str(out), "--model", "tiny", "--device", "cpu"
        )
        assert report["sections"] == SHAPE[0]
        assert report["seconds"] > 0
        assert (report["device"], report["model"]) == ("cpu", "tiny")
        boundary = open_volume(out)
        assert (boundary.kind, boundary.shape) == ("boundary", SHAPE)
        assert boundary.voxel_size_nm == (50, 4, 4)

    def test_segment(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        out = tmp_path / "out.h5"
        flags = ["--sigma-px", "0", "--h", "0.1", "--min-size-voxels", "20"]
        report = run_json(capsys, "segment", "map.tif", str(out), *flags)
        labels = open_volume(out)
        assert report["segments"] == len(np.unique(labels.read())) == 7 * SHAPE[0]
        assert labels.voxel_size_nm == (50, 4, 4)

    def test_evaluate_is_flat_and_finite(self, capsys: pytest.CaptureFixture[str]) -> None:
        report = run_json(capsys, "evaluate", "truth.tif", "truth.tif")
        assert {"v_rand", "v_info", "voi_split", "voi_merge", "cremi_score"} <= set(report)
        assert all(isinstance(value, float) for value in report.values())
        assert report["v_rand"] == 1

    def test_doctor(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        report = run_json(capsys, "doctor")
        checks = {check["name"]: check for check in report["checks"]}
        assert report["usable"], report
        assert "torch" in checks["versions"]["detail"]
        assert checks["self-test: evaluate"]["ok"]
        if sys.platform.startswith("linux"):
            assert "no screen" in checks["window"]["detail"]

    @pytest.mark.parametrize("command", ["info", "models", "segment", "evaluate", "tune"])
    def test_the_same_for_people(
        self, command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        arguments = {
            "info": ["map.tif"],
            "models": [],
            "segment": ["map.tif", str(tmp_path / "a.tif")],
            "evaluate": ["truth.tif", "truth.tif"],
            "tune": ["map.tif", "truth.tif", "--sections", "0:4"],
        }
        assert main([command, *arguments[command]]) == 0
        out = capsys.readouterr().out
        assert out.strip()
        assert "{" not in out


def test_tuned_on_some_sections_and_scored_on_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Walls between rooms are 0.2 to 0.8 high, noise 0.02: every h between is perfect."""
    common = ["--sigma-px", "0", "--floor", "0"]
    tuned = run_json(capsys, "tune", "map.tif", "truth.tif", "--sections", "0:3", *common)
    assert tuned["metric"] == "v_rand"
    assert tuned["best_value"] == max(tuned["curve"]["value"]) > 0.99
    assert 0.02 < tuned["best_h"] < 0.2
    assert len(tuned["curve"]["h"]) == len(tuned["curve"]["value"])
    labels = str(tmp_path / "labels.tif")
    h = ["--h", repr(tuned["best_h"]), "--min-size-voxels", "0"]
    run_json(capsys, "segment", "map.tif", labels, *h, *common)
    scores = run_json(capsys, "evaluate", labels, "truth.tif", "--sections", "3:4")
    assert scores["v_rand"] > 0.99
    again = run_json(capsys, "evaluate", labels, "truth.tif", "--sections", "0:3")
    assert again["v_rand"] == pytest.approx(tuned["best_value"], abs=1e-9)


def test_the_flags_that_tune_gives_make_what_it_scored(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    common = ["--sigma-px", "0.5", "--no-invert", "--quiet"]
    assert main(["tune", "map.tif", "truth.tif", "--sections", "0:4", *common]) == 0
    out, err = capsys.readouterr()
    value, flags = re.fullmatch(r"best v_rand (\S+) with (.+)\n", out).groups()  # type: ignore[union-attr]
    told = re.search(r"segment with (.+)\.\n", err)
    assert told is not None
    assert told.group(1) == f"--sigma-px 0.5 --no-invert {flags}"
    labels = str(tmp_path / "labels.tif")
    run_json(capsys, "segment", "map.tif", labels, *told.group(1).split())
    scores = run_json(capsys, "evaluate", labels, "truth.tif", "--sections", "0:4")
    assert scores["v_rand"] == pytest.approx(float(value), abs=1e-4)


def test_scores_as_a_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    metrics = ["--metrics", "v_rand,voi_split"]
    report = run_json(capsys, "evaluate", "truth.tif", "truth.tif", *metrics, "--csv", str(out))
    assert list(report) == ["v_rand", "voi_split"]
    assert out.read_text() == "score,value\nv_rand,1.0\nvoi_split,0.0\n"


def test_a_recipe_gives_the_labels_of_the_commands(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    recipe = Recipe(
        (("predict", PredictParams(model="tiny", tta=False)), ("segment", SegmentParams(h=0.01)))
    )
    (tmp_path / "r.yaml").write_text(recipe.to_yaml())
    report = run_json(capsys, "run", str(tmp_path / "r.yaml"), "raw.tif", str(tmp_path / "out"))
    boundary, labels = str(tmp_path / "b.tif"), str(tmp_path / "l.tif")
    run_json(capsys, "predict", "raw.tif", boundary, "--model", "tiny", "--no-tta")
    run_json(capsys, "segment", boundary, labels, "--h", "0.01")
    np.testing.assert_array_equal(
        open_volume(report["files"]["labels"]).read(), open_volume(labels).read()
    )


class TestTrain:
    FLAGS = ("--width", "4", "--depth", "2", "--patch-px", "32", "--device", "cpu")

    def test_a_model_from_a_pair_and_on_with_it(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        out = str(tmp_path / "mine.safetensors")
        command = ["train", "raw.tif", "truth.tif", out, *self.FLAGS]
        report = run_json(capsys, *command, "--steps", "2")
        assert report["steps"] == 2
        run_json(capsys, "predict", "raw.tif", str(tmp_path / "b.tif"), "--model", out)

    def test_a_model_is_not_replaced_by_mistake(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        out = tmp_path / "mine.safetensors"
        out.write_bytes(b"hours of training")
        command = ["train", "raw.tif", "truth.tif", str(out), *self.FLAGS, "--steps", "1"]
        assert main(command) == 2
        assert "exists: choose another name" in capsys.readouterr().err
        assert out.read_bytes() == b"hours of training"
        assert run_json(capsys, *command, "--overwrite")["steps"] == 1

    def test_a_set_of_data(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        entry = {
            "name": "rooms",
            "raw": "raw.tif",
            "labels": "truth.tif",
            "train_sections": "0-2",
            "validation_sections": "3",
        }
        content = {
            "sets": [entry],
            "params": {"width": 4, "depth": 2, "patch_px": 32, "steps": 50},
            "model": {"title": "Rooms", "licence": "CC0"},
        }
        Path("set.yaml").write_text(yaml.safe_dump(content))
        out = str(tmp_path / "mine.safetensors")
        report = run_json(capsys, "train", "set.yaml", out, "--steps", "1")
        assert report["steps"] == 1
        assert "rooms" in report["scores"]
        for flags in (["--voxel-size-nm", "50", "4", "4"], ["--labels-kind", "membranes"]):
            assert main(["train", "set.yaml", out, *flags]) == 2
            assert "write them there, not on the command line" in capsys.readouterr().err


class TestStopping:
    def test_a_stop_is_130_and_leaves_nothing(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        def stop(*_: object) -> None:
            raise Cancelled

        monkeypatch.setattr(TerminalProgress, "update", stop)
        assert main(["segment", "map.tif", str(tmp_path / "out.tif")]) == 130
        assert capsys.readouterr().err == "emseg: Stopped.\n"
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_stops_cleanly(self, number: signal.Signals, tmp_path: Path) -> None:
        """The process says when it is in the middle of its work, then gets the signal."""
        code = (
            "import sys, time\n"
            "from napari_emseg.cli import main\n"
            "from napari_emseg.cli.progress import TerminalProgress\n"
            "def wait(*_):\n"
            "    sys.stdout.write('at work\\n'); sys.stdout.flush(); time.sleep(60)\n"
            "TerminalProgress.update = wait\n"
            "sys.exit(main(sys.argv[1:]))\n"
        )
        target = tmp_path / "out.csv"
        argv = ["evaluate", "truth.tif", "truth.tif", "--csv", str(target)]
        process = subprocess.Popen(
            [sys.executable, "-c", code, *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err == "emseg: Stopped.\n"
        assert list(tmp_path.iterdir()) == []

    def test_our_own_fault_is_1_in_one_line(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError("a bug\nin two lines")

        monkeypatch.setattr("napari_emseg.cli.info.run", fail)
        assert main(["info", "raw.tif"]) == 1
        assert capsys.readouterr().err == (
            "emseg: emseg failed (ZeroDivisionError: a bug); --debug shows where.\n"
        )
        assert main(["info", "raw.tif", "--debug"]) == 1
        assert "Traceback" in capsys.readouterr().err


class TestHelp:
    def test_fits_one_screen(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 0
        out = capsys.readouterr().out
        assert len(out.splitlines()) <= 24
        assert all(command in out for command in COMMANDS)

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_explains_itself(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert "--json" in capsys.readouterr().out

    def test_starts_without_heavy_imports(self) -> None:
        code = (
            "import sys\n"
            "from napari_emseg.cli import main\n"
            "main([])\n"
            "heavy = {'numpy', 'torch', 'numba', 'napari', 'qtpy', 'h5py', 'zarr', 'pydantic'}\n"
            "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr

    @pytest.mark.parametrize("is_bundled", [True, False])
    def test_a_damaged_model_is_named_by_the_doctor(
        self,
        is_bundled: bool,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (tmp_path / "bundled").mkdir()
        (tmp_path / "mine").mkdir()
        folder = tmp_path / ("bundled" if is_bundled else "mine")
        (folder / "torn.safetensors").write_bytes(b"x")
        monkeypatch.setattr(library, "bundled_folder", lambda: tmp_path / "bundled")
        monkeypatch.setenv("EMSEG_MODELS", str(tmp_path / "mine"))
        assert main(["doctor", "--no-self-test", "--quiet"]) == int(is_bundled)
        assert "torn cannot be used" in capsys.readouterr().out

    def test_gui_takes_drive_letters_and_datasets(
        self,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        Path("C:").mkdir()
        Path("C:/a.h5").touch()
        for name, words in [
            ("C:/a.h5", "no screen"),
            ("C:/a.h5:/raw", "no screen"),
            ("C:/b.h5:/raw", "There is no file b.h5"),
        ]:
            assert main(["gui", name]) == 2
            assert words in capsys.readouterr().err

    def test_gui_without_a_screen_says_so(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        assert main(["gui"]) == 2
        assert "no screen" in capsys.readouterr().err


class _Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class TestProgress:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        now = [0.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        return now

    def test_one_line_moves_on_a_terminal_and_is_cleared(self, clock: list[float]) -> None:
        stream = _Terminal()
        progress = TerminalProgress(stream)
        for done in range(1, 11):
            clock[0] += 4
            progress.update(done, 20, "Flooding")
        assert "\n" not in stream.getvalue()
        last = stream.getvalue().rpartition("\r")[2]
        assert "############............ Flooding, 40 s left" in last
        progress.close()
        assert stream.getvalue().endswith("\r\x1b[K")

    def test_a_log_gets_a_line_now_and_then(self, clock: list[float]) -> None:
        stream = StringIO()
        progress = TerminalProgress(stream)
        for done in range(1, 31):
            clock[0] += 1
            progress.update(done, 30)
        assert stream.getvalue().splitlines() == [
            "10 of 30, 20 s left",
            "20 of 30, 10 s left",
            "30 of 30",
        ]

    def test_the_next_computation_starts_its_own_clock(self, clock: list[float]) -> None:
        stream = _Terminal()
        progress = TerminalProgress(stream)
        clock[0] = 1000
        progress.update(10, 10, "Predicting")
        for done in (1, 2, 3):
            clock[0] += 2
            progress.update(done, 5, "Saving")
        assert stream.getvalue().endswith("Saving, 4 s left")

    def test_quiet_is_quiet(self, clock: list[float]) -> None:
        stream = StringIO()
        clock[0] = 1000
        TerminalProgress(stream, quiet=True).update(1, 2)
        assert stream.getvalue() == ""


class TestOutput:
    def test_json_knows_no_nan(self) -> None:
        report = {
            "a": float("nan"),
            "b": np.float32(np.inf),
            "c": np.arange(2),
            "d": Path("x"),
            "e": (np.int64(3), True, None),
        }
        assert json.loads(dump_json(report)) == {
            "a": None,
            "b": None,
            "c": [0, 1],
            "d": "x",
            "e": [3, True, None],
        }

    def test_plain_values_stay(self) -> None:
        values = {"a": [1, "b", 0.5, {"c": False}]}
        assert to_plain(values) == values

    @pytest.mark.parametrize(
        ("value", "text"),
        [(None, "not known"), (True, "yes"), ([30, 512], "30 x 512"), (0.1 + 0.2, "0.3")],
    )
    def test_values_for_people(self, value: object, text: str) -> None:
        assert format_value(value) == text


def test_real_boundary_map_of_a_network(
    shared_data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Tuning in 3D and scoring through files agree to the last digit."""
    boundary = str(shared_data / "gala_fib" / "train_boundary.tif")
    truth = str(shared_data / "gala_fib" / "train_neurons.tif")
    mode = ["--mode", "3d"]
    tuned = run_json(capsys, "tune", boundary, truth, *mode)
    labels = str(tmp_path / "labels.h5:/neurons")
    h = ["--h", repr(tuned["best_h"]), "--min-size-voxels", "0"]
    report = run_json(capsys, "segment", boundary, labels, *mode, *h)
    scores = run_json(capsys, "evaluate", labels, truth)
    assert report["segments"] > 10
    assert scores["v_rand"] == pytest.approx(tuned["best_value"], abs=1e-9)
    assert scores["v_rand"] > 0.8


def test_runs_as_a_module(stack: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "napari_emseg.cli", "info", "raw.tif", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "error::DeprecationWarning:napari_emseg"},
    )
    assert json.loads(result.stdout)["shape"] == list(SHAPE)


class TestCombinations:
    def test_a_flag_is_never_taken_for_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["tune", "boundary.tif", "truth.tif", "--h", "0.1", "--json"]) == 2
        assert main(["evaluate", "labels.tif", "truth.tif", "--h", "1"]) == 2
        assert "usage" not in capsys.readouterr().out

    def test_affinities_are_segmented_by_a_recipe_as_by_the_command(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        map_ = np.random.default_rng(0).random((3, 20, 24), np.float32)
        stored = save_volume(affinities_from_boundary(map_), tmp_path / "a.h5")
        params = SegmentParams(
            mode="3d", grouping="mean_affinity", merge_threshold=0.4, min_size_voxels=0
        )
        recipe = Recipe((("segment", params),))
        (tmp_path / "r.yaml").write_text(recipe.to_yaml())
        report = run_json(capsys, "run", str(tmp_path / "r.yaml"), str(stored), str(tmp_path / "o"))
        out = str(tmp_path / "l.tif")
        flags = ["--mode", "3d", "--grouping", "mean_affinity", "--merge-threshold", "0.4"]
        run_json(capsys, "segment", str(stored), out, *flags, "--min-size-voxels", "0")
        labels = open_volume(out).read()
        np.testing.assert_array_equal(open_volume(report["files"]["labels"]).read(), labels)
        assert np.unique(labels).size > 3

    def test_flags_without_effect_are_told(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        map_ = np.random.default_rng(0).random((2, 20, 24), np.float32)
        stored = save_volume(Volume(map_, kind="boundary"), tmp_path / "b.tif")
        flags = ["--min-sections", "3", "--prior-faces", "5", "--merge-threshold", "0.2"]
        flags += ["--grouping", "h_minima"]
        report = run_json(capsys, "segment", str(stored), str(tmp_path / "l.tif"), *flags)
        for flag in ("--min-sections", "--prior-faces", "--merge-threshold"):
            assert any(note.startswith(f"{flag} does nothing") for note in report["notes"])

    def test_linking_is_tuned_at_the_cut_given(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        map_ = np.random.default_rng(0).random((3, 30, 34), np.float32)
        stored = str(save_volume(Volume(map_, kind="boundary"), tmp_path / "b.tif"))
        ids = np.ones(map_.shape, np.uint8)
        ids[:, :, 17:] = 2
        truth = str(save_volume(Volume(ids, kind="labels"), tmp_path / "t.tif"))
        flags = ["--mode", "3d", "--grouping", "linking", "--voxel-size-nm", "40", "4", "4"]
        low, high = (
            run_json(capsys, "tune", stored, truth, *flags, "--h", h) for h in ("0.01", "0.3")
        )
        assert low["curve"] != high["curve"]
        advice = " ".join(high["notes"])
        assert "--h 0.3" in advice
        assert "--voxel-size-nm 40 4 4" in advice

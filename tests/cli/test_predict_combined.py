"""Several models, three axes and bad sections from the shell, and to the bit again in a recipe."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_emseg import Volume, open_volume, save_volume
from napari_emseg.cli import main
from napari_emseg.inference.streaming import _Stream
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.recipe import Recipe, load_recipe, save_recipe
from napari_emseg.steps.predict import PredictParams
from napari_emseg.steps.step import StepRecord

SHAPE = (8, 33, 41)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack whose section 5 is blank, an isotropic cube, truth, and three models."""
    grey = np.random.default_rng(0).integers(1, 255, SHAPE[1:], np.uint8)
    stack = np.stack([grey] * SHAPE[0])
    stack[5] = 9
    save_volume(Volume(stack, voxel_size_nm=(50, 4, 4)), tmp_path / "raw.tif")
    save_volume(Volume(stack[:4], voxel_size_nm=(8, 8, 8)), tmp_path / "cube.tif")
    truth = np.where(grey < 80, 0, 255).astype(np.uint8)
    save_volume(Volume(np.stack([truth] * 3)), tmp_path / "membranes.tif")
    models = tmp_path / "models"
    models.mkdir()
    for seed, (name, n_in) in enumerate((("one", 1), ("two", 3), ("wide", 1))):
        torch.manual_seed(seed)
        network = build_network("unet2d", width=4, depth=2, in_sections=n_in)
        info = ModelInfo(network="unet2d", voxel_size_nm=(50, 4, 4))
        save_model(models / f"{name}.safetensors", network, info)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMSEG_MODELS", str(models))
    return tmp_path


def run_json(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    capsys.readouterr()
    code = main([*argv, "--json", "--quiet"])
    out, err = capsys.readouterr()
    assert code == 0, err
    report: dict[str, Any] = json.loads(out)
    return report


def predict(capsys: pytest.CaptureFixture[str], *flags: str, raw: str = "raw.tif") -> Any:
    return run_json(capsys, "predict", raw, "out.tif", "--no-tta", "--device", "cpu", *flags)


def replay(folder: Path) -> None:
    """Repeat the recipe that the written map holds, and compare to the bit."""
    made = open_volume(folder / "out.tif")
    records = [StepRecord.from_dict(step) for step in made.provenance["steps"]]
    save_recipe(Recipe.from_records(records), folder / "recipe.yaml")
    source = "cube.tif" if made.shape[0] == 4 else "raw.tif"
    assert main(["run", "recipe.yaml", source, "again", "--quiet"]) == 0
    np.testing.assert_array_equal(open_volume(folder / "again/boundary.tif").read(), made.read())
    assert load_recipe(folder / "again/recipe.yaml") == load_recipe(folder / "recipe.yaml")


def test_models_given_one_by_one_or_with_commas_are_the_same(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = predict(capsys, "--model", "one", "--model", "two", "--combine", "max")
    assert (report["model"], report["combine"]) == ("one + two", "max")
    first = open_volume(folder / "out.tif").read()
    predict(capsys, "--model", "one,two", "--combine", "max")
    np.testing.assert_array_equal(open_volume(folder / "out.tif").read(), first)
    replay(folder)


def test_a_stacker_is_fitted_and_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--model", "one", "--model", "two"]
    report = run_json(
        capsys, "stack", "raw.tif", "membranes.tif", "s.safetensors", *given,
        "--ground-truth-kind", "membranes", "--sections", "0:2", "--no-tta",
    )  # fmt: skip
    losses = report["cross_entropy"]
    assert losses["learned"] <= min(losses["mean"], losses["max"]) + 1e-6
    predict(capsys, *given, "--combine", "learned", "--stacker", "s.safetensors")
    said = open_volume(folder / "out.tif").read()
    assert predict(capsys, *given, "--stacker", "s.safetensors")["combine"] == "learned"
    np.testing.assert_array_equal(open_volume(folder / "out.tif").read(), said)
    replay(folder)


def test_three_axes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = predict(capsys, "--model", "two", "--axes", "zyx", raw="cube.tif")
    assert report["axes"] == "zyx"
    replay(folder)


def test_a_table_is_written_edited_and_used(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run_json(capsys, "sections", "raw.tif", "--out", "table.csv")
    assert [(bad["z"], bad["fault"]) for bad in report["bad"]] == [(5, "blank")]
    with (folder / "table.csv").open("a") as table:
        csv.writer(table).writerow([2, "misaligned", 0, "yes", "seen by eye"])
    flags = ["--model", "two", "--sections-table", "table.csv", "--substitute", "wide"]
    assert predict(capsys, *flags)["substituted"] == ["2:misaligned", "5:blank"]
    with_table = open_volume(folder / "out.tif").read()
    replay(folder)
    predict(capsys, "--model", "two")
    assert not np.array_equal(open_volume(folder / "out.tif").read(), with_table)


def test_sections_are_found_where_a_recipe_says_auto(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = predict(capsys, "--model", "one", "--bad-sections", "auto")
    assert report["substituted"] == ["5:blank"]
    replay(folder)


def test_plain_words_tell_what_was_substituted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--model", "one", "--bad-sections", "2,5:blank", "--no-tta", "--quiet"]
    assert main(["predict", "raw.tif", "out.tif", *flags]) == 0
    assert "Bad sections, substituted: 2 (misaligned), 5 (blank)." in capsys.readouterr().out


def test_a_store_is_what_a_file_would_be_and_is_not_computed_twice(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--model", "two", "--bad-sections", "5:blank", "--no-tta", "--device", "cpu"]
    predict(capsys, *flags)
    report = run_json(capsys, "predict", "raw.tif", "out.zarr", *flags)
    assert report["sections"] == SHAPE[0]
    stored, filed = open_volume(folder / "out.zarr"), open_volume(folder / "out.tif")
    np.testing.assert_array_equal(stored.read(), filed.read())
    assert stored.provenance["steps"] == filed.provenance["steps"]
    again = run_json(capsys, "predict", "raw.tif", "out.zarr", *flags)
    assert again["seconds"] == report["seconds"]


@pytest.mark.parametrize("again", ["--resume", "--no-resume"])
def test_a_store_that_was_begun_goes_on_or_is_begun_anew(
    again: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--model", "one", "--no-tta", "--device", "cpu"]
    predict(capsys, *flags)
    monkeypatch.setattr("napari_emseg.io.zarr_image._MAX_CHUNK_SECTIONS", 2)
    made: list[int] = []
    take = _Stream.put

    def stop_late(stream: Any, z: int, section: Any) -> None:
        if len(made) == 6:
            raise KeyboardInterrupt
        made.append(z)
        take(stream, z, section)

    monkeypatch.setattr(_Stream, "put", stop_late)
    assert main(["predict", "raw.tif", "out.zarr", *flags, "--quiet"]) == 130
    monkeypatch.setattr(_Stream, "put", lambda *given: (made.append(given[1]), take(*given)))
    run_json(capsys, "predict", "raw.tif", "out.zarr", *flags, again)
    stored, filed = open_volume(folder / "out.zarr"), open_volume(folder / "out.tif")
    np.testing.assert_array_equal(stored.read(), filed.read())
    assert len(made) == (SHAPE[0] if again == "--resume" else 6 + SHAPE[0])


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--model", "one,one"], "--model names 'one' twice"),
        (["--model", "one", "--model", ""], "--model must not be empty"),
        (["--model", "one,three"], "There is no model 'three'"),
        (["--model", "one", "--combine", "learned"], "only one is chosen"),
        (["--model", "one,two", "--combine", "learned"], "needs a stacker"),
        (["--model", "one,two", "--stacker", "s", "--combine", "max"], "not by max"),
        (["--model", "one", "--axes", "zyx"], "12.5 times as long as wide"),
        (["--model", "one", "--axes", "zyx", "--bad-sections", "1"], "exclude each other"),
        (["--model", "one", "--bad-sections", "1:torn"], "a fault is one of"),
        (["--model", "one", "--bad-sections", "99"], "the stack has sections 0 to 7"),
        (["--model", "one", "--substitute", "none"], "There is no model 'none'"),
        (["--model", "one", "--sections-table", "no.csv"], "Cannot read the table"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_sentence(
    capsys: pytest.CaptureFixture[str], flags: list[str], sentence: str
) -> None:
    capsys.readouterr()
    assert main(["predict", "raw.tif", "out.tif", "--quiet", *flags]) == 2
    assert sentence in capsys.readouterr().err


def test_words_with_commas_are_lists() -> None:
    params = PredictParams.model_validate({"others": "a, b", "bad_sections": "7,2:blank"})
    assert params.models == ("default", "a", "b")
    assert params.bad_sections == ("2:blank", "7:misaligned")


def test_a_recipe_is_repeated_with_other_models(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(capsys, "--model", "one,two", "--combine", "max")
    records = [StepRecord.from_dict(s) for s in open_volume(folder / "out.tif").provenance["steps"]]
    save_recipe(Recipe.from_records(records), folder / "recipe.yaml")
    run_json(capsys, "run", "recipe.yaml", "raw.tif", "again", "--model", "models/wide.safetensors")
    predict(capsys, "--model", "wide")
    np.testing.assert_array_equal(
        open_volume(folder / "again/boundary.tif").read(), open_volume(folder / "out.tif").read()
    )
    written = load_recipe(folder / "again/recipe.yaml").steps[0][1]
    assert written.model_dump()["others"] == ()
    assert main(["run", "recipe.yaml", "raw.tif", "again", "--model", "nobody"]) == 2
    assert "There is no model 'nobody'" in capsys.readouterr().err


def test_a_recipe_that_does_not_predict_has_no_model_to_replace(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "recipe.yaml").write_text("{version: 2, steps: [{step: segment}]}")
    assert main(["run", "recipe.yaml", "raw.tif", "again", "--model", "one"]) == 2
    assert "no step 'predict'" in capsys.readouterr().err

"""The recipes of the papers run from end to end in the shell, on a corner of recorded data.

Shortened: two steps of tiny patches with few maps; what the recipe says about loss,
optimiser, schedule, targets and augmentation stays. `benchmarks/networks.py --recipes`
runs them for minutes and scores them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tifffile

from napari_emseg.cli import main
from napari_emseg.io import open_volume
from napari_emseg.networks.info import read_info
from napari_emseg.training.training_set import read_training_set

RECIPES = Path(__file__).resolve().parents[1] / "examples" / "recipes"
TRAINING = sorted(path.stem for path in (RECIPES / "training").glob("*.yaml"))
SHORT = ["--steps", "2", "--batch-size", "1", "--accumulate-batches", "1", "--workers", "0"]
SMALLER = {
    "n4": ["--batch-size", "8", "--width", "4"],
    "vd2d": ["--patch-px", "16", "--width", "4"],
    "cumedvision": ["--patch-px", "48", "--width", "4"],
    "fusionnet": ["--patch-px", "48", "--width", "4"],
    "unet": ["--patch-px", "20", "--width", "4"],
    "deepseg": ["--patch-px", "16", "--width", "4"],
    "deepem3d": ["--patch-px", "48", "--width", "2"],
}
PUBLISHED: dict[str, dict[str, Any]] = {
    "n4": {"class_balance": True, "optimiser": "sgd", "momentum": 0, "sampling": "windows"},
    "vd2d": {"learning_rate": 0.01, "decay_factor": 0.997, "decay_steps": 100, "patch_px": 100},
    "cumedvision": {"patch_px": 480, "decay_factor": 0.1, "decay_steps": 2000},
    "fusionnet": {"loss": "mse", "optimiser": "nadam", "learning_rate": 1e-4, "patch_px": 640},
    "unet": {"momentum": 0.99, "batch_size": 1, "patch_px": 388},
    "deepseg": {"optimiser": "adam", "steps": 10_000, "patch_px": 101},
    "deepem3d": {
        "steps": 50_000,
        "decay_power": 0.8,
        "weight_decay": 5e-4,
        "batch_size": 5,
        "accumulate_batches": 8,
        "boundary_kernel": "l3",
    },
}


def test_each_paper_has_both_recipes() -> None:
    assert set(TRAINING) == set(SMALLER) == set(PUBLISHED)
    assert all((RECIPES / f"{name}.yaml").exists() for name in TRAINING)


@pytest.mark.parametrize("name", TRAINING)
def test_the_numbers_are_the_published_ones(name: str) -> None:
    params = read_training_set(RECIPES / "training" / f"{name}.yaml").params
    assert {key: params[key] for key in PUBLISHED[name]} == PUBLISHED[name]


@pytest.fixture(scope="module")
def corner(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corner of the recorded stacks under the names the recipes use, and a stack to segment."""
    folder = tmp_path_factory.mktemp("data")
    for name, labels in (
        ("isbi2012/train_raw.tif", "isbi2012/train_membranes_z00-23.tif"),
        ("fib25/raw.tif", "fib25/neurons_z000-169.tif"),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        for file in (name, labels):
            stack = tifffile.imread(shared_data / file)[:170, :96, :80]
            tifffile.imwrite(folder / file, stack, photometric="minisblack")
            later = stack[20:22] if name.startswith("isbi") else stack[140:142]
            kind = "stack" if file == name else "truth"
            target = (folder / name).parent / f"{kind}.tif"
            tifffile.imwrite(target, later, photometric="minisblack")
    return folder


@pytest.mark.parametrize("name", TRAINING)
def test_recipe_runs_from_end_to_end(
    name: str,
    corner: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EMSEG_DATA", str(corner))
    monkeypatch.chdir(tmp_path)
    data = corner / ("fib25" if name == "deepem3d" else "isbi2012")
    stack, truth = str(data / "stack.tif"), str(data / "truth.tif")

    def emseg(*arguments: str) -> dict[str, Any]:
        assert main([*arguments, "--json", "--quiet"]) == 0, capsys.readouterr().err
        report: dict[str, Any] = json.loads(capsys.readouterr().out)
        return report

    given = str(RECIPES / "training" / f"{name}.yaml")
    trained = emseg("train", given, "mine.safetensors", *SHORT, *SMALLER[name])
    assert trained["steps"] == 2
    assert trained["scores"]
    info = read_info(tmp_path / "mine.safetensors")
    assert info.training["params"]["optimiser"] == read_training_set(given).params["optimiser"]

    predicted = emseg("predict", stack, "map.tif", "--model", "mine.safetensors", "--no-tta")
    assert predicted["sections"] == 2
    boundary = open_volume("map.tif", kind="boundary").read()
    assert boundary.shape == (2, 96, 80)
    assert 0 <= boundary.min() < boundary.max() <= 1

    recipe = (RECIPES / f"{name}.yaml").read_text().replace("default", "mine.safetensors")
    Path("recipe.yaml").write_text(recipe)
    emseg("run", "recipe.yaml", stack, "out")
    kind = ["--ground-truth-kind", "membranes"] if name != "deepem3d" else []
    scores = emseg("evaluate", "out/labels.tif", truth, *kind)
    assert 0 < scores["v_rand"] <= 1

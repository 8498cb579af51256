"""Every example runs, on a small size, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_emseg.io import open_volume, save_volume
from napari_emseg.networks.library import list_models
from napari_emseg.recipe import load_recipe, run_recipe
from napari_emseg.samples import make_synthetic

RECIPES = sorted((Path(__file__).resolve().parents[1] / "examples" / "recipes").glob("*.yaml"))
EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    run(example, tmp_path, EMSEG_EXAMPLE_SIZE="96")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_runs(recipe: Path, tmp_path: Path) -> None:
    raw, _ = make_synthetic((3, 96, 96))
    save_volume(raw, tmp_path / "stack.tif")
    outputs = run_recipe(load_recipe(recipe), tmp_path / "stack.tif", tmp_path / "out")
    labels = open_volume(outputs["files"]["labels"])
    assert labels.shape == raw.shape
    assert 3 < np.unique(labels.read()).size < 500


@pytest.mark.parametrize(
    ("example", "volumes"),
    [
        pytest.param(
            "isbi2012_membranes.py",
            {
                "RAW": "isbi2012/train_raw.tif",
                "LABELS": "isbi2012/train_membranes_z00-23.tif",
            },
            id="isbi2012",
        ),
        pytest.param(
            "fib25_neurons.py",
            {"MAP": "gala_fib/train_boundary.tif", "LABELS": "gala_fib/train_neurons.tif"},
            id="fib-sem",
        ),
    ],
)
def test_example_runs_on_recorded_data(
    example: str, volumes: dict[str, str], shared_data: Path, tmp_path: Path
) -> None:
    """On a few hundred pixels of it; the score must be one of a working pipeline."""
    named = {}
    for name, file in volumes.items():
        crop = tifffile.imread(shared_data / file)[:6, :128, :128]
        tifffile.imwrite(tmp_path / f"{name}.tif", crop, photometric="minisblack")
        named[f"EMSEG_EXAMPLE_{name}"] = f"{name}.tif"
    output = run(EXAMPLES[0].parent / example, tmp_path, **named)
    scores = [float(line.split("V_rand")[1].split()[0].rstrip(",")) for line in _scored(output)]
    assert min(scores) > 0.8


def _scored(output: str) -> list[str]:
    return [line for line in output.splitlines() if "V_rand" in line]


def run(example: Path, folder: Path, **environment: str) -> str:
    if "emseg.predict" in example.read_text() and not any(m.default for m in list_models()):
        pytest.skip("there is no default model in this checkout")
    finished = subprocess.run(
        [sys.executable, "-W", "error:::napari_emseg", str(example)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip()
    return finished.stdout

"""The recipes of the papers, shortened: training, prediction, post-processing, score."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import yaml
from _budget import seconds_per_step

from napari_emseg import Volume, evaluate, open_volume, save_volume
from napari_emseg.recipe import load_recipe, run_recipe
from napari_emseg.training import TrainParams, train
from napari_emseg.training.training_set import load_training_set, read_training_set

RECIPES = Path(__file__).resolve().parents[1] / "examples" / "recipes"
SHORTENED: dict[str, dict[str, Any]] = {
    "n4": {},
    "vd2d": {},
    "deepseg": {},
    "unet": {"width": 16, "patch_px": 180},
    "cumedvision": {"width": 16, "patch_px": 192},
    "fusionnet": {"width": 8, "patch_px": 192},
    "deepem3d": {"width": 8, "patch_px": 160, "accumulate_batches": 1},
}
"""What is made smaller beside the number of steps."""

_SECTIONS = 4
_NEVER = {"validation_interval_steps": 10**9, "save_interval_s": 10**9, "workers": 0}


def run_shortened(name: str, data: Path, work: Path, minutes: float) -> dict[str, Any]:
    """Train by a recipe for minutes of processor time, then do what the paper does behind.

    Scores are of the sections held out, each by itself.
    """
    file = RECIPES / "training" / f"{name}.yaml"
    whole = TrainParams(**read_training_set(file).params)
    params = whole.model_copy(update={**SHORTENED[name], **_NEVER, "device": "cpu"})
    (pair,) = load_training_set(file, data_folder=data)
    folder = work / "recipes" / name
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.safetensors"
    step_s = seconds_per_step(pair, model, params, time.process_time)
    params = params.model_copy(update={"steps": max(2, round(60 * minutes / step_s))})
    started = time.process_time()
    result = train([pair], model, params=params)
    trained_s = time.process_time() - started
    (scores,) = result.scores.values()
    return {
        "recipe": name,
        "shortened": _in_words(name, whole, params.steps),
        "steps": params.steps,
        "training_s": trained_s,
        "v_rand": scores["v_rand"],
        "v_info": scores["v_info"],
        "own_v_rand": _score_own_end(name, pair, model, folder),
    }


def _in_words(name: str, whole: TrainParams, steps: int) -> str:
    changes = [f"{steps:,} of {whole.steps:,} steps"]
    units = {"width": "maps", "patch_px": "pixels a side", "accumulate_batches": "batches a step"}
    for key, value in SHORTENED[name].items():
        before = getattr(whole, key)
        changes.append(f"{value} {units[key]}" + (f" instead of {before}" if before else ""))
    return ", ".join(changes)


def _score_own_end(name: str, pair: Any, model: Path, folder: Path) -> float:
    """Score what the recipe makes of a few held-out sections, in one orientation."""
    content = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    content["steps"][0]["params"] |= {"model": str(model), "tta": False}
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(content))
    z = pair.validation_sections
    part = slice(z[0], z[0] + _SECTIONS)
    stack = folder / "stack.tif"
    save_volume(Volume(pair.raw.read(part), voxel_size_nm=pair.raw.voxel_size_nm), stack)
    files = run_recipe(load_recipe(recipe), stack, folder / "out")["files"]
    kind = "membranes" if pair.labels_kind == "membranes" else "labels_2d"
    labels = open_volume(files["labels"])
    return evaluate(labels, pair.labels.read(part), ground_truth_kind=kind)["v_rand"]

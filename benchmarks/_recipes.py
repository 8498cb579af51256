"""The recipes of the papers, shortened: training, prediction, post-processing, score."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

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
    clock = _Clock(60 * minutes)
    params = params.model_copy(update={"steps": clock.count_steps(pair, model, params)})
    started = time.process_time()
    torch.manual_seed(0)
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


class _Clock:
    """Finds how many steps fit into some seconds, by a few of them."""

    def __init__(self, budget_s: float) -> None:
        self.budget_s = budget_s

    def count_steps(self, pair: Any, model: Path, params: TrainParams) -> int:
        times = []
        for steps in (1, 4):
            short = params.model_copy(update={"steps": steps})
            started = time.process_time()
            train([_without_validation(pair)], model.with_name("probe.safetensors"), params=short)
            times.append(time.process_time() - started)
        step_s = max((times[1] - times[0]) / 3, 1e-3)
        return max(2, round(self.budget_s / step_s))


def _without_validation(pair: Any) -> Any:
    from dataclasses import replace

    return replace(pair, validation_sections=())


def _in_words(name: str, whole: TrainParams, steps: int) -> str:
    changes = [f"{steps:,} of {whole.steps:,} steps"]
    units = {"width": "maps", "patch_px": "pixels a side", "accumulate_batches": "batches a step"}
    for key, value in SHORTENED[name].items():
        before = getattr(whole, key)
        changes.append(f"{value} {units[key]}" + (f" instead of {before}" if before else ""))
    return ", ".join(changes)


def _score_own_end(name: str, pair: Any, model: Path, folder: Path) -> float:
    text = (RECIPES / f"{name}.yaml").read_text().replace("model: default", f"model: {model}")
    recipe = folder / "recipe.yaml"
    recipe.write_text(text)
    z = pair.validation_sections
    part = slice(z[0], z[-1] + 1)
    stack = folder / "stack.tif"
    save_volume(Volume(pair.raw.read(part), voxel_size_nm=pair.raw.voxel_size_nm), stack)
    files = run_recipe(load_recipe(recipe), stack, folder / "out")["files"]
    kind = "membranes" if pair.labels_kind == "membranes" else "labels_2d"
    labels = open_volume(files["labels"])
    return evaluate(labels, pair.labels.read(part), ground_truth_kind=kind)["v_rand"]

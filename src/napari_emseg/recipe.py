"""A recipe: the steps of a job as YAML, to be repeated on other files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.evaluate import EvaluateParams
from napari_emseg.steps.params import Params, parse_params
from napari_emseg.steps.plausibility import check_plausible
from napari_emseg.steps.step import Step, StepRecord, get_step
from napari_emseg.volume import ZYX, Kind, Volume

VERSION = 1
_KIND_OF_ROLE: dict[str, Kind] = {"raw": "raw", "boundary": "boundary", "labels": "labels"}
_HEADER = "# Repeat with: emseg run RECIPE.yaml INPUT OUTDIR\n"


@dataclass(frozen=True)
class Recipe:
    """Steps with their parameters, in order.

    Examples
    --------
    >>> from napari_emseg.steps.segment import SegmentParams
    >>> Recipe((("segment", SegmentParams(h=0.1)),)).input_role
    'boundary'
    """

    steps: tuple[tuple[str, Params], ...]

    @property
    def input_role(self) -> str:
        """What the input file must hold: "raw", "boundary" or "labels"."""
        return get_step(self.steps[0][0]).inputs[0]

    @property
    def ground_truth_kind(self) -> Kind:
        """How to open ground truth: as labels, or as the picture of membranes it is."""
        kinds = [p.ground_truth_kind for _, p in self.steps if isinstance(p, EvaluateParams)]
        return "raw" if "membranes" in kinds else "labels"

    @classmethod
    def from_records(cls, records: Iterable[StepRecord]) -> Recipe:
        """Make a recipe of executed steps; of a step run repeatedly the last run counts.

        Raises
        ------
        InputError
            If there are none.
        """
        last = {record.step: record for record in records}
        ordered = sorted(last.values(), key=lambda record: _order(record.step))
        return _parse_steps([{"step": r.step, "params": dict(r.params)} for r in ordered])

    def to_yaml(self) -> str:
        """Return the recipe as text."""
        steps = [
            {"step": name, "params": params.model_dump(mode="json")} for name, params in self.steps
        ]
        text: str = yaml.safe_dump({"version": VERSION, "steps": steps}, sort_keys=False)
        return _HEADER + text


def _order(step: str) -> int:
    from napari_emseg.steps import STEPS

    return list(STEPS).index(step) if step in STEPS else len(STEPS)


def save_recipe(recipe: Recipe, path: str | os.PathLike[str]) -> Path:
    """Write `recipe` as YAML; the old file stays until the new one is complete."""
    with atomic_write(path) as temporary:
        temporary.write_text(recipe.to_yaml(), encoding="utf-8")
    return Path(path)


def load_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe.

    Raises
    ------
    InputError
        If there is no such file or it is no recipe; the sentence names the
        step and the parameter at fault.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"Cannot read the recipe {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no recipe: it is not text.") from None
    return parse_recipe(text, str(path))


def parse_recipe(text: str, name: str = "The recipe") -> Recipe:
    """Read a recipe from text; see :func:`load_recipe`."""
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise InputError(f"{name} is not valid YAML{where}.") from None
    if not isinstance(content, dict) or not isinstance(content.get("steps"), list):
        raise InputError(f"{name} is no recipe: it needs 'version: {VERSION}' and a list 'steps'.")
    if content.get("version") != VERSION:
        raise InputError(
            f"{name} has version {content.get('version')}; this program reads version {VERSION}."
        )
    if unknown := sorted(set(map(str, content)) - {"version", "steps"}):
        raise InputError(f"{name} has an unknown entry '{unknown[0]}'.")
    return _parse_steps(content["steps"])


def _parse_steps(entries: list[Any]) -> Recipe:
    if not entries:
        raise InputError("The recipe has no steps: run Predict or Segment first.")
    steps = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("step"), str):
            raise InputError(f"Step {number} of the recipe needs the form 'step: NAME'.")
        if unknown := sorted(set(map(str, entry)) - {"step", "params"}):
            raise InputError(f"Step {number} of the recipe has an unknown entry '{unknown[0]}'.")
        params = entry.get("params") or {}
        if not isinstance(params, dict):
            raise InputError(f"Step {number} of the recipe: 'params' needs the form 'NAME: VALUE'.")
        try:
            step = get_step(entry["step"])
            steps.append((step.name, parse_params(step.params, params)))
        except InputError as error:
            raise InputError(f"Step {number} of the recipe: {error}") from None
    _check_order([get_step(name) for name, _ in steps])
    return Recipe(tuple(steps))


def _check_order(steps: list[Step]) -> None:
    """Make sure that each step finds what it needs among the input and earlier results."""
    there = {steps[0].inputs[0], "ground_truth"}
    for number, step in enumerate(steps, start=1):
        if missing := [role for role in step.inputs if role not in there]:
            raise InputError(
                f"Step {number} of the recipe ({step.name}) needs {missing[0]}, "
                "which no earlier step makes."
            )
        there.add(step.output)


def run_recipe(
    recipe: Recipe,
    input_path: str | os.PathLike[str],
    outdir: str | os.PathLike[str],
    *,
    ground_truth: str | os.PathLike[str] | None = None,
    voxel_size_nm: ZYX | None = None,
    suffix: str = ".tif",
    force: bool = False,
    progress: Progress = NO_PROGRESS,
) -> dict[str, Any]:
    """Run `recipe` on a file with the very functions the viewer uses.

    Parameters
    ----------
    recipe : Recipe
    input_path : path-like
        A raw stack, or what the first step takes.
    outdir : path-like
        Made if missing. Receives ``boundary`` and ``labels`` (as far as the
        recipe makes them), ``scores.json`` and ``recipe.yaml``.
    ground_truth : path-like, optional
        For an ``evaluate`` step; without it that step is left out.
    voxel_size_nm : (z, y, x) in nm, optional
        Overrides what the input file says.
    suffix : str, optional
        File format of the results: ".tif", ".h5" or ".zarr".
    force : bool, optional
        Take the files as what is needed whatever they look like.
    progress : Progress, optional
        Told what each step tells.

    Returns
    -------
    dict
        ``files`` (role to path), ``scores`` (dict or None) and ``notes``.

    Raises
    ------
    InputError
        If a file cannot be read or written, or a step refuses its input.
    """
    from napari_emseg.io import open_volume, save_volume

    role = recipe.input_role
    first = open_volume(input_path, kind=_KIND_OF_ROLE[role], voxel_size_nm=voxel_size_nm)
    volumes: dict[str, Volume] = {role: first}
    if ground_truth is not None:
        volumes["ground_truth"] = open_volume(ground_truth, kind=recipe.ground_truth_kind)
    for name, volume in volumes.items():
        is_drawing = name == "ground_truth" and volume.kind == "raw"
        if not (force or is_drawing):
            check_plausible(volume)
    folder = _make_folder(Path(outdir))
    notes = list(first.provenance.get("notes") or [])
    files: dict[str, str] = {}
    scores: dict[str, float] | None = None
    for name, params in recipe.steps:
        step = get_step(name)
        if any(needed not in volumes for needed in step.inputs):
            notes.append(f"{name} left out: no ground truth was given.")
            continue
        inputs = (volumes[needed] for needed in step.inputs)
        result = step.run(*inputs, params=params, progress=progress)
        if isinstance(result, Volume):
            volumes[step.output] = result
            files[step.output] = str(save_volume(result, folder / f"{step.output}{suffix}"))
        else:
            scores = dict(result)
            files[step.output] = str(write_json(scores, folder / f"{step.output}.json"))
    files["recipe"] = str(save_recipe(recipe, folder / "recipe.yaml"))
    return {"files": files, "scores": scores, "notes": notes}


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make the folder {folder}: {error.strerror}.") from None
    return folder


def write_json(values: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write plain values as JSON; the old file stays until the new one is complete."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")
    return Path(path)

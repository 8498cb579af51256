"""A recipe: the steps of a job as YAML, to be repeated on other files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write, check_file_place
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.evaluate import EvaluateParams, match_sections
from napari_emseg.steps.params import Params, parse_params
from napari_emseg.steps.plausibility import check_plausible, says_affinities
from napari_emseg.steps.segment import as_boundary
from napari_emseg.steps.step import Step, StepRecord, get_step, last_record
from napari_emseg.volume import ZYX, Kind, Volume, check_voxel_size

VERSION = 2
_READABLE = (1, 2)  # 2 added voxel_size_nm
_ENTRIES = {"version", "voxel_size_nm", "steps"}
_KIND_OF_ROLE: dict[str, Kind] = {"raw": "raw", "boundary": "boundary", "labels": "labels"}
_HEADER = "# Repeat with: emseg run RECIPE.yaml INPUT OUTDIR\n"


@dataclass(frozen=True)
class Recipe:
    """Steps with their parameters, in order.

    Attributes
    ----------
    steps : tuple of (str, Params)
        Names in `STEPS`, and what they run with.
    voxel_size_nm : (z, y, x) in nm, or None
        Of the input that the steps were run on; taken for a file that does not tell
        its own, because resampling and smoothing depend on it.

    Examples
    --------
    >>> from napari_emseg.steps.segment import SegmentParams
    >>> Recipe((("segment", SegmentParams(h=0.1)),)).input_role
    'boundary'
    """

    steps: tuple[tuple[str, Params], ...]
    voxel_size_nm: ZYX | None = None

    @property
    def input_role(self) -> str:
        """What the input file must hold: "raw", "boundary" or "labels"."""
        return get_step(self.steps[0][0]).inputs[0]

    @property
    def evaluates(self) -> bool:
        """Whether a step compares with ground truth."""
        return any("ground_truth" in get_step(name).inputs for name, _ in self.steps)

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
        steps = _parse_steps([{"step": r.step, "params": dict(r.params)} for r in ordered])
        return cls(steps, ordered[0].voxel_size_nm)

    def to_yaml(self) -> str:
        """Return the recipe as text."""
        steps = [
            {"step": name, "params": params.model_dump(mode="json")} for name, params in self.steps
        ]
        content: dict[str, Any] = {"version": VERSION, "steps": steps}
        if self.voxel_size_nm is not None:
            content["voxel_size_nm"] = list(self.voxel_size_nm)
        text: str = yaml.safe_dump(content, sort_keys=False)
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
    if content.get("version") not in _READABLE:
        raise InputError(
            f"{name} has version {content.get('version')}; this program reads versions "
            f"{' and '.join(map(str, _READABLE))}."
        )
    if unknown := sorted(set(map(str, content)) - _ENTRIES):
        raise InputError(f"{name} has an unknown entry '{unknown[0]}'.")
    size = content.get("voxel_size_nm")
    return Recipe(_parse_steps(content["steps"]), None if size is None else check_voxel_size(size))


def _parse_steps(entries: list[Any]) -> tuple[tuple[str, Params], ...]:
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
    return tuple(steps)


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
    invert: bool | None = None,
    affinities: bool | None = None,
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
        Overrides what the input file says, which overrides what the recipe says.
    invert : bool, optional
        Whether to swap 0 and 1 of a boundary map that is the input; by default recognised.
    affinities : bool, optional
        Whether the input holds affinities, where a boundary map would do; by default
        what the file says.
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
    _check_options(recipe, invert, affinities)
    first = _open_first(input_path, role, voxel_size_nm, invert, affinities)
    notes = list(first.provenance.get("notes") or [])
    if voxel_size_nm is None:
        first = _with_voxel_size(first, recipe, notes)
    volumes: dict[str, Volume] = {role: first}
    if ground_truth is not None and not recipe.evaluates:
        notes.append("The ground truth was not used: the recipe has no step 'evaluate'.")
        ground_truth = None
    if ground_truth is not None:
        volumes["ground_truth"] = open_volume(ground_truth, kind=recipe.ground_truth_kind)
    _check_inputs(recipe, volumes, force=force)
    folder = _make_folder(outdir)
    targets = _targets(recipe, folder, suffix)
    _check_targets(targets, [input_path, *([] if ground_truth is None else [ground_truth])])
    scores: dict[str, float] | None = None
    files: dict[str, str] = {}
    used = dict(recipe.steps)
    for name, params in recipe.steps:
        step = get_step(name)
        if any(needed not in volumes for needed in step.inputs):
            notes.append(f"{name} left out: no ground truth was given.")
            continue
        inputs = (volumes[needed] for needed in step.inputs)
        result = step.run(*inputs, params=params, progress=progress)
        if isinstance(result, Volume):
            used[name] = _as_recorded(step, params, result)
            volumes[step.output] = result
            files[step.output] = str(save_volume(result, targets[step.output], progress=progress))
        else:
            scores = dict(result)
            files[step.output] = str(write_json(scores, targets[step.output]))
    repeated = Recipe(tuple(used.items()), first.voxel_size_nm)
    files["recipe"] = str(save_recipe(repeated, targets["recipe"]))
    return {"files": files, "scores": scores, "notes": notes}


def _as_recorded(step: Step, params: Params, made: Volume) -> Params:
    """Return the parameters with what was left open, such as the model, as it was decided."""
    record = last_record(made.provenance)
    if record is None or record.step != step.name:
        return params
    return parse_params(step.params, record.params)


def with_models(recipe: Recipe, models: Sequence[str]) -> Recipe:
    """Return a recipe that predicts with other models and is the same in all else.

    Where it looks along all three axes and one of the models is a 3D network, it looks
    along z only; a stacker, which belongs to its models, gives way to the mean.

    Parameters
    ----------
    recipe : Recipe
    models : sequence of str
        Names or files, at least one.

    Raises
    ------
    InputError
        If there is no such model, or the recipe does not predict.

    Examples
    --------
    >>> recipe = parse_recipe("{version: 2, steps: [{step: segment}]}")
    >>> with_models(recipe, ["mine.safetensors"])
    Traceback (most recent call last):
    ...
    napari_emseg.errors.InputError: The recipe has no step 'predict', so no model to replace.
    """
    from napari_emseg.networks.library import find_model
    from napari_emseg.steps.predict import PredictParams

    if all(name != "predict" for name, _ in recipe.steps):
        raise InputError("The recipe has no step 'predict', so no model to replace.")
    is_flat = all(find_model(name).dimensions == 2 for name in models)

    def change(params: Params) -> Params:
        if not isinstance(params, PredictParams):
            return params
        return params.model_copy(
            update={
                "model": models[0],
                "others": tuple(models[1:]),
                "combine": "mean" if params.combine == "learned" else params.combine,
                "stacker": "",
                "axes": params.axes if is_flat else "z",
            }
        )

    return replace(recipe, steps=tuple((name, change(params)) for name, params in recipe.steps))


def _check_options(recipe: Recipe, invert: bool | None, affinities: bool | None) -> None:
    """Refuse what the first step has no use for."""
    role, name = recipe.input_role, recipe.steps[0][0]
    for option, value in (("invert", invert), ("affinities", affinities)):
        if value is not None and role != "boundary":
            raise InputError(
                f"'{option}' is for boundary maps, but this recipe begins with {name}, which takes "
                f"{'grey values' if role == 'raw' else role}; leave it out."
            )
    if affinities and invert is not None:
        raise InputError(
            "'invert' is for boundary maps; affinities must be 1 where voxels are of one neuron."
        )


def _open_first(
    path: str | os.PathLike[str],
    role: str,
    voxel_size_nm: ZYX | None,
    invert: bool | None,
    affinities: bool | None,
) -> Volume:
    from napari_emseg.io import open_volume

    if role == "boundary" and (says_affinities(path) if affinities is None else affinities):
        return as_boundary(open_volume(path, kind="affinities", voxel_size_nm=voxel_size_nm))
    kind = _KIND_OF_ROLE[role]
    return open_volume(path, kind=kind, voxel_size_nm=voxel_size_nm, invert=invert)


def _with_voxel_size(volume: Volume, recipe: Recipe, notes: list[str]) -> Volume:
    """Give a volume of unknown voxel size that of the recipe, saying so in `notes`."""
    ours, theirs = recipe.voxel_size_nm, volume.voxel_size_nm
    if ours is None or ours == theirs:
        return volume
    if theirs is None:
        notes.append(f"The voxel size is that of the recipe, {_size(ours)}: the file has none.")
        return replace(volume, voxel_size_nm=ours)
    notes.append(
        f"The voxel size is that of the file, {_size(theirs)}; "
        f"the recipe was made at {_size(ours)}."
    )
    return volume


def _size(voxel_size_nm: ZYX) -> str:
    return " x ".join(f"{length:g}" for length in voxel_size_nm) + " nm"


def _check_inputs(recipe: Recipe, volumes: Mapping[str, Volume], *, force: bool) -> None:
    """Refuse what a step would refuse after hours of work."""
    for role, volume in volumes.items():
        is_drawing = role == "ground_truth" and volume.kind == "raw"
        if not (force or is_drawing):
            check_plausible(volume)
    for _, params in recipe.steps:
        if isinstance(params, EvaluateParams) and "ground_truth" in volumes:
            first = volumes[recipe.input_role]
            match_sections(first, volumes["ground_truth"], params.sections, "input")


def _targets(recipe: Recipe, folder: Path, suffix: str) -> dict[str, Path]:
    """Name the files that a run writes, by role."""
    steps = [get_step(name) for name, _ in recipe.steps]
    targets = {
        step.output: folder / f"{step.output}{suffix if step.output in _KIND_OF_ROLE else '.json'}"
        for step in steps
    }
    return {**targets, "recipe": folder / "recipe.yaml"}


def _check_targets(targets: Mapping[str, Path], sources: Sequence[str | os.PathLike[str]]) -> None:
    """Make sure before a long computation that its results can be written."""
    from napari_emseg.io import check_writable
    from napari_emseg.io.location import split_location

    taken = {os.path.realpath(split_location(source)[0]) for source in sources}
    for role, target in targets.items():
        if os.path.realpath(target) in taken:
            raise InputError(f"{target} is an input and would be replaced; choose another folder.")
        if role in _KIND_OF_ROLE:
            check_writable(target, _KIND_OF_ROLE[role])
        else:
            check_file_place(target)


def _make_folder(outdir: str | os.PathLike[str]) -> Path:
    if not os.fspath(outdir).strip():
        raise InputError("No folder for the results is named; give its path.")
    folder = Path(outdir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(
            f"Cannot make the folder {folder}: a file has that name; choose another name."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot make the folder {folder}: {reason}; choose another.") from None
    return folder


def write_json(values: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write plain values as JSON; the old file stays until the new one is complete."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")
    return Path(path)

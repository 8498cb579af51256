"""``emseg train RAW LABELS OUT`` and ``emseg train SET.yaml OUT``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emseg.cli.arguments import (
    add_force,
    add_params,
    add_voxel_size,
    notes_of,
    open_ground_truth,
    open_input,
    read_params,
    voxel_size,
)
from napari_emseg.cli.output import say
from napari_emseg.cli.progress import format_seconds
from napari_emseg.errors import InputError
from napari_emseg.io.atomic import check_file_place
from napari_emseg.progress import Cancelled, Progress
from napari_emseg.steps.params import parse_params
from napari_emseg.training import TrainParams

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo
    from napari_emseg.training import TrainingPair, TrainResult
    from napari_emseg.training.hooks import Hook

_SUFFIX = ".safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.usage = "emseg train [options] (RAW LABELS | SET.yaml) OUT.safetensors"
    parser.add_argument(
        "data",
        nargs="+",
        metavar="RAW LABELS | SET.yaml",
        help="A stack and its labels (the last sections are kept for validation), or a YAML "
        "file listing several; the last name is the model to write",
    )
    parser.add_argument(
        "--labels-kind",
        choices=("labels", "membranes", "painted"),
        default="labels",
        help="labels: ids; membranes: an image of membranes; painted: strokes, 1 = membrane, 2 and "
        "more = inside of a cell, 0 = not painted, which teaches nothing (default labels)",
    )
    parser.add_argument(
        "--settings",
        choices=("quick", "thorough", "paper"),
        help="Start from ready-made settings, which other flags replace: quick, for minutes; "
        "thorough, fitted to the labels; paper, as the authors of the network did",
    )
    parser.add_argument(
        "--resample",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Bring data to the pixel size of the model of --start-from where theirs is far off, "
        "as prediction does",
    )
    parser.add_argument("--resume", action="store_true", help="Go on where training stopped")
    parser.add_argument("--overwrite", action="store_true", help="Replace a model of that name")
    parser.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="Cross-validation: train N models, each tried on sections it has not seen; "
        "OUT-fold1.safetensors and so on",
    )
    parser.add_argument(
        "--network-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="Further parameter of the network, such as foveated=true; may be repeated",
    )
    parser.add_argument(
        "--tensorboard",
        metavar="FOLDER",
        help="Write curves, weights and feature maps for tensorboard --logdir FOLDER",
    )
    add_params(parser, TrainParams)
    add_voxel_size(parser)
    add_force(parser)


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Train a network; a stop saves what there is."""
    *data, out = args.data
    is_set = len(data) == 1 and data[0].lower().endswith((".yaml", ".yml"))
    if not (is_set or len(data) == 2) or not out.endswith(_SUFFIX):
        raise InputError(f"Write emseg train RAW LABELS OUT{_SUFFIX}, or SET.yaml OUT{_SUFFIX}.")
    check_file_place(out)
    if options := _network_options(args.network_option):
        args.network_options = options
    params, pairs, info = _open_set(data[0], args) if is_set else _open_pair(data, args)
    params = _with_settings(params, pairs, args)
    pairs = _on_grid(pairs, params, args, progress)
    _check_free(out, args)
    _tell_about(pairs, folds=args.folds)
    try:
        if args.folds is None:
            report = _train_one(pairs, out, params, info, args, progress)
        else:
            report = _train_folds(pairs, out, params, info, args, progress)
    except (Cancelled, KeyboardInterrupt):
        _tell_saved(out, args)
        raise
    return {**report, "notes": notes_of(*(pair.raw for pair in pairs))}


def _with_settings(
    params: TrainParams, pairs: list[TrainingPair], args: argparse.Namespace
) -> TrainParams:
    """Put ready-made settings under those that were given."""
    if args.settings is None:
        return params

    from napari_emseg.networks.library import find_model
    from napari_emseg.steps.train import labelled_px
    from napari_emseg.training.presets import preset_params

    given = params.model_dump(exclude_unset=True)
    if params.start_from and "network" not in given:
        given["network"] = find_model(params.start_from).network
    ready = preset_params(
        args.settings,
        network=given.get("network", params.network),
        start_from=params.start_from,
        labelled_px=labelled_px(pairs),
        is_painted=any(pair.labels_kind == "painted" for pair in pairs),
    ).model_dump(exclude_unset=True)
    if "steps" in given:
        ready.pop("minutes", None)
    for name in ready.keys() & given.keys() & {"augment"}:
        given[name] = {**ready[name], **given[name]}
    return parse_params(TrainParams, {**ready, **given})


def _on_grid(
    pairs: list[TrainingPair],
    params: TrainParams,
    args: argparse.Namespace,
    progress: Progress,
) -> list[TrainingPair]:
    """Bring the data to the pixel size of the model to start from, and say so."""
    if not (params.start_from and args.resample):
        return pairs

    from napari_emseg.networks.library import find_model
    from napari_emseg.training.resampled import on_grid_of

    model = find_model(params.start_from)
    resampled = on_grid_of(pairs, model, progress=progress)
    for before, after in zip(pairs, resampled, strict=True):
        if after is not before and model.voxel_size_nm is not None:
            y, x = model.voxel_size_nm[1:]
            say(
                f"note: {before.name}: resampled to the {y:g} x {x:g} nm that {model.name} was "
                "trained at; --no-resample takes it as it is."
            )
    return resampled


def _network_options(texts: list[str]) -> dict[str, Any]:
    import yaml

    options = {}
    for text in texts:
        name, sign, value = text.partition("=")
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            sign = ""
        if not (name and sign):
            raise InputError(f"--network-option {text}: write NAME=VALUE, such as foveated=true.")
    return options


def _tell_about(pairs: list[TrainingPair], *, folds: int | None) -> None:
    """Refuse what cannot be learned from and say what is left out: training may take hours."""
    from napari_emseg.training.pair_checks import check_ids, notes_on_pair

    for pair in pairs:
        check_ids(pair)
        for note in notes_on_pair(pair) if folds is None else ():
            say(f"note: {note}")


def _hooks(args: argparse.Namespace, name: str = "") -> list[Hook]:
    if args.tensorboard is None:
        return []
    from napari_emseg.training.tensorboard import TensorBoard

    return [TensorBoard(Path(args.tensorboard, name))]


def _train_one(
    pairs: list[TrainingPair],
    out: str,
    params: TrainParams,
    info: ModelInfo | None,
    args: argparse.Namespace,
    progress: Progress,
) -> dict[str, Any]:
    from napari_emseg.training import train
    from napari_emseg.training.portrait import add_portrait

    result = train(
        pairs,
        out,
        params=params,
        info=info,
        progress=progress,
        resume=args.resume,
        hooks=_hooks(args),
    )
    add_portrait(result.model_path, pairs, device=params.device)
    return _report(result)


def _train_folds(
    pairs: list[TrainingPair],
    out: str,
    params: TrainParams,
    info: ModelInfo | None,
    args: argparse.Namespace,
    progress: Progress,
) -> dict[str, Any]:
    from napari_emseg.training.cross_validation import cross_validate
    from napari_emseg.training.portrait import add_portrait

    done = cross_validate(
        pairs,
        out,
        folds=args.folds,
        params=params,
        info=info,
        progress=progress,
        resume=args.resume,
        make_hooks=lambda fold: _hooks(args, f"fold{fold}"),
    )
    for result in done.results:
        add_portrait(result.model_path, pairs, device=params.device)
    return {"folds": [_report(result) for result in done.results], "scores": done.scores}


def _report(result: TrainResult) -> dict[str, Any]:
    return {
        "output": str(result.model_path),
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
        "best_step": result.best_step,
        "scores": result.scores,
        "waited_share": round(result.waited_share, 4),
    }


def _tell_saved(out: str, args: argparse.Namespace) -> None:
    """Tell of what was learned before a stop, if there is any."""
    from napari_emseg.training.trainer import STATE_SUFFIX

    if any(path.with_suffix(STATE_SUFFIX).exists() for path in _model_paths(out, args)):
        say(f"note: what was learned is saved; go on with --resume ({out})")


def _check_free(out: str, args: argparse.Namespace) -> None:
    """Refuse to replace what hours of training may have made."""
    for path in _model_paths(out, args):
        if path.is_file() and path.stat().st_size and not (args.resume or args.overwrite):
            raise InputError(
                f"{path} exists: choose another name, go on training it with --resume, or replace "
                "it with --overwrite."
            )


def _model_paths(out: str, args: argparse.Namespace) -> list[Path]:
    if args.folds is None:
        return [Path(out)]
    from napari_emseg.training.cross_validation import fold_paths

    return fold_paths(out, args.folds)


def _open_pair(
    data: list[str], args: argparse.Namespace
) -> tuple[TrainParams, list[TrainingPair], ModelInfo | None]:
    params = read_params(args, TrainParams)
    raw = open_input(data[0], "raw", force=args.force, voxel_size_nm=voxel_size(args))
    is_painted = args.labels_kind == "painted"  # a few strokes look like nothing else
    labels = open_ground_truth(data[1], args.labels_kind, force=args.force or is_painted)

    from napari_emseg.training import hold_out

    name = raw.name or Path(data[0]).stem
    return params, [hold_out(raw, labels, labels_kind=args.labels_kind, name=name)], None


def _open_set(
    path: str, args: argparse.Namespace
) -> tuple[TrainParams, list[TrainingPair], ModelInfo | None]:
    if args.voxel_size_nm is not None or args.labels_kind != "labels":
        raise InputError(
            f"Each data set of {path} has its own voxel_size_nm and labels_kind: write them there, "
            "not on the command line."
        )

    from napari_emseg.networks.info import ModelInfo
    from napari_emseg.training import load_training_set
    from napari_emseg.training.description import describe_model
    from napari_emseg.training.training_set import read_training_set

    content = read_training_set(path)
    given = {name: value for name, value in vars(args).items() if name in TrainParams.model_fields}
    params = parse_params(TrainParams, {**content.params, **given})
    pairs = load_training_set(path)
    described = describe_model(pairs, params.network).model_dump()
    return params, pairs, parse_params(ModelInfo, {**described, **content.model})


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    if "folds" not in report:
        return "\n".join(_lines(report))
    lines = [line for fold in report["folds"] for line in _lines(fold)]
    lines += [f"mean of {name}: {_values(scores)}" for name, scores in report["scores"].items()]
    return "\n".join(lines)


def _lines(report: Mapping[str, Any]) -> list[str]:
    first = (
        f"{report['output']}: {report['steps']} steps, {format_seconds(report['seconds'])}, "
        f"{report['waited_share']:.1%} of it waiting for data"
    )
    scores = report["scores"].items()
    step = report["best_step"]
    return [first, *(f"{name}: {_values(values)} (step {step})" for name, values in scores)]


def _values(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {value:.4f}" for key, value in scores.items())

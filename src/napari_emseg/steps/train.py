"""Training a network, with the few choices that a window offers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.params import Params
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.training.params import TrainParams
from napari_emseg.training.result import STATE_SUFFIX, TrainResult
from napari_emseg.training.watch import Watch, WatchState

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo


DEFAULT = "default"
WITHOUT_MAPS = {"vd2d3d": "modern"}
"""Networks that as published also take the maps of an earlier one, and their preset that does
not: in a window there is no earlier one yet."""


class TrainChoice(Params):
    """How a network is trained: what a window asks for."""

    preset: Literal["quick", "thorough", "paper"] = Field(
        default="quick",
        title="Preset",
        description=(
            "quick: minutes, to see what it is good for; thorough: as long as the labels have "
            "something to teach; paper: as the authors of the network did."
        ),
    )
    network: str = Field(
        default="unet2d",
        title="Network",
        description="Which network; one that starts from a model is of that model's kind.",
        min_length=1,
    )
    start_from: str = Field(
        default=DEFAULT,
        title="Start from",
        description=(
            "Model whose weights training starts from, a name or a file; default: the bundled "
            "one, or from nothing as in the paper; empty: from nothing."
        ),
    )
    minutes: float | None = Field(
        default=None,
        gt=0,
        le=100_000,
        title="Minutes",
        description="How long to train; empty: as long as the preset does.",
    )
    boundary_px: int | None = Field(
        default=None,
        ge=1,
        le=16,
        title="Boundary thickness, px",
        description=(
            "Reach of the boundary drawn on both sides of where two labels meet; empty: the "
            "preset's."
        ),
        json_schema_extra={"advanced": True},
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto",
        title="Device",
        description="Where to compute; auto takes the fastest there is.",
        json_schema_extra={"advanced": True},
    )


def params_of(choice: TrainChoice, pairs: Sequence[TrainingPair] = ()) -> TrainParams:
    """Return the parameters of a training.

    Parameters
    ----------
    choice : TrainChoice
    pairs : sequence of TrainingPair
        To which the length of a thorough training is fitted.

    Raises
    ------
    InputError
        If there is no such network or model, no paper of it, or the model cannot be trained on.

    Examples
    --------
    >>> params_of(TrainChoice(start_from="", minutes=2)).minutes
    2.0
    """
    from napari_emseg.training.presets import preset_params

    start = model_of(choice)
    if start is not None and (reason := why_not_start_from(start)):
        raise InputError(
            f"'{start.title or start.name}' cannot be trained on ({reason}): choose another model "
            "under Start from."
        )
    params = preset_params(
        choice.preset,
        network=start.network if start else choice.network,
        start_from=str(start.path) if start else "",
        minutes=choice.minutes,
        labelled_px=labelled_px(pairs) if pairs else None,
        device=choice.device,
        is_painted=any(pair.labels_kind == "painted" for pair in pairs),
    )
    chosen: dict[str, object] = {}
    if choice.boundary_px is not None:
        chosen["boundary_px"] = choice.boundary_px
    if start is None and choice.network in WITHOUT_MAPS:
        chosen["preset"] = WITHOUT_MAPS[choice.network]
    return params.model_copy(update=chosen)


def why_not_start_from(info: ModelInfo) -> str:
    """Say why a training cannot go on with the weights of a model; "" where it can.

    Examples
    --------
    >>> from napari_emseg.networks.info import ModelInfo
    >>> why_not_start_from(ModelInfo(network="bioimageio"))
    'its weights are fixed'
    """
    if info.network == "bioimageio":
        return "its weights are fixed"
    if info.target != "boundary":
        return "it predicts affinities, and labels here teach boundaries"
    if info.in_maps:
        return "it also takes the maps of another model"
    return ""


def model_of(choice: TrainChoice) -> ModelInfo | None:
    """Return the model that a training starts from; None where it starts from nothing.

    Raises
    ------
    InputError
        If there is no such model.
    """
    is_as_in_paper = choice.preset == "paper" and choice.start_from == DEFAULT
    if not choice.start_from or is_as_in_paper:
        return None
    from napari_emseg.networks.library import find_model

    return find_model(choice.start_from)


def labelled_px(pairs: Sequence[TrainingPair]) -> int:
    """Count the pixels that are trained on: all of a labelled section, the paint of a painted one.

    Examples
    --------
    >>> from napari_emseg.samples import make_synthetic
    >>> from napari_emseg.training import hold_out
    >>> labelled_px([hold_out(*make_synthetic((3, 64, 64)))])
    8192
    """
    count = 0
    for pair in pairs:
        if pair.labels_kind == "painted":
            count += sum(int(np.count_nonzero(pair.labels.read(z))) for z in pair.train_sections)
        else:
            count += len(pair.train_sections) * pair.raw.shape[1] * pair.raw.shape[2]
    return count


def run(
    pairs: Sequence[TrainingPair],
    *,
    choice: TrainChoice,
    out_path: str | os.PathLike[str],
    title: str = "",
    watch: Watch | None = None,
    resume: bool = False,
    progress: Progress = NO_PROGRESS,
) -> TrainResult:
    """Train in a process of its own and write the model with its description.

    Parameters
    ----------
    pairs : sequence of TrainingPair
        Brought to the pixel size of the model that training starts from where theirs is
        too far off, as a prediction would.
    choice : TrainChoice
    out_path : path-like
        The model, ``.safetensors``; see :func:`napari_emseg.training.train`.
    title : str
        What people call the model; by default after the data.
    watch : Watch, optional
        Told how the training stands, and asked what to show.
    resume : bool
        Whether to go on where it was stopped; where nothing was saved it starts anew.
    progress : Progress

    Returns
    -------
    TrainResult
        The model's file holds a picture of the section that was watched last.

    Raises
    ------
    InputError
        If the choice or the data cannot be used, or the training ended for want of memory.
    Cancelled
        If `progress` asks to stop, after saving.
    """
    from napari_emseg.training.process import train_in_process
    from napari_emseg.training.resampled import at_voxel_size

    start = model_of(choice)
    params = params_of(choice, pairs)
    if start is not None:
        pairs = [at_voxel_size(p, start.voxel_size_nm, progress=progress) for p in pairs]
    info = describe(pairs, params, start=start, title=title)
    path = Path(out_path).with_suffix(".safetensors")
    is_saved = path.with_suffix(STATE_SUFFIX).exists()
    try:
        return train_in_process(
            pairs,
            path,
            params=params,
            info=info,
            watch=watch,
            progress=progress,
            resume=resume and is_saved,
        )
    finally:
        if watch is not None:
            _add_picture(path, watch.state())


def _add_picture(path: Path, state: WatchState) -> None:
    """Put what was watched last into the model's file, if there are both."""
    from napari_emseg.networks.picture import make_picture, write_picture

    if state.map is None or state.view is None or not path.exists():
        return
    with suppress(InputError):  # a model without a picture is as good
        write_picture(path, make_picture(state.view.raw.read(state.view.section), state.map))


def describe(
    pairs: Sequence[TrainingPair],
    params: TrainParams,
    *,
    start: ModelInfo | None = None,
    title: str = "",
) -> ModelInfo:
    """Describe the model that a training will give.

    What it starts from is named, and its terms hold for what is made of it.
    """
    from napari_emseg.training.description import describe_model

    info = describe_model(pairs, params.network)
    update: dict[str, str] = {"title": title} if title else {}
    if start is not None:
        known = f" ({start.trained_on})" if start.trained_on else ""
        update["summary"] = f"Fine-tuned from {start.name}{known}."
        update["licence"] = start.licence
    return info.model_copy(update=update)

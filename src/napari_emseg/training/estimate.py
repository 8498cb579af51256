"""How long a training will take, told by a few steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.training.pairs import TrainingPair, hold_out
from napari_emseg.training.params import TrainParams
from napari_emseg.volume import Volume

_STEPS = 3
"""The first one also prepares what the others find ready, and is not counted."""
_VALIDATION_PER_TRAINED = 2.0
"""What a validated pixel costs, relative to a trained one: no gradients, but scores."""

_known: dict[str, float] = {}


def seconds_per_step(params: TrainParams, *, progress: Progress = NO_PROGRESS) -> float:
    """Take a few steps on noise and tell how long one lasts.

    The answer is kept for the next time the same network, patch and device are asked for.

    Parameters
    ----------
    params : TrainParams
    progress : Progress
        Told after each step; may stop it.

    Returns
    -------
    float
        Without making the batch, which other processes do meanwhile.

    Raises
    ------
    InputError
        If the network cannot be made or memory does not suffice.

    Examples
    --------
    >>> params = TrainParams(preset="tiny", batch_size=1, patch_px=32, workers=0)
    >>> seconds_per_step(params) > 0
    True
    """
    key = _key(params)
    if key not in _known:
        _known[key] = _measure(params, progress)
    return _known[key]


def _key(params: TrainParams) -> str:
    free = ("steps", "minutes", "validation_interval_steps", "save_interval_s", "seed", "augment")
    return params.model_dump_json(exclude=set(free))


def _measure(params: TrainParams, progress: Progress) -> float:
    import torch

    from napari_emseg.inference import choose_device
    from napari_emseg.training.batches import BatchSource
    from napari_emseg.training.descent import Descent
    from napari_emseg.training.start import make_network

    with torch.random.fork_rng(devices=[]):
        network = make_network(params)
        alone = params.model_copy(update={"workers": 0})
        descent = Descent(network, alone, torch.device(choose_device(params.device)))
        seconds = []
        with BatchSource([_noise(params, maps=network.in_maps)], alone, network) as source:
            for number in range(_STEPS):
                started, waited_s = time.perf_counter(), source.waited_s
                descent.step(source, share=0.0, step=number)
                seconds.append(time.perf_counter() - started - (source.waited_s - waited_s))
                progress.update(number + 1, _STEPS, "measuring how long a step takes")
    return min(seconds[1:])


def _noise(params: TrainParams, *, maps: int) -> TrainingPair:
    rng, side = np.random.default_rng(0), params.patch_px
    raw = rng.integers(0, 255, (params.patch_sections, side, side), np.uint8)
    ids = rng.integers(1, 5, raw.shape, np.uint8)
    pair = hold_out(Volume(raw), Volume(ids, kind="labels"), name="noise")
    return replace(pair, maps=Volume(raw, kind="boundary")) if maps else pair


def expected_seconds(
    params: TrainParams, pairs: Sequence[TrainingPair], seconds_per_step: float
) -> float:
    """Tell how long a training will take, with its validations.

    Parameters
    ----------
    params : TrainParams
    pairs : sequence of TrainingPair
    seconds_per_step : float
        See :func:`seconds_per_step`.

    Returns
    -------
    float
        The minutes where they are given: all else is part of them.

    Examples
    --------
    >>> expected_seconds(TrainParams(minutes=3), [], 0.5)
    180.0
    >>> expected_seconds(TrainParams(steps=100), [], 0.5)
    50.0
    """
    if params.minutes is not None:
        return 60 * params.minutes
    trained_px = params.batch_size * params.accumulate_batches * _patch_voxels(params)
    validated_px = sum(
        len(pair.validation_sections) * pair.raw.shape[1] * pair.raw.shape[2] for pair in pairs
    )
    rounds = -(-params.steps // params.validation_interval_steps)
    round_s = seconds_per_step * validated_px / trained_px * _VALIDATION_PER_TRAINED
    return params.steps * seconds_per_step + rounds * round_s


def _patch_voxels(params: TrainParams) -> int:
    import torch

    from napari_emseg.networks import build_network

    with torch.device("meta"):
        network = build_network(params.network, params.preset, **params.network_params())
    return params.patch_px**2 * (params.patch_sections if network.dimensions == 3 else 1)

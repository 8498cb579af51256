"""The state of an unfinished training on disk, from which it goes on bit for bit.

One safetensors file: nothing in it is ever unpickled.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write
from napari_emseg.networks.base import Network


@dataclass
class Counters:
    """Where a training stands; what is not a tensor.

    Attributes
    ----------
    step : int
        Optimiser steps done.
    seconds : float
        Time spent, validations included, over all resumptions.
    waited_s : float
        Part of it in which the network waited for a batch.
    validating_s, last_validation_s : float
        Part of it in which the network was validated; how long that took last.
    loss_sum, loss_count : float, int
        Losses since the last line of the curve.
    validated_step : int
        Step of the last validation, -1 before there is one.
    best_step : int
        Step of the checkpoint kept as the model, -1 before there is one.
    best_score : float
        Its mean validation V_rand, or accuracy; -inf where nothing was validated.
    scores : dict
        Its validation scores by data set.
    held_out : dict
        What it was scored on; see :func:`napari_emseg.training.held_out.describe_held_out`.
    learned : dict
        Sections learned from, over all resumptions, by data set.
    start_seen : list of int
        How the start did on the first batches; see
        :class:`napari_emseg.training.kept_start.KeptStart`.
    """

    step: int = 0
    seconds: float = 0.0
    waited_s: float = 0.0
    validating_s: float = 0.0
    last_validation_s: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    validated_step: int = -1
    best_step: int = -1
    best_score: float = float("-inf")
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    held_out: dict[str, str] = field(default_factory=dict)
    learned: dict[str, list[int]] = field(default_factory=dict)
    start_seen: list[int] = field(default_factory=list)

    def forget_best(self) -> None:
        """Let no score of before count any more."""
        self.best_step, self.best_score, self.scores = -1, float("-inf"), {}

    def waited_share(self) -> float:
        """Return which part of the time beside validations the network waited for batches."""
        stepping_s = self.seconds - self.validating_s
        return self.waited_s / stepping_s if stepping_s > 0 else 0.0


def save_state(
    path: Path,
    *,
    networks: Mapping[str, Network],
    optimiser: torch.optim.Optimizer,
    counters: Counters,
) -> None:
    """Write everything needed to go on, replacing the file only when it is complete.

    Parameters
    ----------
    path : Path
    networks : mapping
        By name; all of one kind.
    optimiser : torch.optim.Optimizer
    counters : Counters

    Raises
    ------
    InputError
        If it cannot be written; the file from before is untouched.
    """
    tensors: dict[str, Tensor] = {"rng.torch": torch.get_rng_state()}
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            tensors[f"{name}.{key}"] = value
    for index, moments in optimiser.state_dict()["state"].items():
        for key, value in moments.items():
            if value is not None:  # the momentum of sgd without momentum
                tensors[f"optimiser.{index}.{key}"] = value
    # Convolution weights may be channels-last in memory; the file is row-major.
    stored = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    metadata = {
        "counters": json.dumps(vars(counters)),
        "network": json.dumps(_describe(networks, optimiser)),
    }
    _remove_leftovers(path)
    with atomic_write(path) as temporary:
        try:
            save_file(stored, temporary, metadata)
        except SafetensorError as error:  # what the system said is in its text
            raise OSError(str(error)) from error


def load_state(
    path: Path, *, networks: Mapping[str, Network], optimiser: torch.optim.Optimizer
) -> Counters:
    """Put a saved state back into networks, optimiser and random generator.

    Raises
    ------
    InputError
        If the file is damaged or belongs to a training of another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        before = json.loads(metadata["network"])
        counters = Counters(**json.loads(metadata["counters"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        raise InputError(
            f"{path.name} is not a saved training; start again without resuming."
        ) from None
    _check_same_network(before, _describe(networks, optimiser))
    try:
        for name, network in networks.items():
            network.load_state_dict(_below(tensors, name))
        _load_optimiser(optimiser, _below(tensors, "optimiser"))
        torch.set_rng_state(tensors["rng.torch"])
    except (RuntimeError, KeyError, ValueError):
        raise InputError(f"{path.name} is damaged; start again without resuming.") from None
    return counters


def _describe(networks: Mapping[str, Network], optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    network = next(iter(networks.values()))
    return {
        "network": network.name,
        **network.params.model_dump(mode="json"),
        "optimiser": type(optimiser).__name__.lower(),
    }


def _check_same_network(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for key in [*now, *before]:
        if before.get(key) != now.get(key):
            raise InputError(
                f"The saved training has {key} {before.get(key)}, but {now.get(key)} is asked "
                "for; use the same, or start again without resuming."
            )


def _below(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {key[len(prefix) :]: v for key, v in tensors.items() if key.startswith(prefix)}


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, moment = key.partition(".")
        state.setdefault(int(index), {})[moment] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _remove_leftovers(path: Path) -> None:
    """Remove what a killed program left half-written; it may be as large as the state."""
    with suppress(OSError):
        for leftover in path.parent.glob(f".*.tmp.{glob.escape(path.name)}"):
            leftover.unlink()

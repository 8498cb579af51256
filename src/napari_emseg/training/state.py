"""The state of an unfinished training on disk, from which it goes on bit for bit.

One safetensors file: nothing in it is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write


@dataclass
class Counters:
    """Where a training stands; what is not a tensor.

    Attributes
    ----------
    step : int
        Optimiser steps done.
    seconds : float
        Time spent training, over all resumptions.
    validated_step : int
        Step of the last validation, -1 before there is one.
    best_step : int
        Step of the checkpoint kept as the model, -1 before there is one.
    best_score : float
        Its mean validation V_rand.
    scores : dict
        Its validation scores by data set.
    """

    step: int = 0
    seconds: float = 0.0
    validated_step: int = -1
    best_step: int = -1
    best_score: float = float("-inf")
    scores: dict[str, dict[str, float]] = field(default_factory=dict)


def save_state(
    path: Path,
    *,
    networks: Mapping[str, torch.nn.Module],
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    counters: Counters,
    params: Mapping[str, Any],
) -> None:
    """Write everything needed to go on, replacing the file only when it is complete."""
    tensors: dict[str, Tensor] = {
        "rng.sampling": generator.get_state(),
        "rng.torch": torch.get_rng_state(),
    }
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            tensors[f"{name}.{key}"] = value
    for index, moments in optimiser.state_dict()["state"].items():
        for key, value in moments.items():
            tensors[f"optimiser.{index}.{key}"] = value
    # Convolution weights may be channels-last in memory; the file is row-major.
    stored = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    metadata = {"counters": json.dumps(vars(counters)), "params": json.dumps(dict(params))}
    with atomic_write(path) as temporary:
        Path(temporary).write_bytes(save(stored, metadata))


def load_state(
    path: Path,
    *,
    networks: Mapping[str, torch.nn.Module],
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    params: Mapping[str, Any],
) -> Counters:
    """Put a saved state back into networks, optimiser and random generators.

    Raises
    ------
    InputError
        If the file is damaged or belongs to a training of another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        before = json.loads(metadata["params"])
        counters = Counters(**json.loads(metadata["counters"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        raise InputError(
            f"{path.name} is not a saved training; start again without resuming."
        ) from None
    _check_same_network(before, params)
    try:
        for name, network in networks.items():
            network.load_state_dict(_below(tensors, name))
        _load_optimiser(optimiser, _below(tensors, "optimiser"))
        generator.set_state(tensors["rng.sampling"])
        torch.set_rng_state(tensors["rng.torch"])
    except (RuntimeError, KeyError, ValueError):
        raise InputError(f"{path.name} is damaged; start again without resuming.") from None
    return counters


def _check_same_network(before: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    for key in ("network", "preset", "width", "depth", "in_sections", "network_options"):
        if (before.get(key) or None) != (params.get(key) or None):
            raise InputError(
                f"The saved training has {key} {before.get(key)}, but {params.get(key)} is asked "
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

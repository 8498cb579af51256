"""The network of a package with its weights, whichever form of them can be used here."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor

from napari_emseg.errors import InputError
from napari_emseg.inference.bioimageio.architectures import rebuild
from napari_emseg.inference.bioimageio.script import load_script
from napari_emseg.inference.device import is_out_of_memory
from napari_emseg.networks.bioimageio_archive import Archive, check_sha256
from napari_emseg.networks.bioimageio_model import PackageModel, Unsupported, Weights

MOST_BYTES = 4 * 2**30
Module = Callable[[Tensor], Any]
_WRAPPED = ("model_state", "model_state_dict", "state_dict")
"""Under what some programs put the weights among other things."""


def load_weights(archive: Archive, model: PackageModel) -> tuple[Module, Weights]:
    """Return the network of a package, ready to compute, and which weights it has.

    Parameters
    ----------
    archive : Archive
    model : PackageModel
        What it says.

    Returns
    -------
    callable
        A torch module on the CPU, in evaluation mode.
    Weights
        Those that were taken, with their checksum: TorchScript where that can be used, else
        a state dict.

    Raises
    ------
    InputError
        If no form of the weights can be used; all reasons are said.
    """
    reasons = []
    for weights in model.weights:
        name = weights.file.name
        content = archive.read(name, most_bytes=MOST_BYTES)
        found = replace(weights, file=check_sha256(content, weights.file))
        try:
            if weights.kind == "torchscript":
                return load_script(content, name), found
            return _load_state(content, weights), found
        except Unsupported as error:
            reasons.append(str(error))
    raise Unsupported(f"{archive.path.name} cannot be used here: {' '.join(reasons)}")


def compute(module: Module, given: Tensor) -> Tensor:
    """Return the first of what a foreign network gives.

    Raises
    ------
    MemoryError
        If memory does not suffice.
    InputError
        If it fails otherwise.
    """
    try:
        found = module(given)
    except (RuntimeError, torch.jit.Error) as error:
        # the interpreter of TorchScript wraps what goes wrong in an error of its own
        if is_out_of_memory(error) or is_out_of_memory(RuntimeError(str(error))):
            raise MemoryError(str(error)) from error
        last = (str(error).strip().splitlines() or ["it does not say why"])[-1]
        raise InputError(
            f"The network of the package fails for an input of {'x'.join(map(str, given.shape))}: "
            f"{last.rpartition('Error: ')[2][:200]}. It is not what its description says."
        ) from error
    while isinstance(found, tuple | list) and found:
        found = found[0]
    if not isinstance(found, Tensor):
        raise InputError("The network of the package gives no image: it is damaged.")
    return found


def _load_state(content: bytes, weights: Weights) -> Module:
    network = rebuild(weights)
    name = weights.file.name
    state = _read_state(content, name)
    expected = {key: tuple(v.shape) for key, v in network.state_dict().items()}
    given = {key: tuple(v.shape) for key, v in state.items()}
    differing = sorted(k for k in expected.keys() | given.keys() if expected.get(k) != given.get(k))
    if differing:
        raise Unsupported(
            f"{name} does not fit the network '{weights.callable}' as it is known here: "
            f"{differing[0][:80]} differs."
        )
    network.load_state_dict(dict(state), assign=True)
    return network.eval().requires_grad_(False)


def _read_state(content: bytes, name: str) -> Mapping[str, Tensor]:
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, BadZipFile, EOFError, ValueError, KeyError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise InputError(f"{name} is damaged, or holds more than weights: {first[:200]}") from None
    if isinstance(state, Mapping):
        state = next((state[key] for key in _WRAPPED if isinstance(state.get(key), Mapping)), state)
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{name} holds no weights by name.")
    return state

"""Models as users name them, brought into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from napari_emseg.errors import InputError
from napari_emseg.inference.record import sha256_of
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import describe_network, load_earlier, load_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.networks.library import find_model

Model = str | Path | ModelInfo | Network


@dataclass(frozen=True)
class Loaded:
    """A network, and the one whose boundary maps it takes, if any.

    Attributes
    ----------
    network : Network
    info : ModelInfo
    earlier : (Network, ModelInfo) or None
    """

    network: Network
    info: ModelInfo
    earlier: tuple[Network, ModelInfo] | None = None

    def checksum(self) -> Callable[[], str | None]:
        """Return what computes the checksum of the model's file, or of weights in no file, once."""
        if self.info.path is not None:
            return cache(partial(sha256_of, self.info.path))
        networks = (self.network, self.earlier[0]) if self.earlier else (self.network,)
        return cache(partial(_sha256_of_weights, networks))


def load(model: Model, maps_from: Model | None = None) -> Loaded:
    """Load a model by name, file or description, or take a network in memory.

    Parameters
    ----------
    model : str, path, ModelInfo or Network
    maps_from : str, path, ModelInfo or Network, optional
        The model whose boundary maps a recursive network takes, instead of the one in
        its own file.

    Raises
    ------
    InputError
        If there is no such model.
    """
    network, info = _load(model)
    earlier = _load(maps_from) if maps_from is not None else None
    if earlier is None and network.in_maps and info.path is not None:
        earlier = load_earlier(info.path)
    return Loaded(network, info, earlier)


def _load(model: Model) -> tuple[Network, ModelInfo]:
    if isinstance(model, Network):
        return model, describe_network(model)
    path = (model if isinstance(model, ModelInfo) else find_model(model)).path
    if path is None:
        raise InputError("This model has not been saved to a file yet.")
    return load_model(path)


def _sha256_of_weights(networks: Iterable[Network]) -> str:
    digest = hashlib.sha256()
    for network in networks:
        for key, tensor in network.state_dict().items():
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()

"""The network a training begins with: fresh, or from the weights of an earlier model."""

from __future__ import annotations

from typing import Any

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import load_model
from napari_emseg.networks.library import find_model
from napari_emseg.networks.vd2d import VD2D
from napari_emseg.networks.vd2d3d import VD2D3D
from napari_emseg.training.params import TrainParams


def make_network(params: TrainParams) -> Network:
    """Make the network of a training.

    Where it starts from a model of the same network and nothing else is said,
    it has the parameters of that model.

    Raises
    ------
    InputError
        If there is no such network, or it cannot start from that model.

    Examples
    --------
    >>> make_network(TrainParams(preset="tiny")).name
    'unet2d'
    """
    if not params.start_from:
        return build_network(params.network, params.preset, **params.network_params())
    trained = open_model(params.start_from)
    own = trained.params.model_dump() if trained.name == params.network else {}
    if params.preset is not None:
        own = {}
    options: dict[str, Any] = {**own, **params.network_params()}
    network = build_network(params.network, params.preset, **options)
    _copy_weights(trained, network, params.start_from)
    return network


def open_model(name_or_path: str) -> Network:
    """Load the network of a model by its name, or from its file."""
    path = find_model(name_or_path).path
    if path is None:
        raise InputError(f"Model '{name_or_path}' has not been saved to a file yet.")
    return load_model(path)[0]


def _copy_weights(trained: Network, network: Network, source: str) -> None:
    try:
        if isinstance(network, VD2D3D) and isinstance(trained, VD2D):
            network.start_from(trained)
        elif network.name == trained.name:
            network.load_state_dict(trained.state_dict())
        else:
            raise InputError(
                f"Network '{network.name}' cannot start from '{source}', which is a "
                f"{trained.name}: choose that network, or start from nothing."
            )
    except RuntimeError:
        raise InputError(
            f"Network '{network.name}' has other parameters than '{source}', from which it shall "
            "start: leave out its preset, width, depth and options to have those of the model."
        ) from None

"""The network a training begins with: fresh, or from the weights of an earlier model."""

from __future__ import annotations

from typing import Any

import torch

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import load_model
from napari_emseg.networks.library import find_model
from napari_emseg.networks.vd2d import VD2D
from napari_emseg.networks.vd2d3d import VD2D3D
from napari_emseg.training.params import TrainParams

SLAB_SECTIONS = 8
"""Sections before and after one that a 3D network looks at, at most, for a look at it."""


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
        return _build(params, {})
    trained = open_model(params.start_from)
    own = trained.params.model_dump() if trained.name == params.network else {}
    network = _build(params, own)
    _copy_weights(trained, network, params.start_from)
    return network


def make_blueprint(params: TrainParams) -> tuple[Network, int]:
    """Make the network of a training without its weights, to see what it looks at.

    Returns
    -------
    network : Network
        It cannot compute.
    reach : int
        Sections before and after one that a look at it needs: of a 2D network those it
        takes, with those of the earlier one whose maps it takes; of a 3D one a thin slab.

    Raises
    ------
    InputError
        As :func:`make_network`.

    Examples
    --------
    >>> make_blueprint(TrainParams(preset="tiny", in_sections=3))[1]
    1
    """
    own: dict[str, Any] = {}
    if params.start_from:
        info = find_model(params.start_from)
        own = dict(info.params) if info.network == params.network else {}
    with torch.device("meta"):
        network = _build(params, own)
    if network.dimensions == 3:
        return network, min(SLAB_SECTIONS, network.receptive_field_px[0] // 2)
    reach = network.in_sections // 2
    if network.in_maps and params.maps_from:
        reach += find_model(params.maps_from).in_sections // 2
    return network, reach


def keeps_start(params: TrainParams) -> bool:
    """Whether weights it starts from stay in the model: those of a network of the same kind."""
    if not (params.start_from and params.start_share):
        return False
    return find_model(params.start_from).network == params.network


def _build(params: TrainParams, own: dict[str, Any]) -> Network:
    options = {**(own if params.preset is None else {}), **params.network_params()}
    return build_network(params.network, params.preset, **options)


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

"""The second input of a recursive network: boundary maps of an earlier model, made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.inference import predict
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import load_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.networks.library import find_model
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.volume import Volume

Earlier = tuple[Network, ModelInfo]


def open_earlier(network: Network, maps_from: str) -> Earlier | None:
    """Load the model whose maps a recursive network takes; None if it takes none.

    Parameters
    ----------
    network : Network
        Which will be trained.
    maps_from : str
        Name or file of the earlier model.

    Raises
    ------
    InputError
        If the network takes maps and no model is named, or that gives something else.

    Examples
    --------
    >>> from napari_emseg.networks import build_network
    >>> open_earlier(build_network("unet2d", "tiny"), "") is None
    True
    """
    if not network.in_maps:
        return None
    if not maps_from:
        raise InputError(
            f"Network '{network.name}' also takes the boundary maps of an earlier model: name it "
            "(maps_from), or choose preset 'modern', which needs none."
        )
    info = find_model(maps_from)
    if info.target != "boundary" or info.dimensions != 2 or info.in_maps or info.path is None:
        raise InputError(
            f"The maps cannot come from '{maps_from}', which does not turn sections into boundary "
            "maps; choose a 2D model such as a vd2d."
        )
    return load_model(info.path)


def add_maps(
    pairs: Sequence[TrainingPair],
    network: Network,
    earlier: Network,
    *,
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
) -> list[TrainingPair]:
    """Give pairs the boundary maps that a recursive network takes beside the sections.

    Only sections that are trained on, and their neighbours, are predicted. Pairs
    that have maps keep them.

    Parameters
    ----------
    pairs : sequence of TrainingPair
    network, earlier : Network
        Which will be trained, and which makes the maps.
    device : str
        Where to compute.
    progress : Progress

    Examples
    --------
    >>> from napari_emseg.networks import build_network
    >>> from napari_emseg.samples import make_synthetic
    >>> from napari_emseg.training import hold_out
    >>> pair = hold_out(*make_synthetic((2, 64, 64)))
    >>> recursive, earlier = build_network("vd2d3d", "paper"), build_network("unet2d", "tiny")
    >>> add_maps([pair], recursive, earlier)[0].maps.kind
    'boundary'
    """
    return [
        pair
        if pair.maps is not None
        else replace(pair, maps=_map_of(pair, network, earlier, device, progress))
        for pair in pairs
    ]


def _map_of(
    pair: TrainingPair, network: Network, earlier: Network, device: str, progress: Progress
) -> Volume:
    reach, last = network.in_sections // 2, pair.raw.shape[0] - 1
    seen = {
        min(max(z + step, 0), last)
        for z in pair.train_sections
        for step in range(-reach, reach + 1)
    }
    return predict(
        pair.raw,
        model=earlier,
        tta=False,
        device=device,
        out=np.zeros(pair.raw.shape, np.uint8),
        sections=sorted(seen),
        resample="never",
        progress=progress,
    )

"""The second input of a recursive network: boundary maps of an earlier model, made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.inference import predict
from napari_emseg.networks.base import Network
from napari_emseg.networks.library import find_model
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.volume import Volume


def add_maps(
    pairs: Sequence[TrainingPair],
    network: Network,
    maps_from: str,
    *,
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
) -> list[TrainingPair]:
    """Give pairs the boundary maps that a recursive network takes beside the sections.

    Only sections that the network looks at are predicted. Pairs that have maps
    keep them; where the network takes none, nothing is done.

    Parameters
    ----------
    pairs : sequence of TrainingPair
    network : Network
        Which will be trained.
    maps_from : str
        Name or file of the earlier model.
    device : str
        Where to compute.
    progress : Progress

    Raises
    ------
    InputError
        If the network takes maps and no model is named, or it gives something else.
    """
    if not network.in_maps:
        return list(pairs)
    if not maps_from:
        raise InputError(
            f"Network '{network.name}' also takes the boundary maps of an earlier model: name it "
            "(maps_from), or choose preset 'modern', which needs none."
        )
    info = find_model(maps_from)
    if info.target != "boundary" or info.in_maps:
        raise InputError(
            f"The maps cannot come from '{maps_from}', which does not turn sections into boundary "
            "maps; choose a 2D model such as a vd2d."
        )
    return [
        pair
        if pair.maps is not None
        else replace(pair, maps=_map_of(pair, network, maps_from, device, progress))
        for pair in pairs
    ]


def _map_of(
    pair: TrainingPair, network: Network, maps_from: str, device: str, progress: Progress
) -> Volume:
    reach, last = network.in_sections // 2, pair.raw.shape[0] - 1
    seen = {
        min(max(z + step, 0), last)
        for z in (*pair.train_sections, *pair.validation_sections)
        for step in range(-reach, reach + 1)
    }
    return predict(
        pair.raw,
        model=maps_from,
        tta=False,
        device=device,
        out=np.zeros(pair.raw.shape, np.uint8),
        sections=sorted(seen),
        resample="never",
        progress=progress,
    )

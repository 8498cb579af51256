"""The picture of a model that was just trained: a section it was given, and what it makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.inference import predict
from napari_emseg.networks.picture import SIDE_PX, make_picture, write_picture
from napari_emseg.segmentation.affinity_view import boundary_of
from napari_emseg.training.pairs import TrainingPair

_AROUND = 3  # sections before and after it that the model may look at


def add_portrait(path: Path, pairs: Sequence[TrainingPair], *, device: str = "auto") -> None:
    """Put a picture into the file of a model, which is as good without one.

    Parameters
    ----------
    path : Path
        Model file.
    pairs : sequence of TrainingPair
        What it learned from; a section that was held out is shown rather than one it has seen.
    device : str
        Where to compute.
    """
    with suppress(InputError):
        write_picture(path, draw_portrait(path, pairs, device=device))


def draw_portrait(path: Path, pairs: Sequence[TrainingPair], *, device: str = "auto") -> bytes:
    """Draw the middle of a section beside its boundary map.

    Returns
    -------
    bytes
        A PNG; see :func:`napari_emseg.networks.picture.make_picture`.

    Raises
    ------
    InputError
        If the model cannot be used on them.
    """
    pair = next((pair for pair in pairs if pair.validation_sections), pairs[0])
    z = (pair.validation_sections or pair.train_sections)[0]
    first = max(0, z - _AROUND)
    middle = tuple(
        slice((n - min(n, SIDE_PX)) // 2, (n + min(n, SIDE_PX)) // 2) for n in pair.raw.shape[1:]
    )
    slab = np.stack(
        [
            pair.raw.read(section)[middle]
            for section in range(first, min(z + _AROUND + 1, pair.raw.shape[0]))
        ]
    )
    found = predict(
        pair.raw.derive(slab, kind="raw"), model=path, tta=False, device=device, resample="never"
    )
    if found.kind == "affinities":
        found = boundary_of(found)
    boundary = np.asarray(found.read(z - first), np.float32)
    scale = 255 if found.dtype == np.uint8 else 1
    return make_picture(slab[z - first], boundary / scale)

"""The arrays of one batch, drawn from a generator that only that batch has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.training.augment_lookup import Floats
from napari_emseg.training.boxes import draw_box
from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.params import TrainParams
from napari_emseg.training.patches import Sample, draw_patch
from napari_emseg.training.sources import Source
from napari_emseg.training.windows import draw_window

Arrays = tuple[Floats, npt.NDArray[np.uint8]]

_ATTEMPTS = 100


def make_arrays(
    sources: Sequence[Source], params: TrainParams, spec: InputSpec, step: int
) -> Arrays:
    """Make images and targets of one step; see :func:`napari_emseg.training.batches.make_batch`."""
    samples = [_make_sample(sources, params, spec, step, n) for n in range(params.batch_size)]
    images = np.stack([sample.image for sample in samples])
    targets = np.stack([sample.target for sample in samples])
    return images, targets[:, 0] if params.sampling == "windows" else targets


def _make_sample(
    sources: Sequence[Source], params: TrainParams, spec: InputSpec, step: int, number: int
) -> Sample:
    shares = np.cumsum([source.weight for source in sources])
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([params.seed, step, number, attempt])
        at = np.searchsorted(shares, rng.random() * shares[-1], side="right")
        source = sources[min(int(at), len(sources) - 1)]
        sample = _draw(rng, source, params, spec, step * params.batch_size + number)
        if sample is not None:
            return sample
    raise InputError(
        f"{source.name}: {_ATTEMPTS} sections drawn at random are all blank or unlabelled; choose "
        "other sections to train on."
    )


def _draw(
    rng: np.random.Generator, source: Source, params: TrainParams, spec: InputSpec, number: int
) -> Sample | None:
    if spec.dimensions == 3:
        return draw_box(rng, source, params, spec)
    if params.sampling == "windows":
        wanted = number % 2 if params.class_balance else None  # counted over all batches
        return draw_window(rng, source, params, spec, wanted)
    return draw_patch(rng, source, params, spec)

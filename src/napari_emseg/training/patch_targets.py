"""What a network should give for a patch, from the ids, paint or drawn targets that it shows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.painting import MEMBRANE, paint_target
from napari_emseg.training.params import TrainParams
from napari_emseg.training.sources import Source
from napari_emseg.training.stacks import Stack, Values
from napari_emseg.training.targets import (
    IGNORED,
    Target,
    affinity_target,
    kernel_target,
    label_target,
)
from napari_emseg.training.warped import Shape

KERNEL_REACH = {"faces": 0, "l3": 1, "c3": 1, "c5": 2}


def halo_of(source: Source, params: TrainParams, spec: InputSpec) -> Shape:
    """Return how far around a patch, along z, y and x, ids are needed to draw its target."""
    if source.is_target:
        return 0, 0, 0
    if spec.offsets:
        z, y, x = (max(abs(offset[axis]) for offset in spec.offsets) for axis in range(3))
        return z, max(y, x), max(y, x)
    if reach := KERNEL_REACH[params.boundary_kernel]:
        return reach, reach, reach
    reach = params.boundary_px
    return reach if _meets_across(source, spec) else 0, reach, reach


def draw_target(
    pick: Callable[[Stack], Values],
    source: Source,
    params: TrainParams,
    spec: InputSpec,
    halo: Shape,
) -> Target:
    """Draw what the network should give for a patch.

    Parameters
    ----------
    pick : callable
        Returns what the patch shows of a stack, (Z, Y, X), with a halo on each side.
    source : Source
    params : TrainParams
    spec : InputSpec
    halo : (z, y, x)
        As :func:`halo_of` says.

    Returns
    -------
    uint8 array, (channels, Z, Y, X), without the halo
        1, 0, or 255 = not known.
    """
    truth = pick(source.truth)
    if source.is_target:
        return truth[None]
    ignored = None
    if source.ignored is not None:
        ignored = np.isin(pick(source.ignored), source.ignore_values)
    if spec.offsets:
        if ignored is not None:
            truth[ignored] = 0
        membrane = MEMBRANE if source.is_paint else None
        return affinity_target(truth, spec.offsets, halo=halo, membrane=membrane)
    target = _boundaries(truth, source, params, spec)
    if ignored is not None:
        target[ignored] = IGNORED
    core = tuple(slice(h, n - h) for n, h in zip(target.shape, halo, strict=True))
    return np.ascontiguousarray(target[core])[None]


def is_nothing_known(source: Source, target: Target) -> bool:
    """Whether a patch of paint shows none, so that nothing would be learned from it."""
    return source.is_paint and bool((target == IGNORED).all())


def _boundaries(ids: Values, source: Source, params: TrainParams, spec: InputSpec) -> Target:
    axes = (0, 1, 2) if _meets_across(source, spec) else (1, 2)
    kernel = None if params.boundary_kernel == "faces" else params.boundary_kernel
    if source.is_paint:
        return paint_target(ids, params.boundary_px, kernel=kernel, axes=axes)
    if kernel is not None:
        return kernel_target(ids, kernel)
    return label_target(ids, boundary_px=params.boundary_px, axes=axes)


def _meets_across(source: Source, spec: InputSpec) -> bool:
    """Whether two ids also meet where they lie in neighbouring sections."""
    return spec.dimensions == 3 and source.is_cubic

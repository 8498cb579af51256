"""Patches of sections for 2D networks: where, how warped, with which target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_emseg.training.augment_grey import change_grey
from napari_emseg.training.augment_lookup import Floats
from napari_emseg.training.augment_warp import Warp, draw_warp
from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.painting import MEMBRANE, paint_target
from napari_emseg.training.params import TrainParams
from napari_emseg.training.sources import Source
from napari_emseg.training.stacks import Values
from napari_emseg.training.targets import (
    IGNORED,
    Target,
    affinity_target,
    kernel_target,
    label_target,
)
from napari_emseg.training.warped import (
    Place,
    Sections,
    Shape,
    fold_sections,
    pick_sections,
    read_sections,
)

KERNEL_REACH = {"faces": 0, "l3": 1, "c3": 1, "c5": 2}


@dataclass(frozen=True)
class Sample:
    """What a network takes and what it should give.

    Attributes
    ----------
    image : float32 array, (channels, Y, X) or (1, Z, Y, X)
    target : uint8 array, (channels, [Z,] Y, X)
    """

    image: Floats
    target: Target


def draw_patch(
    rng: np.random.Generator, source: Source, params: TrainParams, spec: InputSpec
) -> Sample | None:
    """Draw a patch of a section with its neighbours; None where the section is blank.

    The draws are, in this order: section, place, warp, grey values.

    Parameters
    ----------
    rng : numpy.random.Generator
    source : Source
    params : TrainParams
    spec : InputSpec
    """
    z, y, x = choose_place(rng, source, params.patch_px)
    halo = _halo(source, params, spec)
    image_px = params.patch_px + 2 * spec.margin_px
    field_px = params.patch_px + 2 * max(spec.margin_px, halo)
    warp = draw_warp(
        rng,
        (spec.in_sections, image_px, image_px),
        params.augment,
        field_px=field_px,
        is_cubic=source.is_cubic,
        middle=spec.middle,
    )
    if source.tones.is_blank(z):
        return None
    place = Place(np.array([z, y, x]), warp, source.run_of(z))
    image = read_input(rng, source, place, image_px, params, spec)
    target = _read_target(source, place, params, spec, halo)
    return None if is_nothing_known(source, target) else Sample(image, target)


def choose_place(
    rng: np.random.Generator, source: Source, patch_px: int
) -> tuple[int, float, float]:
    """Choose the section and the middle of a patch: anywhere, or around a painted pixel."""
    if source.known is None:
        z = int(source.sections[int(rng.random() * len(source.sections))])
        y, x = choose_centre(rng.random(2), source.raw.shape[1:], patch_px)
        return z, y, x
    z, *pixel = source.known.draw(rng)
    y, x = choose_centre(rng.random(2), source.raw.shape[1:], patch_px, around=pixel)
    return z, y, x


def is_nothing_known(source: Source, target: Target) -> bool:
    """Whether a patch of paint shows none, so that nothing would be learned from it."""
    return source.known is not None and bool((target == IGNORED).all())


def choose_centre(
    where: npt.NDArray[np.float64],
    size_px: tuple[int, ...],
    patch_px: int,
    *,
    around: Sequence[int] | None = None,
) -> list[float]:
    """Turn two shares into the middle of a patch, on the grid of the pixels.

    The middle keeps a third of a patch from the edge: the rest would be mirror image.
    With `around` it is within a quarter of a patch from there, so that the patch shows
    that pixel however it is turned and scaled.
    """
    centre = []
    for axis, (share, size) in enumerate(zip(where, size_px, strict=True)):
        margin = min((size - 1) / 2, patch_px / 3)
        low, high = margin, size - 1 - margin
        if around is not None:
            low = max(low, min(around[axis] - patch_px / 4, high))
            high = min(high, max(around[axis] + patch_px / 4, low))
        middle = low + (high - low) * share
        offset = (patch_px - 1) / 2 % 1  # even patches have their middle between two pixels
        centre.append(round(middle - offset) + offset)
    return centre


def read_input(
    rng: np.random.Generator,
    source: Source,
    place: Place,
    size_px: int,
    params: TrainParams,
    spec: InputSpec,
) -> Floats:
    """Read the sections and maps around a place, (channels, size_px, size_px)."""
    sections = _shown_sections(source, place, spec)
    image = read_sections(source.raw, place, sections, size_px, source.tones)
    image = change_grey(
        rng, image, params.augment, middle=spec.middle, has_sections=not source.is_cubic
    )
    if source.maps is None or not spec.in_maps:
        return image
    maps = read_sections(source.maps, place, sections, size_px) * np.float32(source.map_scale)
    return np.concatenate([image, maps])


def _shown_sections(source: Source, place: Place, spec: InputSpec) -> Sections:
    """Return the section and its neighbours as prediction takes them.

    At the ends of the stack the outermost is repeated; in place of a blank one
    stands the middle one.
    """
    z, reach = int(place.centre[0]), spec.in_sections // 2
    steps = np.arange(-reach, reach + 1) * (-1 if place.warp.is_reversed else 1)
    sections = np.clip(z + steps, 0, source.raw.shape[0] - 1).astype(np.int64)
    blank = [source.tones.is_blank(near) for near in sections.tolist()]
    return np.where(blank, z, sections)


def _halo(source: Source, params: TrainParams, spec: InputSpec) -> int:
    """How far around a patch ids are needed to draw its target."""
    if source.is_target:
        return 0
    if spec.offsets:
        return max(max(abs(y), abs(x)) for _, y, x in spec.offsets)
    return KERNEL_REACH[params.boundary_kernel] or params.boundary_px


def _read_target(
    source: Source, place: Place, params: TrainParams, spec: InputSpec, halo: int
) -> Target:
    """Return the target of the patch, (channels, patch_px, patch_px)."""
    z, size_px = int(place.centre[0]), params.patch_px + 2 * halo
    reach = 0 if source.is_target or spec.offsets else KERNEL_REACH[params.boundary_kernel]
    # the neighbours' truth is where they belong, however misaligned they are shown
    place = replace(place, warp=_still(place.warp, 2 * reach + 1))
    steps = np.arange(-reach, reach + 1) * (-1 if place.warp.is_reversed else 1)
    sections = fold_sections(z + steps, *place.run)
    if source.is_target:
        return pick_sections(source.truth, place, sections, size_px)
    ids = pick_sections(source.truth, place, sections, size_px, halo=halo * bool(spec.offsets))
    ignored = _pick_ignored(source, place, sections, size_px)
    if spec.offsets and ignored is not None:
        ids[ignored] = 0
    target = draw_target(
        ids, params, spec, axes=(1, 2), halo=(reach, halo, halo), is_paint=source.is_paint
    )[:, 0]
    if not spec.offsets and ignored is not None:
        core = slice(halo, halo + params.patch_px)
        target[:, ignored[reach, core, core]] = IGNORED
    return target


def draw_target(
    ids: Values,
    params: TrainParams,
    spec: InputSpec,
    *,
    axes: tuple[int, ...],
    halo: Shape,
    is_paint: bool = False,
) -> Target:
    """Draw what the network should give for ids (Z, Y, X), (channels, Z, Y, X) without the halo.

    `axes` are those along which the faces of two ids are boundary.
    """
    if spec.offsets:
        membrane = MEMBRANE if is_paint else None
        return affinity_target(ids, spec.offsets, halo=halo, membrane=membrane)
    if is_paint:
        kernel = None if params.boundary_kernel == "faces" else params.boundary_kernel
        target = paint_target(ids, params.boundary_px, kernel=kernel, axes=axes)
    elif params.boundary_kernel != "faces":
        target = kernel_target(ids, params.boundary_kernel)
    else:
        target = label_target(ids, boundary_px=params.boundary_px, axes=axes)
    core = tuple(slice(h, n - h) for n, h in zip(ids.shape, halo, strict=True))
    return np.ascontiguousarray(target[core])[None]


def _pick_ignored(
    source: Source, place: Place, sections: Sections, size_px: int
) -> npt.NDArray[np.bool_] | None:
    if source.ignored is None:
        return None
    classes = pick_sections(source.ignored, place, sections, size_px)
    return np.isin(classes, source.ignore_values)


def _still(warp: Warp, count: int) -> Warp:
    """Return the warp for `count` sections, all in place."""
    slips = np.broadcast_to(warp.slips[:1], (count, 2, 3))
    return replace(warp, slips=slips).aligned()

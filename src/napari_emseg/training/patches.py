"""Patches of sections for 2D networks: where, how warped, with which target."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_emseg.training.augment_grey import change_grey
from napari_emseg.training.augment_lookup import Floats
from napari_emseg.training.augment_warp import Warp, draw_warp
from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.params import TrainParams
from napari_emseg.training.patch_targets import draw_target, halo_of, is_nothing_known
from napari_emseg.training.places import choose_centre, choose_section
from napari_emseg.training.sources import Source
from napari_emseg.training.stacks import Stack, Values
from napari_emseg.training.targets import Target
from napari_emseg.training.warped import (
    Place,
    Sections,
    Shape,
    fold_sections,
    pick_sections,
    read_sections,
)


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
    z, pixel = choose_section(rng, source)
    y, x = choose_centre(rng.random(2), source.raw.shape[1:], params.patch_px, around=pixel[1:])
    halo = halo_of(source, params, spec)
    image_px = params.patch_px + 2 * spec.margin_px
    field_px = params.patch_px + 2 * max(spec.margin_px, halo[1])
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


def _read_target(
    source: Source, place: Place, params: TrainParams, spec: InputSpec, halo: Shape
) -> Target:
    """Return the target of the patch, (channels, patch_px, patch_px)."""
    reach, around, _ = halo
    # the neighbours' truth is where they belong, however misaligned they are shown
    place = replace(place, warp=_still(place.warp, 2 * reach + 1))
    steps = np.arange(-reach, reach + 1) * (-1 if place.warp.is_reversed else 1)
    sections = fold_sections(int(place.centre[0]) + steps, *place.run)
    outside = around if spec.offsets else 0

    def pick(stack: Stack) -> Values:
        return pick_sections(stack, place, sections, params.patch_px + 2 * around, halo=outside)

    return draw_target(pick, source, params, spec, halo)[:, 0]


def _still(warp: Warp, count: int) -> Warp:
    """Return the warp for `count` sections, all in place."""
    slips = np.broadcast_to(warp.slips[:1], (count, 2, 3))
    return replace(warp, slips=slips).aligned()

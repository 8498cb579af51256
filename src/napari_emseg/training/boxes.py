"""Patches of volumes for 3D networks: where, how warped, with which target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_emseg.training.augment_grey import change_grey
from napari_emseg.training.augment_lookup import OUTSIDE, Floats
from napari_emseg.training.augment_warp import Matrix, draw_warp
from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.params import TrainParams
from napari_emseg.training.patch_targets import draw_target, halo_of, is_nothing_known
from napari_emseg.training.patches import Sample
from napari_emseg.training.places import choose_centre, choose_section
from napari_emseg.training.sources import Source
from napari_emseg.training.stacks import Stack, Values
from napari_emseg.training.targets import Target
from napari_emseg.training.warped import (
    Place,
    Sections,
    Shape,
    fold_sections,
    pick_box,
    pick_sections,
    read_box,
    read_sections,
)


def draw_box(
    rng: np.random.Generator, source: Source, params: TrainParams, spec: InputSpec
) -> Sample | None:
    """Draw a patch of a volume; None where its middle section is blank.

    In cubic voxels it is warped along all axes. Elsewhere sections stay whole:
    the patch shows neighbouring sections, in either order, and the labels of a
    misaligned one move with it. It stays within a run of training sections.

    Parameters
    ----------
    rng : numpy.random.Generator
    source : Source
    params : TrainParams
    spec : InputSpec
    """
    z, pixel = choose_section(rng, source)
    where = rng.random(3)
    shape = (params.patch_sections, params.patch_px, params.patch_px)
    halo = halo_of(source, params, spec)
    warp = draw_warp(
        rng,
        shape,
        params.augment,
        field_px=params.patch_px + 2 * max(halo[1:]),
        field_sections=shape[0] + 2 * halo[0] if source.is_cubic else 0,
        is_cubic=source.is_cubic,
    )
    run = source.run_of(z)
    centre = _choose_centre(where, source, run, shape, warp.matrix, pixel)
    if source.tones.is_blank(min(max(int(centre[0]), run[0]), run[1])):
        return None
    place = Place(np.array(centre), warp, run)
    image = _read_image(source, place, shape)
    image = change_grey(rng, image, params.augment, has_sections=not source.is_cubic)
    target = _read_target(source, place, shape, halo, params, spec)
    return None if is_nothing_known(source, target) else Sample(image[None], target)


def _choose_centre(
    where: npt.NDArray[np.float64],
    source: Source,
    run: tuple[int, int],
    shape: Shape,
    matrix: Matrix,
    pixel: tuple[int, ...],
) -> list[float]:
    """Turn three shares into the middle of a patch, on the grid of the voxels."""
    if source.is_cubic:
        sizes = (run[1] - run[0] + 1, *source.raw.shape[1:])
        along = np.rint(np.abs(matrix) @ shape / np.cbrt(abs(np.linalg.det(matrix))))
        known = [(at,) for at in (pixel[0] - run[0], *pixel[1:])] if pixel else [()] * 3
        z, y, x = (
            choose_centre(share, (size,), int(side), around=near)[0]
            for share, size, side, near in zip(where[:, None], sizes, along, known, strict=True)
        )
        return [run[0] + z, y, x]
    y, x = choose_centre(where[1:], source.raw.shape[1:], shape[1], around=pixel[1:])
    if pixel:
        first = pixel[0] - int(where[0] * shape[0])
        first = max(run[0], min(first, run[1] + 1 - shape[0]))
        return [first + (shape[0] - 1) / 2, y, x]
    # sections beyond the run would be mirror images: as few as possible
    spare = run[1] - run[0] + 1 - shape[0]
    first = run[0] + (int(where[0] * (spare + 1)) if spare >= 0 else spare // 2)
    return [first + (shape[0] - 1) / 2, y, x]


def _sections_at(place: Place, count: int, halo: int = 0, *, is_open: bool = False) -> Sections:
    """Return the sections that a patch of whole sections shows.

    Beyond the run they are mirrored; where `is_open`, those of the halo are OUTSIDE.
    """
    steps = np.arange(-halo, count + halo)
    shown = (steps - (count - 1) / 2) * place.warp.matrix[0, 0] + place.centre[0]
    sections = np.rint(shown).astype(np.int64)
    folded = fold_sections(sections, *place.run)
    if is_open:
        beyond = (sections < place.run[0]) | (sections > place.run[1])
        folded[beyond & ((steps < 0) | (steps >= count))] = OUTSIDE
    return folded


def _read_image(source: Source, place: Place, shape: Shape) -> Floats:
    if source.is_cubic:
        return read_box(source.raw, place, shape, source.tones)
    sections = _sections_at(place, shape[0])
    return read_sections(source.raw, place, sections, shape[1], source.tones)


def _read_target(
    source: Source,
    place: Place,
    shape: Shape,
    halo: Shape,
    params: TrainParams,
    spec: InputSpec,
) -> Target:
    """Return the target of the patch, (channels, Z, Y, X)."""

    def pick(stack: Stack) -> Values:
        return _pick(source, stack, place, shape, halo, is_open=bool(spec.offsets))

    return draw_target(pick, source, params, spec, halo)


def _pick(
    source: Source, stack: Stack, place: Place, shape: Shape, halo: Shape, *, is_open: bool
) -> Values:
    grown = (shape[0] + 2 * halo[0], shape[1] + 2 * halo[1], shape[2] + 2 * halo[2])
    if source.is_cubic:
        return pick_box(stack, place, grown, halo=halo if is_open else (0, 0, 0))
    sections = _sections_at(place, shape[0], halo[0], is_open=is_open)
    slips = np.pad(place.warp.slips, ((halo[0], halo[0]), (0, 0), (0, 0)), mode="edge")
    place = replace(place, warp=replace(place.warp, slips=slips))
    return pick_sections(stack, place, sections, grown[1], halo=halo[1] if is_open else 0)

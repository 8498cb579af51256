"""Single windows and what their middle pixel is, for networks that classify pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_emseg.training.augment_lookup import Floats
from napari_emseg.training.augment_warp import draw_warp
from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.params import TrainParams
from napari_emseg.training.patch_targets import draw_target, halo_of
from napari_emseg.training.patches import Sample, read_input
from napari_emseg.training.sources import Source
from napari_emseg.training.stacks import Stack, Values
from napari_emseg.training.targets import IGNORED, Target
from napari_emseg.training.warped import Place, Sections, fold_sections

_TILE_PX = 64
_TILES = 50


def draw_window(
    rng: np.random.Generator,
    source: Source,
    params: TrainParams,
    spec: InputSpec,
    wanted: int | None = None,
) -> Sample | None:
    """Draw a window around a pixel; None where the section is blank or nothing is known.

    Parameters
    ----------
    rng : numpy.random.Generator
    source : Source
    params : TrainParams
    spec : InputSpec
    wanted : {0, 1}, optional
        What the pixel should be: inside or boundary. It is sought in up to 50 random
        tiles of 64 x 64 pixels; where there is none, any known pixel is taken.

    Returns
    -------
    Sample or None
        Its image (channels, w, w) is cut as the network's ``read_windows`` does, its
        target has shape (1,).
    """
    found = _find_pixel(rng, source, params, spec, wanted)
    if found is None:
        return None
    z, y, x, value = found
    size_px = 2 * spec.margin_px + 1
    warp = draw_warp(
        rng,
        (spec.in_sections, size_px, size_px),
        params.augment,
        field_px=size_px,
        is_cubic=source.is_cubic,
        middle=spec.middle,
    )
    # the pixel stays in the middle
    warp = replace(warp, field=warp.field - warp.field[spec.margin_px, spec.margin_px])
    place = Place(np.array([z, y, x], float), warp, source.run_of(z))
    image = read_input(rng, source, place, size_px, params, spec)
    return Sample(_look(image, spec), np.array([value], np.uint8))


def _find_pixel(
    rng: np.random.Generator,
    source: Source,
    params: TrainParams,
    spec: InputSpec,
    wanted: int | None,
) -> tuple[int, int, int, int] | None:
    """Return z, y, x of a pixel and what it is."""
    any_known: tuple[int, int, int, int] | None = None
    for z, corner in _choose_tiles(rng, source, wanted):
        target = _read_tile(source, z, corner, params, spec)
        known = target != IGNORED if wanted is None else target == wanted
        pick = rng.random()
        for mask in (known, target != IGNORED):
            y, x = np.nonzero(mask)
            if len(y):
                at = int(pick * len(y))
                value = int(target[y[at], x[at]])
                pixel = (z, corner[0] + int(y[at]), corner[1] + int(x[at]), value)
                if mask is known:
                    return pixel
                any_known = any_known or pixel
    return any_known


def _choose_tiles(
    rng: np.random.Generator, source: Source, wanted: int | None
) -> Iterator[tuple[int, list[int]]]:
    """Choose sections and corners of tiles in which to look; none where the section is blank."""
    spare = [max(1, size - _TILE_PX + 1) for size in source.raw.shape[1:]]
    if source.known is None:
        z = int(source.sections[int(rng.random() * len(source.sections))])
        for _ in range(0 if source.tones.is_blank(z) else _TILES):
            yield z, [int(rng.integers(0, free)) for free in spare]
        return
    for _ in range(_TILES):
        z, *pixel = source.known.draw(rng, wanted)
        shifts = rng.integers(0, _TILE_PX, 2).tolist()
        corner = [
            min(max(0, at - shift), free - 1)
            for at, shift, free in zip(pixel, shifts, spare, strict=True)
        ]
        if not source.tones.is_blank(z):
            yield z, corner


def _read_tile(
    source: Source, z: int, corner: list[int], params: TrainParams, spec: InputSpec
) -> Target:
    """Return the target of a tile as it is in the section, (Y, X)."""
    plain = replace(spec, offsets=())
    reach, around, _ = halo_of(source, params, plain)
    sections = fold_sections(np.arange(z - reach, z + reach + 1), *source.run_of(z))
    low = [max(0, c - around) for c in corner]
    size = source.truth.shape[1:]
    high = [min(n, c + _TILE_PX + around) for c, n in zip(corner, size, strict=True)]
    y, x = (slice(c - a, c - a + _TILE_PX) for c, a in zip(corner, low, strict=True))

    def pick(stack: Stack) -> Values:
        return _cut(stack, sections, low, high)

    core: Target = draw_target(pick, source, params, plain, (reach, 0, 0))[0, 0, y, x]
    return core


def _cut(stack: Stack, sections: Sections, low: list[int], high: list[int]) -> Values:
    """Read a box of some sections, unwarped."""
    first, last = int(sections.min()), int(sections.max())
    block, origin = stack.block([first, *low], [last + 1, *high])
    z, y, x = origin.tolist()
    part = block[:, low[0] - y : high[0] - y, low[1] - x : high[1] - x]
    cut: Values = part[sections - z]
    return cut


def _look(image: Floats, spec: InputSpec) -> Floats:
    """Read the window as the network does, where it does not simply cut it out."""
    if spec.window is None:
        return image
    import torch

    blurred = spec.window.blur(torch.from_numpy(image)[None])[0]
    middle = torch.tensor([[spec.margin_px, spec.margin_px]])
    seen: npt.NDArray[np.float32] = spec.window.read(blurred, middle)[0].numpy()
    return seen

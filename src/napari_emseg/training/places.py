"""Where patches are: anywhere, or around what is painted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_emseg.training.sources import Source


def choose_section(rng: np.random.Generator, source: Source) -> tuple[int, tuple[int, ...]]:
    """Choose a section to train on, and of paint a painted pixel (z, y, x) of it."""
    if source.known is None:
        return int(source.sections[int(rng.random() * len(source.sections))]), ()
    pixel = source.known.draw(rng)
    return pixel[0], pixel


def choose_centre(
    where: npt.NDArray[np.float64],
    size_px: tuple[int, ...],
    patch_px: int,
    *,
    around: Sequence[int] = (),
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
        if around:
            low = max(low, min(around[axis] - patch_px / 4, high))
            high = min(high, max(around[axis] + patch_px / 4, low))
        middle = low + (high - low) * share
        offset = (patch_px - 1) / 2 % 1  # even patches have their middle between two pixels
        centre.append(round(middle - offset) + offset)
    return centre

"""What may be asked of a prediction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_emseg.errors import InputError


def check_sections(sections: Iterable[int] | None, n_sections: int) -> list[int]:
    """Return the sections wanted, by default all.

    Raises
    ------
    InputError
        If the stack has not one of them.
    """
    wanted = list(range(n_sections)) if sections is None else [int(z) for z in sections]
    for z in wanted:
        if not 0 <= z < n_sections:
            raise InputError(
                f"There is no section {z}; the stack has sections 0 to {n_sections - 1}."
            )
    return wanted


def check_out(out: Any, shape: tuple[int, ...]) -> Any:
    """Return a target that a map of `shape` can be written to.

    Raises
    ------
    InputError
        If it has another shape, or a type that holds no map.
    """
    if tuple(out.shape) != shape:
        raise InputError(f"The target has shape {tuple(out.shape)}, the input {shape}.")
    if np.dtype(out.dtype).kind != "f" and out.dtype != np.uint8:
        raise InputError(f"A boundary map is float32 or uint8; the target has type {out.dtype}.")
    return out


def check_block_shape(shape_px: int | tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Return the size of blocks along y and x, perhaps with the sections before.

    Raises
    ------
    InputError
        If it is no size.
    """
    if shape_px is None:
        return None
    sizes = (shape_px, shape_px) if isinstance(shape_px, int) else tuple(shape_px)
    if len(sizes) not in (2, 3) or min(sizes) < 1:
        shown = "x".join(map(str, sizes))
        raise InputError(f"A block needs at least 1x1 pixels, not {shown}.")
    return sizes

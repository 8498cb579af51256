"""Which layer would be taken for which part of the job, without asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emseg.gui.layers import kind_of
from napari_emseg.gui.preview_labels import is_preview

if TYPE_CHECKING:
    from napari.layers import Layer

ROLES = ("raw", "boundary", "segmentation", "ground_truth")
NOUNS = {
    "raw": "raw layer (step 1)",
    "boundary": "boundary map (step 2, or open one)",
    "segmentation": "labels layer (step 3 writes one)",
    "ground_truth": "ground truth layer",
}
_FEW = 5
_SEARCHED_BYTES = 1 << 28


def looks_like(role: str, layer: Layer) -> bool:
    """Whether a layer would be taken for `role` without asking."""
    known = layer.metadata.get("emseg", {})
    if layer.ndim not in (2, 3) or is_preview(layer) or known.get("unfinished"):
        return False
    kind, made_here = kind_of(layer), bool(known.get("steps"))
    is_image = type(layer).__name__ == "Image" and not getattr(layer, "rgb", False)
    if role == "raw":
        return is_image and kind in ("", "raw")
    if role == "boundary":
        return is_image and kind == "boundary" and not is_drawing(layer)
    if role == "segmentation":
        return kind == "labels" and made_here
    if kind == "boundary":
        return not made_here and is_drawing(layer)
    return kind == "labels" and not made_here and not is_empty(layer)


def is_drawing(layer: Layer) -> bool:
    """Whether a map has two values only, as membranes drawn by hand have."""
    values = [np.unique(section[::2, ::2]) for section in _few_sections(layer)]
    return np.unique(np.concatenate(values)).size == 2


def is_empty(layer: Layer) -> bool:
    """Whether nothing is painted in a labels layer (yet)."""
    data = layer.data
    if isinstance(data, np.ndarray) and data.nbytes <= _SEARCHED_BYTES:
        return not data.any()
    return not any(section.any() for section in _few_sections(layer))


def _few_sections(layer: Layer) -> list[Any]:
    """Read sections spread over the stack: single ones may be blank."""
    data = layer.data[0] if layer.multiscale else layer.data
    if data.ndim == 2:
        return [np.asarray(data)]
    few = np.unique(np.linspace(0, data.shape[0] - 1, _FEW).astype(int))
    return [np.asarray(data[z]) for z in few]
